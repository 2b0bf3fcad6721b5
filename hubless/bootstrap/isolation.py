"""Which kinds of isolation a hub on one machine has, and the choice of one."""

import os
import pwd
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hubless.domain.errors import IsolationError
from hubless.settings import Settings

if TYPE_CHECKING:
    from hubless.adapters.processes.isolation import Isolation
    from hubless.adapters.processes.isolation.bubblewrap import View
    from hubless.adapters.processes.isolation.selection import Choice
    from hubless.adapters.processes.isolation.trial import Stakes
    from hubless.ports.owner_uids import OwnerUidStore

_WITH_SECRETS = ("password", "admin_password", "token")  # keys of the settings' file


def choose(settings: Settings, store: "Callable[[], OwnerUidStore] | None" = None) -> "Choice":
    """Return the kind that the settings name, or else the strongest that works here; each is tried for real.

    It also tries whether servers of that kind could raise the limits that control groups hold.

    Args:
        settings: the hub's; its data folder exists.
        store: opens the store of uids, which no trial needs.

    Raises:
        IsolationError: when the named kind does not work here, or none does.
    """
    from hubless.adapters.processes import launch_folder
    from hubless.adapters.processes.isolation import ACCOUNTS, selection

    servers = settings.servers
    for path in (*servers.sandbox_read, *servers.sandbox_write):
        if not Path(path).exists():
            raise IsolationError(
                f"servers.sandbox_read or servers.sandbox_write names {path}, which is not there. Make it, or correct"
                " the name."
            )
    choice = selection.choose(kinds_of(settings, store), servers.isolation, lambda kind: _stakes(settings, kind))
    # That kind alone lets others through, also to the homes of servers that an earlier hub started with it.
    if choice.isolation.name != ACCOUNTS and not launch_folder.running_with(settings.launches, ACCOUNTS):
        settings.data.chmod(0o700)
        if settings.homes.is_relative_to(settings.data):
            settings.homes.chmod(0o700)
    return replace(choice, weak_limits=_reason_against_limits(settings, choice.isolation))


def _reason_against_limits(settings: Settings, isolation: "Isolation") -> str | None:
    from hubless.adapters.processes.isolation.limits_trial import reason_against_limits
    from hubless.adapters.processes.limit_means import Means

    groups = Means.load(settings.resource_limits_file).control_groups
    return reason_against_limits(isolation, _stakes(settings, isolation.name), groups) if groups else None


def running_otherwise(settings: Settings, kind: str) -> int:
    """Return how many servers run that an earlier hub started with another kind of isolation: they keep it."""
    from hubless.adapters.processes import launch_folder

    return launch_folder.running_otherwise(settings.launches, kind)


def end_servers_of_root(settings: Settings) -> int:
    """End the servers that an earlier hub ran as root, and return how many they were: no kind lets root run one."""
    from hubless.adapters.processes.isolation import root_servers

    return root_servers.end_all(settings.launches)


def kinds_of(
    settings: Settings, store: "Callable[[], OwnerUidStore] | None" = None
) -> "Mapping[str, Callable[[], Isolation]]":
    """Return what makes each kind; *store* opens the store of uids."""
    from hubless.adapters.processes.accounts import OwnerUids
    from hubless.adapters.processes.isolation import ACCOUNTS, NONE, SANDBOX
    from hubless.adapters.processes.isolation.kinds import AccountsIsolation, NoIsolation, Programs, SandboxIsolation

    homes, servers, programs = settings.homes, settings.servers, Programs.found()
    uids = OwnerUids(store or (lambda: _open_store(settings)), *servers.uid_range, hub=str(settings.data.resolve()))
    way = (settings.data, homes) if homes.is_relative_to(settings.data) else (homes,)
    system = servers.run_as_system_users
    view = _view(settings)
    return {
        SANDBOX: lambda: SandboxIsolation(homes, uids, programs, view, as_system_users=system),
        ACCOUNTS: lambda: AccountsIsolation(homes, uids, programs, way, as_system_users=system),
        NONE: lambda: NoIsolation(homes, lambda owner_id: bool(servers.isolation) or uids.claim_hubs(owner_id)),
    }


def _open_store(settings: Settings) -> "OwnerUidStore":
    from hubless.adapters.sqlite.database import Database
    from hubless.adapters.sqlite.owner_uids import SqliteOwnerUidStore

    return SqliteOwnerUidStore(Database(settings.database, create=not settings.epoch_file.exists()))


def _view(settings: Settings) -> "View":
    from hubless.adapters.processes.isolation.bubblewrap import View

    servers = settings.servers
    hubs = (settings.data, settings.homes, settings.file, settings.run_folder, _home_of_hub())
    return View(
        tuple(map(Path, servers.sandbox_read)),
        tuple(map(Path, servers.sandbox_write)),
        tuple(path for path in hubs if path is not None),
        servers.sandbox_tmp,
    )


def _home_of_hub() -> Path | None:
    """Return the home of the account that runs the hub: without root, servers could read all in it."""
    try:
        home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        return None
    return home if home.is_absolute() and len(home.parts) > 1 else None


def _stakes(settings: Settings, kind: str) -> "Stakes":
    from hubless.adapters.processes.isolation import ACCOUNTS
    from hubless.adapters.processes.isolation.trial import Stakes

    private = [settings.secret_file, settings.database, settings.launches, settings.data / "logs"]
    if settings.run_folder is not None:
        private.append(settings.run_folder)
    if kind == ACCOUNTS and settings.file is not None and _has_secrets(settings.file):
        private.append(settings.file)
    found = (shutil.which(profile.command[0], path=settings.search_path) for profile in settings.profiles)
    programs = tuple(dict.fromkeys(Path(program).absolute() for program in found if program))
    return Stakes(settings.launches, tuple(private), programs, settings.server_environment)


def _has_secrets(file: Path) -> bool:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    return any(line.partition("=")[0].strip() in _WITH_SECRETS for line in lines)
