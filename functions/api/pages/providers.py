"""Logins at providers: the way there, the way back, links of more identities, and logouts that a provider asks for."""

import logging
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import login_failed, record, record_by
from functions.api.auth.authentication import person_by_cookie
from functions.api.auth.login_cookies import login_cookies, remove_login_cookie, set_login_cookie
from functions.api.auth.session_opening import CONFIRM_PAGE, has_shown_factor, open_session
from functions.api.auth.visitors import MaybePerson, OwnForm, Person, user_of
from functions.api.json_codec import JSONResponse
from functions.api.provider_pool import in_provider_pool
from functions.api.redirects import Redirects, RequestRedirects, with_next
from functions.api.rendering import Render
from functions.api.routers import page_router
from hubless.domain.audit import Act
from hubless.domain.errors import HublessError, LoginRefusedError, ProviderUnavailableError
from hubless.domain.users import FactorState
from hubless.domain.values import value
from hubless.services.provider_logins import CompletedLogin, cookie_name_of

logger = logging.getLogger(__name__)
router = page_router()
ACCOUNT = "/hub/account"
_ANSWER = ("code", "state", "iss", "error")  # what of an answer counts
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_NO_STORE = {"Cache-Control": "no-store"}


@value
class _ProviderPages:
    """The pages of logins at providers, for one request."""

    request: Request
    hub: dependencies.WholeHub
    redirects: Redirects
    render: Render

    async def begin(self, name: str, following: str, *, link_to_user_id: str | None = None) -> Response:
        """Send the browser to the provider *name*, unless too many logins begin in its network."""
        self.hub.login_beginnings.admit(dependencies.address_of(self.request))
        try:
            begun = await in_provider_pool(
                self.hub.provider_logins.begin, name, following, link_to_user_id=link_to_user_id
            )
        except ProviderUnavailableError as failed:
            return self.failed(failed, following)
        response = RedirectResponse(begun.url, 302, headers=_NO_STORE)
        set_login_cookie(self.request, response, begun.cookie_name, begun.cookie)
        return response

    async def complete(self, name: str) -> Response:
        """Take the answer of the provider *name*: open a session, or add the identity."""
        query = self.request.query_params
        answer = {key: query[key] for key in _ANSWER if key in query}
        login = cookie_name_of(answer.get("state", ""))
        present = person_by_cookie(self.request)
        user_id = present.user.id if present is not None and present.user is not None else None
        try:
            done = await in_provider_pool(
                self.hub.provider_logins.complete, name, answer, login_cookies(self.request, login), user_id=user_id
            )
        except (LoginRefusedError, ProviderUnavailableError) as failed:
            login_failed(self.request)
            response = self.failed(failed, None)
        else:
            response = self._opened(done, is_here=done.user.id == user_id)
        remove_login_cookie(self.request, response, login)
        return response

    def _opened(self, done: CompletedLogin, *, is_here: bool) -> Response:
        """Open a session, unless the person has one here: another tab was faster, or the login adds an identity."""
        if not is_here:
            return open_session(
                self.request,
                self.hub,
                done.user,
                done.following or None,
                provider=done.provider,
                provider_session=done.provider_session,
            )
        if done.following == ACCOUNT:
            record_by(done.user, self.request, Act.LOGIN_LINKED, done.user.name, provider=done.provider)
        return RedirectResponse(self.redirects.link_to(done.following or "/hub/home"), 302, headers=_NO_STORE)

    def failed(self, error: HublessError, following: str | None) -> Response:
        """Say what failed and whom to ask; a log line says it to the operator."""
        is_outage = isinstance(error, ProviderUnavailableError)
        logger.log(logging.ERROR if is_outage else logging.INFO, "a login at a provider failed: %s", error)
        return self.render(
            "login_failed.html",
            status_code=503 if is_outage else 403,
            message=error.message,
            contact=self.hub.settings.hub.contact,
            again=with_next("/hub/login", following),
        )


async def _provider_pages(
    request: Request, hub: dependencies.WholeHub, redirects: RequestRedirects, render: Render
) -> _ProviderPages:
    return _ProviderPages(request, hub, redirects, render)


ProviderPages = Annotated[_ProviderPages, Depends(_provider_pages)]


@router.get("/oauth_login")
async def begin_login(
    request: Request, actor: MaybePerson, pages: ProviderPages, redirects: RequestRedirects, provider: str = ""
) -> Response:
    """Begin a login at a provider; the first is JupyterHub's only one. Redirect a person who is logged in already."""
    if actor is not None and actor.session is not None:
        return RedirectResponse(redirects.link_to(redirects.next or "/hub/home"), 302, headers=_NO_STORE)
    if (elsewhere := _own_address(request, pages.hub.settings.url)) is not None:
        return RedirectResponse(elsewhere, 302)
    return await pages.begin(provider, redirects.next or "")


@router.get("/oauth_callback")
async def complete_first(pages: ProviderPages) -> Response:
    """Take the answer of the first provider, at the address that JupyterHub's authenticators have."""
    return await pages.complete("")


@router.get("/oauth_callback/{name}")
async def complete_other(pages: ProviderPages, name: str) -> Response:
    """Take the answer of another provider, each at an address of its own."""
    return await pages.complete(name)


@router.post("/account/link/{name}")
async def link(form: OwnForm, who: Person, pages: ProviderPages, name: str) -> Response:  # noqa: ARG001 it is checked
    """Begin a login at a provider that adds its identity to the user. A form of ours begins it, no link elsewhere.

    Such a login is asked for no second factor later. So who has one shows it now.
    """
    user = user_of(who)
    assert who.session is not None  # noqa: S101 a `Person` has one
    if user.factors is FactorState.SET_UP and not has_shown_factor(pages.request, pages.hub, who.session):
        return RedirectResponse(with_next(CONFIRM_PAGE, ACCOUNT), 302)
    return await pages.begin(name, ACCOUNT, link_to_user_id=user.id)


@router.post("/backchannel_logout/{name}")
async def end_sessions(request: Request, hub: dependencies.WholeHub, name: str) -> Response:
    """End the sessions that a provider ended (OpenID Connect Back-Channel Logout 1.0, 2.5 to 2.8)."""
    token = (await request.form(max_fields=20)).get("logout_token")
    try:
        await in_provider_pool(hub.provider_logins.end_by_notice, name, token if isinstance(token, str) else "")
    except (LoginRefusedError, ProviderUnavailableError) as refused:
        logger.warning("a notice of a logout was refused: %s", refused)
        return JSONResponse({"error": "invalid_request", "error_description": str(refused)}, 400, _NO_STORE)
    record(request, Act.SESSIONS_ENDED, provider=name)
    return Response(status_code=200, headers=_NO_STORE)


@router.get("/logged-out")
async def logged_out(render: Render) -> Response:
    """Show that the person is logged out, without a login that begins by itself."""
    return render("logged_out.html")


def _own_address(request: Request, url: str) -> str | None:
    """Return this address at the host to which the provider sends the browser back, if both are of this machine.

    The cookie of the login would be missing there: `localhost` and `127.0.0.1` are two hosts.
    """
    wanted, given = urlsplit(url), urlsplit(str(request.url))
    if given.netloc == wanted.netloc or given.hostname not in _LOOPBACK or wanted.hostname not in _LOOPBACK:
        return None
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{url}{request.scope['path']}{query}"
