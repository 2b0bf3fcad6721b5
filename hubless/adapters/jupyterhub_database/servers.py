"""Makes records of servers, shares and share codes."""

from collections.abc import Mapping

from hubless.adapters.jupyterhub_database import values
from hubless.adapters.jupyterhub_database.hashes import hash_of
from hubless.adapters.jupyterhub_database.source import Row
from hubless.adapters.jupyterhub_database.tables import Tables
from hubless.domain.archive import ArchivedServer, ArchivedShare, ArchivedShareCode
from hubless.domain.bounds import MAX_IDENTIFIER

Named = Mapping[int, str]
_SIGNS = ("server_id", "state", "started", "last_activity", "user_options")  # of a start, whether long ago or not


def servers(tables: Tables, people: Named) -> tuple[ArchivedServer, ...]:
    """Return named servers, and default servers that were started ever; say how many run."""
    running = 0

    def made(row: Row) -> ArchivedServer | None:
        nonlocal running
        name = values.optional_text(row["name"], "name")
        owner = people.get(row["user_id"])
        if owner is None or (not name and all(row[sign] is None for sign in _SIGNS)):
            return None  # the hub has met its owner, and nobody started it
        running += row["server_id"] is not None
        options = values.json_object(row["user_options"], "user_options")
        profile = options.get("profile")
        return ArchivedServer(
            owner=owner,
            name=name,
            display_name=values.optional_text(row.get("display_name"), "display_name"),
            profile=profile if isinstance(profile, str) and len(profile) <= MAX_IDENTIFIER else "",
            user_options=options,
            last_activity_at=values.optional_instant(row["last_activity"], "last_activity"),
        )

    found = tuple(tables.made("server", "spawners", made))
    if running:
        tables.remark(
            "server",
            "",
            f"Servers that ran when the database was read: {running:,}",
            "Stop them in the old hub before people use the new one: both would write the same files",
            is_left_out=False,
        )
    return found


def shares(tables: Tables, people: Named, groups: Named) -> tuple[ArchivedShare, ...]:
    """Return shares that are not expired."""
    places, gone = _Places(tables, people), 0

    def made(row: Row) -> ArchivedShare | None:
        nonlocal gone
        expires_at = values.optional_instant(row["expires_at"], "expires_at")
        if expires_at is not None and expires_at <= tables.now:
            gone += 1
            return None
        user, group = people.get(row["user_id"]), groups.get(row["group_id"])
        if (user is None) == (group is None):
            raise values.BrokenRowError("it is with neither one user nor one group")
        owner, server = places.of(row)
        return ArchivedShare(
            owner=owner,
            server=server,
            scopes=_bare_scopes(row, owner, server),
            created_at=values.instant(row["created_at"], "created_at"),
            user=user,
            group=group,
            expires_at=expires_at,
        )

    found = tuple(tables.made("share", "shares", made))
    _remark_expired(tables, "share", "Shares", gone)
    return found


def share_codes(tables: Tables, people: Named) -> tuple[ArchivedShareCode, ...]:
    """Return share codes that are not expired; those without an end never come from JupyterHub."""
    places, gone = _Places(tables, people), 0

    def made(row: Row) -> ArchivedShareCode | None:
        nonlocal gone
        expires_at = values.instant(row["expires_at"], "expires_at")
        if expires_at <= tables.now:
            gone += 1
            return None
        owner, server = places.of(row)
        return ArchivedShareCode(
            owner=owner,
            server=server,
            hashed=hash_of(row["hashed"], row["prefix"]),
            scopes=_bare_scopes(row, owner, server),
            created_at=values.instant(row["created_at"], "created_at"),
            expires_at=expires_at,
            exchange_count=values.number(row["exchange_count"] or 0, "exchange_count"),
            last_exchanged_at=values.optional_instant(row["last_exchanged_at"], "last_exchanged_at"),
        )

    found = tuple(tables.made("share code", "share_codes", made))
    _remark_expired(tables, "share code", "Share codes", gone)
    return found


class _Places:
    """Owners and names of servers by id."""

    def __init__(self, tables: Tables, people: Named) -> None:
        rows = tables.rows("spawners") if tables.major >= 5 else iter(())  # noqa: PLR2004 shares came with JupyterHub 5
        self._found = {
            row["id"]: (people[row["user_id"]], row["name"] or "") for row in rows if row["user_id"] in people
        }

    def of(self, row: Row) -> tuple[str, str]:
        if row["spawner_id"] not in self._found:
            raise values.BrokenRowError("spawner_id is of no server")
        return self._found[row["spawner_id"]]


def _bare_scopes(row: Row, owner: str, server: str) -> tuple[str, ...]:
    """Return scopes without their filter, which JupyterHub repeats in each."""
    end = f"!server={owner}/{server}"
    found = values.scopes(row["scopes"])
    if not found or not all(scope.endswith(end) for scope in found):
        raise values.BrokenRowError("scopes are of another server, or there are none")
    return tuple(scope.removesuffix(end) for scope in found)


def _remark_expired(tables: Tables, kind: str, plural: str, count: int) -> None:
    if count:
        tables.remark(kind, "", f"{plural} that expired: {count:,}", number=count)
