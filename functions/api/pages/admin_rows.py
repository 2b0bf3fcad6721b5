"""The rows of the table of users, as one person may see them."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from functions.api.pages.failures import failure_view
from functions.api.pages.home_notices import size_in_words
from functions.api.pages.loads import load_of, load_view
from functions.api.pages.usage import hours_in_words
from functions.api.pages.views import url_part
from functions.api.serializers import instant
from hubless.domain import jupyterhub_versions, names, roles
from hubless.domain.home_usage import HomeUsage
from hubless.domain.lifecycle import ACTIVE, INACTIVE, Server, State
from hubless.domain.loads import together
from hubless.domain.origins import Origins
from hubless.domain.profiles import Profile
from hubless.domain.roles import Role
from hubless.domain.usage import Totals
from hubless.domain.user_table import RANKS, Row
from hubless.domain.values import value
from hubless.ports.loads import Loads
from hubless.services.home_limiting import HomeLimiting
from hubless.services.identity import Actor

LISTED = ACTIVE | {State.FAILED}  # the states of named servers that the table lists
_FRESH = timedelta(days=1)  # the age of a size that the table shows without its age
_NO_TASK = {"requested": "spawn", "preparing": "spawn", "launching": "spawn", "starting": "spawn"}
_PHASES = _NO_TASK | {"stopping": "stop", "ready": "ready"}  # the API's words: hubless.js compares the two


@value
class RowViews:
    """Makes the views of rows."""

    who: Actor
    origins: Origins
    roles: Mapping[str, Role]
    profiles: Mapping[str, Profile]
    home_limiting: HomeLimiting
    now: datetime
    currency: str
    loads: Loads | None = None

    def views(
        self, rows: Iterable[Row], homes: Mapping[str, HomeUsage], used: Mapping[str, Totals]
    ) -> list[dict[str, Any]]:
        """Return a view of each row, with the size of its user's home and what the user has *used* this month."""
        shown = list(rows)
        limits = self.home_limiting.of([row.user for row in shown if row.user.id in homes])
        over = {owner_id for owner_id, limit in limits.items() if homes[owner_id].exceeds(limit)}
        return [
            self._row(row, homes.get(row.user.id), used.get(row.user.id), is_over=row.user.id in over) for row in shown
        ]

    def _row(self, row: Row, home: HomeUsage | None, used: Totals | None, *, is_over: bool) -> dict[str, Any]:
        user, covers = row.user, self.who.scopes.covers_user
        name, groups = user.name, user.groups
        servers = self.servers(row)
        sees_activity = covers("read:users:activity", name, groups)
        running = [one for one in servers if one["started"]]
        used = used if covers("read:servers", name, groups) else None
        load = together(filter(None, (load_of(self.loads, one) for one in self._seen(row))))
        return {
            "name": name,
            "url": f"/hub/admin/users/{names.url_name(name)}",
            "admin": user.admin,
            "groups": list(groups) if covers("read:users:groups", name, groups) else [],
            "roles": self._roles(row) if covers("read:roles:users", name, groups) else [],
            "servers": servers,
            "profiles": list(dict.fromkeys(one["profile"] for one in servers if one["profile"])),
            "started": running[0]["started"] if running else None,
            "failures": [one["failure"] for one in servers if one["failure"]],
            "files": size_in_words(home) if sees_activity else "",
            "files_are_over": sees_activity and is_over,
            "files_measured": self._measured(home) if sees_activity else None,
            "load": load,
            "load_words": load_view(load, self.now),
            "hours": hours_in_words(used.hours) if used else "",
            "cost": f"{self.currency}{used.cost:.2f}" if used and used.cost_micros else "",
            "last_activity": instant(user.last_activity_at) if sees_activity else None,
            "sees_activity": sees_activity,
            "created": instant(user.created_at) if covers("read:users", name, groups) else None,
        }

    def _measured(self, home: HomeUsage | None) -> str | None:
        """Return when a home was measured, if that is so long ago that a reader should know."""
        return instant(home.measured_at) if home is not None and self.now - home.measured_at > _FRESH else None

    def _roles(self, row: Row) -> list[str]:
        of_groups = (one for group in row.user.groups for one in roles.of_group(group, self.roles))
        return sorted({*roles.of_user(row.user, self.roles), *of_groups} - {"user"})

    def _seen(self, row: Row) -> list[Server]:
        """Return the servers that the person may see."""
        user, covers = row.user, self.who.scopes.covers_server
        return [one for one in row.servers if covers("read:servers", user.name, one.name, user.groups)]

    def servers(self, row: Row) -> list[dict[str, Any]]:
        """Return the views of the servers that the person may see, the main one first, even if it is not stored."""
        user = row.user
        views = [self.server(row, one) for one in self._seen(row) if one.state in LISTED or not one.name]
        views.sort(key=lambda view: (view["name"] != "", RANKS[State(view["state"])]))
        has_main = any(not one.name for one in row.servers)
        if not has_main and self.who.scopes.covers_user("read:servers", user.name, user.groups):
            views.insert(0, self.server(row, None))
        return views

    def server(self, row: Row, server: Server | None) -> dict[str, Any]:
        """Return the view of one server; None is a main server that nobody has started yet."""
        owner, name = row.user, server.name if server else ""
        state = server.state if server else State.STOPPED
        where, covers = url_part(owner, name), self.who.scopes.covers_server
        is_own = self.who.user is not None and self.who.user.id == owner.id
        # Somebody else's server opens by the page that asks once, starts the server and opens it.
        asks = not is_own and covers("access:servers", owner.name, name, owner.groups)
        may_start = covers("start:servers", owner.name, name, owner.groups)
        profile = self.profiles.get(server.profile) if server and server.state in LISTED else None
        return {
            "name": name,
            "key": f"{owner.name}/{name}",
            "called": f"{owner.name}/{name}" if name else owner.name,
            "state": state.value,
            "phase": _PHASES.get(state.value, ""),
            "url": f"/hub/open/{where}" if asks else self.origins.link_to(names.server_prefix(owner.name, name)),
            "spawn_url": f"/hub/open/{where}" if asks and state in INACTIVE else f"/hub/spawn/{where}",
            "stop_url": f"/hub/stop/{where}",
            "may_start": may_start,
            "may_stop": covers("delete:servers", owner.name, name, owner.groups),
            "profile": profile.title if profile and len(self.profiles) > 1 else "",
            "frozen": instant(server.frozen_at) if server else None,
            "started": instant(server.started_at) if server and state is State.READY else None,
            "last_activity": instant(server.last_activity_at) if server else None,
            "load": load_view(load_of(self.loads, server), self.now),
            # A log is shown to who may start the server, as on the page of a start.
            "failure": failure_view(server) if may_start and state is State.FAILED else None,
            "other_version": _other_version(server),
        }


def _other_version(server: Server | None) -> str:
    version = server.jupyterhub_version if server else ""
    return version if jupyterhub_versions.is_other(version) else ""
