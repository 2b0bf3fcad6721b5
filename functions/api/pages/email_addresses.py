"""The page of one's e-mail address, and the page of the link that confirms it."""

from functools import partial
from typing import Annotated

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record_by, wrong_guess
from functions.api.auth.cookies import device_cookie
from functions.api.auth.visitors import AnonymousForm, Form, OwnForm, Person, session_of, user_of
from functions.api.error_handlers import STATUSES, retry_later
from functions.api.pages.sessions import TOO_MANY, SessionPages
from functions.api.password_pool import in_password_pool
from functions.api.provider_pool import in_provider_pool
from functions.api.rendering import Render
from functions.api.routers import page_router
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_IDENTIFIER
from hubless.domain.errors import HublessError, InvalidRequestError, QuotaExceededError
from hubless.domain.tokens import Session
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.authenticator import Refused
from hubless.services.email_addresses import USED_LINK
from hubless.services.identity import Actor
from hubless.services.login_throttling import LockedOut

router = page_router()


@value
class _EmailPage:
    """The page of one person."""

    who: Actor
    emails: dependencies.Emails
    changes: dependencies.PasswordChanges
    pages: SessionPages

    @property
    def user(self) -> User:
        """Return whose address it is."""
        return user_of(self.who)

    @property
    def session(self) -> Session:
        """Return the browser's session."""
        return session_of(self.who)

    def __call__(self, *, typed: str = "", error: str | None = None, status: int = 200) -> Response:
        """Return the page."""
        known = self.emails.of(self.user)
        return self.pages.render(
            "email.html",
            status_code=status,
            headers=retry_later(self.pages.hub) if status == TOO_MANY else None,
            address=known.address,
            pending=known.pending,
            typed=typed[:MAX_IDENTIFIER],
            asks_for_password=self.changes.asks_for_password(self.user, self.session),
            error=error,
        )

    async def ask(self, form: Form) -> Response:
        """Send a mail to the address in the form, if it is sure who asks."""
        typed, request = form.text("address"), self.pages.request
        is_sure = partial(self.changes.refusal_of, address=self.pages.address, device_cookie=device_cookie(request))
        match await in_password_pool(is_sure, self.user, self.session, form.text("old")):
            case Refused(why):
                wrong_guess(request, self.user.name)
                return self(typed=typed, error=why, status=403)
            case LockedOut(minutes):
                error = _(
                    "Too many wrong guesses at your password. Wait up to %(minutes)s minutes, then try again.",
                    minutes=minutes,
                )
                return self(typed=typed, error=error, status=TOO_MANY)
            case None:
                pass
        try:
            await in_provider_pool(self.emails.ask, self.user, typed)
        except QuotaExceededError as often:
            return self(typed=typed, error=often.message, status=TOO_MANY)
        except HublessError as refused:
            return self(typed=typed, error=refused.message, status=STATUSES[type(refused)])
        return RedirectResponse("/hub/email", 303)


async def _email_page(
    who: Person, emails: dependencies.Emails, changes: dependencies.PasswordChanges, pages: SessionPages
) -> _EmailPage:
    if not pages.hub.settings.mail.is_on:
        raise HTTPException(404, "This hub sends no mail, so it asks for no e-mail address")
    return _EmailPage(who, emails, changes, pages)


EmailPage = Annotated[_EmailPage, Depends(_email_page)]


@router.get("/email")
async def email_form(page: EmailPage) -> Response:
    """Show the address and the form."""
    return page()


@router.post("/email")
async def set_email(form: OwnForm, page: EmailPage) -> Response:
    """Ask by a mail whether an address is the person's."""
    return await page.ask(form)


@router.get("/email/confirm")
async def confirm_form(request: Request, emails: dependencies.Emails, render: Render) -> Response:
    """Show the button that confirms: programs that look at mails open links, and press no buttons."""
    found = emails.pending_of(request.query_params.get("user", ""), request.query_params.get("key", ""))
    if found is None:
        raise HTTPException(404, USED_LINK)
    user, address = found
    return render(
        "confirm.html",
        headers={"Referrer-Policy": "strict-origin"},
        title=_("Confirm your e-mail address"),
        words=_("The account %(user)s will use the address %(address)s.", user=user.name, address=address),
        action=f"/hub/email/confirm?{request.url.query}",
        button="Confirm",
    )


@router.post("/email/confirm")
async def confirm(request: Request, form: AnonymousForm, emails: dependencies.Emails, pages: SessionPages) -> Response:
    """Make the address the verified one."""
    if form is None:
        raise HTTPException(403, pages.why_form_refused)
    try:
        query = request.query_params
        await in_provider_pool(emails.confirm, query.get("user", ""), query.get("key", ""))
    except InvalidRequestError as used:
        raise HTTPException(404, used.message) from used
    if (user := pages.hub.users.get(query.get("user", ""))) is not None:
        record_by(user, request, Act.EMAIL_CHANGED, user.name)
    return RedirectResponse("/hub/email/confirmed", 303)


@router.get("/email/confirmed")
async def confirmed(render: Render) -> Response:
    """Say that it is done."""
    words = _("The hub uses it when you forget your password.")
    return render(
        "told.html", title=_("Your address is confirmed"), words=words, url="/hub/home", link=_("Go to the hub")
    )
