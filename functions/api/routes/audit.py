"""The audit records: who did what to whom, from where. JupyterHub has no such API."""

from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from functions.api import audit_lines
from functions.api import response_schemas as schemas
from functions.api.auth.acts import record
from functions.api.auth.scope_checks import holds_everywhere
from functions.api.dependencies import Auditing, WholeHub
from functions.api.json_codec import JSONResponse
from functions.api.paging import number_in_query
from functions.api.routers import api_router, content
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import MAX_PAGE, READ_SCOPE, Act, AuditQuery
from hubless.services.identity import Actor

router = api_router("/audit", tag="audit")
MayRead = Annotated[Actor, holds_everywhere(READ_SCOPE)]
_USUAL = 50
_Text = Annotated[str, Query()]
_Day = Annotated[str, Query(description="A day, or an instant with its offset; days are those of UTC")]
_Place = Annotated[str, Query(description="`next` of the answer before")]


@router.get("", response_model=schemas.AuditPage)
@has_long_store_calls
async def read_audit(
    _actor: MayRead,
    auditing: Auditing,
    by: _Text = "",
    on: _Text = "",
    act: _Text = "",
    since: _Day = "",
    until: _Day = "",
    before: _Place = "",
    limit: Annotated[str | None, Query(description=f"At most {MAX_PAGE}")] = None,
) -> Response:
    """Return records, the newest first. There are more as long as `next` is given, even after a page without any."""
    given = {"by": by, "on": on, "act": act, "since": since, "until": until, "before": before}
    query = audit_lines.query_of(given, auditing)
    page = auditing.page(query, limit=number_in_query("limit", limit, _USUAL))
    following = page.after.cursor if page.after is not None else None
    return JSONResponse({"records": [audit_lines.model(one) for one in page.records], "next": following})


@router.get("/export", response_class=Response, responses=content(audit_lines.MEDIA_TYPE))
async def export_audit(
    request: Request,
    _actor: MayRead,
    auditing: Auditing,
    hub: WholeHub,
    by: _Text = "",
    on: _Text = "",
    act: _Text = "",
    since: _Day = "",
    until: _Day = "",
    before: _Place = "",
) -> Response:
    """Return all records as JSON lines. Where answers are not streamed, a last line may say from where to go on."""
    given = {"by": by, "on": on, "act": act, "since": since, "until": until, "before": before}
    return exported(request, hub, audit_lines.query_of(given, auditing))


def exported(request: Request, hub: WholeHub, query: AuditQuery) -> Response:
    """Return the records of *query* as a file, and record that somebody has it."""
    most = None if hub.streams else audit_lines.MOST_UNSTREAMED
    record(request, Act.AUDIT_DOWNLOADED)
    day = hub.clock.now().date().isoformat()
    headers = {"Content-Disposition": f'attachment; filename="audit-{day}.jsonl"', "Cache-Control": "no-store"}
    found = audit_lines.lines(hub.auditing, query, most=most)
    return StreamingResponse(found, media_type=audit_lines.MEDIA_TYPE, headers=headers)
