"""What an import reads: an archive of ours, or a JupyterHub's database with its surroundings."""
# ruff: noqa: PLC0415 the import alone needs them

from collections.abc import Iterable
from dataclasses import field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from hubless.domain.archive import Archive
from hubless.domain.errors import InvalidRequestError
from hubless.domain.providers import Protocol, Provider
from hubless.domain.values import value

if TYPE_CHECKING:
    from hubless.adapters.jupyterhub_database.source import Database

_COLUMNS = ("id", "username", "password", "is_authorized", "email", "has_2fa", "otp_secret")  # of NativeAuthenticator


@value
class Surroundings:
    """What a JupyterHub keeps outside its database, or needs to read it."""

    crypt_keys: str = field(default="", repr=False)  # its JUPYTERHUB_CRYPT_KEY
    passwords: Path | None = None  # FirstUseAuthenticator's file
    provider: str = ""  # of our settings, at which its users logged in


def read(source: str, beside: Surroundings, providers: Iterable[Provider], now: datetime) -> Archive:
    """Return everything in *source*.

    Args:
        source: path of an archive (`.jsonl`), of a SQLite file, of a folder that has `jupyterhub.sqlite`, or a URL.
        beside: what a JupyterHub has beside its database.
        providers: of this hub.
        now: what has expired by then stays behind.

    Raises:
        HublessError: saying why it cannot be read, and what to do.
    """
    if source.endswith(".jsonl"):
        from hubless.adapters import archive_file

        return archive_file.read(Path(source))
    from hubless.adapters.jupyterhub_database.crypt_keys import CryptKeys
    from hubless.adapters.jupyterhub_database.reading import archive_of
    from hubless.adapters.jupyterhub_database.source import opened
    from hubless.adapters.jupyterhub_passwords import first_use, native, system_accounts

    keys = CryptKeys(beside.crypt_keys)
    with opened(source) as database:  # once, so that people and their passwords are of one moment
        found = archive_of(database, keys, now)
        rows = _people_of_native(database)
    if rows:
        found = native.with_people(found, rows)
    if beside.passwords is not None:
        found = first_use.with_passwords(found, beside.passwords)
    if beside.provider:
        found = _with_identities(found, beside.provider, providers, now)
    if not (rows or beside.passwords or beside.provider):  # so its users had accounts of the machine, or of a provider
        found = replace(found, remarks=(*found.remarks, *system_accounts.remarks(found)))
    return found


def _people_of_native(database: "Database") -> list[dict[str, object]]:
    """Return the rows of NativeAuthenticator's table, if the database has it."""
    from hubless.adapters.jupyterhub_passwords import native

    columns = database.columns().get(native.TABLE, frozenset())
    wanted = [name for name in _COLUMNS if name in columns]
    return [dict(row) for row in database.rows(native.TABLE, wanted)] if wanted else []


def _with_identities(found: Archive, name: str, providers: Iterable[Provider], now: datetime) -> Archive:
    from hubless.adapters.jupyterhub_passwords import oauth_identities

    provider = next((one for one in providers if one.name == name), None)
    if provider is None:
        raise InvalidRequestError(f"The settings have no [[providers]] with the name {name!r} of --provider")
    is_github = provider.protocol is Protocol.GITHUB
    return oauth_identities.with_identities(found, name, provider.issuer, is_github=is_github, now=now)
