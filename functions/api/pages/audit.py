"""The page of who did what: a search, page by page, and a file of what it finds. It needs no JavaScript."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import audit_lines, dependencies
from functions.api.auth.visitors import Person
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.routes.audit import exported
from functions.api.serializers import instant
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import READ_SCOPE, Act, AuditRecord, DoerKind
from hubless.domain.bounds import MAX_IDENTIFIER
from hubless.domain.errors import InvalidRequestError
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value

router = page_router()
PAGE: Final = "/hub/admin/audit"
_ROWS: Final = 50
FIELDS: Final = ("by", "on", "act", "since", "until")
WORDS: Mapping[Act, Message] = MappingProxyType(
    {
        Act.LOGIN: _("logged in"),
        Act.LOGIN_FAILED: _("failed to log in"),
        Act.LOGOUT: _("logged out"),
        Act.SESSIONS_ENDED: _("ended logins in browsers"),
        Act.PASSWORD_CHANGED: _("changed a password"),
        Act.PASSWORD_LINK_MADE: _("made a password link"),
        Act.EMAIL_CHANGED: _("changed an e-mail address"),
        Act.LOGIN_LINKED: _("linked a login"),
        Act.LOGIN_UNLINKED: _("unlinked a login"),
        Act.FACTORS_CHANGED: _("changed second factors"),
        Act.FACTORS_RESET: _("reset second factors"),
        Act.TOKEN_ISSUED: _("made a token"),
        Act.TOKEN_REVOKED: _("revoked a token"),
        Act.SHARE_GRANTED: _("shared a server"),
        Act.SHARE_ENDED: _("ended a share"),
        Act.SHARE_CODE_MADE: _("made a link to a server"),
        Act.SHARE_CODE_ACCEPTED: _("accepted a link to a server"),
        Act.SHARE_CODE_ENDED: _("ended a link to a server"),
        Act.USER_ADDED: _("added a user"),
        Act.USER_RENAMED: _("renamed a user"),
        Act.USER_REMOVED: _("removed a user"),
        Act.ADMIN_GIVEN: _("gave admin rights"),
        Act.ADMIN_TAKEN: _("took admin rights away"),
        Act.AUTH_STATE_CHANGED: _("changed what a provider said"),
        Act.NOTE_CHANGED: _("changed the note on a user"),
        Act.HOME_LIMIT_SET: _("limited the files of a user or group"),
        Act.HOME_LIMIT_REMOVED: _("removed a limit of files"),
        Act.JOIN_LINK_MADE: _("made a join link"),
        Act.JOIN_LINK_ENDED: _("ended a join link"),
        Act.SIGN_UP_APPROVED: _("approved a sign-up"),
        Act.SIGN_UP_REFUSED: _("refused a sign-up"),
        Act.FILES_GIVEN: _("gave files of a removed user to somebody"),
        Act.FILES_ARCHIVED: _("archived files of a removed user"),
        Act.FILES_DELETED: _("deleted files of a removed user"),
        Act.GROUP_ADDED: _("added a group"),
        Act.GROUP_CHANGED: _("changed a group"),
        Act.GROUP_REMOVED: _("removed a group"),
        Act.MEMBER_ADDED: _("added somebody to a group"),
        Act.MEMBER_REMOVED: _("removed somebody from a group"),
        Act.SERVER_OPENED: _("opened a server of another user"),
        Act.SERVER_STARTED: _("started a server of another user"),
        Act.SERVER_STOPPED: _("stopped a server of another user"),
        Act.SERVER_ADOPTED: _("gave a server back to its owner after a restore"),
        Act.SERVER_CHANGED: _("changed a server of another user"),
        Act.SERVER_REMOVED: _("removed a server"),
        Act.SERVICE_ADDED: _("added a service"),
        Act.SERVICE_REMOVED: _("removed a service"),
        Act.LMS_ADDED: _("registered an LMS"),
        Act.LMS_LINK_MADE: _("let an LMS register itself"),
        Act.LMS_REMOVED: _("removed an LMS"),
        Act.ANNOUNCEMENT_MADE: _("made an announcement"),
        Act.ANNOUNCEMENT_CHANGED: _("changed an announcement"),
        Act.ANNOUNCEMENT_REMOVED: _("removed an announcement"),
        Act.MESSAGE_SENT: _("sent a message"),
        Act.MESSAGE_TAKEN_BACK: _("took back a message"),
        Act.MAINTENANCE_ON: _("turned maintenance on"),
        Act.MAINTENANCE_OFF: _("turned maintenance off"),
        Act.SETTINGS_CHANGED: _("started with other settings"),
        Act.DATA_DOWNLOADED: _("downloaded the data of an account"),
        Act.BUDGET_SET: _("set a budget"),
        Act.BUDGET_REMOVED: _("removed a budget"),
        Act.BUDGET_NEARLY_USED: _("told people that a budget is nearly used up"),
        Act.BUDGET_USED: _("stopped servers because a budget is used up"),
        Act.SCHEDULE_SET: _("set a schedule"),
        Act.SCHEDULE_REMOVED: _("removed a schedule"),
        Act.SERVER_KEPT: _("kept an idle server for a lesson"),
        Act.LESSON_FAILED: _("could not start or stop a server for a lesson"),
        Act.AUDIT_DOWNLOADED: _("downloaded this list"),
    }
)
LABELS: Mapping[str, Message] = MappingProxyType(
    {
        "server": _("Server"),
        "group": _("Group"),
        "user": _("User"),
        "token": _("Token"),
        "client": _("Application"),
        "provider": _("Provider"),
        "issuer": _("Provider"),
        "rule": _("Rule"),
        "from": _("Old name"),
        "to": _("New name"),
        "changed": _("Tables of the settings"),
        "admin": _("As an admin"),
        "why": _("Reason"),
        "paused": _("Paused"),
        "until": _("Until"),
    }
)
"""Details that the page shows; the file has all."""
_YES: Final = "yes"  # of a detail that is true


@value
class _Audit:
    """The page for one request."""

    request: Request
    auditing: dependencies.Auditing
    hub: dependencies.WholeHub
    render: Render

    @property
    def given(self) -> dict[str, str]:
        """Return what the search asks for."""
        query = self.request.query_params
        return {key: text for key in FIELDS if (text := query.get(key, "").strip()[:MAX_IDENTIFIER])}

    def page(self) -> Response:
        """Return the page; with a fault in the search, it says so and shows nothing."""
        given, before = self.given, self.request.query_params.get("before", "")
        try:
            page = self.auditing.page(audit_lines.query_of(given | {"before": before}, self.auditing), limit=_ROWS)
        except InvalidRequestError as wrong:
            return self._shown(given, [], error=wrong.message, status=400)
        older = _url(given | {"before": page.after.cursor}) if page.after is not None else None
        return self._shown(given, [_view(one) for one in page.records], first=bool(before), older=older)

    def file(self) -> Response:
        """Return what the search finds as JSON lines."""
        return exported(self.request, self.hub, audit_lines.query_of(self.given, self.auditing))

    def _shown(
        self,
        given: dict[str, str],
        records: list[dict[str, Any]],
        *,
        first: bool = False,
        older: str | None = None,
        error: str | None = None,
        status: int = 200,
    ) -> Response:
        return self.render(
            "admin_audit.html",
            status_code=status,
            records=records,
            search={key: given.get(key, "") for key in FIELDS},
            acts=[{"value": act.value, "words": words} for act, words in WORDS.items()],
            first_url=_url(given) if first else None,
            older_url=older,
            file_url=f"{PAGE}/file?{urlencode(given)}" if given else f"{PAGE}/file",
            kept_days=self.auditing.keep.days,
            error=error,
        )


def _view(record: AuditRecord) -> dict[str, Any]:
    by, about = record.by, record.about
    return {
        "at": instant(record.at),
        "by": by.name,
        "kind": by.kind.value,
        "is_unknown": by.kind is DoerKind.NOBODY,
        "words": WORDS[record.act],
        "on": record.on if record.act is not Act.SETTINGS_CHANGED else "",
        "address": by.address,
        "details": [(words, "" if about[key] == _YES else about[key]) for key, words in LABELS.items() if key in about],
        "count": record.count,
        "others": record.others,
    }


def _url(query: Mapping[str, str]) -> str:
    return f"{PAGE}?{urlencode(query)}" if query else PAGE


async def _audit(
    request: Request, who: Person, auditing: dependencies.Auditing, hub: dependencies.WholeHub, render: Render
) -> _Audit:
    if not who.scopes.has_everywhere(READ_SCOPE):
        raise HTTPException(403, "This page is for admins")
    return _Audit(request, auditing, hub, render)


AuditOf = Annotated[_Audit, Depends(_audit)]


@router.get("/admin/audit")
@has_long_store_calls
async def show_audit(audit: AuditOf) -> Response:
    """Show who did what, the newest first."""
    return audit.page()


@router.get("/admin/audit/file")
async def download_audit(audit: AuditOf) -> Response:
    """Return what the search finds as a file."""
    return audit.file()
