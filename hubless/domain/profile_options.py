"""Options of profiles: what users choose beyond the profile, and what each choice changes of their servers.

The semantics are those of KubeSpawner 7's `profile_list`: `user_options` hold `{"profile": name, option: choice}`, and
`option--unlisted-choice` holds a text that none of the choices is.
"""

import base64
import binascii
import math
import re
from collections.abc import Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any, Final

from hubless.domain.errors import OptionRefusedError
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value

if TYPE_CHECKING:
    from hubless.domain.profiles import Profile

VALUE: Final = "{value}"  # stands for what the user chose, in texts of changes
UNLISTED: Final = "--unlisted-choice"  # KubeSpawner's end of the key of a text that no choice has
MAX_FILE: Final = 8192  # bytes: as Base64 it fits into a server's options
MAX_FILE_NAME: Final = 255
_ON, _OFF = frozenset({"true", "on", "yes", "1"}), frozenset({"false", "off", "no", "0", ""})
_STEPS_OFF: Final = 1e-9  # by which a number may miss its step: 0.1 has no exact form


@value
class Access:
    """Who may choose: members of *groups* and *users*; everybody if both are empty."""

    groups: tuple[str, ...] = ()
    users: tuple[str, ...] = ()

    def allows(self, owner: User | None) -> bool:
        """Say whether *owner* may choose; None is not asked for."""
        if owner is None or not (self.groups or self.users):
            return True
        return owner.name in self.users or not set(self.groups).isdisjoint(owner.groups)


@value
class PerValue:
    """An amount that a number decides: *factor* for each one of it."""

    factor: float


@value
class Changes:
    """What a choice changes of a server; what is empty or None stays as the profile has it.

    `{value}` in *image*, *default_url* and *environment* stands for what the user chose.
    """

    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()  # after those of the profile
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)
    default_url: str = ""
    memory_bytes: float | PerValue | None = None
    cpus: float | PerValue | None = None
    gpus: float | PerValue | None = None
    storage_bytes: float | PerValue | None = None
    price_per_hour: float | PerValue | None = None

    def on(self, before: "Profile", text: str = "", number: float = 0) -> "Profile":
        """Return the profile *before* with these changes; *text* and *number* are what the user chose."""

        def amount(changed: float | PerValue | None, unchanged: float | None) -> float | None:
            if changed is None:
                return unchanged
            return changed.factor * number if isinstance(changed, PerValue) else changed

        memory, storage = (
            amount(self.memory_bytes, before.memory_bytes),
            amount(self.storage_bytes, before.storage_bytes),
        )
        return replace(
            before,
            image=self.image.replace(VALUE, text) or before.image,
            command=self.command or before.command,
            args=(*before.args, *self.args),
            default_url=self.default_url.replace(VALUE, text) or before.default_url,
            memory_bytes=None if memory is None else int(memory),
            cpus=amount(self.cpus, before.cpus),
            gpus=int(amount(self.gpus, before.gpus) or 0),
            storage_bytes=None if storage is None else int(storage),
            price_per_hour=amount(self.price_per_hour, before.price_per_hour),
        )

    def variables(self, text: str) -> dict[str, str]:
        """Return the environment variables, in which *text* is what the user chose."""
        return {name: given.replace(VALUE, text) for name, given in self.environment.items()}


@value
class Chosen:
    """What a user chose: the changed *profile*, and *variables* of this server alone.

    The variables stand apart because a task definition is shared by all who chose the same.
    """

    profile: "Profile"
    variables: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)

    def with_changes(self, changes: Changes, text: str = "", number: float = 0) -> "Chosen":
        """Return this with *changes*."""
        return Chosen(changes.on(self.profile, text, number), {**self.variables, **changes.variables(text)})

    def without_doubles(self) -> "Chosen":
        """Return this without the profile's own variables of the same names: what the user chose is stronger."""
        kept = {name: text for name, text in self.profile.environment.items() if name not in self.variables}
        return (
            self
            if len(kept) == len(self.profile.environment)
            else Chosen(replace(self.profile, environment=kept), self.variables)
        )


@value
class Choice:
    """One of the choices of an option."""

    name: str
    display_name: str = ""
    description: str = ""
    is_default: bool = False
    access: Access = field(default_factory=Access)
    changes: Changes = field(default_factory=Changes)


@value
class Unlisted:
    """A text that users may give instead of a choice; it must match *pattern* as a whole."""

    display_name: str
    pattern: str
    changes: Changes
    max_length: int = 255


@value
class ChoiceOption:
    """An option with a list of choices."""

    name: str
    choices: tuple[Choice, ...]
    display_name: str = ""
    description: str = ""
    unlisted: Unlisted | None = None

    def offered(self, owner: User | None) -> list[Choice]:
        """Return the choices that *owner* has."""
        return [choice for choice in self.choices if choice.access.allows(owner)]

    def default(self, owner: User | None) -> Choice | None:
        """Return what counts if the owner chooses nothing."""
        offered = self.offered(owner)
        return next((choice for choice in offered if choice.is_default), offered[0] if offered else None)

    def apply(self, chosen: Chosen, options: Mapping[str, Any], owner: User | None) -> Chosen:
        """Return *chosen* with what *options* say about this option.

        Raises:
            OptionRefusedError: when there is no such choice for the owner, or the text is not allowed.
        """
        text = options.get(self.name + UNLISTED)
        if self.unlisted is not None and not is_missing(text):
            changes, shown = self.unlisted.changes, self.unlisted.display_name or self.name
            text = checked_text(self.name, shown, text, self.unlisted.pattern, self.unlisted.max_length)
            return chosen.with_changes(changes, text)
        wanted, offered = options.get(self.name), {choice.name: choice for choice in self.offered(owner)}
        if is_missing(wanted):
            default = self.default(owner)
            return chosen.with_changes(default.changes, default.name) if default else chosen
        if not isinstance(wanted, str) or wanted not in offered:
            shown, given = self.display_name or self.name, _short(wanted)
            raise OptionRefusedError(
                self.name,
                _("%(option)s cannot be %(given)s: choose one of %(names)s", option=shown, given=given, names=names)
                if (names := ", ".join(offered))
                else _("%(option)s cannot be %(given)s: choose another profile", option=shown, given=given),
            )
        return chosen.with_changes(offered[wanted].changes, wanted)


@value
class NumberOption:
    """An option that is a number with bounds."""

    name: str
    minimum: float
    maximum: float
    default: float
    display_name: str = ""
    description: str = ""
    step: float = 1
    unit: str = ""  # for people
    changes: Changes = field(default_factory=Changes)

    def apply(self, chosen: Chosen, options: Mapping[str, Any], owner: User | None) -> Chosen:  # noqa: ARG002 as the others
        """Return *chosen* with what *options* say about this option.

        Raises:
            OptionRefusedError: when the number is out of bounds or none.
        """
        given = options.get(self.name)
        number = self.default if is_missing(given) else self._number(given)
        return chosen.with_changes(self.changes, number_text(number), number)

    def _number(self, given: Any) -> float:
        number = _as_number(given)
        steps = (number - self.minimum) / self.step
        if not self.minimum <= number <= self.maximum or abs(steps - round(steps)) > _STEPS_OFF * max(1, abs(steps)):
            raise OptionRefusedError(self.name, self._bounds(_short(given)))
        return number

    def _bounds(self, given: str) -> Message:
        shown, least, most = self.display_name or self.name, number_text(self.minimum), number_text(self.maximum)
        if self.step == 1:
            return _(
                "%(option)s cannot be %(given)s: it must be a number from %(least)s to %(most)s",
                option=shown,
                given=given,
                least=least,
                most=most,
            )
        return _(
            "%(option)s cannot be %(given)s: it must be a number from %(least)s to %(most)s in steps of %(step)s",
            option=shown,
            given=given,
            least=least,
            most=most,
            step=number_text(self.step),
        )


@value
class TextOption:
    """An option that is a line of text."""

    name: str
    display_name: str = ""
    description: str = ""
    default: str = ""
    pattern: str = ""  # empty for any text
    max_length: int = 255
    is_required: bool = False
    changes: Changes = field(default_factory=Changes)

    def apply(self, chosen: Chosen, options: Mapping[str, Any], owner: User | None) -> Chosen:  # noqa: ARG002 as the others
        """Return *chosen* with what *options* say about this option; without a text nothing changes.

        Raises:
            OptionRefusedError: when the text is missing or not allowed.
        """
        given = options.get(self.name)
        shown = self.display_name or self.name
        text = self.default
        if not is_missing(given):
            text = checked_text(self.name, shown, given, self.pattern, self.max_length)
        if not text and self.is_required:
            raise OptionRefusedError(self.name, _("%(option)s is missing: type a text", option=shown))
        return chosen.with_changes(self.changes, text) if text else chosen


@value
class SwitchOption:
    """An option that is on or off; *changes* are made if it is on."""

    name: str
    display_name: str = ""
    description: str = ""
    default: bool = False
    changes: Changes = field(default_factory=Changes)

    def apply(self, chosen: Chosen, options: Mapping[str, Any], owner: User | None) -> Chosen:  # noqa: ARG002 as the others
        """Return *chosen* with what *options* say about this option.

        Raises:
            OptionRefusedError: when the value is neither on nor off.
        """
        return chosen.with_changes(self.changes, "true") if self.is_on(options) else chosen

    def is_on(self, options: Mapping[str, Any]) -> bool:
        """Say whether *options* have it on."""
        given = options.get(self.name)
        if given is None:
            return self.default
        # A form has a hidden field before its box, so that a box without its mark says "off".
        given = given[-1] if isinstance(given, list) and given else given
        text = str(given).lower() if isinstance(given, bool | str) else ""
        if text not in _ON | _OFF or not isinstance(given, bool | str):
            raise OptionRefusedError(
                self.name, _("%(option)s must be on or off", option=self.display_name or self.name)
            )
        return text in _ON


@value
class FileOption:
    """An option that is a small file; `{value}` is its content as Base64 without padding, as ECS can pass it on.

    In `user_options` it is `{"name": text, "content": Base64}`.
    """

    name: str
    display_name: str = ""
    description: str = ""
    accept: str = ""  # as HTML's `accept` has it
    max_bytes: int = MAX_FILE
    is_required: bool = False
    changes: Changes = field(default_factory=Changes)

    def apply(self, chosen: Chosen, options: Mapping[str, Any], owner: User | None) -> Chosen:  # noqa: ARG002 as the others
        """Return *chosen* with what *options* say about this option; without a file nothing changes.

        Raises:
            OptionRefusedError: when the file is missing, too large or not in the form above.
        """
        given, shown = options.get(self.name), self.display_name or self.name
        if given in (None, "", {}):
            if self.is_required:
                raise OptionRefusedError(self.name, _("%(option)s is missing: choose a file", option=shown))
            return chosen
        content = given.get("content") if isinstance(given, Mapping) else None
        name = given.get("name", "") if isinstance(given, Mapping) else ""
        if not isinstance(content, str) or not isinstance(name, str) or len(name) > MAX_FILE_NAME:
            raise OptionRefusedError(
                self.name, _('%(option)s must be {"name": …, "content": …} with Base64 as content', option=shown)
            )
        try:
            size = len(base64.b64decode(content[: 2 * MAX_FILE], validate=True))
        except (binascii.Error, ValueError):
            raise OptionRefusedError(self.name, _("The content of %(option)s must be Base64", option=shown)) from None
        if size > self.max_bytes or len(content) > 2 * MAX_FILE:
            raise self.too_large()
        return chosen.with_changes(self.changes, content.rstrip("="))

    def too_large(self) -> OptionRefusedError:
        """Return the error of a file with more bytes than it may have."""
        shown = self.display_name or self.name
        return OptionRefusedError(
            self.name, _("%(option)s is too large: at most %(count)s bytes", option=shown, count=self.max_bytes)
        )


Option = ChoiceOption | NumberOption | TextOption | SwitchOption | FileOption


def is_missing(given: Any) -> bool:
    """Say whether *given* is no value: a form sends "" for a field that nobody filled in."""
    return given is None or given == ""


def checked_text(option: str, shown: str, given: Any, pattern: str, max_length: int) -> str:
    """Return *given* if it is one line of at most *max_length* characters that matches *pattern*.

    Raises:
        OptionRefusedError: when it is not.
    """
    if not isinstance(given, str) or len(given) > max_length:
        why = _("%(option)s must be a text of at most %(count)s characters", option=shown, count=max_length)
    elif not given.isprintable():
        why = _("%(option)s must be one line without control characters", option=shown)
    elif pattern and not re.fullmatch(pattern, given):
        facts = {"option": shown, "given": _short(given), "pattern": pattern}
        why = _("%(option)s cannot be %(given)s: it must match %(pattern)s", **facts)
    else:
        return given
    raise OptionRefusedError(option, why)


def number_text(number: float) -> str:
    """Return *number* as people write it: `4` and not `4.0`."""
    return f"{number:.12g}"


def _as_number(given: Any) -> float:
    """Return *given* as a number; one that is within no bounds if it is none."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return math.nan
    try:
        return float(given[:40]) if isinstance(given, str) else float(given)
    except (ValueError, OverflowError):
        return math.nan


def _short(given: Any) -> str:
    return repr(given)[:60] if isinstance(given, str | int | float) else "that"
