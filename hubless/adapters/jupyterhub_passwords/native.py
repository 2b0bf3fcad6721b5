"""NativeAuthenticator 1.x: its table `users_info`, in the hub's own database."""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from hubless.adapters.jupyterhub_passwords.people import ONE_TIME_LINK, hash_of, left_out, name_of, with_users
from hubless.domain.archive import Archive, ArchivedApp, ArchivedSignUp, ArchivedUser, Remark
from hubless.domain.import_items import Kind
from hubless.domain.values import value

TABLE = "users_info"
QUERY = f"SELECT username, password, is_authorized, email, has_2fa, otp_secret FROM {TABLE} ORDER BY id"  # noqa: S608
SECRET_BYTES = 10  # of an app's secret
_EMAIL = re.compile(
    r"[A-Za-z0-9.+_-]{1,64}@[A-Za-z0-9._-]{1,190}\.[a-zA-Z]{1,63}"
)  # NativeAuthenticator's rule, bounded


@value
class _Row:
    """A row of the table that can be used."""

    name: str
    password_hash: str
    is_authorized: bool
    email: str
    app: ArchivedApp | None


def with_people(archive: Archive, rows: Iterable[Mapping[str, Any]]) -> Archive:
    """Return the archive with what *rows* (of `QUERY`) say.

    - Whom an admin authorized gets the password, and is a user even if never logged in.
    - Whom nobody authorized waits for an admin here too. A user of the old hub whose authorization was taken back stays
      a user, without a password.
    - An app counts where its user wanted it; the table has a secret for everybody. Who would lose it gets no password,
      because otherwise the password alone would open what two factors closed.
    - Nobody verified the addresses, so they are for the admin who decides about a sign-up, and for nothing else.
    """
    people = {user.name: user for user in archive.users}
    changed: dict[str, ArchivedUser] = {}
    sign_ups: dict[str, ArchivedSignUp] = {}
    remarks: list[Remark] = []
    seen: set[str] = set()
    addresses = 0
    for raw in rows:
        row = _read(raw)
        if isinstance(row, Remark):
            remarks.append(row)
            seen.add(name_of(raw.get("username")) or "")
            continue
        if row.name in seen:
            remarks.append(left_out("password", row.name, "The table users_info has the name twice; the first counts."))
            continue
        seen.add(row.name)
        known = people.get(row.name)
        if row.is_authorized:
            addresses += bool(row.email)
            user = known or ArchivedUser(row.name)
            changed[row.name] = replace(user, password_hash=row.password_hash, app=row.app)
            if known is None:
                remarks.append(
                    Remark(
                        "user",
                        row.name,
                        "This user never logged in there. An admin authorized the sign-up, so it becomes a user.",
                    )
                )
        elif known is not None:
            changed[row.name] = replace(known, is_refused=True)
            what = "Nobody has authorized this user, or an admin took it back: the password is left out."
            remarks.append(left_out("password", row.name, what, f"To let the user in: {ONE_TIME_LINK}"))
        else:
            sign_ups[row.name] = ArchivedSignUp(row.name, row.password_hash, address=row.email)
            remarks.extend(_of_sign_up(row))
    remarks += [
        Remark("user", user.name, "NativeAuthenticator has no password of this user.", ONE_TIME_LINK)
        for user in archive.users
        if user.name not in seen and user.password_hash is None
    ]
    if addresses:
        what = f"NativeAuthenticator verified none of its {addresses} addresses of e-mail, so they are left out."
        to_do = "Users confirm theirs at /hub/email, or an admin sets one: `hubless user email NAME ADDRESS`."
        remarks.append(Remark(Kind.EMAIL, "users_info", what, to_do, is_left_out=True, number=addresses))
    after = with_users(archive, changed.values(), remarks)
    return replace(after, sign_ups=(*archive.sign_ups, *sign_ups.values()))


def _of_sign_up(row: _Row) -> Iterable[Remark]:
    yield Remark("sign-up", row.name, "This sign-up waits for an admin.", "Approve or refuse it on the admin page.")
    if row.app is not None:
        yield left_out(Kind.FACTORS, row.name, "The app of a sign-up stays there.", "The user adds one here.")


def _read(raw: Mapping[str, Any]) -> _Row | Remark:
    name, password_hash = name_of(raw.get("username")), hash_of(raw.get("password"))
    if name is None:
        return left_out("password", raw.get("username"), "This row of users_info has no possible name.")
    if password_hash is None:
        what = "The password has no hash of bcrypt, or one that takes too long."
        return left_out("password", name, what, ONE_TIME_LINK)
    app = None
    if raw.get("has_2fa"):
        secret = raw.get("otp_secret")
        if not isinstance(secret, str) or not _is_secret(secret):
            what = "The user logs in with an app whose secret is broken: password and app are left out."
            return left_out("password", name, what, ONE_TIME_LINK)
        app = ArchivedApp(secret, is_imported=True)
    email = raw.get("email")
    is_address = isinstance(email, str) and _EMAIL.fullmatch(email) is not None
    return _Row(name, password_hash, bool(raw.get("is_authorized")), str(email) if is_address else "", app)


def _is_secret(secret: str) -> bool:
    try:
        return len(base64.b32decode(secret)) >= SECRET_BYTES and len(secret) <= 2 * 16
    except (binascii.Error, ValueError):
        return False
