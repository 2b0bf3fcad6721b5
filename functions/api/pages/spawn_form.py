"""The form of the spawn page: what it offers, and the options that it sends.

Its fields have KubeSpawner's names, so that scripts which fill in KubeSpawner's form fill in this one too.
"""

import base64
from collections.abc import Collection, Mapping
from typing import Any

from functions.api.auth.visitors import Form
from functions.api.markdown_text import markdown
from hubless.domain.errors import OptionRefusedError
from hubless.domain.limits import Resource
from hubless.domain.profile_options import (
    UNLISTED,
    Changes,
    ChoiceOption,
    FileOption,
    NumberOption,
    Option,
    PerValue,
    SwitchOption,
    TextOption,
    number_text,
)
from hubless.domain.profiles import PROFILE, Profile
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User

OTHER = "unlisted-choice"  # KubeSpawner's value of a choice that stands for a text of the user's own
_SENT = "profile-option-"


def field_name(profile: str, option: str) -> str:
    """Return the form's name of an option."""
    return f"{_SENT}{profile}--{option}"


def profile_views(
    profiles: Mapping[str, Profile],
    options: Mapping[str, Any],
    owner: User,
    *,
    held: Collection[Resource],
    currency: str,
) -> list[dict[str, Any]]:
    """Return what the page shows of *profiles*, with *options* filled in: the last choice, or that of a link."""
    wanted = str(options.get(PROFILE, ""))
    chosen = wanted if wanted in profiles else next(iter(profiles), "")
    views: list[dict[str, Any]] = [
        {
            "name": profile.name,
            "display_name": profile.title,
            "description": markdown(profile.description),
            "picture": f"/hub/profile-picture?profile={profile.name}" if profile.picture else "",
            "memory": _gib(profile.memory_bytes) if Resource.MEMORY in held else "",
            "cpus": profile.cpus if Resource.CPUS in held else None,
            "gpus": profile.gpus,
            "base_price": profile.price_per_hour,
            "is_chosen": profile.name == chosen,
            "options": [
                _view(profile.name, one, options if profile.name == chosen else {}, owner, currency)
                for one in profile.options
                if not isinstance(one, ChoiceOption) or one.unlisted or one.offered(owner)
            ],
        }
        for profile in profiles.values()
    ]
    for view in views:
        view["currency"] = currency
        view["price"] = price(_price_of(view), currency)
        view["price_varies"] = any(_has_price(option) for option in view["options"])
    return views


def _has_price(option: Mapping[str, Any]) -> bool:
    given = [option.get("amount"), *(choice["amount"] for choice in option.get("choices", ()))]
    return any(one is not None for one in given)


def _price_of(profile: Mapping[str, Any]) -> float | None:
    """Return what an hour of a profile's view costs with its options as they are filled in: the last change counts."""
    amount: float | None = profile["base_price"]
    for option in profile["options"]:
        match option["kind"]:
            case "choice":
                chosen = [choice["amount"] for choice in option["choices"] if choice["is_chosen"]]
                amount = next((one for one in chosen if one is not None), amount)
            case "switch" if option["is_on"] and option["amount"] is not None:
                amount = option["amount"]
            case "number" if option["amount"] is not None:
                amount = _times(option["amount"], option["value"], is_each=option["is_each"], otherwise=amount)
    return amount


def _times(amount: float, value: str, *, is_each: bool, otherwise: float | None) -> float | None:
    if not is_each:
        return amount
    try:
        return amount * float(value)
    except ValueError:  # what was typed is no number, and the page says so
        return otherwise


def _amounts(changes: Changes) -> dict[str, Any]:
    """Return the price that an option sets: `amount`, and whether it `is_each`: for each one of the number."""
    given = changes.price_per_hour
    return {
        "amount": given.factor if isinstance(given, PerValue) else given,
        "is_each": isinstance(given, PerValue),
    }


def price(amount: float | None, currency: str) -> str:
    """Return an hour's price as people write it: with two decimals, or more where the price is below a cent."""
    if amount is None:
        return ""
    text = f"{amount:.2f}" if amount >= 0.01 or not amount else f"{amount:.4f}"  # noqa: PLR2004 a cent
    return f"{currency}{text}"


async def sent_options(form: Form, profiles: Mapping[str, Profile]) -> dict[str, Any]:
    """Return the `user_options` of a form: of its profile's fields, or, as in JupyterHub, of all its fields.

    Raises:
        OptionRefusedError: when a file is too large.
    """
    fields = {name: form.texts(name) for name in form.names() if name not in {"_xsrf", "next"}}
    options: dict[str, Any] = {
        name: _one_or_many(texts) for name, texts in fields.items() if texts and not name.startswith(_SENT)
    }
    profile = profiles.get(form.text(PROFILE))
    for option in profile.options if profile else ():
        name = field_name(profile.name if profile else "", option.name)
        if isinstance(option, FileOption):
            options |= await _file(form, name, option)
        elif isinstance(option, SwitchOption):
            if name in fields:
                options[option.name] = fields[name][-1:] == ["on"]
        elif texts := fields.get(name):
            options |= _given(option, name, texts[-1], fields)
    return options


def _given(option: Option, name: str, text: str, fields: Mapping[str, list[str]]) -> dict[str, Any]:
    if isinstance(option, ChoiceOption) and option.unlisted and text == OTHER:
        return {option.name + UNLISTED: (fields.get(name + UNLISTED) or [""])[-1]}
    return {option.name: text} if text else {}


async def _file(form: Form, name: str, option: FileOption) -> dict[str, Any]:
    found = await form.file(name)
    if found is None:
        return {}
    file_name, content = found
    if len(content) > option.max_bytes:
        raise option.too_large()
    return {option.name: {"name": file_name, "content": base64.b64encode(content).decode()}}


def _view(profile: str, option: Option, options: Mapping[str, Any], owner: User, currency: str) -> dict[str, Any]:
    name, given = field_name(profile, option.name), options.get(option.name)
    shown = {
        "name": option.name,
        "field": name,
        "display_name": option.display_name or option.name,
        "description": markdown(option.description),
    }
    match option:
        case ChoiceOption():
            return shown | {"kind": "choice"} | _choice_view(option, options, owner, currency)
        case NumberOption():
            return (
                shown
                | {
                    "kind": "number",
                    "value": _shown(given) or number_text(option.default),
                    "minimum": number_text(option.minimum),
                    "maximum": number_text(option.maximum),
                    "step": number_text(option.step),
                    "unit": option.unit,
                }
                | _amounts(option.changes)
            )
        case TextOption():
            return shown | {
                "kind": "text",
                "value": _shown(given) or option.default,
                "pattern": option.pattern,
                "max_length": option.max_length,
                "is_required": option.is_required,
            }
        case SwitchOption():
            return shown | {"kind": "switch", "is_on": _is_on(option, options)} | _amounts(option.changes)
        case FileOption():
            kept = given.get("name") if isinstance(given, Mapping) else None
            return shown | {
                "kind": "file",
                "accept": option.accept,
                "max_bytes": option.max_bytes,
                "is_required": option.is_required,
                "last": kept if isinstance(kept, str) else "",
            }


def _choice_view(option: ChoiceOption, options: Mapping[str, Any], owner: User, currency: str) -> dict[str, Any]:
    offered, other = option.offered(owner), _shown(options.get(option.name + UNLISTED))
    names = [choice.name for choice in offered]
    default, given = option.default(owner), _shown(options.get(option.name))
    if option.unlisted is not None and (other or not offered):
        given = OTHER
    elif given not in names:
        given = default.name if default else ""
    choices = [
        {
            "value": choice.name,
            "display_name": choice.display_name or choice.name,
            "description": choice.description,
            "amount": (amount := _amounts(choice.changes)["amount"]),
            "price": price(amount, currency),
            "is_chosen": choice.name == given,
        }
        for choice in offered
    ]
    unlisted = option.unlisted and {
        "value": OTHER,
        "field_end": UNLISTED,
        "display_name": option.unlisted.display_name or _("Another one"),
        "pattern": option.unlisted.pattern,
        "max_length": option.unlisted.max_length,
        "text": other,
        "is_chosen": given == OTHER,
    }
    return {"choices": choices, "unlisted": unlisted}


def _is_on(option: SwitchOption, options: Mapping[str, Any]) -> bool:
    try:
        return option.is_on(options)
    except OptionRefusedError:
        return option.default


def _shown(given: Any) -> str:
    """Return a value to fill in again: also one that was refused, so that nobody types it twice."""
    if isinstance(given, bool):
        return ""
    if isinstance(given, int | float):
        return number_text(given)
    return given if isinstance(given, str) else ""


def _gib(size: int | None) -> str:
    return "" if size is None else f"{size / 2**30:g} GiB"


def _one_or_many(texts: list[str]) -> str | list[str]:
    return texts[0] if len(texts) == 1 else texts
