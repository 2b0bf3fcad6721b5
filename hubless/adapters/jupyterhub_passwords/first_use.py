"""FirstUseAuthenticator: its file of passwords, which Python's `dbm` writes."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from hubless.adapters.jupyterhub_passwords import dbm_files
from hubless.adapters.jupyterhub_passwords.people import ONE_TIME_LINK, hash_of, left_out, name_of, with_users
from hubless.domain.archive import Archive, ArchivedUser, Remark


def with_passwords(archive: Archive, path: Path) -> Archive:
    """Return the archive with the passwords of the file at *path* (`dbm_path` of the old hub's settings).

    The file also has names that nobody let in: FirstUseAuthenticator writes a password before the hub looks whether
    its user may log in. So only users of the database get one. Before version 1.0 names were stored as they were typed;
    such an entry counts where it is the only one of its user (FirstUseAuthenticator 1.1 renames it).

    Raises:
        InvalidRequestError: when the file is missing, broken or of an unknown format.
    """
    read = dbm_files.read(path)
    remarks = [Remark("source", str(read.path), f"{read.warning}.")] if read.warning else []
    by_user: dict[str, dict[str, bytes]] = defaultdict(dict)
    for key, stored in read.pairs:
        if (name := name_of(key)) is None:
            remarks.append(left_out("password", key[:60], "This entry of the password file has no possible name."))
        else:
            by_user[name.lower()][name] = stored
    changed: dict[str, ArchivedUser] = {}
    for user in archive.users:
        found = _choice(user, by_user.pop(user.name, {}))
        if isinstance(found, Remark):
            remarks.append(found)
        elif found is not None:
            changed[user.name] = replace(user, password_hash=found)
    remarks += [
        left_out("password", name, "The old hub's database has no user of this name, who never got in.")
        for name in by_user
    ]
    return with_users(archive, changed.values(), remarks)


def _choice(user: ArchivedUser, entries: dict[str, bytes]) -> str | Remark | None:
    """Return the user's hash; None if the archive has one already and the file none."""
    if not entries:
        if user.password_hash is not None:
            return None
        return Remark("user", user.name, "The password file has no password of this user.", ONE_TIME_LINK)
    if user.name not in entries and len(entries) > 1:
        what = f"The password file has {len(entries)} spellings of this name, and none in small letters."
        return left_out("password", user.name, what, ONE_TIME_LINK)
    stored = entries.get(user.name) or next(iter(entries.values()))
    hashed = hash_of(stored)
    if hashed is None:
        what = "The password has no hash of bcrypt, or one that takes too long."
        return left_out("password", user.name, what, ONE_TIME_LINK)
    return hashed
