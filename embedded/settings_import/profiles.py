"""What a spawner can be told for a start, and the lists of choices that spawners offered, as `[[profiles]]`.

`OF_TRAITS` says which trait becomes which key of a profile. All else here reads the forms of lists: Kubespawner's
`profile_list`, wrapspawner's `profiles`, and Dockerspawner's `allowed_images`.
"""

from collections.abc import Callable, Mapping
from typing import Any

from embedded.settings_import import conversions
from embedded.settings_import.draft import Draft
from embedded.settings_import.old_settings import Found, Traits, may_be_secret, variables_in


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
            draft.add("profiles", {"name": "default", "display_name": "Default", **base}, "c.Spawner", comments)


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
)
_OPTIONS = "profile_options"
_OVERRIDE = "kubespawner_override"
_CLASS = "spawner class"
_LOCAL_CLASSES = ("LocalProcessSpawner", "SimpleLocalProcessSpawner")
_OWN_KEYS = frozenset({"display_name", "slug", "description", "default", _OVERRIDE, _OPTIONS, _CLASS})


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
    given = [
        (number, one if isinstance(one, dict) else _of_profiles_spawner(one)) for number, one in enumerate(found.value)
    ]
    given.sort(key=lambda entry: not (entry[1] or {}).get("default"))  # the first is chosen here
    for number, one in given:
        label = f"{found.label}[{number}]"
        if one is None:
            draft.leave_out("profiles", label, found.value[number], "it is no profile")
        else:
            _profile(one, label, base, draft)


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
    options = given.get(_OPTIONS)
    for key, option in options.items() if isinstance(options, dict) else ():
        _option(option, f"{label}.{_OPTIONS}.{key}", table, comments)
    comments += [f"Not brought over: {label}.{key}: it has no counterpart." for key in given if key not in _OWN_KEYS]
    draft.add("profiles", table, label, comments)


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


def _option(given: Any, label: str, table: dict[str, Any], comments: list[str]) -> None:
    """Take the default choice of an option into the profile, and say that there were others."""
    choices = given.get("choices") if isinstance(given, dict) else None
    entries = [one for one in choices.values() if isinstance(one, dict)] if isinstance(choices, dict) else []
    chosen = next((one for one in entries if one.get("default") is True), entries[0] if entries else {})
    _override(chosen.get(_OVERRIDE), label, table, comments)
    comments.append(
        f"{label} had {len(entries)} choices, of which this profile has the default one. Add a profile for each other"
        " one that people need."
    )
    unlisted = given.get("unlisted_choice") if isinstance(given, dict) else None
    if isinstance(unlisted, dict) and unlisted.get("enabled") is True:
        comments.append(f"Not brought over: {label}.unlisted_choice: users type no image. Add a profile for each.")


def _images(found: Found, base: Mapping[str, Any], draft: Draft) -> None:
    pairs = found.value.items() if isinstance(found.value, dict) else ((one, one) for one in found.value)
    for display_name, image in pairs:
        if not isinstance(image, str) or not isinstance(display_name, str):
            draft.leave_out("profiles", found.label, image, "it is no image")
            continue
        name = conversions.slug(display_name, draft.names("profiles"))
        draft.add("profiles", {**base, "name": name, "display_name": display_name, "image": image}, found.label)
