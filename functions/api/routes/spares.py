"""Spares: what a task that waits for a launch asks the hub (ADR 70). JupyterHub has none."""

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import response_schemas as schemas
from functions.api.auth.authentication import NO_CREDENTIALS
from functions.api.dependencies import hub_of
from functions.api.json_codec import JSONResponse
from functions.api.routers import api_router
from hubless.domain.errors import NotFoundError, StoreConflictError

if TYPE_CHECKING:
    import hubless.services.spares

router = api_router("/spares", tag="spares")
_GONE = "The hub does not need this spare any more"


async def _asked(request: Request) -> "hubless.services.spares.SpareQuestions":
    """Return what answers the spare in the path, which has sent its own secret.

    Raises:
        HTTPException: 404 where no task waits for a launch, 403 for another secret.
    """
    if (questions := hub_of(request).spare_questions) is None:
        raise HTTPException(404, _GONE)
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "token" or not questions.is_secret_of(request.path_params["spare_id"], secret.strip()):
        raise HTTPException(403, NO_CREDENTIALS)
    return questions


Questions = Annotated["hubless.services.spares.SpareQuestions", Depends(_asked)]


@router.post("/{spare_id:segment}/launch", response_model=schemas.SpareLaunch, responses={204: {"model": None}})
async def ask_for_launch(spare_id: str, questions: Questions) -> Response:
    """Return the variables with which a waiting task becomes the server of its launch; 204 while it has none.

    The token is the spare's own. It opens nothing else.
    """
    try:
        environment = questions.answer(spare_id)
    except (NotFoundError, StoreConflictError):
        raise HTTPException(404, _GONE) from None
    if environment is None:
        return Response(status_code=204)
    return JSONResponse({"environment": environment}, headers={"Cache-Control": "no-store"})
