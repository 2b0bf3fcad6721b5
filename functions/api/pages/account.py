"""The page of the visitor's account: how this person logs in."""

from typing import Annotated, Any

from fastapi import Depends
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.visitors import OwnForm, Person, user_of
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.serializers import instant
from hubless.domain.bounds import MAX_ISSUER, MAX_SUBJECT
from hubless.domain.errors import InvalidRequestError, NotFoundError
from hubless.domain.external_identities import ExternalId, LinkedIdentity
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value
from hubless.services.identity import Actor

router = page_router()
PAGE = "/hub/account"


@value
class _AccountPage:
    """The account page of one person. A block of it is a template of its own (`account_….html`)."""

    who: Actor
    hub: dependencies.WholeHub
    render: Render

    def __call__(self, *, error: str | None = None, status: int = 200) -> Response:
        """Return the page."""
        labels = {provider.name: provider.label for provider in self.hub.settings.providers}
        linked = self.hub.external_logins.of_user(user_of(self.who))
        return self.render(
            "account.html",
            status_code=status,
            identities=[identity_view(one, labels) for one in linked],
            providers=[{"name": name, "label": label} for name, label in labels.items()],
            has_passwords=self.hub.has_passwords,
            sends_mail=self.hub.settings.mail.is_on,
            has_second_factors=self.hub.second_factors.are_offered,
            error=error,
        )


def identity_view(linked: LinkedIdentity, labels: dict[str, str]) -> dict[str, Any]:
    """Return what a page shows of a linked login; *labels* are the providers' by their names."""
    return {
        "issuer": linked.id.issuer,
        "subject": linked.id.subject,
        "provider": labels.get(linked.provider, linked.provider or linked.id.issuer),
        "label": linked.label or linked.id.subject,
        "linked": instant(linked.linked_at),
    }


async def _page(who: Person, hub: dependencies.WholeHub, render: Render) -> _AccountPage:
    return _AccountPage(who, hub, render)


AccountPage = Annotated[_AccountPage, Depends(_page)]


@router.get("/account")
async def account(page: AccountPage) -> Response:
    """Show how the visitor logs in."""
    return page()


@router.post("/account/unlink")
async def unlink(form: OwnForm, page: AccountPage) -> Response:
    """End the link of one identity to the visitor's account, but not of the only way in."""
    external = ExternalId(form.text("issuer", longest=MAX_ISSUER), form.text("subject", longest=MAX_SUBJECT))
    try:
        page.hub.external_logins.unlink(user_of(page.who), external)
    except NotFoundError:
        return page(error=_("This login was unlinked already."), status=404)
    except InvalidRequestError as last:
        return page(error=last.message, status=400)
    return RedirectResponse(PAGE, 302)
