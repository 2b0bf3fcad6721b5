"""Messages to people: sending them, and reading one's own. JupyterHub has no such API. The code calls them letters."""

from collections.abc import Iterable
from typing import Annotated, Final

from fastapi import Depends, Header, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from functions.api import request_schemas as requests
from functions.api import response_schemas as schemas
from functions.api.auth.acts import record
from functions.api.auth.authentication import CurrentActor
from functions.api.auth.scope_checks import OUT_OF_REACH, holds, holds_everywhere, user_in_path
from functions.api.dependencies import WholeHub
from functions.api.json_codec import JSONResponse
from functions.api.paging import number_in_query
from functions.api.routers import api_router, problems
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_IDENTIFIER
from hubless.domain.errors import InvalidRequestError, NotFoundError
from hubless.domain.letters import MAX_KEY, MOST_RECIPIENTS, Delivery, Letter
from hubless.domain.names import normalise_user_name
from hubless.domain.users import User
from hubless.services.identity import Actor
from hubless.services.letters import Draft

router = api_router(tag="messages")
SCOPE: Final = "admin:users"
_GONE: Final = "No such message, or it has expired"
_MAX_PAGE: Final = 100
_USUAL_PAGE: Final = 20


def sender_of(actor: Actor) -> str:
    """Return who sends, as letters name their sender: a kind and an id, which no rename changes."""
    return f"{actor.kind.value}#{actor.user.id if actor.user is not None else actor.name}"


@router.post("/messages", status_code=201, response_model=schemas.NewMessage, responses=problems(409, 413, 429))
@has_long_store_calls
async def send_message(
    request: Request,
    actor: Annotated[Actor, holds(SCOPE)],
    body: requests.NewMessage,
    hub: WholeHub,
    key: Annotated[str, Header(alias="Idempotency-Key", max_length=MAX_KEY, description="New for each message")] = "",
) -> Response:
    """Send a message to users, members of groups, or both; each gets it once.

    Somebody who is named and cannot be reached is in `refused`, and so is who gets no mail for want of an address.
    With an `Idempotency-Key` a request that comes again within an hour sends no other message.
    """
    if len(key) > MAX_KEY:
        raise InvalidRequestError(f"The Idempotency-Key may have at most {MAX_KEY} characters.")
    draft = Draft(body.subject, body.text, body.mail, key=key)
    if not all(actor.scopes.covers_group(SCOPE, group) for group in body.groups):
        raise HTTPException(404, OUT_OF_REACH)  # also because an answer would name the members
    try:
        people, unknown = hub.letters.recipients(
            map(normalise_user_name, body.users), body.groups, most=MOST_RECIPIENTS
        )
    except NotFoundError:
        raise HTTPException(404, OUT_OF_REACH) from None
    reached, refused = within_reach(actor, people)
    refused += unknown
    if not reached:
        raise InvalidRequestError("Nobody of these exists within your reach, so nothing was sent")
    letter = hub.letters.begin(draft, actor.name, sender_of(actor))
    told = hub.letters.send(letter, reached)
    if not letter.is_taken_back:
        record(request, Act.MESSAGE_SENT, *(user.name for user in reached), message=letter.id)
    sent = hub.letters.counted(letter)
    reasons = [*((name, OUT_OF_REACH) for name in refused), *told]
    return JSONResponse(_sent(sent) | {"refused": [{"name": n, "reason": str(why)} for n, why in reasons]}, 201)


def within_reach(actor: Actor, people: Iterable[User]) -> tuple[list[User], list[str]]:
    """Return those to whom *actor* may send, and the names of the others."""
    reached, others = list[User](), list[str]()
    for user in people:
        if actor.scopes.covers_user(SCOPE, user.name, user.groups):
            reached.append(user)
        else:
            others.append(user.name)
    return reached, others


@router.get("/messages", response_model=schemas.SentMessages)
@has_long_store_calls
async def list_messages(
    _actor: Annotated[Actor, holds_everywhere(SCOPE)],
    hub: WholeHub,
    before: Annotated[str, Query(max_length=MAX_IDENTIFIER, description="`next` of the answer before")] = "",
    limit: Annotated[str | None, Query(description=f"At most {_MAX_PAGE}")] = None,
) -> Response:
    """List the messages that anybody has sent, newest first, and how many people have them and have read them."""
    size = min(max(1, abs(number_in_query("limit", limit, _USUAL_PAGE))), _MAX_PAGE)
    found = hub.letters.sent(limit=size + 1, before=before)
    following = found[size - 1].id if len(found) > size else None
    return JSONResponse({"messages": [_sent(one) for one in found[:size]], "next": following})


@router.delete("/messages/{message_id:segment}", status_code=204)
async def take_back_message(
    request: Request, message_id: str, _actor: Annotated[Actor, holds_everywhere(SCOPE)], hub: WholeHub
) -> Response:
    """Take a message back from everybody who has it. Mails that were sent stay sent."""
    try:
        hub.letters.take_back(message_id)
    except NotFoundError:
        raise HTTPException(404, _GONE) from None
    record(request, Act.MESSAGE_TAKEN_BACK, message=message_id)
    return Response(status_code=204)


async def _seen(user: Annotated[User, user_in_path("read:users")], actor: CurrentActor) -> User:
    """Return the user in the path, whose messages the user reads, and whoever may send some."""
    is_own = actor.user is not None and actor.user.id == user.id
    if not is_own and not actor.scopes.covers_user(SCOPE, user.name, user.groups):
        raise HTTPException(404, OUT_OF_REACH)
    return user


@router.get("/users/{name:segment}/messages", response_model=schemas.Messages)
@has_long_store_calls
async def list_messages_of_user(user: Annotated[User, Depends(_seen)], hub: WholeHub) -> Response:
    """List the messages that a user has got, newest first, also those that the user has deleted."""
    return JSONResponse({"messages": [_received(one) for one in hub.letters.received(user)]})


async def _own(user: Annotated[User, user_in_path("read:users")], actor: CurrentActor) -> User:
    """Return the user in the path, who asks: nobody reads a message in another's place."""
    if actor.user is None or actor.user.id != user.id:
        raise HTTPException(403, "Users mark and delete their messages themselves")
    return user


Own = Annotated[User, Depends(_own)]


@router.put("/users/{name:segment}/messages/{message_id:segment}/read", status_code=204)
async def mark_message_read(message_id: str, user: Own, hub: WholeHub) -> Response:
    """Mark one of your messages as read."""
    return _marked(hub, user, message_id)


@router.delete("/users/{name:segment}/messages/{message_id:segment}", status_code=204)
async def delete_message(message_id: str, user: Own, hub: WholeHub) -> Response:
    """Delete one of your messages: pages show it no more. Admins still see that you had it."""
    return _marked(hub, user, message_id, put_away=True)


def _marked(hub: WholeHub, user: User, message_id: str, *, put_away: bool = False) -> Response:
    try:
        hub.letters.mark_read(user, message_id, put_away=put_away)
    except NotFoundError:
        raise HTTPException(404, _GONE) from None
    return Response(status_code=204)


def _told(letter: Letter) -> dict[str, object]:
    return {
        "id": letter.id,
        "subject": letter.subject,
        "text": letter.text,
        "sent_by": letter.sent_by,
        "sent_at": letter.sent_at,
        "expires_at": letter.expires_at,
    }


def _sent(letter: Letter) -> dict[str, object]:
    return _told(letter) | {"mail": letter.by_mail, "reached": letter.reached, "read": letter.read}


def _received(one: Delivery) -> dict[str, object]:
    return _told(one.letter) | {"read_at": one.read_at, "mailed_at": one.mailed_at, "deleted": one.is_put_away}
