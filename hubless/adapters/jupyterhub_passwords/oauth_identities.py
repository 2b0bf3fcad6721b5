"""OAuthenticator: identities at a provider, which the old hub's `auth_state` of a user tells."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from hubless.adapters.jupyterhub_passwords.people import left_out, with_users
from hubless.domain.archive import Archive, ArchivedIdentity, ArchivedUser, Remark
from hubless.domain.errors import InvalidRequestError
from hubless.domain.external_identities import AWAITED_FOR, AwaitedLogin, ExternalId, check_external_id, label
from hubless.domain.names import normalise_user_name

_MAX_ID_TOKEN = 65_536  # characters
_USERS = ("oauth_user", "user", "google_user", "auth0_user", "cilogon_user", "globus_user", "gitlab_user")
_FIRST_LOGIN = "Link the login: `hubless user link NAME`, or by POST /users/NAME/identities."


def with_identities(archive: Archive, provider: str, issuer: str, *, is_github: bool, now: datetime) -> Archive:
    """Return the archive in which users have the identity at *provider* that their `auth_state` tells.

    Whose `auth_state` tells nothing awaits a first login there by name, which OAuthenticator has lowered. An admin does
    not, nor does who has a password.

    The hub asks the provider nothing: `auth_state` is the old hub's own record of a login. An ID token of another
    issuer links nothing. At some providers (Microsoft Entra) a subject is one client's: keep the old client id there.

    Args:
        archive: of a hub with OAuthenticator.
        provider: its name in our settings.
        issuer: as our settings have it.
        is_github: whether it is GitHub, which has numbers of users and no ID tokens.
        now: when the identities are linked.
    """
    changed: dict[str, ArchivedUser] = {}
    remarks: list[Remark] = []
    of_subject: dict[str, str] = {}
    awaiting = 0
    for user in archive.users:
        found = _subject(user.auth_state or {}, issuer, is_github=is_github)
        if found is None and user.password_hash is None and not user.identities and not user.admin:
            awaited = AwaitedLogin(provider, issuer, normalise_user_name(user.name), now + AWAITED_FOR)
            changed[user.name] = replace(user, awaited=awaited)
            awaiting += 1
            continue
        if not isinstance(found, str):
            remarks.append(replace(found or _unknown(user), subject=user.name))
            continue
        if found in of_subject:
            what = f"{of_subject[found]} has the same identity at {provider}: it is linked there only."
            remarks.append(left_out("identity", user.name, what, _FIRST_LOGIN))
            continue
        of_subject[found] = user.name
        identity = ArchivedIdentity(ExternalId(issuer, found), provider, label(user.name), now, by_admin=True)
        changed[user.name] = replace(user, identities=(*user.identities, identity))
    if awaiting:
        what = (
            f"are not known at {provider}, and await their first login there by name until {now + AWAITED_FOR:%Y-%m-%d}"
        )
        remarks.append(Remark("user", f"{awaiting} of them", what, "Make sure that the names there are theirs alone."))
    return with_users(archive, changed.values(), remarks)


def _subject(state: Mapping[str, Any], issuer: str, *, is_github: bool) -> str | Remark | None:
    """Return the subject, None if nothing tells it, or the remark (of nobody yet) that says what is wrong with it."""
    if is_github:
        user = state.get("github_user")
        number = user.get("id") if isinstance(user, Mapping) else None
        return _checked(issuer, str(number)) if isinstance(number, int) and not isinstance(number, bool) else None
    claims = _claims(state.get("id_token"))
    if claims is not None:
        if claims.get("iss") != issuer:
            return left_out("identity", "", "The old hub's ID token is of another issuer than ours.", _FIRST_LOGIN)
        return _checked(issuer, claims.get("sub"))
    said = {str(one["sub"]) for key in _USERS if isinstance(one := state.get(key), Mapping) and one.get("sub")}
    if len(said) > 1:
        return left_out("identity", "", "The old hub tells two people for this user.", _FIRST_LOGIN)
    return _checked(issuer, said.pop()) if said else None


def _unknown(user: ArchivedUser) -> Remark:
    why = " A name makes nobody an admin." if user.admin else ""
    return left_out("identity", "", f"The old hub does not tell who this is at the provider.{why}", _FIRST_LOGIN)


def _checked(issuer: str, subject: object) -> str | Remark:
    try:
        return check_external_id(ExternalId(issuer, subject if isinstance(subject, str) else "")).subject
    except InvalidRequestError as refused:
        return left_out("identity", "", f"{refused}.", _FIRST_LOGIN)


def _claims(id_token: object) -> Mapping[str, Any] | None:
    """Return the claims of an ID token, whose signature the old hub has checked or got over TLS."""
    if not isinstance(id_token, str) or not 0 < len(id_token) <= _MAX_ID_TOKEN or id_token.count(".") != 2:  # noqa: PLR2004
        return None
    part = id_token.split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return claims if isinstance(claims, Mapping) else None
