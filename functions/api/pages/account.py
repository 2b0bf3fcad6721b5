"""The page of the visitor's account: how this person logs in, and where they are logged in."""

import contextlib
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record
from functions.api.auth.visitors import OwnForm, Person, session_of, user_of
from functions.api.flashes import flash
from functions.api.pages.account_shares import shares_of
from functions.api.pages.lists import Lists, lists_of
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.serializers import instant
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_ISSUER, MAX_SUBJECT
from hubless.domain.browsers import browser_in_words
from hubless.domain.errors import InvalidRequestError, NotFoundError
from hubless.domain.external_identities import ExternalId, LinkedIdentity
from hubless.domain.tokens import Session
from hubless.domain.translatable import Message, ngettext
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value
from hubless.services.identity import Actor

router = page_router()
PAGE = "/hub/account"
_OFFSETS = {kind: kind for kind in ("sessions", "received", "given")}  # the query's name by list


@value
class _AccountPage:
    """The account page of one person. A block of it is a template of its own (`account_….html`)."""

    request: Request
    who: Actor
    hub: dependencies.WholeHub
    render: Render
    lists: Lists

    def __call__(self, *, error: str | None = None, status: int = 200) -> Response:
        """Return the page."""
        labels = {provider.name: provider.label for provider in self.hub.settings.providers}
        linked = self.hub.external_logins.of_user(user_of(self.who))
        sessions = list(reversed(self.hub.logins.sessions_of(user_of(self.who))))
        sessions.sort(key=lambda one: one.id != self.who.session_id)  # this one first; the others stay newest first
        return self.render(
            "account.html",
            status_code=status,
            identities=[identity_view(one, labels) for one in linked],
            providers=[{"name": name, "label": label} for name, label in labels.items()],
            has_passwords=self.hub.has_passwords,
            sends_mail=self.hub.settings.mail.is_on,
            has_second_factors=self.hub.second_factors.are_offered,
            sessions=self.lists.part("sessions", sessions, self._session_view),
            **shares_of(self.hub.sharing, self.hub.origins, user_of(self.who), self.lists),
            error=error,
        )

    def _session_view(self, session: Session) -> dict[str, Any]:
        return {
            "id": session.id,
            "browser": browser_in_words(session.agent),
            "address": session.address,
            "created": instant(session.created_at),
            "is_this": session.id == self.who.session_id,
        }

    def done(self, said: Message) -> Response:
        """Redirect to the page, which says what was done."""
        response = RedirectResponse(PAGE, 303)
        flash(self.request, response, said)
        return response


def identity_view(linked: LinkedIdentity, labels: dict[str, str]) -> dict[str, Any]:
    """Return what a page shows of a linked login; *labels* are the providers' by their names."""
    return {
        "issuer": linked.id.issuer,
        "subject": linked.id.subject,
        "provider": labels.get(linked.provider, linked.provider or linked.id.issuer),
        "label": linked.label or linked.id.subject,
        "linked": instant(linked.linked_at),
    }


async def _page(request: Request, who: Person, hub: dependencies.WholeHub, render: Render) -> _AccountPage:
    return _AccountPage(request, who, hub, render, lists_of(request, PAGE, _OFFSETS))


AccountPage = Annotated[_AccountPage, Depends(_page)]


@router.get("/account")
@has_long_store_calls
async def account(page: AccountPage) -> Response:
    """Show how the visitor logs in."""
    return page()


@router.post("/account/unlink")
async def unlink(form: OwnForm, page: AccountPage) -> Response:
    """End the link of one identity to the visitor's account, but not of the only way in."""
    external = ExternalId(form.text("issuer", longest=MAX_ISSUER), form.text("subject", longest=MAX_SUBJECT))
    try:
        page.hub.external_logins.unlink(user_of(page.who), external)
    except NotFoundError:
        return page(error=_("This login was unlinked already."), status=404)
    except InvalidRequestError as last:
        return page(error=last.message, status=400)
    record(page.request, Act.LOGIN_UNLINKED, page.who.name, issuer=external.issuer)
    return page.done(_("This login is no longer linked."))


@router.post("/account/end-session")
async def end_session(form: OwnForm, page: AccountPage) -> Response:
    """End one of this person's browser sessions."""
    with contextlib.suppress(NotFoundError):  # it has ended already
        page.hub.logins.close(user_of(page.who), form.text("session_id"))
        record(page.request, Act.SESSIONS_ENDED, page.who.name)
    return page.done(_("This browser is logged out."))


@router.post("/account/end-other-sessions")
@has_long_store_calls
async def end_other_sessions(_form: OwnForm, page: AccountPage) -> Response:
    """End this person's sessions in all other browsers, with every token that was issued in them."""
    count = page.hub.logins.close_others(user_of(page.who), session_of(page.who))
    record(page.request, Act.SESSIONS_ENDED, page.who.name)
    return page.done(
        ngettext("%(count)s other browser is logged out.", "%(count)s other browsers are logged out.", count)
    )
