"""Forgotten passwords: the page that has a link sent, which says the same whether or not there is an account."""

from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.visitors import AnonymousForm
from functions.api.error_handlers import retry_later
from functions.api.pages.sessions import TOO_MANY, SessionPages
from functions.api.routers import page_router
from functions.api.store_pool import has_long_store_calls
from hubless.domain.bounds import MAX_TYPED_NAME
from hubless.domain.translatable import gettext as _

router = page_router()
TOO_OFTEN = _("Too many links were asked for from here. Wait an hour, then try again.")


def _page(pages: SessionPages, *, error: str | None = None, status: int = 200) -> Response:
    if not pages.hub.resets_passwords:
        raise HTTPException(404, "This hub sends no mail. Ask its admin for a link to a new password.")
    headers = retry_later(pages.hub) if status == TOO_MANY else None
    return pages.render("forgot_password.html", status_code=status, headers=headers, error=error)


@router.get("/forgot-password")
async def forgot_form(pages: SessionPages) -> Response:
    """Show the form."""
    return _page(pages)


@router.post("/forgot-password")
@has_long_store_calls
async def forgot(form: AnonymousForm, pages: SessionPages, resets: dependencies.PasswordResets) -> Response:
    """Have a link sent, if there is such an account."""
    page = _page(pages)
    if form is None:
        return _page(pages, error=pages.why_form_refused, status=403)
    if not (typed := form.text("account", longest=MAX_TYPED_NAME).strip()):
        return page
    if not resets.ask(typed, pages.address):
        return _page(
            pages, error=_("Too many links were asked for from here. Wait an hour, then try again."), status=TOO_MANY
        )
    return RedirectResponse("/hub/forgot-password/sent", 303)


@router.get("/forgot-password/sent")
async def forgot_sent(pages: SessionPages) -> Response:
    """Say what happens now."""
    return pages.render(
        "told.html",
        title=_("Look at your mail"),
        words=_(
            "If this account exists and has an e-mail address, a link to a new password is on its way. It"
            " works once, within an hour. If no mail comes, look for it in the spam folder, or ask the"
            " admin of this hub for a link."
        ),
        url="/hub/login",
        link=_("Back to the login"),
    )
