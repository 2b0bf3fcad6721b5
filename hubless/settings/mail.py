"""The section `[mail]`."""

from collections.abc import Mapping
from dataclasses import replace
from email.utils import parseaddr
from typing import Any

from hubless.domain.errors import InvalidRequestError
from hubless.domain.mails import check_address
from hubless.domain.origins import is_loopback
from hubless.domain.values import value
from hubless.settings.types import PORT, SECRET, TEXT, SettingsError, SettingType, choice, setting


def _sender(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError
    if not given:
        return ""
    name, address = parseaddr(given)
    if not given.isprintable() or not (name or address == given.strip()):
        raise ValueError
    try:
        check_address(address)
    except InvalidRequestError as invalid:
        raise ValueError(str(invalid)) from None
    return given


SENDER = SettingType('an address such as "hub@example.org" or "Physics hub <hub@example.org>"', _sender)

_MOST_ADDRESSES = 20


def _addresses(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(one, str) for one in given):
        raise TypeError
    if len(given) > _MOST_ADDRESSES:
        raise ValueError
    try:
        return tuple(dict.fromkeys(map(check_address, given)))
    except InvalidRequestError as invalid:
        raise ValueError(str(invalid)) from None


ADDRESSES = SettingType(f"a list of at most {_MOST_ADDRESSES} e-mail addresses", _addresses)


@value
class MailSettings:
    """How the hub sends mails: links to new passwords, and questions whether an address is right."""

    kind: str = setting("", choice("smtp", "ses", ""), "What sends the mails; empty: the hub sends none")
    sender: str = setting("", SENDER, "Whose mails they are")
    host: str = setting("", TEXT, "The mail server; only for `smtp`")
    port: int = setting(587, PORT, "Its port; only for `smtp`")
    security: str = setting(
        "starttls",
        choice("starttls", "tls", "none"),
        "How the connection is encrypted: after STARTTLS, from the first byte (port 465), or not at all, which only a"
        " server on the same machine may be asked; only for `smtp`",
    )
    user: str = setting("", TEXT, "The hub's user at the mail server, if it needs one; only for `smtp`")
    password: str = setting("", SECRET, "That user's password; only for `smtp`")
    password_env: str = setting("", TEXT, "The environment variable with the password, instead of `password`")
    region: str = setting("", TEXT, "SES's region; empty for the hub's own; only for `ses`")

    @property
    def is_on(self) -> bool:
        """Say whether the hub sends mails."""
        return bool(self.kind)


def checked_mail(given: MailSettings, environ: Mapping[str, str]) -> MailSettings:
    """Return *given* with the password that its variable has.

    Raises:
        SettingsError: naming the key that is missing, or has no effect.
    """
    if not given.kind:
        _refuse(given, ("sender", "host", "user", "password", "password_env", "region"), "is set")
        return given
    if not given.sender:
        raise SettingsError("mail.sender is missing: mails need one")
    if given.kind == "ses":
        _refuse(given, ("host", "user", "password", "password_env"), 'is "smtp"')
        return given
    _refuse(given, ("region",), 'is "ses"')
    if not given.host:
        raise SettingsError('mail.host is missing: mail.kind = "smtp" needs it')
    if given.security == "none" and not is_loopback(given.host):
        raise SettingsError('mail.security is "none", but mail.host is another machine: mails have links that log in')
    return replace(given, password=_password(given, environ))


def _refuse(given: MailSettings, keys: tuple[str, ...], only_if: str) -> None:
    for key in keys:
        if getattr(given, key):
            raise SettingsError(f"mail.{key} has an effect only if mail.kind {only_if}: remove it, or set mail.kind")


def _password(given: MailSettings, environ: Mapping[str, str]) -> str:
    if given.password and given.password_env:
        raise SettingsError("mail.password and mail.password_env exclude each other: set only one of them")
    if given.password_env and given.password_env not in environ:
        raise SettingsError(f"mail.password_env names {given.password_env}, which is not in the environment")
    password = environ[given.password_env] if given.password_env else given.password
    if bool(password) != bool(given.user):
        raise SettingsError("mail.user and mail.password belong together: set both or neither")
    return password
