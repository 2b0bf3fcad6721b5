"""The settings of another hub as they were read: values of traits by class, and what can be said of a value."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import Any

from hubless.domain.values import value
from hubless.settings import SettingsError

MAX_DEPTH = 20
MAX_VALUES = 50_000
MAX_TEXT = 20_000  # characters
OWN_MODULE = "jupyterhub_config"
VARIABLE_BEGINS, VARIABLE_ENDS = "\ue000", "\ue001"
"""Between these a text has the name of an environment variable whose value was not known."""
_MOST = 2**63  # TOML's integers end there
_VARIABLE = re.compile(f"{VARIABLE_BEGINS}([A-Za-z_][A-Za-z0-9_]{{0,99}}){VARIABLE_ENDS}")
_UNPRINTABLE = re.compile("[\ud800-\udfff]")
_SECRET_NAME = re.compile(
    r"pass(?:word|wd|phrase)|secret|token|credential|private|api_?key|auth_?key|access_?key|crypt|salt|cookie|(?:^|_)pw(?:$|_)"
    r"|(?:^|_)pass(?:$|_)|(?:^|_)keys?(?:$|_)|dsn|(?:db|database|redis|mongo|amqp)_?ur[il]|connection_?string",
    re.IGNORECASE,
)
_RANDOM = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9+/_=-]{24,}")
_PASSWORD_IN_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s@]*@", re.IGNORECASE)
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@value
class Named:
    """A class, a function or another object that has no form as data."""

    name: str  # "module.Name"
    kind: str = "object"  # or "class", "callable"
    bases: tuple[str, ...] = ()  # names of the classes that a class extends

    @property
    def is_imported(self) -> bool:
        """Say whether it is a class of another module, and not one that the file itself makes."""
        return self.kind == "class" and not self.name.startswith(f"{OWN_MODULE}.")


@value
class Found:
    """A trait's value, and the place where it was written."""

    value: Any = field(hash=False)
    label: str


@value
class OldRemark:
    """What a reader noticed: *label* says where, *what* and *to_do* are sentences without secrets."""

    label: str
    what: str
    to_do: str = ""


@value
class OldSettings:
    """Values by class and trait, such as `{"JupyterHub": {"port": 8000}}`."""

    source: str
    kind: str  # "jupyterhub", "tljh" or "z2jh"
    traits: Mapping[str, Mapping[str, Any]] = field(hash=False, repr=False)
    labels: Mapping[tuple[str, str], str] = field(default_factory=dict, hash=False)  # if not "c.Class.trait"
    remarks: tuple[OldRemark, ...] = ()


class Traits:
    """The traits of old settings; who brings one over takes it, and the rest is left."""

    def __init__(self, old: OldSettings) -> None:
        self._left = {name: dict(traits) for name, traits in old.traits.items()}
        self._labels = old.labels
        self._asked: set[str] = set()

    def has(self, name: str, *traits: str) -> bool:
        """Say whether one of *traits* of the class *name* is left."""
        return any(self._left.get(name, {}).get(trait) for trait in traits)

    def is_used(self, name: str) -> bool:
        """Say whether somebody asked for traits of the class *name*: the old hub used it."""
        return name in self._asked

    def take(self, trait: str, *classes: str) -> Found | None:
        """Return the value of *trait* in the first of *classes* that has one, and take it from all of them."""
        found = None
        self._asked.update(classes)
        for name in classes:
            given = self._left.get(name, {}).pop(trait, None)
            if given is not None and found is None:
                found = Found(given, self._label(name, trait))
        return found

    def rename(self, names: Mapping[str, str], *classes: str) -> None:
        """Call traits of *classes* by their present names, unless these are set too; *names* has those by old name."""
        for name in classes:
            traits = self._left.get(name, {})
            for old, new in names.items():
                if old in traits:
                    self._labels = {**self._labels, (name, new): self._label(name, old)}
                    traits.setdefault(new, traits.pop(old))

    def take_all(self, name: str) -> dict[str, Found]:
        """Return what is left of the class *name*, and take it."""
        traits = self._left.pop(name, {})
        return {trait: Found(given, self._label(name, trait)) for trait, given in traits.items() if given is not None}

    def classes(self) -> list[str]:
        """Return the names of the classes of which something is left."""
        return [name for name, traits in self._left.items() if traits]

    def _label(self, name: str, trait: str) -> str:
        return self._labels.get((name, trait), f"c.{name}.{trait}")


class TraitWriter:
    """Collects traits with the places where they were written."""

    def __init__(self) -> None:
        self.traits: dict[str, dict[str, Any]] = {}
        self.labels: dict[tuple[str, str], str] = {}

    def put(self, name: str, trait: str, given: Any, label: str) -> None:
        """Set *trait* of the class *name*, which the file has at *label*."""
        self.traits.setdefault(name, {})[trait] = given
        self.labels[name, trait] = label


def cleaned(given: Any) -> Any:
    """Return *given* as data of texts, numbers, truth values, lists and tables, without lone surrogates.

    Raises:
        SettingsError: when it has too many values, or is nested too deep.
    """
    left = [MAX_VALUES]
    return _cleaned(given, left, 0)


def _cleaned(given: Any, left: list[int], depth: int) -> Any:
    left[0] -= 1
    if left[0] < 0 or depth > MAX_DEPTH:
        raise SettingsError(
            f"The settings have more than {MAX_VALUES} values, or are nested deeper than {MAX_DEPTH}:"
            " give a smaller file"
        )
    if isinstance(given, str):
        return _UNPRINTABLE.sub("\ufffd", given[:MAX_TEXT])
    if isinstance(given, int) and abs(given) >= _MOST:
        return Named("a number beyond 64 bits")
    if given is None or isinstance(given, bool | int | float | Named):
        return given
    if isinstance(given, Mapping):
        return {str(_cleaned(str(key), left, depth)): _cleaned(one, left, depth + 1) for key, one in given.items()}
    if isinstance(given, list | tuple | set | frozenset):
        return [_cleaned(one, left, depth + 1) for one in given]
    return str(given) if hasattr(given, "isoformat") else Named(type(given).__name__)


def shape(given: Any) -> str:
    """Return what kind of value *given* is, without a word of it."""
    if isinstance(given, bool):
        return str(given).lower()
    if isinstance(given, str):
        variable = variable_of(given)
        return f"the variable {variable}" if variable else f"a text of {len(given)} characters"
    if isinstance(given, Mapping | list):
        return f"a {'list' if isinstance(given, list) else 'table'} of {len(given)}"
    if isinstance(given, Named):
        return {"class": "a class", "callable": "a function"}.get(given.kind, "an object")
    return "a number"


def variable_of(given: Any) -> str:
    """Return the variable whose value *given* is, or ""."""
    found = _VARIABLE.fullmatch(given) if isinstance(given, str) else None
    return found[1] if found else ""


def variables_in(given: Any) -> list[str]:
    """Return the variables of which *given* is made."""
    return [name for text in texts_in(given) for name in _VARIABLE.findall(text)]


def texts_in(given: Any) -> Iterable[str]:
    """Yield all texts in *given*, with the keys of tables."""
    if isinstance(given, str):
        yield given
    elif isinstance(given, Mapping):
        for key, one in given.items():
            yield key
            yield from texts_in(one)
    elif isinstance(given, list | tuple):
        for one in given:
            yield from texts_in(one)


def is_secret_name(name: str) -> bool:
    """Say whether what *name* names is probably a secret."""
    return _SECRET_NAME.search(_WORDS.sub("_", name)) is not None


def may_be_secret(name: str, given: Any) -> bool:
    """Say whether the value *given* of *name* must not be shown: for its name, or for its look."""
    return is_secret_name(name) or any(looks_secret(text) for text in texts_in(given)) or has_secret_key(given)


def has_secret_key(given: Any) -> bool:
    """Say whether a key of a table in *given* names a secret."""
    if isinstance(given, Mapping):
        return any(is_secret_name(key) or has_secret_key(one) for key, one in given.items())
    return isinstance(given, list) and any(map(has_secret_key, given))


def looks_secret(text: str) -> bool:
    """Say whether *text* looks random, or holds a password: in an address, or after a word such as `token=`."""
    if _PASSWORD_IN_ADDRESS.search(text) or _RANDOM.fullmatch(text):
        return True
    name, sign, rest = text.partition("=")
    return bool(sign and rest) and is_secret_name(name)
