"""Makes records of users, groups, services and roles."""

from collections.abc import Mapping
from dataclasses import replace

from hubless.adapters.jupyterhub_database import values
from hubless.adapters.jupyterhub_database.crypt_keys import CryptKeys
from hubless.adapters.jupyterhub_database.hashes import optional_hash
from hubless.adapters.jupyterhub_database.source import Row
from hubless.adapters.jupyterhub_database.tables import Tables
from hubless.domain.archive import ArchivedGroup, ArchivedRole, ArchivedService, ArchivedUser
from hubless.domain.bounds import MAX_IDENTIFIER, MAX_TARGET

_MAX_DESCRIPTION = 4096
_KEY_VARIABLE = "JUPYTERHUB_CRYPT_KEY"
# They say what servers' and users' tokens may by default, and JupyterHub makes them itself.
_INTERNAL_ROLES = frozenset({"server", "token"})

Named = Mapping[int, str]


def users(tables: Tables, keys: CryptKeys | None) -> dict[int, ArchivedUser]:
    """Return users by id."""
    sealed = _AuthStates(tables, keys)

    def made(row: Row) -> tuple[int, ArchivedUser]:
        user = ArchivedUser(
            name=values.text(row["name"], "name"),
            admin=values.flag(row["admin"], "admin"),
            created_at=values.optional_instant(row["created"], "created"),
            last_activity_at=values.optional_instant(row["last_activity"], "last_activity"),
            user_info=values.json_object(row.get("user_info"), "user_info") or None,
        )
        return values.number(row["id"], "id"), sealed.added(user, row["encrypted_auth_state"])

    found = dict(tables.made("user", "users", made))
    sealed.remark()
    return found


class _AuthStates:
    """Opens the auth_state of users, and counts those that stay closed."""

    def __init__(self, tables: Tables, keys: CryptKeys | None) -> None:
        self._tables, self._keys = tables, keys
        self._without_key = self._of_other_key = 0

    def added(self, user: ArchivedUser, sealed: object) -> ArchivedUser:
        if sealed is None:
            return user
        if not self._keys:
            self._without_key += 1
            return user
        if not isinstance(sealed, bytes):
            self._tables.remark("auth_state", user.name, "The auth_state is no bytes", "The next login makes a new one")
            return user
        try:
            state = self._keys.opened(sealed)
        except values.BrokenRowError as error:
            self._tables.remark("auth_state", user.name, str(error), "The next login makes a new one")
            return user
        self._of_other_key += state is None
        return replace(user, auth_state=state)

    def remark(self) -> None:
        if self._without_key:
            self._tables.remark(
                "auth_state",
                "",
                f"{_counted(self._without_key, 'user')} with auth_state, which is encrypted",
                f"Give the old hub's {_KEY_VARIABLE}; or leave it, and each user's next login makes a new one",
                number=self._without_key,
            )
        if self._of_other_key:
            self._tables.remark(
                "auth_state",
                "",
                f"{_counted(self._of_other_key, 'user')} with auth_state, which none of the given keys opens",
                f"Add the keys that {_KEY_VARIABLE} had before, separated by semicolons",
                number=self._of_other_key,
            )


def groups(tables: Tables, people: Named) -> dict[int, ArchivedGroup]:
    """Return groups by id."""
    members = _assigned(tables, "user_group_map", "group_id", "user_id", people)

    def made(row: Row) -> tuple[int, ArchivedGroup]:
        number = values.number(row["id"], "id")
        properties = values.json_object(row.get("properties"), "properties")
        return number, ArchivedGroup(values.text(row["name"], "name"), members.get(number, ()), properties)

    return dict(tables.made("group", "groups", made))


def services(tables: Tables) -> dict[int, ArchivedService]:
    """Return services by id."""
    clients = {row["identifier"]: row for row in tables.rows("oauth_clients")}
    addresses = {row["id"]: f"{row['proto']}://{row['ip']}:{row['port']}" for row in tables.rows("servers")}
    of_roles = _scopes_of_clients(tables)

    def made(row: Row) -> tuple[int, ArchivedService]:
        name = values.text(row["name"], "name")
        client_id = _client_id(row, clients)
        client = clients.get(client_id) or {}
        url = row.get("url") or addresses.get(row["_server_id"])
        return values.number(row["id"], "id"), ArchivedService(
            name=name,
            admin=values.flag(row["admin"], "admin"),
            url=values.optional_text(url, "url", MAX_TARGET) or None,
            oauth_client_id=client_id,
            oauth_redirect_uri=values.optional_text(client.get("redirect_uri"), "redirect_uri", MAX_TARGET) or None,
            oauth_no_confirm=values.flag(row.get("oauth_no_confirm"), "oauth_no_confirm"),
            oauth_client_allowed_scopes=_allowed(row, client, name, of_roles),
            info=values.json_object(row.get("info"), "info"),
            display=values.flag(row.get("display"), "display", default=True),
            client_secret_hash=optional_hash(client.get("secret"), ""),
            from_settings=values.flag(row.get("from_config"), "from_config", default=True),
        )

    return dict(tables.made("service", "services", made))


def _client_id(row: Row, clients: Mapping[str, Row]) -> str | None:
    """Return the id of a service's OAuth client; 1.x has no column for it, and calls all clients alike."""
    if "oauth_client_id" in row:
        return values.optional_text(row["oauth_client_id"], "oauth_client_id", MAX_IDENTIFIER) or None
    name = f"service-{row['name']}"
    return name if name in clients else None


def _allowed(row: Row, client: Row, name: str, of_roles: Mapping[int, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the scopes that a service may ask its users for, without the one that each service has."""
    if row.get("oauth_client_allowed_scopes") is not None:
        return values.scopes(row["oauth_client_allowed_scopes"], "oauth_client_allowed_scopes")
    found = of_roles.get(client["id"], ()) if "id" in client else ()
    found = values.scopes(client.get("allowed_scopes"), "allowed_scopes") or found
    return tuple(scope for scope in found if scope != f"access:services!service={name}")


def _scopes_of_clients(tables: Tables) -> dict[int, tuple[str, ...]]:
    """Return the scopes of the roles that OAuth clients may ask for; only 2.x has such."""
    of_role = scopes_of_roles(tables) if tables.major == 2 else {}  # noqa: PLR2004 JupyterHub 2
    found: dict[int, tuple[str, ...]] = {}
    for row in tables.rows("oauth_client_role_map"):
        found[row["oauth_client_id"]] = found.get(row["oauth_client_id"], ()) + of_role.get(row["role_id"], ())
    return found


def scopes_of_roles(tables: Tables) -> dict[int, tuple[str, ...]]:
    """Return the scopes of roles by the roles' ids; broken ones have none."""
    found = {}
    for row in tables.rows("roles"):
        try:
            found[row["id"]] = values.scopes(row["scopes"])
        except values.BrokenRowError:  # the role itself is remarked on
            continue
    return found


def roles(tables: Tables, people: Named, of_groups: Named, of_services: Named) -> tuple[ArchivedRole, ...]:
    """Return all roles but those that JupyterHub has for tokens."""
    holders = _assigned(tables, "user_role_map", "role_id", "user_id", people)
    groups_ = _assigned(tables, "group_role_map", "role_id", "group_id", of_groups)
    services_ = _assigned(tables, "service_role_map", "role_id", "service_id", of_services)
    by_auth = _assigned(tables, "user_role_map", "role_id", "user_id", people, only_by_auth=True)
    groups_by_auth = _assigned(tables, "group_role_map", "role_id", "group_id", of_groups, only_by_auth=True)

    def made(row: Row) -> ArchivedRole | None:
        name = values.text(row["name"], "name")
        number = values.number(row["id"], "id")
        if name in _INTERNAL_ROLES:
            return None
        return ArchivedRole(
            name=name,
            scopes=values.scopes(row["scopes"]),
            description=values.optional_text(row["description"], "description", _MAX_DESCRIPTION),
            users=holders.get(number, ()),
            groups=groups_.get(number, ()),
            services=services_.get(number, ()),
            managed_by_auth=values.flag(row.get("managed_by_auth"), "managed_by_auth"),
            users_by_auth=by_auth.get(number, ()),
            groups_by_auth=groups_by_auth.get(number, ()),
        )

    return tuple(tables.made("role", "roles", made))


def _assigned(
    tables: Tables, table: str, key: str, member: str, names: Named, *, only_by_auth: bool = False
) -> dict[int, tuple[str, ...]]:
    """Return sorted names by key; members that are not there are nobody's."""
    found: dict[int, set[str]] = {}
    for row in tables.rows(table):
        if row[member] in names and (row.get("managed_by_auth") or not only_by_auth):
            found.setdefault(row[key], set()).add(names[row[member]])
    return {one: tuple(sorted(members)) for one, members in found.items()}


def _counted(count: int, of: str) -> str:
    return f"There is 1 {of}" if count == 1 else f"There are {count:,} {of}s"
