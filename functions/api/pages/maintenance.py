"""The page on which admins turn maintenance on and off."""

from typing import Annotated, Any, Final

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record
from functions.api.auth.visitors import Form, OwnForm, Person
from functions.api.error_handlers import CHANGED_MEANWHILE, STATUSES
from functions.api.flashes import flash
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.serializers import instant
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_IDENTIFIER
from hubless.domain.errors import HublessError, StoreConflictError
from hubless.domain.lifecycle import ACTIVE
from hubless.domain.maintenance import MAX_TEXT, Maintenance, seen_id
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value
from hubless.domain.wall_times import instant_of, on_the_clock, zone_of
from hubless.services.identity import Actor

router = page_router()
PAGE: Final = "/hub/admin/maintenance"
SCOPE: Final = "admin:servers"
_FIELDS: Final = ("text", "ends", "zone", "admins_start")
_LONGEST_FIELD: Final = 3 * MAX_TEXT  # of what a refused form shows again
_STILL_ON: Final = _("Maintenance is still on: somebody else has changed it meanwhile. Read it again.")


@value
class _MaintenancePage:
    """The page, as one person sees it."""

    request: Request
    who: Actor
    hub: dependencies.WholeHub
    render: Render

    def __call__(
        self, form: Form | None = None, *, error: str | None = None, status: int = 200, conflicts: bool = False
    ) -> Response:
        """Return the page; with the *form* that was refused, if one was.

        Without a *form* the *error* is about turning it off.

        Where the *form* *conflicts* with what somebody else has saved meanwhile, the page has both. Whoever sends it
        again has seen the other's text, and replaces it.
        """
        found = self.hub.maintaining.current()
        stored = self._stored(found)
        return self.render(
            "maintenance_admin.html",
            status_code=status,
            is_on=found is not None,
            on_id=seen_id(found),
            by=found.by if found else "",
            began=instant(found.began_at) if found else "",
            active=self.hub.servers.count(ACTIVE),
            filled={name: form.text(name)[:_LONGEST_FIELD] for name in _FIELDS} if form else stored,
            seen=form.text("seen")[:MAX_IDENTIFIER] if form and not conflicts else seen_id(found),
            theirs=stored if conflicts else None,
            max_text=MAX_TEXT,
            error=error if form else None,
            not_done=None if form else error,
        )

    def turn_on(self, form: Form) -> Response:
        """Turn maintenance on, or change what is said of it."""
        try:
            zone, ends = zone_of(form.text("zone").strip()), form.text("ends").strip()
            made = self.hub.maintaining.turn_on(
                self.who.name,
                text=form.text("text").replace("\r\n", "\n"),
                ends_at=instant_of(ends, zone) if ends else None,
                admins_start=form.text("admins_start") == "1",
                seen=form.text("seen"),
            )
        except StoreConflictError:
            return self(form, error=CHANGED_MEANWHILE, status=409, conflicts=True)
        except HublessError as refused:
            return self(form, error=refused.message, status=STATUSES[type(refused)])
        record(self.request, Act.MAINTENANCE_ON, until=instant(made.ends_at) or "")
        return self._done(_("Maintenance is on. Nobody starts a server."))

    def turn_off(self, form: Form) -> Response:
        """Turn maintenance off, unless somebody else has changed it since the page was shown."""
        try:
            was_on = self.hub.maintaining.turn_off(self.who.name, seen=form.text("seen"))
        except StoreConflictError:
            return self(error=_STILL_ON, status=409)
        if was_on:
            record(self.request, Act.MAINTENANCE_OFF)
        return self._done(_("Maintenance is off. Everybody can start servers."))

    def _stored(self, found: Maintenance | None) -> dict[str, Any]:
        zone = self.hub.settings.hub.timezone
        if found is None:
            return dict.fromkeys(_FIELDS, "") | {"zone": zone, "admins_start": "1"}
        ends = "" if found.ends_at is None else on_the_clock(found.ends_at, zone_of(zone))
        return {"text": found.text, "ends": ends, "zone": zone, "admins_start": "1" if found.admins_start else ""}

    def _done(self, said: Message) -> Response:
        response = RedirectResponse(PAGE, 303)
        flash(self.request, response, said)
        return response


async def _page(request: Request, who: Person, hub: dependencies.WholeHub, render: Render) -> _MaintenancePage:
    if not who.scopes.has_everywhere(SCOPE):
        raise HTTPException(403, _("This page is for people who manage all servers"))
    return _MaintenancePage(request, who, hub, render)


MaintenancePage = Annotated[_MaintenancePage, Depends(_page)]


@router.get("/admin/maintenance")
@has_long_store_calls
async def show_maintenance(page: MaintenancePage) -> Response:
    """Show whether maintenance is on, and the form that turns it on."""
    return page()


@router.post("/admin/maintenance")
@has_long_store_calls
async def turn_maintenance_on(form: OwnForm, page: MaintenancePage) -> Response:
    """Turn maintenance on, or change what is said of it."""
    return page.turn_on(form)


@router.post("/admin/maintenance/off")
@has_long_store_calls
async def turn_maintenance_off(form: OwnForm, page: MaintenancePage) -> Response:
    """Turn maintenance off."""
    return page.turn_off(form)
