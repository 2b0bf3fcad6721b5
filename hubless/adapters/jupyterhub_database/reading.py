"""Reads a JupyterHub's database into an archive."""

from datetime import datetime

from hubless.adapters.jupyterhub_database import people, servers
from hubless.adapters.jupyterhub_database.crypt_keys import CryptKeys
from hubless.adapters.jupyterhub_database.source import Database, opened
from hubless.adapters.jupyterhub_database.tables import Tables
from hubless.adapters.jupyterhub_database.tokens import Tokens
from hubless.domain.archive import Archive


def read(source: str, *, now: datetime, crypt_keys: str = "") -> Archive:
    """Return all that the database at *source* has of one moment; the database stays as it is.

    Args:
        source: path of a SQLite file, a folder that has `jupyterhub.sqlite`, or the URL in the hub's setting `db_url`.
        now: what expired by then stays behind.
        crypt_keys: the old hub's JUPYTERHUB_CRYPT_KEY, for auth_state.

    Raises:
        UnreadableSourceError: when there is no such database, no JupyterHub 1.5 to 6.1 made it, or it is half migrated.
        InvalidRequestError: when a key of *crypt_keys* has no form that JupyterHub knows.
    """
    keys = CryptKeys(crypt_keys)
    with opened(source) as database:
        return archive_of(database, keys, now)


def archive_of(database: Database, keys: CryptKeys, now: datetime) -> Archive:
    """Return all that an open database has; errors are as above."""
    tables = Tables(database, now)
    users = people.users(tables, keys)
    by_id = {number: user.name for number, user in users.items()}
    groups = people.groups(tables, by_id)
    groups_by_id = {number: group.name for number, group in groups.items()}
    services = people.services(tables)
    services_by_id = {number: service.name for number, service in services.items()}
    return Archive(
        source=database.label,
        users=tuple(users.values()),
        groups=tuple(groups.values()),
        roles=people.roles(tables, by_id, groups_by_id, services_by_id),
        services=tuple(services.values()),
        servers=servers.servers(tables, by_id),
        tokens=Tokens(tables, by_id, services_by_id).all(),
        shares=servers.shares(tables, by_id, groups_by_id),
        share_codes=servers.share_codes(tables, by_id),
        remarks=tables.remarks(),
        is_whole=tables.are_whole,
    )
