"""The list `[[profiles]]`, with the options and choices of each profile."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields
from datetime import time, timedelta
from pathlib import PurePosixPath
from typing import Any

from hubless.domain.errors import OptionRefusedError
from hubless.domain.idleness import IdlePolicy
from hubless.domain.profile_options import (
    MAX_FILE,
    VALUE,
    Access,
    Changes,
    Choice,
    ChoiceOption,
    Chosen,
    FileOption,
    NumberOption,
    Option,
    PerValue,
    SwitchOption,
    TextOption,
    Unlisted,
)
from hubless.domain.profiles import PROFILE, Profile
from hubless.domain.schedules import Schedule
from hubless.domain.spares import MOST, MOST_OF_A_PROFILE, Warmth
from hubless.domain.values import value
from hubless.domain.wall_times import zone_of
from hubless.settings.reading import named, read_section
from hubless.settings.schedules import CLOCK, SOME_DAYS
from hubless.settings.types import (
    COMMAND,
    CPUS,
    FLAG,
    LIMIT,
    NAME,
    SIZE,
    TABLE,
    TEXT,
    TEXT_TABLE,
    TEXTS,
    USER_NAMES,
    ZONE,
    SettingsError,
    SettingType,
    choice,
    count,
    setting,
)

KINDS = ("choice", "number", "text", "switch", "file")
_OPTION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".svg")
_MAX_TEXT = 1024  # characters of a text option
_LARGEST = 2.0**53  # up to here each whole number is exact


def _amount(given: Any) -> str | float | None:
    """Return an amount that may hold `{value}`; `_as_amount` makes a number of it."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        raise TypeError
    return given


def _number(given: Any) -> float | None:
    if given == "":
        return None
    if isinstance(given, bool) or not isinstance(given, int | float):
        raise TypeError
    if not -_LARGEST <= given <= _LARGEST:
        raise ValueError
    return float(given)


def _price(given: Any) -> float | None:
    number = _number(given)
    if number is not None and number < 0:
        raise ValueError
    return number


def _tables(given: Any) -> tuple[dict[str, Any], ...]:
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise TypeError
    return tuple(given)


def _picture(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError
    path = PurePosixPath(given)
    if given and (not given.lower().endswith(_PICTURES) or path.is_absolute() or ".." in path.parts):
        raise ValueError
    return given


def _any(given: Any) -> Any:
    if not isinstance(given, str | int | float | bool):
        raise TypeError
    return given


NUMBER = SettingType('a number, or "" for none', _number)
PRICE = SettingType('a price such as 0.25, or "" for none', _price)
TABLES = SettingType("a list of tables", _tables)
PICTURE = SettingType(f'a file at or below the settings\' folder that ends in {", ".join(_PICTURES)}, or ""', _picture)
ANY = SettingType("a string, a number, true or false", _any)
SIZE_OR_VALUE = SettingType('a size such as "2G", or "{value}G" for an option that is a number', _amount)
NUMBER_OR_VALUE = SettingType('a number, or "{value}" or "0.05 * {value}" for an option that is a number', _amount)


@value
class ProfileSettings:
    """One of `[[profiles]]`: a kind of server that users can start. Without any, there is one, `default`."""

    name: str = setting(None, NAME, "The profile's name in `user_options` of the API")
    display_name: str = setting("", TEXT, "The profile's name on the spawn page; empty for `name`")
    description: str = setting("", TEXT, "Some sentences for the spawn page, in Markdown")
    picture: str = setting("", PICTURE, "A picture for the spawn page; at most 200 kB")
    default: bool = setting(False, FLAG, "Whether the profile is chosen at first; otherwise the first of the list is")
    groups: tuple[str, ...] = setting(
        [], TEXTS, "Groups whose members may choose it; empty, without `users` too: everybody"
    )
    users: tuple[str, ...] = setting([], USER_NAMES, "Users who may choose it, beside the members of `groups`")
    command: tuple[str, ...] = setting(["jupyterhub-singleuser"], COMMAND, "The server's program")
    args: tuple[str, ...] = setting([], TEXTS, "More arguments of the program")
    environment: Mapping[str, str] = setting({}, TEXT_TABLE, "More environment variables of the server")
    default_url: str = setting("/lab", TEXT, "The page at which the server opens")
    image: str = setting("", TEXT, "The server's container image, on ECS; empty for the hub's default")
    memory: int | None = setting("", SIZE, "Memory that the server may use; what uses more is ended")
    cpus: float | None = setting(0, CPUS, "CPUs that the server may use")
    gpus: int = setting(0, count(0, 64), "GPUs that the server needs; a start is refused where there are fewer")
    storage: int | None = setting("", SIZE, 'Disk of the container itself, on ECS: from "21G" to "200G"')
    price_per_hour: float | None = setting("", PRICE, "What an hour costs, in `hub.currency`; the spawn page shows it")
    idle_after: timedelta | None = setting("", LIMIT, "As in `[culling]`, for servers of this profile")
    max_age: timedelta | None = setting("", LIMIT, "As in `[culling]`, for servers of this profile")
    warm: int = setting(
        0, count(0, MOST_OF_A_PROFILE), "In AWS without `homes`: how many tasks wait with the image pulled; see below"
    )
    warm_hours: Mapping[str, Any] = setting(
        {}, TABLE, "When they wait: `days`, `begins`, `ends` and `timezone`, as in `[[schedules]]`; without it always"
    )
    options: tuple[Mapping[str, Any], ...] = setting([], TABLES, "What users choose beyond the profile; see below")


@value
class WarmHoursSettings:
    """`profiles.warm_hours`: when tasks of a profile wait for launches."""

    days: frozenset[int] = setting(None, SOME_DAYS, "")
    begins: time = setting(None, CLOCK, "")
    ends: time = setting(None, CLOCK, "")
    timezone: str = setting(None, ZONE, "")


@value
class OptionSettings:
    """One of `[[profiles.options]]`: something that users choose beyond the profile."""

    name: str = setting(None, NAME, "The option's name in `user_options`")
    kind: str = setting("choice", choice(*KINDS), "What users do: choose, give a number or a text, switch, or upload")
    display_name: str = setting("", TEXT, "The option's name on the spawn page; empty for `name`")
    description: str = setting("", TEXT, "A sentence for the spawn page")
    default: Any = setting("", ANY, "What counts if the user chooses nothing; for a choice, its name")
    required: bool = setting(False, FLAG, "Whether a text or a file must be given")
    minimum: float | None = setting("", NUMBER, "The smallest number")
    maximum: float | None = setting("", NUMBER, "The largest number")
    step: float | None = setting(1, NUMBER, "The step between numbers, from `minimum` on")
    unit: str = setting("", TEXT, "The number's unit, for people")
    pattern: str = setting("", TEXT, "The regular expression that a text must match as a whole")
    max_length: int = setting(255, count(1, _MAX_TEXT), "Characters of a text")
    accept: str = setting("", TEXT, "Files that the browser offers, such as `.txt,.csv`")
    max_bytes: int = setting(MAX_FILE, count(1, MAX_FILE), "Size of a file, in bytes")
    choices: tuple[Mapping[str, Any], ...] = setting([], TABLES, "The choices; see below")
    unlisted: Mapping[str, Any] = setting(
        {}, TABLE, "A text that users may give instead of a choice: `display_name`, `pattern`, `max_length`, changes"
    )
    image: str = setting("", TEXT, "What the option changes, as in the profile; `{value}` is what the user chose")
    command: tuple[str, ...] = setting([], TEXTS, "The same: replaces the profile's command")
    args: tuple[str, ...] = setting([], TEXTS, "The same: comes after the profile's arguments")
    environment: Mapping[str, str] = setting({}, TEXT_TABLE, "The same: more variables; a file's `{value}` is Base64")
    default_url: str = setting("", TEXT, "The same")
    memory: Any = setting("", SIZE_OR_VALUE, "The same")
    cpus: Any = setting("", NUMBER_OR_VALUE, "The same")
    gpus: Any = setting("", NUMBER_OR_VALUE, "The same")
    storage: Any = setting("", SIZE_OR_VALUE, "The same")
    price_per_hour: Any = setting("", NUMBER_OR_VALUE, "The same")


@value
class ChoiceSettings:
    """One of `[[profiles.options.choices]]`."""

    name: str = setting(None, NAME, "The choice's name in `user_options`")
    display_name: str = setting("", TEXT, "The choice's name on the spawn page; empty for `name`")
    description: str = setting("", TEXT, "A sentence for the spawn page")
    groups: tuple[str, ...] = setting(
        [], TEXTS, "Groups whose members may choose it; empty, without `users` too: everybody"
    )
    users: tuple[str, ...] = setting([], USER_NAMES, "Users who may choose it, beside the members of `groups`")
    image: str = setting("", TEXT, "What the choice changes, as in the profile")
    command: tuple[str, ...] = setting([], TEXTS, "The same: replaces the profile's command")
    args: tuple[str, ...] = setting([], TEXTS, "The same: comes after the profile's arguments")
    environment: Mapping[str, str] = setting({}, TEXT_TABLE, "The same: more variables")
    default_url: str = setting("", TEXT, "The same")
    memory: Any = setting("", SIZE_OR_VALUE, "The same")
    cpus: Any = setting("", NUMBER_OR_VALUE, "The same")
    gpus: Any = setting("", NUMBER_OR_VALUE, "The same")
    storage: Any = setting("", SIZE_OR_VALUE, "The same")
    price_per_hour: Any = setting("", NUMBER_OR_VALUE, "The same")


@value
class UnlistedSettings:
    """`profiles.options.unlisted`: a text instead of a choice."""

    display_name: str = setting("", TEXT, "")
    pattern: str = setting("", TEXT, "")
    max_length: int = setting(255, count(1, _MAX_TEXT), "")
    image: str = setting("", TEXT, "")
    environment: Mapping[str, str] = setting({}, TEXT_TABLE, "")
    default_url: str = setting("", TEXT, "")


_AMOUNTS = ("memory", "cpus", "gpus", "storage", "price_per_hour")
_CHANGES = ("image", "command", "args", "environment", "default_url", *_AMOUNTS)
_DEFAULTS = {f.name: f.metadata["kind"].read(f.metadata["default"]) for f in fields(OptionSettings) if f.name != "name"}
_ONLY_FOR: Mapping[str, tuple[str, ...]] = {
    "choices": ("choice",),
    "unlisted": ("choice",),
    "minimum": ("number",),
    "maximum": ("number",),
    "step": ("number",),
    "unit": ("number",),
    "pattern": ("text",),
    "max_length": ("text",),
    "required": ("text", "file"),
    "accept": ("file",),
    "max_bytes": ("file",),
}


def profiles_of(given: tuple[ProfileSettings, ...], shared: Mapping[str, str]) -> tuple[Profile, ...]:
    """Return the profiles; *shared* are the environment variables of every server.

    Raises:
        SettingsError: naming the key that is wrong, or has no effect.
    """
    if sum(one.default for one in given) > 1:
        raise SettingsError("profiles: only one profile can have default = true")
    if sum(one.warm for one in given) > MOST:
        raise SettingsError(f"profiles: the sum of warm is larger than {MOST}")
    return tuple(_profile(one, shared) for one in given) or (Profile("default", environment=dict(shared)),)


def require_no_spares(profiles: Iterable[Profile], why: str) -> None:
    """Refuse `warm` where no task can wait for a launch.

    Raises:
        SettingsError: naming the profile, with the reason *why*.
    """
    for profile in profiles:
        if profile.warmth.count:
            raise SettingsError(f"profiles.{profile.name}.warm must be 0: {why}")


ON_ONE_MACHINE = (
    "on one machine servers are forked from a process that has their packages loaded, and no task waits. Remove it"
)
WITH_HOMES = (
    "the stage has homes, and the definition of a task names one user's home, so no task can wait for whoever comes."
    " Set stages.NAME.homes to false, or remove warm"
)


def _profile(given: ProfileSettings, shared: Mapping[str, str]) -> Profile:
    where = f"profiles.{given.name}.options"
    options = tuple(_option(one, f"{where}.{one.name}") for one in named(OptionSettings, list(given.options), where))
    return Profile(
        name=given.name,
        display_name=given.display_name or given.name,
        description=given.description,
        command=given.command,
        args=given.args,
        environment={**shared, **given.environment},
        default_url=given.default_url,
        image=given.image,
        memory_bytes=given.memory,
        cpus=given.cpus,
        idle_policy=IdlePolicy(idle_after=given.idle_after, max_age=given.max_age),
        gpus=given.gpus,
        storage_bytes=given.storage,
        price_per_hour=given.price_per_hour,
        picture=given.picture,
        is_default=given.default,
        access=Access(given.groups, given.users),
        options=options,
        warmth=_warmth(given),
    )


def _warmth(given: ProfileSettings) -> Warmth:
    where = f"profiles.{given.name}.warm_hours"
    if not given.warm_hours:
        return Warmth(given.warm)
    if not given.warm:
        raise SettingsError(f"{where} has an effect only if warm is larger than 0")
    hours = read_section(WarmHoursSettings, dict(given.warm_hours), where)
    if hours.ends <= hours.begins:
        raise SettingsError(f"{where}.ends must be later than begins, on the same day")
    zone = zone_of(hours.timezone)
    return Warmth(given.warm, Schedule(given.name, hours.days, hours.begins, hours.ends, zone, groups=()))


def _option(given: OptionSettings, where: str) -> Option:
    if not _OPTION_NAME.fullmatch(given.name) or given.name == PROFILE:
        raise SettingsError(f"{where}.name must be 1 to 64 letters, digits, `.`, `_` or `-`, and not `{PROFILE}`")
    for key, kinds in _ONLY_FOR.items():
        if getattr(given, key) != _DEFAULTS[key] and given.kind not in kinds:
            raise SettingsError(f'{where}.{key} has an effect only if kind is "{kinds[0]}": remove it')
    match given.kind:
        case "choice":
            return _choice_option(given, where)
        case "number":
            return _number_option(given, where)
        case "text":
            return _text_option(given, where)
        case "switch":
            return SwitchOption(
                given.name,
                given.display_name,
                given.description,
                default=_default(given, where, bool, default=False),
                changes=_changes(given, where),
            )
        case _:
            _default(given, where, (), default=None)
            return FileOption(
                given.name,
                given.display_name,
                given.description,
                given.accept,
                given.max_bytes,
                given.required,
                _changes(given, where, has_value=True),
            )


def _choice_option(given: OptionSettings, where: str) -> ChoiceOption:
    for key in _CHANGES:
        if getattr(given, key) != _DEFAULTS[key]:
            raise SettingsError(f"{where}.{key} has no effect, because each choice has its own: move it there")
    read = named(ChoiceSettings, list(given.choices), f"{where}.choices")
    if not read:
        raise SettingsError(f"{where}.choices is missing: a choice needs at least one")
    default = _default(given, where, str, default="")
    if default and default not in {one.name for one in read}:
        raise SettingsError(f'{where}.default is "{default}", which is none of the choices')
    choices = tuple(
        Choice(
            one.name,
            one.display_name,
            one.description,
            one.name == default,
            Access(one.groups, one.users),
            _changes(one, f"{where}.choices.{one.name}"),
        )
        for one in read
    )
    return ChoiceOption(given.name, choices, given.display_name, given.description, _unlisted(given.unlisted, where))


def _unlisted(table: Mapping[str, Any], where: str) -> Unlisted | None:
    if not table:
        return None
    here = f"{where}.unlisted"
    given = read_section(UnlistedSettings, dict(table), here)
    if not given.pattern:
        raise SettingsError(f"{here}.pattern is missing: it says which texts are allowed")
    changes = Changes(image=given.image, environment=given.environment, default_url=given.default_url)
    return Unlisted(given.display_name, _pattern(given.pattern, here), changes, given.max_length)


def _number_option(given: OptionSettings, where: str) -> NumberOption:
    if given.minimum is None or given.maximum is None:
        raise SettingsError(f"{where} needs a minimum and a maximum")
    if given.minimum > given.maximum:
        raise SettingsError(f"{where}.minimum is larger than its maximum")
    if not given.step or given.step < 0:
        raise SettingsError(f"{where}.step must be larger than 0")
    for key in _AMOUNTS:
        if VALUE in str(getattr(given, key)) and given.minimum <= 0:
            raise SettingsError(f"{where}.minimum must be larger than 0, because {key} depends on it")
    default = float(_default(given, where, (int, float), default=given.minimum))
    option = NumberOption(
        given.name,
        given.minimum,
        given.maximum,
        default,
        given.display_name,
        given.description,
        given.step,
        given.unit,
        _changes(given, where, has_value=True, is_number=True),
    )
    _check_default(option, default, f"{where}.default")
    return option


def _text_option(given: OptionSettings, where: str) -> TextOption:
    if VALUE in given.image and not given.pattern:
        raise SettingsError(f"{where}.pattern is missing: without it users may start any image")
    option = TextOption(
        given.name,
        given.display_name,
        given.description,
        _default(given, where, str, default=""),
        _pattern(given.pattern, where),
        given.max_length,
        given.required,
        _changes(given, where, has_value=True),
    )
    if option.default:
        _check_default(option, option.default, f"{where}.default")
    return option


def _check_default(option: NumberOption | TextOption, default: Any, where: str) -> None:
    try:
        option.apply(Chosen(Profile("")), {option.name: default}, None)
    except OptionRefusedError as refused:
        raise SettingsError(f"{where} is not allowed: {refused}") from None


def _default(given: OptionSettings, where: str, kinds: Any, *, default: Any) -> Any:
    if given.default == "" and not isinstance(given.default, bool):
        return default
    if not isinstance(given.default, kinds) or (isinstance(given.default, bool) and kinds is not bool):
        raise SettingsError(f"{where}.default does not fit to an option of the kind {given.kind}")
    return given.default


def _pattern(given: str, where: str) -> str:
    try:
        re.compile(given)
    except re.error as error:
        raise SettingsError(f"{where}.pattern is no regular expression: {error}") from None
    return given


def _changes(
    given: OptionSettings | ChoiceSettings, where: str, *, has_value: bool = False, is_number: bool = False
) -> Changes:
    texts = {"image": given.image, "default_url": given.default_url}
    texts |= {f"environment.{name}": text for name, text in given.environment.items()}
    for key, text in texts.items():
        if VALUE in text and not has_value:
            raise SettingsError(f"{where}.{key} has {VALUE}, but there is no value that the user gives here")
    return Changes(
        image=given.image,
        command=given.command,
        args=given.args,
        environment=given.environment,
        default_url=given.default_url,
        memory_bytes=_as_amount(given.memory, SIZE, f"{where}.memory", is_number=is_number),
        cpus=_as_amount(given.cpus, CPUS, f"{where}.cpus", is_number=is_number),
        gpus=_as_amount(given.gpus, CPUS, f"{where}.gpus", is_number=is_number),
        storage_bytes=_as_amount(given.storage, SIZE, f"{where}.storage", is_number=is_number),
        price_per_hour=_as_amount(given.price_per_hour, PRICE, f"{where}.price_per_hour", is_number=is_number),
    )


def _as_amount(given: Any, kind: SettingType, where: str, *, is_number: bool) -> float | PerValue | None:
    """Return *given* as an amount for each one of the user's number.

    `{value}G` stands for as many times 1G as the number says, `0.05 * {value}` for as many times 0.05.
    """
    if given == "":
        return None
    if isinstance(given, str) and VALUE in given:
        if not is_number:
            raise SettingsError(f"{where} has {VALUE}, but the option is no number")
        one = given.replace(VALUE, "1") if kind is SIZE else _factor(given, where)
        return PerValue(float(kind.value(one, where) or 0))
    return kind.value(given, where) or None


def _factor(text: str, where: str) -> float:
    """Return what one of the user's number stands for: 1 if *text* is `{value}` alone."""
    parts = [one.strip() for one in text.split("*")]
    others = [one for one in parts if one != VALUE] or ["1"]
    try:
        (factor,) = map(float, others)
    except ValueError:
        factor = None
    if factor is None or parts.count(VALUE) != 1:
        raise SettingsError(f'{where} must be a number, {VALUE}, or a number times it, such as "0.05 * {VALUE}"')
    return factor
