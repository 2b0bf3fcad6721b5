"""Notes on users, which only admins read and write. JupyterHub has no such API."""

from typing import Annotated

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api.auth.acts import record
from functions.api.auth.authentication import CurrentActor
from functions.api.auth.scope_checks import user_in_path
from functions.api.dependencies import WholeHub
from functions.api.json_codec import JSONResponse
from functions.api.routers import api_router, problems
from hubless.domain.audit import Act
from hubless.domain.user_notes import UserNote
from hubless.domain.users import User

router = api_router("/users", tag="users")


async def _read_by_admin(user: Annotated[User, user_in_path("admin:users")], actor: CurrentActor) -> User:
    """Return the user in the path, whom an admin asks about: others with the scope may be that user."""
    if not actor.is_admin:
        raise HTTPException(403, "Only admins read and write notes on users")
    return user


Noted = Annotated[User, Depends(_read_by_admin)]


@router.get("/{name:segment}/note", response_model=schemas.UserNote)
async def read_note(user: Noted, hub: WholeHub) -> Response:
    """Return the note on a user. Where there is none, its text is empty."""
    return JSONResponse(_model(hub.user_notes.of(user)))


@router.put("/{name:segment}/note", response_model=schemas.UserNote, responses=problems(409, 413))
async def write_note(
    request: Request, user: Noted, actor: CurrentActor, body: requests.UserNote, hub: WholeHub
) -> Response:
    """Write the note on a user; "" removes it. With a `revision`, only if nobody has changed it since."""
    before = hub.user_notes.of(user)
    written = hub.user_notes.write(user, body.text, actor.name, revision=body.revision)
    if written.revision != before.revision:
        record(request, Act.NOTE_CHANGED, user.name)
    return JSONResponse(_model(written))


def _model(note: UserNote) -> dict[str, object]:
    return {"text": note.text, "revision": note.revision, "written_by": note.written_by, "written_at": note.written_at}
