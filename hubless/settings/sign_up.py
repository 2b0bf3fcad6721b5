"""The section `[sign_up]`, and the list `[[join_codes]]`."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hubless.domain.bounds import MAX_SECRET_LENGTH
from hubless.domain.errors import InvalidRequestError
from hubless.domain.mails import check_address
from hubless.domain.sign_ups import JoinCode
from hubless.domain.tokens import sha256
from hubless.domain.values import value
from hubless.settings.types import DURATION, FLAG, NAME, SECRET, TEXT, SettingsError, SettingType, count, setting

_SHORTEST_CODE = 6  # characters; guesses are counted


def _domains(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise TypeError
    try:
        return tuple(check_address(f"a@{one}").removeprefix("a@") for one in given)
    except InvalidRequestError:
        raise ValueError from None


def _end_of_day(given: Any) -> datetime | None:
    if given == "":
        return None
    day = date.fromisoformat(given) if isinstance(given, str) else given
    if type(day) is not date:
        raise TypeError
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)


DOMAINS = SettingType('a list of domains such as "example.org"', _domains)
DAY = SettingType('a day such as 2027-03-31, or "" for no end', _end_of_day)


@value
class SignUpSettings:
    """What a sign-up needs; only with `login.sign_up = true`."""

    approval: bool = setting(False, FLAG, "Whether an admin must approve a sign-up, unless it has a join code")
    confirm_email: bool = setting(
        False, FLAG, "Whether a sign-up needs an e-mail address that its user confirms by a mail"
    )
    email_domains: tuple[str, ...] = setting(
        [], DOMAINS, "Domains of which such an address must be, without their subdomains; empty for all"
    )
    keep_waiting: timedelta = setting("14d", DURATION, "How long a sign-up waits until the hub forgets it")
    max_waiting: int = setting(500, count(1, 10_000), "Sign-ups that may wait at the same time")


@value
class JoinCodeSettings:
    """One of `[[join_codes]]`: where there are any, a sign-up needs one of them, or the approval of an admin."""

    name: str = setting(None, NAME, "The code's name, for admins")
    code: str = setting("", SECRET, "What people type: 6 to 64 characters")
    code_env: str = setting("", TEXT, "The environment variable with the code, instead of `code`")
    group: str = setting("", TEXT, "The group that the new users join; the hub makes it if there is none")
    expires: datetime | None = setting("", DAY, "The last day, in UTC, on which the code is valid")
    uses: int = setting(0, count(0), "Accounts that may be made with the code; 0 for no limit")


def join_codes_of(given: tuple[JoinCodeSettings, ...], environ: Mapping[str, str]) -> dict[str, JoinCode]:
    """Return the join codes by their hashes.

    Raises:
        SettingsError: naming the code that is missing, too short, too long or not the only one of its kind.
    """
    found: dict[str, JoinCode] = {}
    for one in given:
        hashed = sha256(_code(one, environ))
        if hashed in found:
            raise SettingsError(f"join_codes.{one.name}: another join code is the same")
        found[hashed] = JoinCode(one.name, hashed, one.group, one.expires, one.uses)
    return found


def _code(one: JoinCodeSettings, environ: Mapping[str, str]) -> str:
    where = f"join_codes.{one.name}.code"
    if bool(one.code) == bool(one.code_env):
        raise SettingsError(f"{where} or {where}_env is needed, and not both")
    if one.code_env and one.code_env not in environ:
        raise SettingsError(f"{where}_env names {one.code_env}, which is not in the environment")
    code = (environ[one.code_env] if one.code_env else one.code).strip()
    if not _SHORTEST_CODE <= len(code) <= MAX_SECRET_LENGTH:
        raise SettingsError(
            f"{where} has {len(code)} characters, but it must have {_SHORTEST_CODE} to {MAX_SECRET_LENGTH}"
        )
    return code


def check_sign_up(
    sign_up: SignUpSettings, join_codes: Mapping[str, JoinCode], *, is_on: bool, has_mail: bool
) -> SignUpSettings:
    """Return *sign_up* if it fits to the other settings.

    Raises:
        SettingsError: naming the key that has no effect, or what is missing.
    """
    if not is_on:
        for key in ("approval", "confirm_email", "email_domains"):
            if getattr(sign_up, key):
                raise SettingsError(f"sign_up.{key} has an effect only if login.sign_up is true")
        if join_codes:
            raise SettingsError("[[join_codes]] have an effect only if login.sign_up is true")
    if sign_up.confirm_email and not has_mail:
        raise SettingsError("sign_up.confirm_email needs [mail], with which the hub sends the question")
    if sign_up.email_domains and not sign_up.confirm_email:
        raise SettingsError("sign_up.email_domains has an effect only if sign_up.confirm_email is true")
    return sign_up
