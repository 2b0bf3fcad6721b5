"""The linked logins of one user, which an admin lists, links before the first login, and unlinks. No JavaScript."""

from typing import Annotated

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record
from functions.api.auth.visitors import Form, OwnForm
from functions.api.error_handlers import STATUSES
from functions.api.pages.account import identity_view
from functions.api.pages.admin import Admin, edit_url
from functions.api.routers import page_router
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_ISSUER, MAX_SUBJECT
from hubless.domain.errors import HublessError, NotFoundError
from hubless.domain.external_identities import ExternalId
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value

router = page_router()


@value
class _LoginsPage:
    """The page of one user's linked logins."""

    admin: Admin
    user: User
    external_logins: dependencies.ExternalLogins

    @property
    def address(self) -> str:
        """Return the page's path."""
        return edit_url(self.user.name, "logins")

    def __call__(self, form: Form | None = None, *, error: str | None = None, status: int = 200) -> Response:
        """Return the page, with what was typed before."""
        providers = self.admin.settings.providers
        labels = {provider.name: provider.label for provider in providers}
        return self.admin.render(
            "admin_logins.html",
            status_code=status,
            name=self.user.name,
            identities=[identity_view(one, labels) for one in self.external_logins.of_user(self.user)],
            providers=[{"name": name, "label": label} for name, label in labels.items()],
            action=self.address,
            chosen=form.text("provider") if form else "",
            subject=form.text("subject")[:MAX_SUBJECT] if form else "",
            label=form.text("label")[:MAX_SUBJECT] if form else "",
            error=error,
        )

    def link(self, form: Form) -> Response:
        """Link the identity of the form."""
        name = form.text("provider")
        issuers = {provider.name: provider.issuer for provider in self.admin.settings.providers}
        if name not in issuers:
            return self(form, error=_("Choose one of the providers."), status=400)
        external = ExternalId(issuers[name], form.text("subject").strip())
        label = form.text("label").strip()
        linked = self.external_logins.linked_by(self.user, external, provider=name, label=label, by_admin=True)
        try:
            self.external_logins.link(self.user, linked)
        except HublessError as refused:
            return self(form, error=refused.message, status=STATUSES[type(refused)])
        record(self.admin.request, Act.LOGIN_LINKED, self.user.name, provider=name)
        return RedirectResponse(self.address, 303)

    def unlink(self, form: Form) -> Response:
        """End the link of the form."""
        external = ExternalId(form.text("issuer", longest=MAX_ISSUER), form.text("subject", longest=MAX_SUBJECT))
        try:
            self.external_logins.unlink(self.user, external, by_admin=True)
        except NotFoundError:
            return self(error=_("This login was unlinked already."), status=404)
        record(self.admin.request, Act.LOGIN_UNLINKED, self.user.name, issuer=external.issuer)
        return RedirectResponse(self.address, 303)


async def _logins_page(name: str, admin: Admin, external_logins: dependencies.ExternalLogins) -> _LoginsPage:
    user = admin.subject(name, "admin:users")
    admin.privileges.require_may_act_as(admin.who, user)
    if not admin.settings.providers:
        raise HTTPException(404, "This hub has no providers of logins")
    return _LoginsPage(admin, user, external_logins)


LoginsPage = Annotated[_LoginsPage, Depends(_logins_page)]


@router.get("/admin/users/{name:segment}/logins")
@has_long_store_calls
async def show_logins(page: LoginsPage) -> Response:
    """Show the linked logins and the form that links one."""
    return page()


@router.post("/admin/users/{name:segment}/logins")
@has_long_store_calls
async def link_login(form: OwnForm, page: LoginsPage) -> Response:
    """Link a login, with which the user gets in whatever the lists of allowed users say."""
    return page.link(form)


@router.post("/admin/users/{name:segment}/logins/unlink")
@has_long_store_calls
async def unlink_login(form: OwnForm, page: LoginsPage) -> Response:
    """End a link, the only way in too. Sessions that are open stay."""
    return page.unlink(form)
