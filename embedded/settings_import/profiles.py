"""What a spawner can be told for a start, and the lists of choices that spawners offered, as `[[profiles]]`.

`OF_TRAITS` says which trait becomes which key of a profile. All else here reads the forms of lists: Kubespawner's
`profile_list`, wrapspawner's `profiles`, and Dockerspawner's `allowed_images`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from embedded.settings_import import conversions
from embedded.settings_import.draft import Draft
from embedded.settings_import.old_settings import Found, Traits, may_be_secret, variables_in
from hubless.domain.profiles import PROFILE


def bring(traits: Traits, draft: Draft, chain: tuple[str, ...]) -> None:
    """Write what the spawner of the classes *chain* starts: one profile, or one for each choice that there was."""
    comments: list[str] = []
    base = _values({trait: found for trait, _, _ in OF_TRAITS if (found := traits.take(trait, *chain))}, comments)
    if environment := traits.take("environment", *chain):
        _environment(environment, base, comments)
    if (found := traits.take("disable_user_config", *chain)) and found.value is True:
        base.setdefault("environment", {})["JUPYTERHUB_DISABLE_USER_CONFIG"] = "1"
    _choices(base, comments, traits, draft, chain)


def _choices(
    base: Mapping[str, Any], comments: list[str], traits: Traits, draft: Draft, chain: tuple[str, ...]
) -> None:
    """Write a profile for each choice that the old hub offered, or one for all."""
    profiles = traits.take("profile_list", *chain) or traits.take("profiles", "ProfilesSpawner")
    images = traits.take("allowed_images", *chain) or traits.take("image_whitelist", *chain)
    if profiles and isinstance(profiles.value, list):
        draft.say("profiles", *comments)
        _profiles(profiles, base, draft)
    elif images and isinstance(images.value, dict | list) and images.value:
        draft.say("profiles", *comments)
        _images(images, base, draft)
    else:
        for found in filter(None, (profiles, images)):
            draft.leave_out("profiles", found.label, found.value, "it is made by a program", "Write [[profiles]].")
        if base or comments:
            _add({"name": "default", "display_name": "Default", **base}, "c.Spawner", comments, draft)


def _command(given: Any) -> list[str]:
    words = conversions.texts(given)
    if not words or not words[0]:
        raise ValueError
    return words


OF_TRAITS: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("mem_limit", "memory", conversions.size),
    ("cpu_limit", "cpus", conversions.cpus),
    ("default_url", "default_url", conversions.text),
    ("cmd", "command", _command),
    ("args", "args", conversions.texts),
    ("image", "image", conversions.text),
    ("image_spec", "image", conversions.text),
    ("container_image", "image", conversions.text),
    ("extra_resource_limits", "gpus", conversions.gpus),
)
_OF_UNLISTED = ("image", "environment", "default_url")
_OPTION_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")  # as in hubless.settings.profiles
_OPTIONS = "profile_options"
_OVERRIDE = "kubespawner_override"
_OF_IMAGES = ("start-singleuser", "start-notebook", "start.sh")
_CLASS = "spawner class"
_LOCAL_CLASSES = ("LocalProcessSpawner", "SimpleLocalProcessSpawner")
_OWN_KEYS = frozenset({"display_name", "slug", "description", "default", "allowed_groups", _OVERRIDE, _OPTIONS, _CLASS})


def _values(given: Mapping[str, Found], comments: list[str]) -> dict[str, Any]:
    """Return what *given*, by trait, is in a profile."""
    made: dict[str, Any] = {}
    for trait, key, convert in OF_TRAITS:
        if (found := given.get(trait)) is None or key in made:
            continue
        try:
            made[key] = _plain(convert(found.value))
        except (ValueError, TypeError, OverflowError):
            comments.append(f"Not brought over: {found.label}: it is no value that profiles.{key} can have.")
    return made


def _plain(made: Any) -> Any:
    """Return *made* if it has no secret in it, and is made of no variable.

    Raises:
        ValueError: otherwise.
    """
    if variables_in(made) or may_be_secret("", made):
        raise ValueError
    return made


def _environment(found: Found, table: dict[str, Any], comments: list[str]) -> None:
    if not isinstance(found.value, dict):
        comments.append(f"Not brought over: {found.label}: it is no table.")
        return
    kept: dict[str, str] = {}
    for name, given in found.value.items():
        plain = isinstance(given, str | int | float) and not isinstance(given, bool)
        if not plain or variables_in(given):
            comments.append(f"Not brought over: {found.label}.{name}: its value is no text.")
        elif may_be_secret(name, str(given)):
            comments.append(
                f"Not brought over: {found.label}.{name}: it may be a secret, and all users could read it in their"
                " servers. Give it to those who need it, for example in a file that sandbox_read names."
            )
        else:
            kept[name] = str(given)
    if kept:
        table["environment"] = {**table.get("environment", {}), **kept}


def _profiles(found: Found, base: Mapping[str, Any], draft: Draft) -> None:
    given = [one if isinstance(one, dict) else _of_profiles_spawner(one) for one in found.value]
    default = next((number for number, one in enumerate(given) if one and one.get("default") is True), None)
    for number, one in enumerate(given):
        label = f"{found.label}[{number}]"
        if one is None:
            draft.leave_out("profiles", label, found.value[number], "it is no profile")
        else:
            _profile(one, label, {**base, "default": True} if number == default else base, draft)


def _of_profiles_spawner(given: Any) -> dict[str, Any] | None:
    """Return the profile of wrapspawner's form: a display name, a key, a class and its settings."""
    match given:
        case [str(display_name), str(name), class_, dict(settings)]:
            return {"display_name": display_name, "slug": name, _CLASS: class_, _OVERRIDE: settings}
        case _:
            return None


def _profile(given: Mapping[str, Any], label: str, base: Mapping[str, Any], draft: Draft) -> None:
    comments: list[str] = []
    display_name = _sentence(given.get("display_name"))
    slug = given.get("slug")
    name = conversions.slug(slug if isinstance(slug, str) and slug else display_name, draft.names("profiles"))
    table: dict[str, Any] = {"name": name, "display_name": display_name or name, **base}
    if description := _sentence(given.get("description")):
        table["description"] = description
    _override(given.get(_OVERRIDE), label if _CLASS in given else f"{label}.{_OVERRIDE}", table, comments)
    if (class_ := given.get(_CLASS)) and str(class_).rpartition(".")[2] not in _LOCAL_CLASSES:
        comments.append(f"{label} had a spawner of its own. Here servers of all profiles start in the same way.")
    given_options = given.get(_OPTIONS)
    pairs = given_options.items() if isinstance(given_options, dict) else ()
    options = [_option(key, one, f"{label}.{_OPTIONS}.{key}", comments) for key, one in pairs]
    if any(options):
        table["options"] = [one for one in options if one]
    comments += [f"Not brought over: {label}.{key}: it has no counterpart." for key in given if key not in _OWN_KEYS]
    _groups(given, table, comments, label)
    _add(table, label, comments, draft)


def _add(table: dict[str, Any], label: str, comments: list[str], draft: Draft) -> None:
    """Add a profile, and say what of it works in some places only."""
    if str(table.get("command", [""])[0]).startswith(_OF_IMAGES):
        comments.append(f"{table['command'][0]} is a program of images, for AWS. On one machine remove command.")
    if table.get("gpus"):
        comments.append("A start is refused where there are fewer GPUs (docs/settings.md).")
    draft.add("profiles", table, label, comments)


def _groups(given: Mapping[str, Any], table: dict[str, Any], comments: list[str], label: str) -> None:
    """Keep a profile or a choice for groups that hubs' own code kept it for: nobody else may have it."""
    if "allowed_groups" not in given:
        return
    try:
        table["groups"] = conversions.texts(given["allowed_groups"])
    except ValueError:
        table["groups"] = ["GROUP"]
        comments.append(
            f"Not brought over: {label}.allowed_groups: it is no list of groups. Put them in place of GROUP."
        )


def _sentence(given: Any) -> str:
    return conversions.sentence(given) if isinstance(given, str) and not variables_in(given) else ""


def _override(given: Any, label: str, table: dict[str, Any], comments: list[str]) -> None:
    if not isinstance(given, dict):
        return
    found = {trait: Found(one, f"{label}.{trait}") for trait, one in given.items() if one is not None}
    table.update(_values(found, comments))
    if "environment" in found:
        _environment(found["environment"], table, comments)
    known = {*(trait for trait, _, _ in OF_TRAITS), "environment"}
    comments += [
        f"Not brought over: {one.label}: a profile has no such key."
        for trait, one in found.items()
        if trait not in known
    ]


def _option(name: str, given: Any, label: str, comments: list[str]) -> dict[str, Any] | None:
    """Return the option of a profile; None for one that has no choices, or a name that is not allowed here."""
    choices = given.get("choices") if isinstance(given, dict) else None
    entries = {key: one for key, one in choices.items() if isinstance(one, dict)} if isinstance(choices, dict) else {}
    if not entries or not _OPTION_NAME.fullmatch(name) or name == PROFILE:
        comments.append(f"Not brought over: {label}: an option needs choices, and a name of letters, digits, - and _.")
        return None
    default = next((key for key, one in entries.items() if one.get("default") is True), next(iter(entries)))
    option: dict[str, Any] = {"name": name, "display_name": _sentence(given.get("display_name")), "default": default}
    option["choices"] = [_choice(key, one, f"{label}.choices.{key}", comments) for key, one in entries.items()]
    if unlisted := _unlisted(given.get("unlisted_choice"), f"{label}.unlisted_choice", comments):
        option["unlisted"] = unlisted
    return {key: one for key, one in option.items() if one}


def _choice(name: str, given: Mapping[str, Any], label: str, comments: list[str]) -> dict[str, Any]:
    table: dict[str, Any] = {"name": name}
    if display_name := _sentence(given.get("display_name")):
        table["display_name"] = display_name
    _groups(given, table, comments, label)
    _override(given.get(_OVERRIDE), f"{label}.{_OVERRIDE}", table, comments)
    if "args" in table:
        comments.append(f"{label}: its arguments come after those of the profile here, and do not replace them.")
    return table


def _unlisted(given: Any, label: str, comments: list[str]) -> dict[str, Any]:
    """Return what users may type instead of a choice; nothing if no pattern says which texts are allowed."""
    if not isinstance(given, dict) or given.get("enabled") is not True:
        return {}
    pattern = given.get("validation_regex")
    if not isinstance(pattern, str) or not pattern or variables_in(pattern):
        comments.append(
            f"Not brought over: {label}: no pattern says what users may type. Add one, as unlisted (docs/settings.md)."
        )
        return {}
    changes: dict[str, Any] = {}
    _override(given.get(_OVERRIDE), f"{label}.{_OVERRIDE}", changes, comments)
    table = {"display_name": _sentence(given.get("display_name")), "pattern": pattern}
    for key, one in changes.items():
        if key in _OF_UNLISTED:
            table[key] = one
        else:
            comments.append(f"Not brought over: {label}.{_OVERRIDE}: a text changes no {key}.")
    return {key: one for key, one in table.items() if one}


def _images(found: Found, base: Mapping[str, Any], draft: Draft) -> None:
    pairs = found.value.items() if isinstance(found.value, dict) else ((one, one) for one in found.value)
    for display_name, image in pairs:
        if not isinstance(image, str) or not isinstance(display_name, str):
            draft.leave_out("profiles", found.label, image, "it is no image")
            continue
        name = conversions.slug(display_name, draft.names("profiles"))
        _add({**base, "name": name, "display_name": display_name, "image": image}, found.label, [], draft)
