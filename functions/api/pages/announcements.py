"""The pages on which admins make, change and remove announcements, and what each page shows of them."""

from collections.abc import Collection
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record
from functions.api.auth.cookies import HUB_PATH, PUT_AWAY_COOKIE, is_secure
from functions.api.auth.visitors import AnonymousForm, Form, OwnForm, Person
from functions.api.error_handlers import CHANGED_MEANWHILE, NOT_REMOVED, STATUSES
from functions.api.flashes import flash
from functions.api.markdown_text import markdown
from functions.api.pages.sessions import EXPIRED
from functions.api.redirects import RequestRedirects
from functions.api.rendering import Render, put_away
from functions.api.routers import page_router
from functions.api.serializers import instant
from functions.api.store_pool import has_long_store_calls
from hubless.domain.announcements import LONGEST, MAX_PUT_AWAY, MAX_TEXT, Announcement, Kind
from hubless.domain.audit import Act
from hubless.domain.errors import HublessError, NotFoundError, StoreConflictError
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value
from hubless.domain.wall_times import instant_of, on_the_clock, zone_of
from hubless.services.announcements import Wish
from hubless.services.identity import Actor

router = page_router()
PAGE: Final = "/hub/admin/announcements"
SCOPE: Final = "admin:users"
_FIELDS: Final = ("text", "kind", "starts", "ends", "zone", "groups")
_FEED_AGE: Final = 60  # seconds
_USUAL: Final = timedelta(days=1)
_LONGEST_NUMBER: Final = 7  # digits of a revision
_LONGEST_FIELD: Final = 3 * MAX_TEXT  # of what a refused form shows again


@value
class _AnnouncementsPage:
    """The pages, as one person sees them."""

    request: Request
    who: Actor
    hub: dependencies.WholeHub
    render: Render

    def __call__(self, form: Form | None = None, *, error: str | None = None, status: int = 200) -> Response:
        """Return the list, and the form that makes one; with the *form* that was refused, if one was.

        Without a *form* the *error* is about the list.
        """
        now, zone = self.hub.clock.now(), self.hub.settings.hub.timezone
        usual = {"kind": Kind.INFO.value, "zone": zone, "ends": on_the_clock(now + _USUAL, zone_of(zone))}
        return self.render(
            "announcements.html",
            status_code=status,
            announcements=[self._view(one) for one in self.hub.announcements.all()],
            filled=_filled(form) if form else dict.fromkeys(_FIELDS, "") | usual,
            max_text=MAX_TEXT,
            error=error if form else None,
            not_done=None if form else error,
        )

    def edit(
        self,
        found: Announcement,
        form: Form | None = None,
        *,
        error: str | None = None,
        status: int = 200,
        conflicts: bool = False,
    ) -> Response:
        """Return the page that changes one announcement.

        Where the *form* *conflicts* with what somebody else has saved meanwhile, the page has both. Whoever sends it
        again has seen the other's text, and replaces it.
        """
        zone = self.hub.settings.hub.timezone
        stored = {
            "text": found.text,
            "kind": found.kind.value,
            "starts": on_the_clock(found.starts_at, zone_of(zone)),
            "ends": on_the_clock(found.ends_at, zone_of(zone)),
            "zone": zone,
            "groups": "\n".join(found.groups),
        }
        return self.render(
            "announcement.html",
            status_code=status,
            action=f"{PAGE}/{found.id}",
            # A form that is refused for another reason stays as old as it is.
            revision=form.text("revision")[:_LONGEST_NUMBER] if form and not conflicts else found.revision,
            filled=_filled(form) if form else stored,
            theirs=stored if conflicts else None,
            max_text=MAX_TEXT,
            error=error,
        )

    def get(self, announcement_id: str) -> Announcement:
        """Return the announcement of this id.

        Raises:
            HTTPException: 404.
        """
        try:
            return self.hub.announcements.get(announcement_id)
        except NotFoundError:
            raise HTTPException(404, _("This announcement has ended, or was removed.")) from None

    def remove(self, announcement_id: str, form: Form) -> Response:
        """Remove an announcement, unless somebody else has changed it since the list was shown."""
        found = self.get(announcement_id)
        try:
            self.hub.announcements.remove(_as_seen(found, form))
        except StoreConflictError:
            return self(error=NOT_REMOVED, status=409)
        return self.done(Act.ANNOUNCEMENT_REMOVED, found, _("The announcement is gone."))

    def done(self, act: Act, one: Announcement, said: Message) -> Response:
        """Record the act, and go to the list, which says so."""
        record(self.request, act, *one.groups[:1], announcement=one.id, until=instant(one.ends_at) or "")
        response = RedirectResponse(PAGE, 303)
        flash(self.request, response, said)
        return response

    def _view(self, one: Announcement) -> dict[str, Any]:
        now = self.hub.clock.now()
        return {
            "text": markdown(one.text),
            "is_warning": one.kind is Kind.WARNING,
            "groups": list(one.groups),
            "starts": "" if one.is_shown(now) else instant(one.starts_at),
            "ends": instant(one.ends_at),
            "made_by": one.made_by,
            "edit_url": f"{PAGE}/{one.id}",
            "remove_url": f"{PAGE}/{one.id}/remove",
            "revision": one.revision,
        }


def _filled(form: Form) -> dict[str, str]:
    return {name: form.text(name)[:_LONGEST_FIELD] for name in _FIELDS}


def _wish_of(form: Form) -> Wish:
    """Return what the form asks for.

    Raises:
        InvalidRequestError: when its times or its zone are none.
    """
    zone, starts = zone_of(form.text("zone").strip()), form.text("starts").strip()
    return Wish(
        form.text("text").replace("\r\n", "\n"),
        instant_of(form.text("ends"), zone),
        instant_of(starts, zone) if starts else None,
        Kind.WARNING if form.text("kind") == Kind.WARNING.value else Kind.INFO,
        tuple(dict.fromkeys(filter(None, map(str.strip, form.text("groups").splitlines())))),
    )


def _as_seen(found: Announcement, form: Form) -> Announcement:
    """Return the announcement as it was when the form was shown.

    Raises:
        StoreConflictError: when it is another one now.
    """
    if form.text("revision") != str(found.revision):
        raise StoreConflictError(CHANGED_MEANWHILE)
    return found


async def _page(request: Request, who: Person, hub: dependencies.WholeHub, render: Render) -> _AnnouncementsPage:
    if not who.scopes.has_everywhere(SCOPE):
        raise HTTPException(403, _("This page is for admins"))
    return _AnnouncementsPage(request, who, hub, render)


AnnouncementsPage = Annotated[_AnnouncementsPage, Depends(_page)]


@router.get("/admin/announcements")
@has_long_store_calls
async def show_announcements(page: AnnouncementsPage) -> Response:
    """Show the announcements, and the form that makes one."""
    return page()


@router.post("/admin/announcements")
@has_long_store_calls
async def make_announcement(form: OwnForm, page: AnnouncementsPage) -> Response:
    """Make an announcement."""
    try:
        made = page.hub.announcements.make(page.who.name, _wish_of(form))
    except HublessError as refused:
        return page(form, error=refused.message, status=STATUSES[type(refused)])
    return page.done(Act.ANNOUNCEMENT_MADE, made, _("The announcement is made."))


@router.post("/announcements/put-away")
async def put_one_away(
    request: Request, form: AnonymousForm, hub: dependencies.WholeHub, redirects: RequestRedirects
) -> Response:
    """Show an announcement no more in this browser, and go back to the page that had it."""
    if form is None:
        raise HTTPException(403, EXPIRED)
    following = redirects.safe(request.headers.get("referer", "")) or ""
    response = RedirectResponse(following if following.startswith(HUB_PATH) else "/hub/home", 303)
    known = {one.id for one in hub.announcements.all()}
    kept = [one for one in dict.fromkeys([*put_away(request), form.text("id")]) if one in known]
    _keep(request, response, kept[-MAX_PUT_AWAY:])
    return response


@router.get("/announcements.atom")
async def feed(request: Request, hub: dependencies.WholeHub) -> Response:
    """Return what is announced to everybody as an Atom feed. It needs no login: the login page says the same."""
    from functions.api.announcement_feed import MEDIA_TYPE, feed_of  # noqa: PLC0415 few clients ask for it

    content = feed_of(
        hub.announcements.shown_to(None),
        hub.maintaining.shown(),
        name=hub.settings.hub.name,
        url=f"{hub.address_for_others(str(request.base_url)).url}/hub/announcements.atom",
        now=hub.clock.now(),
    )
    return Response(content, media_type=MEDIA_TYPE, headers={"Cache-Control": f"public, max-age={_FEED_AGE}"})


def _keep(request: Request, response: Response, ids: Collection[str]) -> None:
    response.set_cookie(
        PUT_AWAY_COOKIE,
        ".".join(ids),
        max_age=int(LONGEST.total_seconds()),
        path=HUB_PATH,
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
    )


@router.get("/admin/announcements/{announcement_id}")
@has_long_store_calls
async def show_announcement(announcement_id: str, page: AnnouncementsPage) -> Response:
    """Show the form that changes an announcement."""
    return page.edit(page.get(announcement_id))


@router.post("/admin/announcements/{announcement_id}")
@has_long_store_calls
async def change_announcement(announcement_id: str, form: OwnForm, page: AnnouncementsPage) -> Response:
    """Change an announcement, unless somebody else has changed it since the form was shown."""
    found = page.get(announcement_id)
    try:
        wish = _wish_of(form)
        changed = page.hub.announcements.change(_as_seen(found, form), wish)
    except StoreConflictError:
        return page.edit(page.get(announcement_id), form, error=CHANGED_MEANWHILE, status=409, conflicts=True)
    except HublessError as refused:
        return page.edit(found, form, error=refused.message, status=STATUSES[type(refused)])
    return page.done(Act.ANNOUNCEMENT_CHANGED, changed, _("The announcement is changed."))


@router.post("/admin/announcements/{announcement_id}/remove")
@has_long_store_calls
async def remove_announcement(announcement_id: str, form: OwnForm, page: AnnouncementsPage) -> Response:
    """Remove an announcement."""
    return page.remove(announcement_id, form)
