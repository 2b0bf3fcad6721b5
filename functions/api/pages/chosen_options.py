"""What a server's owner chose at its last start, for people."""

from collections.abc import Mapping
from typing import Any

from hubless.domain.errors import OptionRefusedError
from hubless.domain.profile_options import (
    UNLISTED,
    ChoiceOption,
    FileOption,
    NumberOption,
    Option,
    SwitchOption,
    is_missing,
)
from hubless.domain.profiles import Profile

LONGEST = 60  # characters of one choice


def chosen_in_words(profile: Profile, options: Mapping[str, Any]) -> list[str]:
    """Return one text for each option of *profile* that *options*, a server's `user_options`, have a value for.

    Options may be older than the profile: what no longer fits is left out.
    """
    return [text for option in profile.options if (text := _in_words(option, options))]


def _in_words(option: Option, options: Mapping[str, Any]) -> str:
    shown, given = option.display_name or option.name, options.get(option.name)
    if isinstance(option, SwitchOption):
        return shown if _is_on(option, options) else ""
    if isinstance(option, ChoiceOption):
        if option.unlisted is not None and not is_missing(text := options.get(option.name + UNLISTED)):
            return _named(option.unlisted.display_name or shown, text)
        found = next((choice for choice in option.choices if choice.name == given), None)
        return _named(shown, found.display_name or found.name) if found else ""
    if isinstance(option, FileOption):
        given = given.get("name") if isinstance(given, Mapping) else None
    elif isinstance(option, NumberOption) and option.unit and isinstance(given, str | int | float) and given != "":
        given = f"{given} {option.unit}"
    return "" if is_missing(given) else _named(shown, given)


def _is_on(option: SwitchOption, options: Mapping[str, Any]) -> bool:
    try:
        return option.is_on(options)
    except OptionRefusedError:
        return False


def _named(shown: str, given: Any) -> str:
    text = str(given) if isinstance(given, str | int | float) else ""
    if not text:
        return ""
    return f"{shown}: {text if len(text) <= LONGEST else text[: LONGEST - 1] + '…'}"
