"""The page on which admins make join links for classes, list them, show their QR codes, and end them."""

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record
from functions.api.auth.visitors import Form, OwnForm, Person
from functions.api.dependencies import hub_of
from functions.api.error_handlers import STATUSES
from functions.api.flashes import flash
from functions.api.qr_codes import qr_code
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.serializers import instant
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_IDENTIFIER
from hubless.domain.errors import HublessError, NotFoundError
from hubless.domain.join_links import MOST_PLACES, JoinLink
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value
from hubless.services.identity import Actor

router = page_router()
PAGE: Final = "/hub/admin/join-links"
DAYS: Final = (1, 7, 30, 120, 365)
_USUAL_DAYS, _USUAL_PLACES = 7, 30
_GONE = _("This join link has ended.")


@value
class _JoinLinksPage:
    """The pages of join links, for one person."""

    request: Request
    who: Actor
    render: Render
    join_links: dependencies.JoinLinks

    def __call__(self, form: Form | None = None, *, error: str | None = None, status: int = 200) -> Response:
        """Return the page, with what was typed before."""
        return self.render(
            "join_links.html",
            status_code=status,
            error=error,
            links=[self.view(one) for one in self.join_links.seen_by(self.who)],
            manages_groups=self.join_links.manages_groups,
            days_offered=DAYS,
            most_places=MOST_PLACES,
            group=form.text("group")[:MAX_IDENTIFIER] if form else "",
            days=form.text("days") if form else str(_USUAL_DAYS),
            places=form.text("places")[:9] if form else str(_USUAL_PLACES),
            needs_approval=bool(form and form.text("approval") == "1"),
        )

    def view(self, link: JoinLink) -> dict[str, Any]:
        """Return what pages show of *link*."""
        base = hub_of(self.request).address_for_others(str(self.request.base_url))
        return {
            "code": self.join_links.code_of(link),
            "url": base.url + self.join_links.path_of(link),
            "is_only_here": base.is_only_here,
            "sign_up": f"{base.url}/hub/sign-up",
            "group": link.group,
            "places": link.places,
            "used": link.used,
            "needs_approval": link.needs_approval,
            "made_by": link.made_by,
            "until": instant(link.expires_at),
            "show_url": f"{PAGE}/{link.id}",
            "end_url": f"{PAGE}/{link.id}/end",
        }

    def get(self, link_id: str) -> JoinLink:
        """Return the link of this id.

        Raises:
            HTTPException: 404.
        """
        try:
            return self.join_links.get(self.who, link_id)
        except NotFoundError:
            raise HTTPException(404, _GONE) from None


async def _join_links_page(
    request: Request, who: Person, render: Render, join_links: dependencies.JoinLinks
) -> _JoinLinksPage:
    if not who.scopes.has_everywhere("admin:users"):
        raise HTTPException(403, "This page is for admins")
    if not hub_of(request).has_passwords:
        raise HTTPException(404, _("Nobody signs up at this hub: people log in elsewhere."))
    return _JoinLinksPage(request, who, render, join_links)


JoinLinksPage = Annotated[_JoinLinksPage, Depends(_join_links_page)]


@router.get("/admin/join-links")
@has_long_store_calls
async def show_join_links(page: JoinLinksPage) -> Response:
    """Show the join links and the form that makes one."""
    return page()


@router.post("/admin/join-links")
@has_long_store_calls
async def make_join_link(form: OwnForm, page: JoinLinksPage) -> Response:
    """Make a join link, and show it."""
    days, places = form.text("days"), form.text("places")
    try:
        made = page.join_links.make(
            page.who,
            group=form.text("group").strip(),
            lifetime=timedelta(days=int(days) if days in map(str, DAYS) else _USUAL_DAYS),
            places=int(places) if places.isascii() and places.isdigit() and len(places) < len("10000") else 0,
            needs_approval=form.text("approval") == "1",
        )
    except HublessError as refused:
        return page(form, error=refused.message, status=STATUSES[type(refused)])
    record(page.request, Act.JOIN_LINK_MADE, group=made.group, places=str(made.places))
    return RedirectResponse(f"{PAGE}/{made.id}", 303)


@router.get("/admin/join-links/{link_id}")
@has_long_store_calls
async def show_join_link(link_id: str, page: JoinLinksPage) -> Response:
    """Show one link with its QR code, for a projector or a sheet of paper."""
    shown = page.view(page.get(link_id))
    return page.render("join_link.html", link=shown, qr_code=qr_code(shown["url"]), is_only_here=shown["is_only_here"])


@router.post("/admin/join-links/{link_id}/end")
@has_long_store_calls
async def end_join_link(link_id: str, _form: OwnForm, page: JoinLinksPage) -> Response:
    """End a link. Who signed up with it stays."""
    ended = page.get(link_id)
    page.join_links.end(ended)
    record(page.request, Act.JOIN_LINK_ENDED, group=ended.group)
    response = RedirectResponse(PAGE, 303)
    flash(page.request, response, _("The join link has ended. Who signed up with it stays."))
    return response
