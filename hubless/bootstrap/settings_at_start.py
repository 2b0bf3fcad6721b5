"""What a hub does with its settings when it starts."""

import logging
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from hubless.bootstrap.people import password_policy_of
from hubless.domain.errors import HublessError, InvalidRequestError, NameTakenError
from hubless.settings import Settings, SettingsError

logger = logging.getLogger(__name__)

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub


def require_strong_admin_password(settings: Settings) -> None:
    """Refuse settings whose `admin_password` would be refused of an admin with a password of their own.

    Raises:
        SettingsError: saying why, and what to choose.
    """
    login = settings.login
    if not login.admin_password:
        return
    try:
        known = [login.password, *login.admins]
        password_policy_of(settings).check(login.admin_password, admin=True, known=known)
    except InvalidRequestError as refused:
        raise SettingsError(f"login.admin_password: {refused}") from None


def apply_settings(hub: "Hub") -> None:
    """Create admins and groups that settings name and the store does not have."""
    from hubless.domain.users import Group
    from hubless.services.identifiers import new_id

    accounts = replace(hub.accounts, before_adding=partial(_prepare_if_possible, hub))
    missing = [name for name in hub.settings.login.admins if hub.users.find(name) is None]
    if missing:
        accounts.add_many(missing, admin=True)
    for name, group in hub.settings.groups.items():
        users = [user for user in group.users if hub.users.find(user) is None]
        if users:
            accounts.add_many(users)
        if hub.groups.find(name) is None:
            with suppress(NameTakenError):  # by another process of the hub, which starts at the same time
                hub.groups.create(Group(new_id("g", hub.clock.now()), name, tuple(group.users), dict(group.properties)))


def note_settings(hub: "Hub") -> None:
    """Record which tables of the settings have changed since the hub last started; never their values."""
    from hubless.settings.digests import digests_of

    hub.auditing.note_settings(digests_of(hub.settings, hub.key))


def _prepare_if_possible(hub: "Hub", name: str) -> None:
    """Prepare for a user of the settings, whom the hub adds in any case, as JupyterHub does at its start."""
    try:
        hub.accounts.before_adding(name)
    except HublessError as refused:
        logger.warning("the settings add the user %s, although %s", name, refused)
