"""The page of one's messages, and the page on which admins see what was sent. The code calls messages letters."""

from typing import Annotated, Any, Final

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record
from functions.api.auth.visitors import Form, OwnForm, Person, user_of
from functions.api.flashes import flash
from functions.api.linked_text import linked
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.serializers import instant
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_IDENTIFIER
from hubless.domain.errors import NotFoundError
from hubless.domain.letters import Delivery, Letter
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.services.identity import Actor

router = page_router()
PAGE: Final = "/hub/messages"
SENT: Final = "/hub/admin/messages"
SCOPE: Final = "admin:users"
SHOWN_AT_HOME: Final = 3
_HOME: Final = "/hub/home"
_ROWS: Final = 50  # of a page of sent messages
GONE: Final = _("This message is gone.")


def view(one: Delivery) -> dict[str, Any]:
    """Return what pages show of a message."""
    return _told(one.letter) | {"read": instant(one.read_at), "is_put_away": one.is_put_away}


def unread_at_home(hub: dependencies.WholeHub, user: User) -> list[dict[str, Any]]:
    """Return the messages that *user* has not read, newest first; who has none costs no read of the store."""
    if not hub.letters.unread(user):
        return []
    return [view(one) for one in hub.letters.shown(user) if one.read_at is None]


def _told(letter: Letter) -> dict[str, Any]:
    return {
        "id": letter.id,
        "subject": letter.subject,
        "text": linked(letter.text),
        "sent_by": letter.sent_by,
        "sent": instant(letter.sent_at),
    }


@value
class _MessagesPage:
    """The messages of one person."""

    request: Request
    who: Actor
    hub: dependencies.WholeHub
    render: Render

    def __call__(self) -> Response:
        """Return the page, newest message first."""
        found = self.hub.letters.shown(user_of(self.who))
        return self.render("messages.html", messages=[view(one) for one in found])

    def mark(self, form: Form, said: Message | None = None) -> Response:
        """Mark the message of the form as read, and put it away if there is something to say of that.

        It goes back to the page on which the form was.
        """
        try:
            letter_id = form.text("id", longest=MAX_IDENTIFIER)
            self.hub.letters.mark_read(user_of(self.who), letter_id, put_away=said is not None)
        except NotFoundError:
            pass  # a second click, or somebody took it back
        response = RedirectResponse(_HOME if form.text("next") == _HOME else PAGE, 303)
        if said is not None:
            flash(self.request, response, said)
        return response


async def _messages_page(request: Request, who: Person, hub: dependencies.WholeHub, render: Render) -> _MessagesPage:
    return _MessagesPage(request, who, hub, render)


MessagesPage = Annotated[_MessagesPage, Depends(_messages_page)]


@router.get("/messages")
@has_long_store_calls
async def show_messages(page: MessagesPage) -> Response:
    """Show the visitor's messages."""
    return page()


@router.post("/messages/read")
async def mark_read(form: OwnForm, page: MessagesPage) -> Response:
    """Mark one of the visitor's messages as read."""
    return page.mark(form)


@router.post("/messages/delete")
async def delete(form: OwnForm, page: MessagesPage) -> Response:
    """Show one of the visitor's messages no more."""
    return page.mark(form, _("The message is deleted."))


@value
class _SentPage:
    """The messages that anybody has sent."""

    request: Request
    who: Actor
    hub: dependencies.WholeHub
    render: Render

    def __call__(self) -> Response:
        """Return the page of messages that the address asks for."""
        before = self.request.query_params.get("before", "")[:MAX_IDENTIFIER]
        found = self.hub.letters.sent(limit=_ROWS + 1, before=before)
        following = found[_ROWS - 1].id if len(found) > _ROWS else ""
        return self.render(
            "messages_sent.html",
            messages=[_told(one) | {"reached": one.reached, "read": one.read} for one in found[:_ROWS]],
            older_url=f"{SENT}?before={following}" if following else "",
            newest_url=SENT if before else "",
        )

    def take_back(self, form: Form) -> Response:
        """Take the message of the form back from everybody."""
        letter_id = form.text("id", longest=MAX_IDENTIFIER)
        try:
            self.hub.letters.take_back(letter_id)
        except NotFoundError:
            raise HTTPException(404, GONE) from None
        record(self.request, Act.MESSAGE_TAKEN_BACK, message=letter_id)
        response = RedirectResponse(SENT, 303)
        flash(self.request, response, _("The message is taken back."))
        return response


async def _sent_page(request: Request, who: Person, hub: dependencies.WholeHub, render: Render) -> _SentPage:
    if not who.scopes.has_everywhere(SCOPE):
        raise HTTPException(403, _("This page is for admins"))
    return _SentPage(request, who, hub, render)


SentPage = Annotated[_SentPage, Depends(_sent_page)]


@router.get("/admin/messages")
@has_long_store_calls
async def show_sent(page: SentPage) -> Response:
    """Show what was sent, and how many people have read it."""
    return page()


@router.post("/admin/messages/take-back")
@has_long_store_calls
async def take_back(form: OwnForm, page: SentPage) -> Response:
    """Take a message back from everybody who has it."""
    return page.take_back(form)
