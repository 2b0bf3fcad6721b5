"""What `hubless up` and `hubless status` tell people."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hubless.domain.lifecycle import ACTIVE, PENDING, State
from hubless.settings import Settings

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub

STALE_SECONDS = 10  # an edge reports every few


def starting(settings: Settings, file: Path | None) -> str:
    """Return what is said before anything else."""
    return f"Starting hubless: data in {settings.data}, settings {f'from {file}' if file else 'as they come'}."


def ready(settings: Settings, facts: Mapping[str, Any]) -> str:
    """Return what is said once the hub answers."""
    lines = [
        "",
        f"The hub is ready: {settings.url}",
        *_way_in(settings, facts),
        f"Ctrl-C ends it; {_servers(settings)}.",
        "",
    ]
    return "\n".join(lines)


def _way_in(settings: Settings, facts: Mapping[str, Any]) -> list[str]:
    if settings.login.kind == "shared-password":
        who = "Any user name" if not settings.login.allow_users else "Each allowed user"
        admins = ", ".join(settings.login.admins)
        return [f"{who} logs in with the shared password.{f' Admins: {admins}.' if admins else ''}"]
    if link := facts.get("first_admin_link"):
        return [
            'Nobody is an admin yet. Choose the password of the user "admin" here:',
            f"  {settings.url}{link}",
        ]
    return []


def _servers(settings: Settings) -> str:
    if settings.servers.stop_on_exit:
        return "users' servers end with it"
    return "users' servers run on and are found again at the next start"


def status(hub: "Hub", facts: Mapping[str, Any]) -> str:
    """Return how a running hub is."""
    now = hub.clock.now()
    count = hub.servers.count
    since = datetime.fromtimestamp(facts["since"], UTC) if "since" in facts else now
    lines = [
        f"address   {facts.get('url', 'not known yet')}",
        f"process   {facts.get('pid', 'not known yet')}, up for {str(now - since).partition('.')[0]}",
        f"servers   {count([State.READY])} ready, {count(PENDING)} on their way, {count(ACTIVE)} in all",
        f"queue     {hub.queue.depth()} waiting",
        *_edges(hub, now),
    ]
    return "\n".join(lines)


def _edges(hub: "Hub", now: datetime) -> list[str]:
    newest = hub.routing.routes.sequence()
    lines = []
    for report in hub.routing.routes.reports():
        age = (now - report.seen_at).total_seconds()
        state = "up to date" if report.sequence >= newest else f"{newest - report.sequence} changes behind"
        silent = f", silent for {age:.0f} s" if age > STALE_SECONDS else ""
        lines.append(f"edge      {report.edge_id}: {state}{silent}")
    return lines or ["edge      none has reported yet"]
