"""Signing up: the form, the page that says what a sign-up waits for, and the page of the link in its mail."""

from functools import partial
from typing import Annotated

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record_by
from functions.api.auth.visitors import AnonymousForm, Form
from functions.api.error_handlers import STATUSES, retry_later
from functions.api.pages.sessions import FIRST_PAGE, TOO_MANY, SessionPages
from functions.api.password_pool import in_new_password_pool
from functions.api.rendering import Render
from functions.api.routers import page_router
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_BODY, MAX_SECRET_LENGTH, MAX_TYPED_NAME
from hubless.domain.errors import HublessError, InvalidRequestError, NameTakenError
from hubless.domain.mails import MAX_ADDRESS
from hubless.domain.passwords import MINIMUM_PASSWORD
from hubless.domain.sign_ups import SignUp
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.services.login_throttling import LockedOut
from hubless.services.sign_ups import USED_LINK

router = page_router()
_MAILED = _(
    "A link in it confirms your e-mail address. Open it within a few days. If no mail comes, look"
    " for it in the spam folder."
)
_WAITING = {
    "mail": (_("Look at your mail"), _MAILED),
    "admin": (
        _("An admin looks at it"),
        _("An admin of this hub must approve your account before you can log in."),
    ),
}


@value
class _SignUpPage:
    """The sign-up page."""

    pages: SessionPages
    sign_ups: dependencies.SignUps

    def __call__(self, form: Form | None = None, *, error: str | None = None, status: int = 200) -> Response:
        """Return the page, with what was typed before except passwords."""
        rules = self.sign_ups.rules
        typed = {name: form.text(name, longest=MAX_BODY) if form else "" for name in ("username", "email", "code")}
        code = (typed["code"] or self.pages.request.query_params.get("code", ""))[:MAX_SECRET_LENGTH]
        return self.pages.render(
            "sign_up.html",
            status_code=status,
            headers=retry_later(self.pages.hub) if status == TOO_MANY else None,
            action="/hub/sign-up",
            username=typed["username"][:255],
            email=typed["email"][:MAX_ADDRESS],
            code=code,
            asks_for_email=rules.confirm_email,
            email_domains=rules.email_domains,
            asks_for_code=bool(rules.join_codes or code) or not rules.is_open,
            needs_code=rules.needs_code,
            needs_approval=rules.approval,
            error=error,
            minimum_length=MINIMUM_PASSWORD,
        )

    async def sign_up(self, form: Form) -> Response:
        """Make an account, or have the sign-up wait."""
        name = form.text("username", longest=MAX_BODY)  # what is no name is refused like a wrong one
        sign_up = partial(
            self.sign_ups.sign_up,
            client_address=self.pages.address,
            email=form.text("email"),
            code=form.text("code"),
        )
        if form.text("password") != form.text("again"):
            return self(form, error=_("The two passwords differ"), status=400)
        try:
            made = await in_new_password_pool(sign_up, name, form.text("password"))
        except (InvalidRequestError, NameTakenError) as refused:
            return self(form, error=refused.message, status=400)
        except HublessError as failed:
            return self(form, error=failed.message, status=STATUSES[type(failed)])
        match made:
            case LockedOut(minutes):
                error = _("Too many accounts were made from here. Try again in %(minutes)s minutes.", minutes=minutes)
                return self(form, error=error, status=TOO_MANY)
            case SignUp():
                return RedirectResponse(f"/hub/sign-up/waiting?for={_what(made)}", 303)
            case User():
                record_by(made, self.pages.request, Act.USER_ADDED, made.name)
                return self.pages.open_session(made, FIRST_PAGE)


def _what(sign_up: SignUp) -> str:
    return "mail" if sign_up.waits_for_mail else "admin"


async def _sign_up_page(pages: SessionPages, sign_ups: dependencies.SignUps) -> _SignUpPage:
    takes_links = pages.hub.has_passwords and not pages.takes_sign_ups and bool(sign_ups.join_links.all())
    if not (pages.takes_sign_ups or takes_links):
        raise HTTPException(404, "This hub does not take sign-ups. Ask its admin for an account.")
    return _SignUpPage(pages, sign_ups)


SignUpPage = Annotated[_SignUpPage, Depends(_sign_up_page)]


@router.get("/sign-up")
async def sign_up_form(page: SignUpPage) -> Response:
    """Show the sign-up form where settings allow it."""
    return page()


@router.post("/sign-up")
async def sign_up(form: AnonymousForm, page: SignUpPage) -> Response:
    """Add the user and log it in, or say what the sign-up waits for."""
    if form is None:
        return page(error=page.pages.why_form_refused, status=403)
    return await page.sign_up(form)


@router.get("/sign-up/waiting")
async def waiting(request: Request, render: Render) -> Response:
    """Say what a sign-up waits for."""
    title, words = _WAITING.get(request.query_params.get("for", ""), _WAITING["admin"])
    return render("told.html", title=title, words=words, url="/hub/login", link=_("Back to the login"))


def _named(request: Request) -> tuple[str, str]:
    query = request.query_params
    return query.get("name", "")[:MAX_TYPED_NAME], query.get("key", "")


@router.get("/sign-up/confirm")
async def confirm_form(request: Request, page: SignUpPage, render: Render) -> Response:
    """Show the button that confirms: programs that look at mails open links, and press no buttons."""
    found = page.sign_ups.of_link(*_named(request))
    if found is None:
        raise HTTPException(404, USED_LINK)
    return render(
        "confirm.html",
        headers={"Referrer-Policy": "strict-origin"},
        title=_("Confirm your account"),
        words=_("The new account %(found)s will use the address %(address)s.", found=found.name, address=found.address),
        action=f"/hub/sign-up/confirm?{request.url.query}",
        button="Confirm",
    )


@router.post("/sign-up/confirm")
async def confirm(request: Request, form: AnonymousForm, page: SignUpPage) -> Response:
    """Confirm the address. It logs nobody in: whoever opens a mail need not know the password."""
    if form is None:
        raise HTTPException(403, page.pages.why_form_refused)
    try:
        made = page.sign_ups.confirm(*_named(request))
    except InvalidRequestError as used:
        raise HTTPException(404, used.message) from used
    if isinstance(made, SignUp):
        return RedirectResponse("/hub/sign-up/waiting?for=admin", 303)
    record_by(made, request, Act.USER_ADDED, made.name)
    return RedirectResponse("/hub/sign-up/ready", 303)


@router.get("/sign-up/ready")
async def ready(render: Render) -> Response:
    """Say that the account is made."""
    words = _("Log in with the username and the password that you chose.")
    return render("told.html", title=_("Your account is ready"), words=words, url="/hub/login", link=_("Log in"))
