"""The account's second factors: adding, naming and removing them. Who changes them must have shown one just now."""

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record, wrong_guess
from functions.api.auth.relying_party import relying_party
from functions.api.auth.session_opening import CONFIRM_PAGE, is_surely_there, note_factor
from functions.api.auth.visitors import Form, OwnForm, Person, session_of, user_of
from functions.api.error_handlers import retry_later
from functions.api.pages.second_factor import (
    RECOVERY_CODES_PAGE,
    add_app,
    add_passkey,
    check_factor,
    set_up_context,
    to_recovery_codes,
)
from functions.api.pages.sessions import TOO_MANY, SessionPages
from functions.api.redirects import with_next
from functions.api.routers import page_router
from functions.api.serializers import instant
from functions.api.shown_once import forget_shown, shown_once
from hubless.domain.audit import Act
from hubless.domain.errors import InvalidRequestError, StoreConflictError
from hubless.domain.second_factors import Factors
from hubless.domain.tokens import Session
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.services.identity import Actor

router = page_router()
PAGE, CONFIRM = "/hub/account/second-factors", CONFIRM_PAGE


@value
class _FactorPages:
    """The pages of one person's second factors."""

    who: Actor
    factors: Factors
    pages: SessionPages

    @property
    def hub(self) -> dependencies.WholeHub:
        return self.pages.hub

    @property
    def user(self) -> User:
        """Return whose factors they are."""
        return user_of(self.who)

    @property
    def session(self) -> Session:
        """Return the browser's session."""
        return session_of(self.who)

    @property
    def was_asked(self) -> bool:
        """Say whether the person has shown a factor just now; or has logged in just now, without any factor."""
        return is_surely_there(self.pages.request, self.hub, self.user, self.session)

    def page(
        self, *, error: str | None = None, message: str | None = None, status: int = 200, offer: str = ""
    ) -> Response:
        """Return the page of all factors."""
        app, demanded = self.factors.app, self.hub.second_factors.is_demanded_of(self.user)
        return self.pages.render(
            "second_factors.html",
            status_code=status,
            action=PAGE,
            error=error,
            message=message,
            app_added=instant(app.added_at) if app is not None else None,
            passkeys=[
                {
                    "id": one.id,
                    "name": one.name,
                    "added": instant(one.added_at),
                    "last_used": instant(one.last_used_at),
                    "rp_id": one.rp_id,
                }
                for one in self.factors.passkeys
            ],
            recovery_codes=len(self.factors.recovery_codes),
            is_set_up=self.factors.is_set_up,
            is_demanded=demanded,
            **set_up_context(self.pages, self.user, self.factors, self.session.sha256, offer),
        )

    def confirm_page(self, *, error: str | None = None, status: int = 200) -> Response:
        """Return the page that asks for a factor; without one, it leads to a new login."""
        following = self.pages.redirects.next or PAGE
        if not self.factors.is_set_up:
            again = with_next("/hub/login", following) + "&again=1"
            why = _("Second factors can be added only shortly after a login.")
            return self.pages.render("log_in_again.html", again=again, why=why)
        party = relying_party(self.pages.request, self.hub)
        binding = self.session.sha256
        return self.pages.render(
            "second_factor.html",
            status_code=status,
            headers=retry_later(self.hub) if status == TOO_MANY else None,
            user_name=self.user.name,
            has_app=self.factors.app is not None,
            has_codes=bool(self.factors.app or self.factors.recovery_codes),
            has_passkeys=bool(self.factors.passkeys),
            passkey_options=self.hub.passkeys.confirm_options(party, self.factors, binding) if party else "",
            action=with_next(CONFIRM, following),
            is_login=False,
            error=error,
        )

    def changed(self, codes: tuple[str, ...] = ()) -> Response:
        """Return the answer to a change: a redirect to the page, by way of new recovery codes if there are any.

        The person was asked just now, and stays so: the first factor would make this page ask again at once.
        """
        answer = RedirectResponse(PAGE, 302)
        if codes:
            to_recovery_codes(self.pages.request, answer, self.user, codes)
        note_factor(self.pages.request, self.hub, self.session, answer)
        return answer


async def _factor_pages(who: Person, pages: SessionPages) -> _FactorPages:
    if not pages.hub.second_factors.are_offered:
        raise HTTPException(404, "This hub has one password for all, and no second factors")
    return _FactorPages(who, pages.hub.second_factors.of(user_of(who)), pages)


FactorPages = Annotated[_FactorPages, Depends(_factor_pages)]


def _to_confirm() -> Response:
    return RedirectResponse(with_next(CONFIRM, PAGE), 302)


@router.get("/account/second-factors")
async def show_factors(pages: FactorPages) -> Response:
    """Show the factors of who was asked just now; ask others."""
    return pages.page() if pages.was_asked else _to_confirm()


@router.get("/account/recovery-codes")
async def show_recovery_codes(pages: FactorPages) -> Response:
    """Show the recovery codes that a form has just made, once; later lead to where the form led."""
    following = pages.hub.origins.link_to(pages.pages.redirects.next or PAGE)
    request = pages.pages.request
    codes = shown_once(request, pages.user, RECOVERY_CODES_PAGE)
    if not codes:
        return RedirectResponse(following, 302)
    page = pages.pages.render("recovery_codes.html", codes=codes, following=following)
    forget_shown(request, page, RECOVERY_CODES_PAGE)
    return page


@router.get("/account/confirm")
async def confirm_form(pages: FactorPages) -> Response:
    """Ask for a factor, because a change needs one."""
    return pages.confirm_page()


@router.post("/account/confirm")
async def confirm(request: Request, pages: FactorPages, form: OwnForm) -> Response:
    """Check the factor, and go on to the change."""
    if not pages.factors.is_set_up:
        return pages.confirm_page()
    refused = check_factor(pages.pages, pages.user, pages.session.sha256, form)
    if refused is not None:
        wrong_guess(request, pages.user.name)
        return pages.confirm_page(error=refused.why, status=refused.status)
    response = RedirectResponse(pages.hub.origins.link_to(pages.pages.redirects.next or PAGE), 302)
    note_factor(request, pages.hub, pages.session, response)
    return response


@router.post("/account/second-factors/app")
async def put_app(pages: FactorPages, form: OwnForm) -> Response:
    """Add an app, in place of another."""
    return _change(pages, form, lambda: add_app(pages.pages, pages.user, "", form))


@router.post("/account/second-factors/app/remove")
async def remove_app(pages: FactorPages, form: OwnForm) -> Response:
    """Remove the app."""
    return _change(pages, form, lambda: pages.hub.second_factors.remove_app(pages.user))


@router.post("/account/second-factors/passkeys")
async def put_passkey(pages: FactorPages, form: OwnForm) -> Response:
    """Add a passkey."""
    return _change(pages, form, lambda: add_passkey(pages.pages, pages.user, pages.session.sha256, form))


@router.post("/account/second-factors/passkeys/rename")
async def rename_passkey(pages: FactorPages, form: OwnForm) -> Response:
    """Give a passkey another name."""
    return _change(pages, form, lambda: pages.hub.passkeys.rename(pages.user, form.text("id"), form.text("name")))


@router.post("/account/second-factors/passkeys/remove")
async def remove_passkey(pages: FactorPages, form: OwnForm) -> Response:
    """Remove a passkey."""
    return _change(pages, form, lambda: pages.hub.passkeys.remove(pages.user, form.text("id")))


@router.post("/account/second-factors/recovery-codes")
async def renew_recovery_codes(pages: FactorPages, form: OwnForm) -> Response:
    """Replace the recovery codes."""
    return _change(pages, form, lambda: pages.hub.second_factors.renew_recovery_codes(pages.user))


def _change(pages: _FactorPages, form: Form, change: Callable[[], tuple[str, ...] | None]) -> Response:
    """Do *change*, if its person was asked just now."""
    if not pages.was_asked:
        return _to_confirm()
    try:
        codes = change()
    except (InvalidRequestError, StoreConflictError) as invalid:
        return pages.page(error=invalid.message, status=400, offer=form.text("offer"))
    record(pages.pages.request, Act.FACTORS_CHANGED, pages.user.name)
    return pages.changed(codes or ())
