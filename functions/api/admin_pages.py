"""The admin pages, and who sees each of them in the navigation. A new page adds its line here, and only here.

A page checks its scopes itself: the navigation only leaves out what the visitor could not open.
"""

from typing import Any

from hubless.domain.audit import READ_SCOPE
from hubless.domain.scopes import Scopes
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value


@value
class AdminPage:
    """One of the pages with which people run the hub."""

    name: str  # what its templates set as `admin_page`; each of them sets `here` to "admin" too
    title: str  # a translatable text
    path: str
    scopes: tuple[str, ...]  # one of them, under any filter, is enough
    everywhere: bool = False  # whether a filter is too little


ADMIN_PAGES = (
    AdminPage("users", _("Users"), "/hub/admin", ("admin-ui",), everywhere=True),
    AdminPage("people", _("Add people"), "/hub/admin/people", ("admin:users",), everywhere=True),
    AdminPage("groups", _("Groups"), "/hub/admin/groups", ("list:groups",)),
    AdminPage(
        "roles", _("Roles"), "/hub/admin/roles", ("read:roles:users", "read:roles:groups", "read:roles:services")
    ),
    AdminPage("services", _("Services"), "/hub/admin/services", ("list:services",)),
    AdminPage("usage", _("Usage"), "/hub/admin/usage", ("read:servers",), everywhere=True),
    AdminPage("budgets", _("Budgets"), "/hub/admin/budgets", ("admin:servers",), everywhere=True),
    AdminPage("schedules", _("Schedules"), "/hub/admin/schedules", ("admin:servers",), everywhere=True),
    AdminPage("announcements", _("Announcements"), "/hub/admin/announcements", ("admin:users",), everywhere=True),
    AdminPage("messages", _("Messages"), "/hub/admin/messages", ("admin:users",), everywhere=True),
    AdminPage("maintenance", _("Maintenance"), "/hub/admin/maintenance", ("admin:servers",), everywhere=True),
    AdminPage("audit", _("Audit"), "/hub/admin/audit", (READ_SCOPE,), everywhere=True),
)


def admin_pages(held: Scopes) -> list[dict[str, Any]]:
    """Return those of the pages that a holder of these scopes may open, in the order of the navigation."""
    return [{"name": one.name, "title": one.title, "url": one.path} for one in ADMIN_PAGES if _opens(one, held)]


def _opens(page: AdminPage, held: Scopes) -> bool:
    has = held.has_everywhere if page.everywhere else held.has
    return any(map(has, page.scopes))
