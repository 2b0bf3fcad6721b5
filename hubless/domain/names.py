"""The rules for names of users, groups and servers, and the one normaliser for names of users.

JupyterHub 6.1's rules: no slash, no spaces at the ends, not only dots, lower case at login. In addition: no control
characters and none that change the reading direction, which JupyterHub allows. A new name has no hidden characters, no
piles of marks, and no mixture of scripts whose letters look alike. Users who had such a name before keep it.
"""

import re
import unicodedata
from functools import lru_cache
from urllib.parse import quote, unquote

from hubless.domain import characters
from hubless.domain.bounds import MAX_DISPLAY_NAME, MAX_SKELETON, MAX_TYPED_NAME, MAX_USER_NAME
from hubless.domain.errors import InvalidRequestError
from hubless.domain.translatable import gettext as _

_BETWEEN_NAMES = re.compile(r"[\n\r,;\t]")
_HUB = re.compile(r"[a-z](?:[a-z0-9]|-(?=[a-z0-9])){0,31}")
_SERVER_NAME = re.compile(r"[a-z](?:[a-z0-9]|-(?!-)){0,28}[a-z0-9]|[a-z]")


def normalise_user_name(name: str) -> str:
    """Return the form in which the hub stores *name* and looks it up at login: NFKC, lower case.

    NFKC makes one of letters that differ in width or font only (Unicode Standard Annex 15).
    A text of more than `MAX_TYPED_NAME` characters stays as it is: it is nobody's name, and to compose it would take
    minutes.
    """
    if len(name) > MAX_TYPED_NAME:
        return name
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).lower())


def typed_user_name(typed: str) -> str:
    """Return the name that somebody means who typed or pasted this: without blanks around it, and normalised."""
    return normalise_user_name(typed.strip() if len(typed) <= MAX_TYPED_NAME else typed)


def composed_user_name(name: str) -> str:
    """Return *name* as the hub stored it before it composed names by NFKC: NFC, lower case."""
    return name if len(name) > MAX_TYPED_NAME else unicodedata.normalize("NFC", name).lower()


def spellings(typed: str) -> tuple[str, ...]:
    """Return the names that somebody may have who types this: as stored before, as stored now, and as typed."""
    return tuple(dict.fromkeys((composed_user_name(typed), normalise_user_name(typed), typed)))


def is_possible_user_name(name: str) -> bool:
    """Say whether a user may have *name*, who perhaps had it before there were rules about what looks alike."""
    return _fault_of_user_name(name) is None


def check_user_name(name: str) -> str:
    """Return *name* if it is allowed for a new user.

    Raises:
        InvalidRequestError: with the name and the rule that it breaks.
    """
    if why := _fault_of_user_name(name) or (None if name.isascii() else _fault_in_looks(name)):
        raise InvalidRequestError(_("Invalid username: %(name)s %(why)s", name=shown(name), why=why))
    return name


def check_group_name(name: str) -> str:
    """Return *name* if it is allowed for a group.

    Raises:
        InvalidRequestError: with the name and the rule that it breaks.
    """
    if why := _fault_of_user_name(name):  # the same rules, because both appear in paths and in scopes
        raise InvalidRequestError(_("Invalid group name: %(name)s %(why)s", name=shown(name), why=why))
    return name


def check_server_name(name: str) -> str:
    """Return *name* if it is allowed for a named server (JupyterHub 6.0's rule).

    Raises:
        InvalidRequestError: with the rule that it breaks.
    """
    if _SERVER_NAME.fullmatch(name) is None:
        raise InvalidRequestError(
            _(
                "Invalid server name: %(name)s must be 1 to 30 of a-z, 0-9 and single hyphens, start with a"
                " letter and end with a letter or digit",
                name=shown(name),
            )
        )
    return name


def check_display_name(name: str) -> str:
    """Return *name* in NFC if it is allowed as a server's display name.

    Raises:
        InvalidRequestError: with the rule that it breaks.
    """
    normal = unicodedata.normalize("NFC", name) if len(name) <= 4 * MAX_DISPLAY_NAME else name
    if not 1 <= len(normal) <= MAX_DISPLAY_NAME:
        raise InvalidRequestError(
            _(
                "Invalid display name: it must have 1 to %(max_display_name)s characters",
                max_display_name=MAX_DISPLAY_NAME,
            )
        )
    if not normal.isprintable() or normal != " ".join(normal.split(" ")).strip() or "  " in normal:
        raise InvalidRequestError(
            _(
                "Invalid display name: %(normal)s must be printable, without spaces at its ends or double spaces",
                normal=shown(normal),
            )
        )
    return normal


@lru_cache(maxsize=1024)
def url_name(name: str) -> str:
    """Return a user's name as JupyterHub writes it in a URL path: percent-encoded except for `@` and `~`."""
    return quote(name, safe="@~")


def server_prefix(user_name: str, server_name: str) -> str:
    """Return the URL prefix of a server, percent-encoded, with slashes at both ends."""
    return f"/user/{url_name(user_name)}/" + (f"{url_name(server_name)}/" if server_name else "")


def route_prefix(user_name: str, server_name: str) -> str:
    """Return the decoded prefix of a server, with slashes at both ends: the edge compares decoded paths."""
    return f"/user/{user_name}/" + (f"{server_name}/" if server_name else "")


def _fault_of_user_name(name: str) -> str | None:  # noqa: PLR0911 one line a rule reads best
    if not name:
        return "is empty"
    if len(name) > MAX_USER_NAME:
        return f"is longer than {MAX_USER_NAME} characters"
    if "/" in name:
        return "has a slash"
    if name != name.strip():
        return "starts or ends with a space"
    if characters.has_controls(name):
        return "has a control character"
    if characters.changes_direction(name):
        return "has a character that changes the reading direction"
    if not unquote(name).strip("."):
        return "is only dots"
    return None


def _fault_in_looks(name: str) -> str | None:
    from hubless.domain import look_alikes  # noqa: PLC0415 ASCII names, which most are, need no table

    if len(look_alikes.skeleton(name).encode()) > MAX_SKELETON:
        return "is too long: its letters need more room than plain ones"
    if any(map(look_alikes.is_hidden, name)):
        return "has a character that nobody can see"
    if look_alikes.has_piled_marks(name):
        return "repeats a mark, or has too many on one letter"
    if mixed := look_alikes.mixed_scripts(name):
        return f"mixes letters that look alike: {' and '.join(mixed)}"
    return None


def skeleton(name: str) -> str:
    """Return a text that is the same for all names that look like *name*; see `look_alikes`.

    A text of more than `MAX_TYPED_NAME` characters is nobody's name, and stays as it is.
    """
    if name.isascii() or len(name) > MAX_TYPED_NAME:
        return name.lower()
    from hubless.domain import look_alikes  # noqa: PLC0415 as above

    return look_alikes.skeleton(name)


def typed_names(text: str) -> list[str]:
    """Return the names in *text*, each once: one a line, or separated by commas, semicolons or tabs."""
    return list(dict.fromkeys(name for part in _BETWEEN_NAMES.split(text) if (name := part.strip())))


def shown(name: str) -> str:
    """Return *name* in quotes as errors show it: cut, so that they stay short."""
    return repr(name if len(name) <= 60 else name[:60] + "…")  # noqa: PLR2004 errors stay short


def is_hub_name(text: str) -> bool:
    """Say whether *text* is allowed as the name of a hub in AWS: it is part of names in ECS and S3."""
    return _HUB.fullmatch(text) is not None
