"""Logging in and out, signing up, and the one-time links that set a password."""

import logging
from functools import partial
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth import csrf, proxy_logins
from functions.api.auth.acts import login_failed, record, record_by
from functions.api.auth.cookies import device_cookie
from functions.api.auth.relying_party import relying_party
from functions.api.auth.session_opening import Shown, destination, forget_session, open_session
from functions.api.auth.visitors import AnonymousForm, Form, MaybePerson, visitor
from functions.api.error_handlers import retry_later
from functions.api.flashes import flash
from functions.api.markdown_text import markdown
from functions.api.password_pool import in_new_password_pool, in_password_pool
from functions.api.provider_pool import in_provider_pool
from functions.api.redirects import Redirects, RequestRedirects, with_next
from functions.api.rendering import Render
from functions.api.request_metrics import note_logout
from functions.api.routers import page_router
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_BODY
from hubless.domain.errors import InvalidRequestError
from hubless.domain.passwords import MINIMUM_PASSWORD
from hubless.domain.tokens import Session
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.authenticator import Identity, Refused
from hubless.services.accounts import USED_LINK
from hubless.services.login_throttling import LockedOut
from hubless.services.password_login import LoggedIn
from hubless.services.proxy_logins import person_mark

logger = logging.getLogger(__name__)
router = page_router()
EXPIRED = _("This form is invalid or expired. Try again.")
FIRST_PAGE = "/hub/home"  # after a sign-up
LOGGED_OUT = "/hub/logged-out"  # where providers send browsers back after a logout
TOO_MANY = 429  # RFC 6585 4


@value
class _SessionPages:
    """The pages of logins, and the session of the browser that sent a request."""

    request: Request
    hub: dependencies.WholeHub
    redirects: Redirects
    render: Render

    @property
    def address(self) -> str:
        """Return the client's address, by which wrong guesses are counted."""
        return dependencies.address_of(self.request)

    @property
    def why_form_refused(self) -> str:
        """Return why a form without a valid token is refused."""
        return csrf.why_foreign(self.request) if csrf.is_foreign(self.request) else EXPIRED

    @property
    def takes_sign_ups(self) -> bool:
        """Say whether this hub takes sign-ups."""
        return self.hub.settings.login.sign_up and self.hub.has_passwords

    def open_session(
        self,
        user: User,
        following: str | None,
        *,
        opened: tuple[Session, str] | None = None,
    ) -> Response:
        """Begin a session in this browser, as `session_opening.open_session` does."""
        return open_session(self.request, self.hub, user, following, opened=opened)

    def renew_session(self, session: Session, user: User, following: str | None, said: Message) -> Response:
        """Begin a session in place of *session*, of the same login: its provider may end this one too.

        The page after it says *said*.
        """
        opened = self.hub.logins.open_session(
            user,
            self.request.headers.get("user-agent", ""),
            provider=session.provider,
            provider_session=session.provider_session,
        )
        response = open_session(self.request, self.hub, user, following, shown=Shown.BEFORE, opened=opened)
        flash(self.request, response, said, opened[0])
        return response

    def log_in_by_proxy(self, identity: Identity) -> Response:
        """Begin a session of the person whom a login proxy names."""
        user = self.hub.logins.log_in(identity)
        mark = person_mark(identity)
        following = self.redirects.next
        return open_session(self.request, self.hub, user, following, provider=identity.provider, provider_session=mark)

    def next(self, following: str | None, user: User) -> str:
        """Return where a login ends: at *following*, or else at the user's server."""
        return destination(self.hub, user, following)

    def login_page(self, *, username: str = "", error: str | None = None, status: int = 200) -> Response:
        """Return the page with the login form."""
        theme = self.hub.settings.theme
        return self.render(
            "login.html",
            status_code=status,
            headers=retry_later(self.hub) if status == TOO_MANY else None,
            next=self.redirects.next or "",
            username=username[:255],
            error=error,
            announcement=None,
            heading=theme.login_heading,
            intro=markdown(theme.login_text),
            sign_up=self.takes_sign_ups,
            resets_passwords=self.hub.resets_passwords,
            action="/hub/login",
            passkey_options=self.passkey_options,
            passkey_action=with_next("/hub/passkey/login", self.redirects.next),
            providers=self.provider_links,
            has_form=self.hub.settings.login.kind != "none",
        )

    @property
    def passkey_options(self) -> str:
        """Return the options to log in with a passkey, as JSON; "" where browsers take none, or settings do not."""
        party = relying_party(self.request, self.hub)
        return self.hub.passkeys.login_options(party, visitor(self.request).xsrf) if party else ""

    @property
    def provider_links(self) -> list[dict[str, str]]:
        """Return the providers' names and the links at which their logins begin."""
        following = self.redirects.next
        more = f"&next={quote(following, safe='')}" if following else ""
        return [
            {"label": provider.label, "url": f"/hub/oauth_login?provider={provider.name}{more}"}
            for provider in self.hub.settings.providers
        ]

    @property
    def only_way(self) -> str | None:
        """Return the link of the only provider where the login page would show nothing else, and settings skip it."""
        login, links = self.hub.settings.login, self.provider_links
        return links[0]["url"] if login.auto_login and login.kind == "none" and len(links) == 1 else None

    def password_page(self, user: User, *, error: str | None = None, status: int = 200) -> Response:
        """Return the page that sets a password."""
        return self.render(
            "set_password.html",
            status_code=status,
            headers={"Referrer-Policy": "strict-origin"},
            user_name=user.name,
            has_logins=self.hub.accounts.has_logins(user),
            action=f"/hub/set-password?key={self.request.query_params.get('key', '')}",
            error=error,
            minimum_length=MINIMUM_PASSWORD,
        )


async def _session_pages(
    request: Request, hub: dependencies.WholeHub, redirects: RequestRedirects, render: Render
) -> _SessionPages:
    return _SessionPages(request, hub, redirects, render)


SessionPages = Annotated[_SessionPages, Depends(_session_pages)]


@router.get("/login")
async def login_form(actor: MaybePerson, pages: SessionPages) -> Response:
    """Show the form; redirect a person who is logged in already, unless asked to log in again (`again=1`)."""
    again = pages.request.query_params.get("again") == "1"
    if actor is not None and actor.session is not None and not again:
        assert actor.user is not None  # noqa: S101 a session is a user's
        return RedirectResponse(pages.next(pages.redirects.next, actor.user), 302)
    if proxy_logins.logs_in(pages.request) and (identity := proxy_logins.identity_of(pages.request)) is not None:
        return pages.log_in_by_proxy(identity)
    if pages.only_way is not None:
        return RedirectResponse(pages.only_way, 302)
    return pages.login_page()


@router.post("/login")
async def log_in(form: AnonymousForm, pages: SessionPages) -> Response:
    """Check name and password and open a session."""
    if form is None:
        return pages.login_page(error=pages.why_form_refused, status=403)
    name = form.text("username", longest=MAX_BODY)  # what is no name is refused like a wrong one
    check = partial(
        pages.hub.password_login.log_in,
        agent=pages.request.headers.get("user-agent", ""),
        waits=pages.hub.second_factors.required_of,
    )
    found = await in_password_pool(check, name, form.text("password"), pages.address, device_cookie(pages.request))
    match found:
        case Refused(why):
            login_failed(pages.request, name)
            return pages.login_page(username=name, error=why, status=403)
        case LockedOut():
            login_failed(pages.request, name)
            return pages.login_page(username=name, error=lock_in_words(found), status=TOO_MANY)
        case LoggedIn(user, opened):
            return pages.open_session(user, pages.redirects.next, opened=opened)


@router.get("/logout")
async def log_out(
    request: Request,
    actor: MaybePerson,
    logins: dependencies.Logins,
    pages: SessionPages,
) -> Response:
    """End the session with every token that was issued in it, in the store and in the browser.

    Where settings say so, the browser goes on to end the session at the provider as well.
    """
    note_logout(request)
    target = LOGGED_OUT if pages.only_way is not None else "/hub/login"
    if actor is not None and actor.session is not None:
        if csrf.needs_token(request):
            raise HTTPException(403, "A script cannot log out: open /hub/logout in the browser")
        if actor.session.provider and actor.user is not None:
            logout_url = pages.hub.provider_logins.logout_url
            there = await in_provider_pool(logout_url, actor.session, actor.user, LOGGED_OUT)
            target = there or target
        logins.close_session(actor.session)
        record(request, Act.LOGOUT)
    response = RedirectResponse(target, 302)
    forget_session(request, response)
    proxy_logins.leave_proxy(request, response, actor.session.provider if actor and actor.session else "")
    return response


async def _user_of_link(request: Request, accounts: dependencies.Accounts) -> User:
    user = accounts.user_of_link(request.query_params.get("key", ""))
    if user is None:
        raise HTTPException(404, USED_LINK)
    return user


UserOfLink = Annotated[User, Depends(_user_of_link)]


@router.get("/set-password")
async def password_form(user: UserOfLink, pages: SessionPages) -> Response:
    """Show the form of a one-time link."""
    return pages.password_page(user)


@router.post("/set-password")
async def set_password(
    request: Request, user: UserOfLink, form: AnonymousForm, accounts: dependencies.Accounts, pages: SessionPages
) -> Response:
    """Set the password, end the link and what else the form says, and log the link's user in."""
    if form is None:
        return pages.password_page(user, error=pages.why_form_refused, status=403)
    try:
        _require_same_twice(form)
        use = partial(
            accounts.use_link,
            keep_sessions=form.text("keep_sessions") == "1",
            revoke_tokens=form.text("revoke_tokens") == "1",
        )
        user = await in_new_password_pool(use, request.query_params.get("key", ""), form.text("password"))
    except InvalidRequestError as invalid:
        return pages.password_page(user, error=invalid.message, status=400)
    record_by(user, request, Act.PASSWORD_CHANGED, user.name, by="link")
    return pages.open_session(user, FIRST_PAGE)


def lock_in_words(lock: LockedOut) -> str:
    """Return what a person reads whose login is locked."""
    wait = _("Wait up to %(minutes)s minutes, then try again.", minutes=lock.minutes)
    if lock.is_device:
        return _("Too many wrong guesses in this browser. %(wait)s", wait=wait)
    return _(
        "Too many wrong guesses at this name, or from this network, so that even the right password is"
        " refused. %(wait)s In a browser in which you have logged in before, you can log in at once.",
        wait=wait,
    )


def _require_same_twice(form: Form) -> None:
    if form.text("password") != form.text("again"):
        raise InvalidRequestError(_("The two passwords differ"))
