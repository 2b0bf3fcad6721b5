"""The page of schedules: when classes meet next, and the form that adds or changes a schedule."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record
from functions.api.auth.visitors import Form, OwnForm, Person
from functions.api.error_handlers import CHANGED_MEANWHILE, NOT_REMOVED, STATUSES
from functions.api.flashes import flash
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.store_pool import has_long_store_calls
from hubless.domain import names
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_IDENTIFIER, MAX_TYPED_NAME
from hubless.domain.errors import HublessError, InvalidRequestError, StoreConflictError
from hubless.domain.schedules import DAYS, Lesson, Schedule, clock_of, date_of, upcoming
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value
from hubless.domain.wall_times import zone_of
from hubless.services.identity import Actor

router = page_router()
PAGE: Final = "/hub/admin/schedules"
SCOPE: Final = "admin:servers"
_DAY_NAMES: Final = (
    _("Monday"),
    _("Tuesday"),
    _("Wednesday"),
    _("Thursday"),
    _("Friday"),
    _("Saturday"),
    _("Sunday"),
)
_FIELDS: Final = ("name", "groups", "date", "begins", "ends", "zone", "profile", "lead", "after", "version")
_USUAL_LEAD: Final = "10"  # minutes
_SHOWN: Final = 3  # lessons of a schedule
_OFFERED_GROUPS: Final = 100
_LONGEST_NUMBER: Final = 4  # digits
_NO_ZONE: Final = "UTC"  # of a hub whose settings name none: then a browser fills in its own
_STOP, _LEAVE = "stop", "leave"


@value
class _SchedulesPage:
    """The page, as one person sees it."""

    request: Request
    who: Actor
    hub: dependencies.WholeHub
    render: Render

    def __call__(
        self, form: Form | None = None, *, error: str | None = None, status: int = 200, conflicts: bool = False
    ) -> Response:
        """Return the page; with the *form* that was refused, if one was, as it was filled in.

        Without a *form* the *error* is about the list.

        Where the *form* *conflicts* with what somebody else has saved meanwhile, the page has both. Whoever sends it
        again has seen the other's schedule, and replaces it.
        """
        known = self.hub.schedules.all()
        query = self.request.query_params
        edited = form.text("edited") if form else query.get("edit", "")
        of_edited = next((one for one in known if one.name == edited and not self._is_fixed(one)), None)
        stored = _filled_of(of_edited, known, query.get("group", "")[:MAX_IDENTIFIER], self.hub.settings.hub.timezone)
        filled = _filled(form) if form else stored
        theirs = stored if conflicts and of_edited else None
        profiles = self.hub.spawning.profiles.values()
        return self.render(
            "schedules.html",
            status_code=status,
            schedules=[self._view(one) for one in known],
            edited=edited if of_edited else "",
            filled=filled | {"version": theirs["version"]} if theirs else filled,
            theirs=theirs,
            their_days=[_DAY_NAMES[DAYS.index(day)] for day in theirs["days"]] if theirs else [],
            days=[(name, words, name in filled["days"]) for name, words in zip(DAYS, _DAY_NAMES, strict=True)],
            groups=self._offered_groups(),
            profiles=[(one.name, one.title) for one in profiles] if len(profiles) > 1 else [],
            error=error if form else None,
            not_done=None if form else error,
        )

    def save(self, form: Form) -> Response:
        """Add the schedule of the form, or change the one that it edits."""
        edited = form.text("edited")
        try:
            schedule = _schedule_of(form, edited)
            if edited:
                before = self._as_seen(edited, form)
                saved = self.hub.schedules.change(before, replace(schedule, is_paused=before.is_paused))
            else:
                saved = self.hub.schedules.add(schedule)
        except StoreConflictError:
            return self(form, error=CHANGED_MEANWHILE, status=409, conflicts=True)
        except HublessError as refused:
            return self(form, error=refused.message, status=STATUSES[type(refused)])
        record(self.request, Act.SCHEDULE_SET, saved.name)
        return self._done(_("The schedule %(name)s counts from now on.", name=saved.name))

    def pause(self, form: Form, *, is_paused: bool) -> Response:
        """Let the schedule of the form rest, or go on."""
        name = form.text("name")
        try:
            self.hub.schedules.pause(name, is_paused=is_paused)
        except HublessError as refused:
            return self(error=refused.message, status=STATUSES[type(refused)])
        record(self.request, Act.SCHEDULE_SET, name, paused="yes" if is_paused else "")
        if is_paused:
            return self._done(_("The schedule %(name)s is paused.", name=name))
        return self._done(_("The schedule %(name)s counts again.", name=name))

    def remove(self, form: Form) -> Response:
        """Remove the schedule of the form."""
        name = form.text("name")
        try:
            self.hub.schedules.remove(self._as_seen(name, form))
        except StoreConflictError:
            return self(error=NOT_REMOVED, status=409)
        except HublessError as refused:
            return self(error=refused.message, status=STATUSES[type(refused)])
        record(self.request, Act.SCHEDULE_REMOVED, name)
        return self._done(_("The schedule %(name)s is gone.", name=name))

    def _done(self, said: Message) -> Response:
        response = RedirectResponse(PAGE, 303)
        flash(self.request, response, said)
        return response

    def _as_seen(self, name: str, form: Form) -> Schedule:
        """Return the schedule of that name as it was when the form was shown.

        Raises:
            NotFoundError: when it was removed.
            StoreConflictError: when it is another one now.
        """
        found = self.hub.schedules.find(name)
        if form.text("version") != str(found.revision):
            raise StoreConflictError(CHANGED_MEANWHILE)
        return found

    def _offered_groups(self) -> list[str]:
        if not self.who.scopes.has_everywhere("list:groups"):
            return []
        return [group.name for group in self.hub.groups.summaries(limit=_OFFERED_GROUPS)]

    def _is_fixed(self, schedule: Schedule) -> bool:
        return self.hub.schedules.is_fixed(schedule.name)

    def _view(self, schedule: Schedule) -> dict[str, Any]:
        now, profile = self.hub.clock.now(), self.hub.spawning.profiles.get(schedule.profile)
        return {
            "name": schedule.name,
            "version": schedule.revision,
            "groups": schedule.groups,
            "profile": profile.title if profile else schedule.profile,
            "lead": int(schedule.lead / timedelta(minutes=1)),
            "stops": schedule.stops,
            "is_paused": schedule.is_paused,
            "is_fixed": self._is_fixed(schedule),
            "zone": str(schedule.zone),
            "next": [lesson_in_words(one) | {"is_on": one.is_on(now)} for one in upcoming(schedule, now, _SHOWN)],
            "edit_url": f"{PAGE}?{urlencode({'edit': schedule.name})}#edit",
        }


def lesson_in_words(lesson: Lesson) -> dict[str, Any]:
    """Return the day and the times of *lesson* by the clocks of its class."""
    begins, ends = (at.astimezone(lesson.schedule.zone) for at in (lesson.meets_at, lesson.ends))
    return {
        "day": _DAY_NAMES[begins.weekday()],
        "date": begins.date().isoformat(),
        "begins": f"{begins:%H:%M}",
        "ends": f"{ends:%H:%M}",
    }


def _filled(form: Form) -> dict[str, Any]:
    return {name: form.text(name)[:MAX_TYPED_NAME] for name in _FIELDS} | {"days": form.texts("day")}


def _filled_of(edited: Schedule | None, known: Iterable[Schedule], group: str, usual_zone: str) -> dict[str, Any]:
    """Return what the form is filled with: what is *edited*, or what a new schedule likely has."""
    if edited is None:
        zone = usual_zone if usual_zone != _NO_ZONE else next((str(one.zone) for one in known), "")
        usual = {"groups": group, "zone": zone, "lead": _USUAL_LEAD, "after": _STOP, "days": []}
        return dict.fromkeys(_FIELDS, "") | usual
    return {
        "name": edited.name,
        "groups": ", ".join(edited.groups),
        "days": [DAYS[day] for day in sorted(edited.days)],
        "date": edited.on.isoformat() if edited.on else "",
        "begins": f"{edited.begins:%H:%M}",
        "ends": f"{edited.ends:%H:%M}",
        "zone": str(edited.zone),
        "profile": edited.profile,
        "lead": str(int(edited.lead / timedelta(minutes=1))),
        "after": _STOP if edited.stops else _LEAVE,
        "version": str(edited.revision),
    }


def _schedule_of(form: Form, edited: str) -> Schedule:
    lead = form.text("lead").strip() or "0"
    if not (lead.isascii() and lead.isdigit() and len(lead) <= _LONGEST_NUMBER):
        raise InvalidRequestError(_("%(text)s is no number of minutes", text=repr(lead[:60])))
    date = form.text("date").strip()
    return Schedule(
        edited or form.text("name").strip(),
        frozenset(DAYS.index(day) for day in form.texts("day") if day in DAYS),
        clock_of(form.text("begins").strip()),
        clock_of(form.text("ends").strip()),
        zone_of(form.text("zone").strip()),
        tuple(names.typed_names(form.text("groups"))),
        form.text("profile"),
        form.text("after") != _LEAVE,
        date_of(date) if date else None,
        timedelta(minutes=int(lead)),
    )


async def _page(request: Request, who: Person, hub: dependencies.WholeHub, render: Render) -> _SchedulesPage:
    if not who.scopes.has_everywhere(SCOPE):
        raise HTTPException(403, _("This page is for people who manage all servers"))
    return _SchedulesPage(request, who, hub, render)


SchedulesPage = Annotated[_SchedulesPage, Depends(_page)]


@router.get("/admin/schedules")
@has_long_store_calls
async def show_schedules(page: SchedulesPage) -> Response:
    """Show the schedules, and the form that adds or changes one."""
    return page()


@router.post("/admin/schedules")
@has_long_store_calls
async def save_schedule(form: OwnForm, page: SchedulesPage) -> Response:
    """Add a schedule, or change one."""
    return page.save(form)


@router.post("/admin/schedules/pause")
@has_long_store_calls
async def pause_schedule(form: OwnForm, page: SchedulesPage) -> Response:
    """Let a schedule rest. Servers that run stay as they are."""
    return page.pause(form, is_paused=True)


@router.post("/admin/schedules/resume")
@has_long_store_calls
async def resume_schedule(form: OwnForm, page: SchedulesPage) -> Response:
    """Let a schedule go on."""
    return page.pause(form, is_paused=False)


@router.post("/admin/schedules/remove")
@has_long_store_calls
async def remove_schedule(form: OwnForm, page: SchedulesPage) -> Response:
    """Remove a schedule that is not one of the settings."""
    return page.remove(form)
