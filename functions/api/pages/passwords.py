"""Passwords of people who are logged in: the page on which they change theirs."""

from functools import partial
from typing import Annotated

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.responses import Response

from functions.api import dependencies
from functions.api.auth.acts import record, wrong_guess
from functions.api.auth.cookies import device_cookie
from functions.api.auth.visitors import Form, OwnForm, Person, session_of, user_of
from functions.api.error_handlers import retry_later
from functions.api.pages.sessions import FIRST_PAGE, TOO_MANY, SessionPages
from functions.api.password_pool import in_new_password_pool
from functions.api.routers import page_router
from hubless.domain.audit import Act
from hubless.domain.errors import InvalidRequestError
from hubless.domain.passwords import MINIMUM_PASSWORD
from hubless.domain.tokens import Session
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.authenticator import Refused
from hubless.services.identity import Actor
from hubless.services.login_throttling import LockedOut

router = page_router()


@value
class _PasswordPage:
    """The page of one person."""

    who: Actor
    changes: dependencies.PasswordChanges
    pages: SessionPages

    @property
    def user(self) -> User:
        """Return whose password it is."""
        return user_of(self.who)

    @property
    def session(self) -> Session:
        """Return the browser's session."""
        return session_of(self.who)

    def __call__(self, *, error: str | None = None, status: int = 200) -> Response:
        """Return the page."""
        return self.pages.render(
            "change_password.html",
            status_code=status,
            headers=retry_later(self.pages.hub) if status == TOO_MANY else None,
            asks_for_password=self.changes.asks_for_password(self.user, self.session),
            error=error,
            minimum_length=MINIMUM_PASSWORD,
        )

    async def change(self, form: Form) -> Response:
        """Change the password as the form says; this browser gets a new session."""
        if form.text("password") != form.text("again"):
            return self(error=_("The two passwords differ"), status=400)
        change = partial(
            self.changes.change,
            self.user,
            self.session,
            address=self.pages.address,
            device_cookie=device_cookie(self.pages.request),
            keep_sessions=form.text("keep_sessions") == "1",
            revoke_tokens=form.text("revoke_tokens") == "1",
        )
        try:
            match await in_new_password_pool(change, form.text("old"), form.text("password")):
                case Refused(why):
                    wrong_guess(self.pages.request, self.user.name)
                    return self(error=why, status=403)
                case LockedOut(minutes):
                    error = _(
                        "Too many wrong guesses at your password. Wait up to %(minutes)s minutes, then try again.",
                        minutes=minutes,
                    )
                    return self(error=error, status=TOO_MANY)
                case None:
                    record(self.pages.request, Act.PASSWORD_CHANGED, self.user.name)
                    return self.pages.renew_session(self.session, self.user, FIRST_PAGE, _("Your password is changed."))
        except InvalidRequestError as invalid:
            return self(error=invalid.message, status=400)


async def _password_page(who: Person, changes: dependencies.PasswordChanges, pages: SessionPages) -> _PasswordPage:
    if not pages.hub.has_passwords:
        raise HTTPException(404, "Users of this hub have no passwords of their own")
    return _PasswordPage(who, changes, pages)


PasswordPage = Annotated[_PasswordPage, Depends(_password_page)]


@router.get("/change-password")
async def change_form(page: PasswordPage) -> Response:
    """Show the form."""
    return page()


@router.post("/change-password")
async def change_password(form: OwnForm, page: PasswordPage) -> Response:
    """Change the password, and end what else the form says."""
    return await page.change(form)
