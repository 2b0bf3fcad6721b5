"""The pictures of profiles: files beside the settings' file, which in AWS is in the function's bundle."""

import mimetypes

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from functions.api import dependencies
from functions.api.auth.visitors import Person, user_of, visitor
from functions.api.routers import page_router
from hubless.domain import profiles
from hubless.settings.pictures import MAX_PICTURE, picture_file

router = page_router()
_KEPT = 3600  # seconds that a browser keeps a picture


@router.get("/profile-picture")
async def profile_picture(
    request: Request, who: Person, spawning: dependencies.Spawning, settings: dependencies.Settings
) -> Response:
    """Return the picture of a profile that the visitor may choose, or may choose for somebody."""
    known = spawning.profiles if visitor(request).may_admin else profiles.offered(spawning.profiles, user_of(who))
    profile = known.get(request.query_params.get("profile", ""))
    file = picture_file(settings, profile.picture) if profile and profile.picture else None
    if file is None or not file.is_file() or file.stat().st_size > MAX_PICTURE:
        raise HTTPException(404)
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return FileResponse(file, media_type=kind, headers={"Cache-Control": f"private, max-age={_KEPT}"})
