"""What `hubless up` and `hubless status` print."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from embedded import announcement_commands, isolation
from hubless.adapters.network_addresses import network_addresses
from hubless.bootstrap import machine
from hubless.domain.lifecycle import ACTIVE, PENDING, State
from hubless.services.accounts import FIRST_ADMIN
from hubless.services.name_checks import GLANCE, NameChecks
from hubless.settings import Settings

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub

_EVERYWHERE = "0.0.0.0"  # noqa: S104 compared, not bound
_MOST_ADDRESSES = 3  # in one line
MOST_FROZEN = 10  # servers that do not answer, of those that are named
STALE_SECONDS = 10  # an edge reports every 2 to 5


def starting(settings: Settings, file: Path | None) -> str:
    """Return the first line of `hubless up`."""
    return f"Starting hubless: data in {settings.data}, {f'settings from {file}' if file else 'default settings'}."


def ready(settings: Settings, facts: Mapping[str, Any], addresses: Callable[[], list[str]] | None = None) -> str:
    """Return what `hubless up` prints once the hub answers; *addresses* are `network_addresses` without others."""
    lines = [
        "",
        f"The hub is ready: {settings.url}",
        *_in_the_network(settings, addresses or network_addresses),
        *_how_to_log_in(settings, facts),
        f"Ctrl-C stops the hub; {_servers(settings)}.",
        "",
    ]
    return "\n".join(lines)


def _in_the_network(settings: Settings, addresses: Callable[[], list[str]]) -> list[str]:
    if settings.hub.public_url or settings.hub.host != _EVERYWHERE:
        return []
    urls = [f"http://{address}:{settings.hub.port}" for address in addresses()[:_MOST_ADDRESSES]]
    return [f"In this network: {' or '.join(urls)} (passwords cross it unencrypted)"] if urls else []


def _how_to_log_in(settings: Settings, facts: Mapping[str, Any]) -> list[str]:
    if settings.login.kind == "shared-password":
        who = "Users log in with any name" if not settings.login.allow_users else "Allowed users log in with their name"
        admins = ", ".join(settings.login.admins)
        opens = settings.login.shared_password_opens_admins
        warning = ["WARNING: the shared password opens the names of admins too (login.shared_password_opens_admins)."]
        return [
            f"{who} and the shared password.{f' Admins: {admins}.' if admins else ''}",
            *(warning if opens else []),
        ]
    if link := facts.get("first_admin_link"):
        taken = facts["first_admin"] != FIRST_ADMIN
        return [
            *([f'The user "{FIRST_ADMIN}" exists and is no admin: nobody becomes one unasked.'] if taken else []),
            f'The hub has no admin yet. Choose a password for the user "{facts["first_admin"]}" here:',
            f"  {settings.url}{link}",
        ]
    return []


def _servers(settings: Settings) -> str:
    if settings.servers.stop_on_exit:
        return "it stops users' servers too"
    return "users' servers keep running, and the next start finds them again"


def status(hub: "Hub", facts: Mapping[str, Any]) -> str:
    """Return what `hubless status` prints about a running hub."""
    now = hub.clock.now()
    count = hub.servers.count
    since = datetime.fromtimestamp(facts["since"], UTC) if "since" in facts else now
    lines = [
        f"address   {facts.get('url', 'not known yet')}",
        f"process   {facts.get('pid', 'not known yet')}, up for {str(now - since).partition('.')[0]}",
        f"version   {_version(hub.version, facts)}",
        f"servers   {count([State.READY])} ready, {count(PENDING)} starting or stopping, {count(ACTIVE)} in all",
        *_frozen(hub),
        f"isolation {_isolation(hub.settings, facts)}",
        f"limits    {machine.resource_limits_in_words(hub.settings)}",
        *(f"starts    {one}" for one in machine.fork_servers_in_words(hub.settings)),
        *(f"turns     {one}" for one in machine.turns_in_words(hub.settings)),
        f"queue     {hub.queue.depth()} messages",
        *_maintenance(hub),
        *names(hub.name_checks),
        *_edges(hub, now),
    ]
    return "\n".join(lines)


def _version(installed: str, facts: Mapping[str, Any]) -> str:
    """Return what a hub runs. It has loaded its code, so an upgrade does nothing until somebody restarts it."""
    if "url" not in facts or (runs := facts.get("version", "an older one")) == installed:
        return installed
    return f"{runs} runs, and {installed} is installed: restart the hub"


def _frozen(hub: "Hub") -> list[str]:
    """Return a line for each of some servers that do not answer."""
    frozen = [server for server in hub.servers.in_states([State.READY]) if server.frozen_at is not None]
    shown, more = frozen[:MOST_FROZEN], len(frozen) - MOST_FROZEN
    owners = hub.users.get_many({server.owner_id for server in shown})
    named = [(owner.name, server) for server in shown if (owner := owners.get(server.owner_id)) is not None]
    lines = [
        f"frozen    {f'{name}/{one.name}'.rstrip('/')} has not answered since {one.frozen_at:%Y-%m-%d %H:%M:%S} UTC"
        for name, one in named
    ]
    return [*lines, *([f"frozen    {more} more"] if more > 0 else [])]


def _maintenance(hub: "Hub") -> list[str]:
    return [f"hub       {announcement_commands.in_words(hub)}"] if hub.maintaining.current() else []


def names(checks: NameChecks) -> list[str]:
    """Return a line about users whom no login finds, if there are any."""
    found = checks.glance(GLANCE)
    return [f"names     {found.in_words}: hubless user check-names names them"] if found.lost else []


def _isolation(settings: Settings, facts: Mapping[str, Any]) -> str:
    if not (kind := str(facts.get("isolation", ""))):
        return "not known yet"
    return isolation.description(kind, named=bool(settings.servers.isolation), uid=int(facts.get("uid", -1)))


def _edges(hub: "Hub", now: datetime) -> list[str]:
    newest = hub.routing.routes.sequence()
    lines = []
    for report in hub.routing.routes.reports():
        age = (now - report.seen_at).total_seconds()
        state = "up to date" if report.sequence >= newest else f"{newest - report.sequence} changes behind"
        overdue = f", no report for {age:.0f} s" if age > STALE_SECONDS else ""
        lines.append(f"edge      {report.edge_id}: {state}{overdue}")
    return lines or ["edge      no report yet"]
