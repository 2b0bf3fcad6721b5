"""The token page: the visitor's tokens, those of their servers, and applications with tokens."""

from collections.abc import Iterable
from datetime import UTC, timedelta
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record
from functions.api.auth.visitors import Form, OwnForm, Person, user_of
from functions.api.flashes import flash
from functions.api.oauth_clients import ClientLookup, OAuthClients
from functions.api.pages.lists import Lists, lists_of
from functions.api.pages.token_forms import new_form_id, sent_form
from functions.api.pages.views import scope_view
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.serializers import instant
from functions.api.shown_once import LIFETIME, forget_shown, show_once, shown_once
from functions.api.store_pool import has_long_store_calls
from hubless.domain import token_choices
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_IDENTIFIER, MAX_SCOPES
from hubless.domain.browsers import program_in_words
from hubless.domain.errors import HublessError, InvalidRequestError, NotFoundError
from hubless.domain.tokens import Token
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.services.identity import Actor
from hubless.services.tokens import INHERIT

router = page_router()
PAGE = "/hub/token"
_OFFSETS = {"tokens": "offset", "servers": "servers", "applications": "applications"}  # the query's name by list
_ALL, _SOME = "all", "some"  # the form's `access`; a script may leave it out
_MAX_SECONDS = 10**9  # as the API has it


@value
class _TokenPage:
    """The token page of one person."""

    request: Request
    who: Actor
    tokens: dependencies.Tokens
    clients: ClientLookup
    clock: dependencies.Clock
    hub: dependencies.WholeHub
    render: Render
    lists: Lists

    @property
    def user(self) -> User:
        """Return whose tokens they are."""
        return user_of(self.who)

    def __call__(self, form: Form | None = None, *, error: str | None = None, status: int = 200) -> Response:
        """Return the page; with the *form* that was refused, if one was, as it was filled in."""
        held = list(reversed(self.tokens.of(self.user)))
        own = [token for token in held if token.client_id is None and token.server_id is None]
        of_servers = [token for token in held if token.client_id is None and token.server_id is not None]
        applications = _by_client(token for token in reversed(held) if token.client_id is not None)
        new = shown_once(self.request, self.user, PAGE)
        response = self.render(
            "token.html",
            status_code=status,
            tokens=self.lists.part("tokens", own, _token_view),
            server_tokens=self.lists.part("servers", of_servers, _token_view),
            applications=self.lists.part("applications", applications, self._application_view),
            new_token=new[0] if new else None,
            error=error,
            **self._form(form),
        )
        forget_shown(self.request, response, PAGE)
        return response

    def _form(self, form: Form | None) -> dict[str, Any]:
        """Return what the form offers, and what is chosen in it."""
        now, longest = self.clock.now(), self.tokens.max_lifetime
        facts = self.who.owner_scopes, self.user.name, self.user.groups
        last_day = token_choices.last_day(now, longest)
        return {
            "form_id": new_form_id(now),
            "own_choices": token_choices.of_own(*facts),
            "other_choices": token_choices.of_others(*facts),
            "first_day": now.astimezone(UTC).date().isoformat(),
            "last_day": last_day.isoformat() if last_day else "",
            "chosen_day": form.text("expires_on") if form else token_choices.usual_day(now, longest).isoformat(),
            "note": form.text("note") if form else "",
            "is_narrow": bool(form and form.text("access") != _ALL),
            "chosen": form.texts("allow") if form else [],
            "scopes": form.text("scopes") if form else "",
        }

    def issue(self, form: Form) -> Response:
        """Issue the token of the form, and have the page show it once. The same form makes no second one."""
        sent = sent_form(self.hub, self.user, form.text("form"))
        if sent is not None and not sent.is_first(self.hub):
            return self._again(sent.secret)
        token, secret = self.tokens.issue_to(
            self.user,
            note=form.text("note") or "Requested via token page",
            expires_in=self._lifetime(form),
            raw_scopes=_scopes(form),
            secret=None if sent is None else sent.secret,
        )
        record(self.request, Act.TOKEN_ISSUED, self.user.name, token=token.id)
        response = RedirectResponse(PAGE, 303)
        show_once(self.request, response, self.user, PAGE, (secret,))
        return response

    def _again(self, secret: str) -> Response:
        """Answer a second click: the page shows the token of the first, if that is not long ago."""
        response = RedirectResponse(PAGE, 303)
        made = self.tokens.of_secret(self.user, secret)
        if made is not None and self.clock.now() - made.created_at < LIFETIME:
            show_once(self.request, response, self.user, PAGE, (secret,))
        else:
            flash(self.request, response, _("This form was sent already. Fill in a new one for another token."))
        return response

    def _lifetime(self, form: Form) -> timedelta | None:
        if day := form.text("expires_on"):
            return token_choices.lifetime_until(day, self.clock.now(), self.tokens.max_lifetime)
        return _seconds(form.text("expires_in"))

    def _application_view(self, held: list[Token]) -> dict[str, Any]:
        return {
            "client_id": held[0].client_id,
            "description": self.clients.describe(held[0]),
            "tokens": len(held),
            "last_activity": instant(max(t.last_activity_at or t.created_at for t in held)),
        }


def _by_client(issued: Iterable[Token]) -> list[list[Token]]:
    found: dict[str, list[Token]] = {}
    for token in issued:
        found.setdefault(token.client_id or "", []).append(token)
    return list(found.values())


async def _page(
    request: Request,
    who: Person,
    tokens: dependencies.Tokens,
    clients: OAuthClients,
    clock: dependencies.Clock,
    hub: dependencies.WholeHub,
    render: Render,
) -> _TokenPage:
    return _TokenPage(request, who, tokens, clients, clock, hub, render, lists_of(request, PAGE, _OFFSETS))


TokenPage = Annotated[_TokenPage, Depends(_page)]


@router.get("/token")
@has_long_store_calls
async def show_tokens(page: TokenPage) -> Response:
    """Show the tokens of the visitor, and a new one once."""
    return page()


@router.post("/token")
@has_long_store_calls
async def new_token(form: OwnForm, page: TokenPage) -> Response:
    """Issue a token, and go on to the page that shows it once."""
    try:
        return page.issue(form)
    except HublessError as refused:
        return page(form, error=refused.message, status=400)


@router.post("/token/revoke")
async def revoke(
    request: Request, form: OwnForm, who: Person, tokens: dependencies.Tokens, token_store: dependencies.TokenStore
) -> Response:
    """Revoke one token, or all that an application holds."""
    user, response = user_of(who), RedirectResponse(PAGE, 303)
    if client_id := form.text("client_id"):
        if len(client_id) <= MAX_IDENTIFIER:
            token_store.delete_issued(user.id, client_id)
            record(request, Act.TOKEN_REVOKED, user.name, client=client_id)
        flash(request, response, _("The application can no longer use your account."))
        return response
    try:
        token = tokens.get(user, form.text("token_id"))
        tokens.revoke(user, token)
    except NotFoundError:
        flash(request, response, _("This token was revoked already, or has expired."))
    else:
        record(request, Act.TOKEN_REVOKED, user.name, token=token.id)
        flash(request, response, _("The token is revoked."))
    return response


def _scopes(form: Form) -> list[str] | None:
    """Return the scopes that the form asks for; None for everything that its sender may do.

    Raises:
        InvalidRequestError: when nothing is chosen, too much, or everything and more.
    """
    wanted = [*form.texts("allow"), *form.text("scopes").split()]
    if form.text("access") == _SOME and not wanted:
        raise InvalidRequestError(_("Choose at least one thing that the token may do."))
    if form.text("access") == _ALL and wanted:
        raise InvalidRequestError(_("You chose everything, and single things too. Choose one or the other."))
    if len(wanted) > MAX_SCOPES:
        raise InvalidRequestError(_("A token may have at most %(max_scopes)s scopes", max_scopes=MAX_SCOPES))
    return wanted or None


def _seconds(text: str) -> timedelta | None:
    """Return the lifetime in seconds that a script may send instead of a day; None for none."""
    if not text:
        return None
    try:
        seconds = int(text[:12])
    except ValueError:
        raise InvalidRequestError("expires_in must be a number of seconds") from None
    if seconds > _MAX_SECONDS:
        raise InvalidRequestError(_("expires_in may be at most %(most)s seconds", most=_MAX_SECONDS))
    return timedelta(seconds=seconds)


def _token_view(token: Token) -> dict[str, Any]:
    return {
        "id": token.id,
        "note": token.note,
        "is_whole": token.scopes == INHERIT,
        "scopes": [scope_view(raw) for raw in token.scopes],
        "created": instant(token.created_at),
        "last_activity": instant(token.last_activity_at),
        "last_address": token.last_address,
        "last_program": program_in_words(token.last_agent),
        "expires_at": instant(token.expires_at),
    }
