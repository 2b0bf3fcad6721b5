"""The page of one group: its members, what settings and shares give them, and its properties. No JavaScript."""

import hashlib
import json
from collections.abc import Iterable
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies, json_codec
from functions.api.auth.acts import record
from functions.api.auth.visitors import Form, OwnForm, Person
from functions.api.error_handlers import STATUSES
from functions.api.flashes import flash
from functions.api.pages import budgets, home_limit_form, schedules, usage
from functions.api.pages.admin_filter import SELECTED
from functions.api.pages.groups import PAGE, SEARCH, counted, group_url, offered_to, searched, sees_roles
from functions.api.pages.join_links import PAGE as JOIN_LINKS
from functions.api.pages.views import scope_view
from functions.api.rendering import Render
from functions.api.request_schemas import require_small
from functions.api.routers import page_router
from functions.api.serializers import instant
from functions.api.store_pool import has_long_store_calls
from hubless.domain import names, roles
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_BODY, MAX_COUNTED, MAX_IDENTIFIER, MAX_PROPERTIES
from hubless.domain.budgets import Ledger, Resource, standings
from hubless.domain.errors import HublessError, InvalidRequestError, StoreConflictError
from hubless.domain.profile_options import ChoiceOption
from hubless.domain.schedules import upcoming
from hubless.domain.translatable import gettext as _
from hubless.domain.translatable import ngettext
from hubless.domain.usage import TotalsOf, month_of
from hubless.domain.users import Group, GroupSummary
from hubless.domain.values import value
from hubless.services.group_editing import Fault
from hubless.services.identity import Actor

router = page_router()
_ROWS: Final = 99  # members of a page; with one more, which says whether there are others, they are one read
_SOMEBODY: Final = "/"  # no user has this name: it stands for each of the members
_MAX_TYPED = 4 * MAX_PROPERTIES  # characters of properties with their spaces


@value
class _GroupPage:
    """One group, and the person who looks at it."""

    request: Request
    who: Actor
    group: GroupSummary
    hub: dependencies.WholeHub
    render: Render

    def page(
        self,
        *,
        typed: str = "",
        faults: Iterable[Fault] = (),
        added: int = 0,
        properties: str | None = None,
        error: str | None = None,
        error_of: str = "",
        status: int = 200,
    ) -> Response:
        """Return the page.

        Args:
            typed: what stands in the box for new members.
            faults: the names in that box, each with what is wrong with it.
            added: how many others were added.
            properties: the properties as somebody typed them; None for those of the group.
            error: what was wrong with a form.
            error_of: the form: "add", "properties", or "" for that of the members.
            status: of the answer.
        """
        group = self.group
        editing, sees_members = self.hub.group_editing, self._may("read:groups")
        return self.render(
            "group.html",
            status_code=status,
            name=group.name,
            **counted(group),
            **self._member_views(),
            **self._from_settings(),
            url=group_url(group.name),
            groups_url=PAGE,
            follows_logins=editing.follows_logins,
            course=self._course(),
            sees_members=sees_members,
            has_user_pages=self._shows_user_pages(),
            may_change=self._may("groups"),
            may_change_members=self._may("groups") and not editing.follows_logins,
            may_delete=self._may("delete:groups") and not editing.follows_logins,
            typed=typed,
            faults=list(faults),
            added=added,
            properties=as_typed(group) if properties is None else properties,
            properties_version=_version(group),
            **self._schedules(),
            ways=self._ways(),
            home_limit=home_limit_form.home_limit_view(self.hub, self.who, group),
            has_properties=bool(group.properties) or properties is not None,
            error=error,
            error_of=error_of,
        )

    def done(self, said: Any, form: Form | None = None) -> Response:
        """Redirect to the part of the page at which the *form* was sent, and have it say what was done."""
        kept = {name: form.text(name)[:MAX_IDENTIFIER] for name in (SEARCH, "after")} if form else {}
        query = urlencode({name: text for name, text in kept.items() if text})
        response = RedirectResponse(group_url(self.group.name) + (f"?{query}" if query else ""), 303)
        flash(self.request, response, said)
        return response

    def add(self, form: Form) -> Response:
        """Add the people of the form. Names with a fault stay in the box, and the others are members now."""
        text = form.text("members", longest=MAX_BODY)
        typed = names.typed_names(text)
        if not typed:
            return self.page(error=_("Enter the usernames of the people to add."), error_of="add", status=400)
        try:
            joined = self.hub.group_editing.join(self.who, self.group, typed)
        except HublessError as refused:
            return self.page(typed=text, error=refused.message, error_of="add", status=STATUSES[type(refused)])
        if joined.names:
            record(self.request, Act.MEMBER_ADDED, *joined.names, group=self.group.name)
        if joined.faults:
            left = "\n".join(fault.typed for fault in joined.faults)
            now = self.read_again()
            return now.page(typed=left, faults=joined.faults, added=len(joined.names), status=400)
        count = len(joined.names)
        return self.done(ngettext("The person is in the group.", "All %(count)s people are in the group.", count))

    def remove(self, form: Form) -> Response:
        """Remove the members whom the form names."""
        leaving = form.texts("user")
        if not leaving:
            return self.page(error=_("Choose the members to remove."), status=400)
        try:
            self.hub.group_editing.leave(self.who, self.group, leaving)
        except HublessError as refused:
            return self.page(error=refused.message, status=STATUSES[type(refused)])
        record(self.request, Act.MEMBER_REMOVED, *leaving, group=self.group.name)
        said = ngettext("The member is removed.", "%(count)s members are removed.", len(leaving))
        return self.done(said, form)

    def set_properties(self, form: Form) -> Response:
        """Replace the properties by those of the form, unless somebody else has changed them since it was shown."""
        text = form.text("properties", longest=_MAX_TYPED)
        try:
            properties = _read(text)
            if form.text("version") != _version(self.group):
                raise StoreConflictError("Somebody else has changed the properties. Load the page again to see them.")
            self.hub.group_editing.set_properties(self.group, properties)
        except HublessError as refused:
            status = STATUSES[type(refused)]
            return self.page(properties=text, error=refused.message, error_of="properties", status=status)
        record(self.request, Act.GROUP_CHANGED, self.group.name)
        return self.done(_("The properties are saved."))

    def set_home_limit(self, form: Form) -> Response:
        """Set or remove the limit of the members' files."""
        if not self.who.scopes.has_everywhere(home_limit_form.SCOPE):
            raise HTTPException(403, _("This is for people who manage all servers"))
        try:
            said = home_limit_form.limit_home(self.hub, self.request, self.group, form)
        except HublessError as refused:
            return self.page(error=refused.message, status=STATUSES[type(refused)])
        return self.done(said)

    def ask(self, *, error: str | None = None, status: int = 200) -> Response:
        """Return the page that asks before the group is deleted, and says what goes with it."""
        name, settings = self.group.name, self.hub.settings
        return self.render(
            "group_delete.html",
            status_code=status,
            name=name,
            **counted(self.group),
            **self._from_settings(),
            action=group_url(name, "delete"),
            url=group_url(name),
            is_in_settings=name in settings.groups,
            course=self._course(),
            made_for_it=self._references(),
            error=error,
        )

    def delete(self) -> Response:
        """Delete the group."""
        try:
            self.hub.group_editing.delete(self.who, self.group.name)
        except HublessError as refused:
            return self.ask(error=refused.message, status=STATUSES[type(refused)])
        record(self.request, Act.GROUP_REMOVED, self.group.name)
        response = RedirectResponse(PAGE, 303)
        flash(self.request, response, _("The group %(name)s is deleted.", name=self.group.name))
        return response

    def _references(self) -> dict[str, Any]:
        """Return how much of what names the group goes with it, and whether others stay."""
        found = self.hub.group_references.of(self.group.name)
        announcements = sum(len(one.groups) == 1 for one in found.announcements)
        schedules = sum(len(one.groups) == 1 for one in found.schedules)
        return {
            "announcements": announcements,
            "schedules": schedules,
            "join_links": len(found.join_links),
            "sign_ups": len(found.sign_ups),
            "of_others_too": announcements < len(found.announcements) or schedules < len(found.schedules),
        }

    def read_again(self) -> "_GroupPage":
        """Return the page of the group as it is now."""
        now = self.hub.groups.summary(self.group.name)
        return self if now is None else _GroupPage(self.request, self.who, now, self.hub, self.render)

    def _may(self, scope: str) -> bool:
        return self.who.scopes.covers_group(scope, self.group.name)

    def _shows_user_pages(self) -> bool:
        scopes = self.who.scopes
        return scopes.has_everywhere("admin-ui") and scopes.covers_user("list:users", _SOMEBODY, [self.group.name])

    def _member_views(self) -> dict[str, Any]:
        """Return one page of members. A group of one page is sorted by name, a larger one by when users were added."""
        if not self._may("read:groups"):
            return {"rows": [], "search": "", "after": "", "first_url": None, "next_url": None, "is_long": False}
        search, after = searched(self.request), self.request.query_params.get("after", "")[:MAX_IDENTIFIER]
        found = self.hub.groups.members(self.group.id, limit=_ROWS + 1, after=after, name_contains=search)
        page, more = found[:_ROWS], len(found) > _ROWS
        shown = [member.name for member in page]
        kept = {SEARCH: search} if search else {}
        return {
            "rows": shown if after or more else sorted(shown, key=str.casefold),
            "search": search,
            "after": after,
            "first_url": self._url(kept) if after else None,
            "next_url": self._url(kept | {"after": page[-1].id}) if more else None,
            "is_long": bool(search or after or more),
        }

    def _url(self, query: dict[str, str]) -> str:
        return f"{group_url(self.group.name)}{'?' if query else ''}{urlencode(query)}#members"

    def _from_settings(self) -> dict[str, Any]:
        """Return what settings and shares give the members."""
        name, profiles, role_table = self.group.name, self.hub.spawning.profiles, self.hub.roles
        held = roles.of_group(name, role_table) if sees_roles(self.who, name) else []
        by_group = Group(self.group.id, name)
        _shares, shared = self.hub.sharing.page(offset=0, limit=1, with_group=by_group)
        return {
            "roles": [{"name": role, "scopes": [scope_view(raw) for raw in role_table[role].scopes]} for role in held],
            "profiles": [profile.title for profile in offered_to(profiles, name)],
            "choices": [
                {"profile": profile.title, "choice": choice.display_name or choice.name}
                for profile in profiles.values()
                for option in profile.options
                if isinstance(option, ChoiceOption)
                for choice in option.choices
                if name in choice.access.groups
            ],
            "join_links": self._join_links(),
            "join_codes": sorted(code.name for code in self.hub.settings.join_codes.values() if code.group == name),
            "shared_servers": shared,
            "limits": self._limits(),
        }

    def _join_links(self) -> list[dict[str, Any]]:
        """Return the join links of the group, for who may know their codes."""
        if not (self.hub.has_passwords and self.who.scopes.has_everywhere("admin:users")):
            return []
        links = self.hub.join_links
        return [
            {
                "code": links.code_of(one),
                "url": f"{JOIN_LINKS}/{one.id}",
                "used": one.used,
                "places": one.places,
                "until": instant(one.expires_at),
            }
            for one in links.of_group(self.who, self.group.name)
        ]

    def _limits(self) -> list[dict[str, Any]]:
        """Return the limits of budgets that name the group; of what is each member's own, the use is not known here."""
        now, budgets = self.hub.clock.now(), self.hub.budgets
        return [
            {
                "budget": budget.name,
                "is_each": budget.is_each,
                "is_monthly": budget.is_monthly,
                "at_once": standing.resource in {Resource.SERVERS, Resource.CPUS},
                "used": standing.in_words(budgets.currency)[0],
                "limit": standing.in_words(budgets.currency)[1],
            }
            for budget, found in budgets.overview(group=self.group.name)
            for standing in found or standings(budget, Ledger("", month_of(now)), now)
        ]

    def _ways(self) -> dict[str, str]:
        """Return the addresses of other pages about the group; "" for what its reader may not open."""
        name, has = self.group.name, self.who.scopes.has_everywhere
        return {
            "people": f"/hub/admin?{urlencode({'group': name})}" if has("admin-ui") else "",
            "message": self._message_url(),
            "budget": f"{budgets.PAGE}?{urlencode({'group': name})}#set" if has(budgets.SCOPE) else "",
            "usage": f"{usage.PAGE}?{urlencode({'by': TotalsOf.GROUP.value, 'of': name})}"
            if has("read:servers") and has("list:groups")
            else "",
        }

    def _message_url(self) -> str:
        """Return the address of the page that sends a message to the members; "" for who may not."""
        scopes, group = self.who.scopes, self.group
        if not (group.members and scopes.has_everywhere("admin-ui") and scopes.covers_group("admin:users", group.name)):
            return ""
        asked = {"act": "message", "whom": "all", "group": group.name, "back": group_url(group.name)}
        counted_here = {"total": str(group.members)} if group.members <= MAX_COUNTED else {}
        return f"{SELECTED}?{urlencode(asked | counted_here)}"

    def _schedules(self) -> dict[str, Any]:
        """Return the schedules of the group and where to add one, for who may do so."""
        if not self.who.scopes.has_everywhere(schedules.SCOPE):
            return {"schedules": [], "schedules_url": ""}
        now, name = self.hub.clock.now(), self.group.name
        return {
            "schedules": [
                {"name": one.name, "next": following and schedules.lesson_in_words(following[0])}
                for one in self.hub.schedules.all()
                if name in one.groups and not one.is_paused
                for following in [upcoming(one, now, 1)]
            ],
            "schedules_url": f"{schedules.PAGE}?{urlencode({'group': name})}#edit",
        }

    def _course(self) -> dict[str, str] | None:
        """Return the course whose people, or teachers, this group has, if it is one's."""
        from hubless.domain.lti_courses import TEACHERS  # noqa: PLC0415 only an LMS needs it otherwise

        name, store = self.group.name, self.hub.lti_store
        course = store.course_of_group(name)
        if course is None and name.endswith(TEACHERS):
            course = store.course_of_group(name.removesuffix(TEACHERS))
        return None if course is None else {"title": course.title or course.group, "platform": course.platform}


def as_typed(group: GroupSummary) -> str:
    """Return the group's properties as JSON that people read."""
    return json.dumps(dict(group.properties), indent=2, ensure_ascii=False)


def _version(group: GroupSummary) -> str:
    """Return a text that changes with the group's properties."""
    stored = json.dumps(dict(group.properties), sort_keys=True)
    return hashlib.sha256(stored.encode()).hexdigest()[:16]


def _read(text: str) -> dict[str, Any]:
    """Return the properties in *text*.

    Raises:
        InvalidRequestError: when it is no JSON object, or too large.
    """
    try:
        properties = json_codec.read(text.encode()) if text.strip() else {}
    except ValueError as wrong:
        raise InvalidRequestError(_("The properties are not valid JSON: %(why)s", why=str(wrong)[:100])) from None
    if not isinstance(properties, dict):
        raise InvalidRequestError(
            _("The properties must be a JSON object, such as %(example)s", example='{"room": "B 12"}')
        )
    require_small(properties)
    return properties


async def _group_page(
    request: Request, who: Person, groups: dependencies.Groups, hub: dependencies.WholeHub, render: Render
) -> _GroupPage:
    name: str = request.path_params["name"]
    is_in_reach = any(who.scopes.covers_group(scope, name) for scope in ("list:groups", "read:groups"))
    group = groups.summary(name) if is_in_reach else None
    if group is None:
        raise HTTPException(404, "No such group, or not within your reach")
    return _GroupPage(request, who, group, hub, render)


async def _changed(page: Annotated[_GroupPage, Depends(_group_page)]) -> _GroupPage:
    return _with(page, "groups")


async def _deleted(page: Annotated[_GroupPage, Depends(_group_page)]) -> _GroupPage:
    return _with(page, "delete:groups")


def _with(page: _GroupPage, scope: str) -> _GroupPage:
    if not page.who.scopes.covers_group(scope, page.group.name):
        raise HTTPException(403, "You may see this group, and not change it so")
    return page


GroupPage = Annotated[_GroupPage, Depends(_group_page)]
ChangedGroup = Annotated[_GroupPage, Depends(_changed)]
DeletedGroup = Annotated[_GroupPage, Depends(_deleted)]


@router.get("/admin/groups/{name:segment}")
@has_long_store_calls
async def show_group(page: GroupPage) -> Response:
    """Show a group and its members, page by page."""
    return page.page()


@router.post("/admin/groups/{name:segment}/members")
@has_long_store_calls
async def change_members(form: OwnForm, page: ChangedGroup) -> Response:
    """Add the members of the form, or remove them: its button says which."""
    match form.text("do"):
        case "add":
            return page.add(form)
        case "remove":
            return page.remove(form)
        case _:
            raise HTTPException(400, "This form is not one of this page. Load the page again.")


@router.post("/admin/groups/{name:segment}/properties")
@has_long_store_calls
async def change_properties(form: OwnForm, page: ChangedGroup) -> Response:
    """Replace the group's properties."""
    return page.set_properties(form)


@router.post("/admin/groups/{name:segment}/home-limit")
@has_long_store_calls
async def set_home_limit(form: OwnForm, page: GroupPage) -> Response:
    """Limit the files of the group's members."""
    return page.set_home_limit(form)


@router.get("/admin/groups/{name:segment}/delete")
@has_long_store_calls
async def ask_before_deleting(page: DeletedGroup) -> Response:
    """Say what goes with the group."""
    return page.ask()


@router.post("/admin/groups/{name:segment}/delete")
@has_long_store_calls
async def delete_group(_form: OwnForm, page: DeletedGroup) -> Response:
    """Delete the group; its members stay users."""
    return page.delete()
