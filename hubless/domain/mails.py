"""Mails of the hub, and the e-mail addresses that it takes."""

import re
from typing import Final

from hubless.domain.errors import InvalidRequestError
from hubless.domain.values import value

MAX_ADDRESS: Final = 254  # RFC 5321 4.5.3.1.3: a path has 256 octets, two of which are brackets
_MAX_LOCAL: Final = 64  # RFC 5321 4.5.3.1.1
# A dot-atom and a host name (RFC 5322 3.2.3, RFC 1123 2.1): no quotes, comments, blanks or lists, and nothing but
# ASCII, which every mail server takes.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")


@value
class Mail:
    """A mail in plain text to one address."""

    to: str
    subject: str
    text: str


def check_address(typed: str) -> str:
    """Return the e-mail address that a person typed, without blanks around it and with its host in lower case.

    Raises:
        InvalidRequestError: when no mail can be sent there.
    """
    text = typed.strip() if len(typed) <= 2 * MAX_ADDRESS else typed[: 2 * MAX_ADDRESS]
    local, at, host = text.rpartition("@")
    labels = host.split(".")
    is_possible = (
        at
        and len(text) <= MAX_ADDRESS
        and len(local) <= _MAX_LOCAL
        and _LOCAL.fullmatch(local)
        and all(map(_LABEL.fullmatch, labels))
    )
    if not is_possible:
        raise InvalidRequestError("This is no e-mail address of the form name@example.org")
    return f"{local}@{host.lower()}"


def folded(address: str) -> str:
    """Return what is the same for all spellings of an address that people take for one: its lower case.

    A server may tell upper and lower case of the local part apart (RFC 5321 2.4); none that people use does.
    """
    return address.lower()


def host_of(address: str) -> str:
    """Return the host of a checked address."""
    return address.rpartition("@")[2]
