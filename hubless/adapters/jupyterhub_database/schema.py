"""Which JupyterHub made a database, and whether its tables are those of that version.

The revisions are those of JupyterHub's own migrations (`jupyterhub/alembic/versions`), the columns those of its models.
"""

from collections.abc import Mapping
from typing import Final

from hubless.adapters.jupyterhub_database.source import Database, UnreadableSourceError

# Revisions that releases leave behind, and the major version of JupyterHub; 1.0 to 1.5 share one.
_REVISIONS: Final[Mapping[str, int]] = {
    "4dc2d5a8c53c": 1,
    "833da8570507": 2,
    "651f5419b74d": 3,
    "0eee8c825d24": 4,
    "4621fec11365": 5,
    "f460b0348206": 6,
}
_BETWEEN: Final = frozenset({"3c2384c5aae1", "be8ecf03ddac", "afd65840b69e", "ff1860e38070"})
_OLDER: Final = frozenset(
    {"19c0846f6344", "eeb276e51423", "af4cbdb2d13c", "3ec6993fe20c", "1cebaf56856c", "56cc5a70207e", "99a28a4418e1"}
    | {"d68c98b66cd4", "896818069c98"}
)
_LEFT_BY_ALEMBIC: Final = "_alembic_tmp_"  # the table that a migration of SQLite fills, and renames at its end

# What each version has in addition to those before it: table and columns that this package reads.
_ADDED: Final[Mapping[int, Mapping[str, str]]] = {
    1: {
        "users": "id name admin created last_activity encrypted_auth_state",
        "groups": "id name",
        "user_group_map": "user_id group_id",
        "services": "id name admin _server_id",
        "servers": "id proto ip port base_url",
        "spawners": "id user_id server_id state name started last_activity user_options",
        "api_tokens": "id user_id service_id hashed prefix created expires_at last_activity note",
        "oauth_clients": "id identifier secret redirect_uri",
    },
    2: {
        "roles": "id name description scopes",
        "user_role_map": "user_id role_id",
        "group_role_map": "group_id role_id",
        "service_role_map": "service_id role_id",
        "services": "oauth_client_id",
        "api_tokens": "client_id",
    },
    3: {"api_tokens": "scopes", "oauth_clients": "allowed_scopes"},
    4: {"groups": "properties"},
    5: {
        "roles": "managed_by_auth",
        "user_role_map": "managed_by_auth",
        "group_role_map": "managed_by_auth",
        "services": "url oauth_client_allowed_scopes info display oauth_no_confirm from_config",
        "shares": "id user_id group_id created_at scopes expires_at spawner_id",
        "share_codes": "id hashed prefix exchange_count last_exchanged_at created_at scopes expires_at spawner_id",
    },
    6: {"users": "user_info", "spawners": "display_name"},
}
# What a version has and the next no longer.
_ONLY: Final[Mapping[int, Mapping[str, str]]] = {
    1: {"oauth_access_tokens": "id"},
    2: {"api_token_role_map": "api_token_id role_id", "oauth_client_role_map": "oauth_client_id role_id"},
}


def columns_of(major: int) -> dict[str, tuple[str, ...]]:
    """Return the columns that are read of each table of JupyterHub *major*; the first orders the rows."""
    found: dict[str, tuple[str, ...]] = {}
    for version in range(1, major + 1):
        for table, columns in _ADDED[version].items():
            found[table] = (*found.get(table, ()), *columns.split())
    return found | {table: tuple(columns.split()) for table, columns in _ONLY.get(major, {}).items()}


def major_version(database: Database) -> int:
    """Return the major version, 1 to 6, of the JupyterHub that made *database*.

    Raises:
        UnreadableSourceError: when no JupyterHub made it, or an unknown one, or an upgrade broke off.
    """
    there = database.columns()
    if "alembic_version" not in there:
        raise UnreadableSourceError(
            f"No JupyterHub made the database {database.label}, or one before 0.8: name the database of a hub"
        )
    revisions = [row["version_num"] for row in database.rows("alembic_version", ("version_num",))]
    if len(revisions) != 1:
        raise _half(database.label, f"it has {len(revisions)} versions")
    major = _major_of(str(revisions[0]), database.label)
    if fault := _fault(there, major):
        raise _half(database.label, fault)
    return major


def _major_of(revision: str, label: str) -> int:
    if revision in _BETWEEN:
        raise _half(label, f"its version {revision} is of no release")
    if revision in _OLDER:
        raise UnreadableSourceError(
            f"A JupyterHub before 1.0 made the database {label}: upgrade that hub to 1.5 first, and start it once"
        )
    if revision not in _REVISIONS:
        raise UnreadableSourceError(
            f"The database {label} has the version {revision[:40]!r}, which hubless does not know: it reads those of "
            "JupyterHub 1.5 to 6.1. A later hubless may know it"
        )
    return _REVISIONS[revision]


def _fault(there: Mapping[str, frozenset[str]], major: int) -> str | None:
    """Say what shows that the tables are of no one version."""
    if left := sorted(table for table in there if table.startswith(_LEFT_BY_ALEMBIC)):
        return f"a migration left the table {left[0][:80]}"
    for table, columns in columns_of(major).items():
        if missing := [c for c in columns if c not in there.get(table, ())]:
            return f"JupyterHub {major} has a column {missing[0]} in the table {table}, and it has none"
    for version in range(major + 1, max(_ADDED) + 1):
        for table, added in _ADDED[version].items():
            if newer := [c for c in added.split() if table in columns_of(major) and c in there.get(table, ())]:
                return f"it has JupyterHub {version}'s column {newer[0]} in the table {table} already"
    return None


def _half(label: str, fault: str) -> UnreadableSourceError:
    return UnreadableSourceError(
        f"An upgrade of the database {label} broke off: {fault}. Restore the backup that `jupyterhub upgrade-db` made, "
        "or finish the upgrade and start that hub once"
    )
