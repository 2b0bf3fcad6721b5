"""Logging in with a passkey, and the second half of a login: showing a second factor, or adding the first one."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import login_failed, record_by
from functions.api.auth.cookies import HALF_LOGIN_COOKIE, cookies
from functions.api.auth.relying_party import relying_party, why_no_passkeys
from functions.api.auth.session_opening import SECOND_FACTOR_PAGE, Shown, open_session
from functions.api.auth.visitors import AnonymousForm, Form, OwnForm, Person, user_of
from functions.api.error_handlers import retry_later
from functions.api.pages.sessions import TOO_MANY, SessionPages
from functions.api.provider_pool import in_provider_pool
from functions.api.qr_codes import qr_code
from functions.api.redirects import RequestRedirects, with_next
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.serializers import instant
from functions.api.shown_once import show_once
from hubless.domain import half_logins
from hubless.domain.audit import Act
from hubless.domain.errors import HublessError, InvalidRequestError, NotFoundError, StoreConflictError
from hubless.domain.half_logins import HalfLogin
from hubless.domain.second_factors import MAX_PASSKEY_NAME, Factors
from hubless.domain.translatable import gettext as _
from hubless.domain.users import FactorState, User
from hubless.domain.values import value
from hubless.ports.second_factors import RelyingParty
from hubless.services.second_factors import Accepted, CodesLocked, WrongCode

router = page_router()
PASSKEY_LOGIN = "/hub/passkey/login"
RECOVERY_CODES_PAGE = "/hub/account/recovery-codes"
ASK_ANEW = _("This login took too long, or belongs to another tab. Log in again.")


# --- the second half of a login ---


@value
class _HalfDone:
    """A login whose first half was right, and the pages for its second half."""

    half: HalfLogin
    user: User
    factors: Factors
    binding: str
    pages: SessionPages

    @property
    def hub(self) -> dependencies.WholeHub:
        return self.pages.hub

    @property
    def may_set_up(self) -> bool:
        """Say whether the first half alone may add a factor: beside others it may not, who has some shows one."""
        return not self.factors.is_set_up and self.hub.second_factors.is_demanded_of(self.user)

    def page(self, *, error: str | None = None, status: int = 200, offer: str = "") -> Response:
        """Return the page that asks for a factor, or for the first one to be added."""
        if self.may_set_up:
            return self._set_up_page(error=error, status=status, offer=offer)
        party = relying_party(self.pages.request, self.hub)
        options = (
            party and self.factors.passkeys and self.hub.passkeys.confirm_options(party, self.factors, self.binding)
        )
        return self.pages.render(
            "second_factor.html",
            status_code=status,
            headers=retry_later(self.hub) if status == TOO_MANY else None,
            user_name=self.user.name,
            has_app=self.factors.app is not None,
            has_codes=bool(self.factors.app or self.factors.recovery_codes),
            has_passkeys=bool(self.factors.passkeys),
            passkey_options=options or "",
            action=self.address(),
            is_login=True,
            error=error,
        )

    def _set_up_page(self, *, error: str | None, status: int, offer: str) -> Response:
        return self.pages.render(
            "second_factor_setup.html",
            status_code=status,
            error=error,
            user_name=self.user.name,
            app_action=self.address("/app"),
            passkey_action=self.address("/passkey"),
            **set_up_context(self.pages, self.user, self.factors, self.binding, offer),
        )

    def address(self, more: str = "") -> str:
        """Return the address of a form of this page."""
        return with_next(SECOND_FACTOR_PAGE + more, self.pages.redirects.next)

    def opened(self, recovery_codes: tuple[str, ...] = (), *, shown: Shown = Shown.NOW) -> Response:
        """Return the session, and the redirect to where the login ends; new recovery codes are shown on the way.

        Raises:
            NotFoundError: when the user was removed meanwhile.
        """
        session = open_session(
            self.pages.request,
            self.hub,
            replace(self.user, factors=self.hub.second_factors.of(self.user).state),
            self.pages.redirects.next,
            provider=self.half.provider,
            provider_session=self.half.provider_session,
            shown=shown,
        )
        if recovery_codes:
            to_recovery_codes(self.pages.request, session, self.user, recovery_codes)
        return session


def set_up_context(pages: SessionPages, user: User, factors: Factors, binding: str, offer: str = "") -> dict[str, Any]:
    """Return what the forms show that add an app or a passkey; *offer* keeps the secret that was shown before."""
    hub = pages.hub
    shown = hub.second_factors.same_offer(user, offer) or hub.second_factors.offer_app(user)
    party = relying_party(pages.request, hub)
    return {
        "offer": shown.offer,
        "secret": " ".join(shown.secret[start : start + 4] for start in range(0, len(shown.secret), 4)),
        "qr_code": qr_code(shown.address),
        "passkey_options": hub.passkeys.creation_options(party, user, factors, binding) if party else "",
        "why_no_passkeys": why_no_passkeys(pages.request, hub) if hub.settings.login.passkeys else None,
        "longest_name": MAX_PASSKEY_NAME,
    }


def to_recovery_codes(request: Request, response: Response, user: User, codes: tuple[str, ...]) -> None:
    """Have *response*, a redirect, lead to the page that shows *codes* once, and from there to where it leads now."""
    response.headers["location"] = with_next(RECOVERY_CODES_PAGE, response.headers["location"])
    show_once(request, response, user, RECOVERY_CODES_PAGE, codes)


async def _half_done(request: Request, pages: SessionPages) -> _HalfDone | None:
    """Return the login that waits in this browser, or None.

    A new password, the user's removal, and a logout at its provider end it.
    """
    sent, hub = cookies(request, HALF_LOGIN_COOKIE), pages.hub
    half = half_logins.opened(hub.key, sent[0], hub.clock.now()) if len(sent) == 1 else None
    user = hub.users.get(half.user_id) if half is not None else None
    if half is None or user is None or not half.fits(hub.passwords.get(user.id)):
        return None
    if half.provider and hub.provider_logins.has_ended(half):
        return None
    return _HalfDone(half, user, hub.second_factors.of(user), half_logins.binding_of(sent[0]), pages)


HalfDone = Annotated[_HalfDone | None, Depends(_half_done)]


def _from_the_start(pages: SessionPages, *, status: int = 403) -> Response:
    return pages.login_page(error=ASK_ANEW, status=status)


@router.get("/second-factor")
async def factor_form(login: HalfDone, pages: SessionPages) -> Response:
    """Ask for a second factor, or show how to add the first one."""
    if login is None or not (login.factors.is_set_up or login.may_set_up):
        return RedirectResponse(with_next("/hub/login", pages.redirects.next), 302)
    return login.page()


@router.post("/second-factor")
async def show_factor(login: HalfDone, form: AnonymousForm, pages: SessionPages) -> Response:
    """Check a code or a passkey, and open the session."""
    if login is None:
        return _from_the_start(pages)
    if form is None:
        return login.page(error=pages.why_form_refused, status=403)
    try:
        if not login.factors.is_set_up:  # an admin has reset them meanwhile: the first half counts alone again
            return login.opened(shown=Shown.NOT_YET)
        refused = check_factor(pages, login.user, login.binding, form)
        if refused is None:
            return login.opened()
        login_failed(pages.request, login.user.name)
        return login.page(error=refused.why, status=refused.status)
    except NotFoundError:
        return _from_the_start(pages)


@router.post("/second-factor/app")
async def add_first_app(login: HalfDone, form: AnonymousForm, pages: SessionPages) -> Response:
    """Add an app as the first factor, and open the session."""
    return _set_up(login, form, pages, add_app)


@router.post("/second-factor/passkey")
async def add_first_passkey(login: HalfDone, form: AnonymousForm, pages: SessionPages) -> Response:
    """Add a passkey as the first factor, and open the session."""
    return _set_up(login, form, pages, add_passkey)


def _set_up(login: _HalfDone | None, form: Form | None, pages: SessionPages, add: Any) -> Response:
    if login is None:
        return _from_the_start(pages)
    if form is None:
        return login.page(error=pages.why_form_refused, status=403)
    if not login.may_set_up:
        return RedirectResponse(login.address(), 302)
    try:
        codes = add(pages, login.user, login.binding, form)
        record_by(login.user, pages.request, Act.FACTORS_CHANGED, login.user.name)
        return login.opened(codes)
    except NotFoundError:
        return _from_the_start(pages)
    except (InvalidRequestError, StoreConflictError) as invalid:
        return login.page(error=invalid.message, status=400, offer=form.text("offer"))


# --- what logins and the account's pages have in common ---


@value
class FactorRefused:
    """The factor is not right; *why* says it to the person."""

    why: str
    status: int


def check_factor(pages: SessionPages, user: User, binding: str, form: Form) -> FactorRefused | None:
    """Check the code or the passkey in *form*; return None if it is right.

    Raises:
        NotFoundError: when the user was removed meanwhile.
    """
    hub = pages.hub
    if answer := form.text("answer"):
        try:
            hub.passkeys.confirm(_party(pages), user, binding, answer)
        except InvalidRequestError as invalid:
            return FactorRefused(invalid.message, 403)
        return None
    match hub.second_factors.check_code(user, form.text("code")):
        case Accepted():
            return None
        case WrongCode(why):
            return FactorRefused(why, 403)
        case CodesLocked(minutes):
            why = _("Too many codes were wrong. Wait up to %(minutes)s minutes, or use a passkey.", minutes=minutes)
            return FactorRefused(why, TOO_MANY)


def add_app(pages: SessionPages, user: User, _binding: str, form: Form) -> tuple[str, ...]:
    """Add the app of the form and return new recovery codes, if there are any.

    Raises:
        InvalidRequestError: when something in the form is not right.
    """
    return pages.hub.second_factors.add_app(user, form.text("offer"), form.text("code"))


def add_passkey(pages: SessionPages, user: User, binding: str, form: Form) -> tuple[str, ...]:
    """Add the passkey of the form and return new recovery codes, if there are any.

    Raises:
        InvalidRequestError: when something in the form is not right.
    """
    return pages.hub.passkeys.add(_party(pages), user, binding, form.text("answer"), form.text("name"))


def _party(pages: SessionPages) -> RelyingParty:
    """Return the hub as authenticators know it.

    Raises:
        InvalidRequestError: where browsers refuse passkeys, or settings do.
    """
    party = relying_party(pages.request, pages.hub)
    if party is None:
        raise InvalidRequestError("This hub takes no passkeys at this address. Log in another way")
    return party


# --- logging in with a passkey alone ---


@router.post("/passkey/login")
async def passkey_login(form: AnonymousForm, pages: SessionPages) -> Response:
    """Open the session of the user whose passkey answered."""
    if form is None:
        return pages.login_page(error=pages.why_form_refused, status=403)
    hub = pages.hub
    try:
        found = hub.passkeys.log_in(_party(pages), form.text("_xsrf"), form.text("answer"))
        hub.logins.require_not_blocked(found.name)
        if hub.login_plugin is not None:
            await in_provider_pool(hub.plugin_login.require_let_in, found)
        elif not _may_by_password(hub, found):
            hub.external_logins.require_let_in(found)
    except (InvalidRequestError, NotFoundError, StoreConflictError) as refused:
        login_failed(pages.request)
        return pages.login_page(error=refused.message, status=403)
    return open_session(pages.request, hub, found, pages.redirects.next, shown=Shown.NOW)


def _may_by_password(hub: dependencies.WholeHub, user: User) -> bool:
    """Say whether a password logs the user in too: then the rules for people of providers are not asked."""
    return hub.has_passwords and hub.passwords.get(user.id) is not None


# --- what an admin has removed ---


@router.get("/second-factors-reset")
async def tell_of_reset(
    who: Person, hub: dependencies.WholeHub, redirects: RequestRedirects, render: Render
) -> Response:
    """Tell the user that somebody has removed the second factors."""
    user = user_of(who)
    factors = hub.second_factors.of(user) if user.factors is FactorState.RESET else None
    if factors is None or factors.reset_at is None:
        return RedirectResponse(hub.origins.link_to(redirects.next or "/hub/home"), 302)
    return render(
        "second_factors_reset.html",
        reset_by=factors.reset_by,
        reset_at=instant(factors.reset_at),
        action=with_next("/hub/second-factors-reset", redirects.next),
        contact=hub.settings.hub.contact,
    )


@router.post("/second-factors-reset")
async def note_told(who: Person, _form: OwnForm, hub: dependencies.WholeHub, redirects: RequestRedirects) -> Response:
    """Note that the user has read it, and go on."""
    try:
        hub.second_factors.note_told(user_of(who))
    except HublessError:
        return RedirectResponse(with_next("/hub/second-factors-reset", redirects.next), 302)
    return RedirectResponse(hub.origins.link_to(redirects.next or "/hub/home"), 302)
