"""Values: what `@dataclass(frozen=True, slots=True)` makes, in a fifth of the time.

A function that starts from nothing defines some sixty of them first, and `dataclass` compiles half a dozen methods for
each: that was a fifth of a cold start (ADR 15). Fields, defaults and slots are still its own, so `replace`, `fields`
and `asdict` do what they do; but of the methods only `__init__` is compiled, and the others are shared by all.
"""

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, field, fields
from operator import attrgetter
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")
_SET = object.__setattr__


@overload
def value(cls: type[T], /) -> type[T]: ...
@overload
def value(*, eq: bool = True, kw_only: bool = False) -> Callable[[type[T]], type[T]]: ...
@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def value(cls: type[T] | None = None, /, *, eq: bool = True, kw_only: bool = False) -> Any:
    """Make *cls* a frozen dataclass with slots; without *eq*, each instance equals itself alone."""
    if cls is None:
        return lambda cls: value_of(cls, eq=eq, kw_only=kw_only)
    return value_of(cls, eq=eq, kw_only=kw_only)


def value_of(cls: type[T], *, eq: bool, kw_only: bool) -> type[T]:
    """Do what `value` does, as a plain call."""
    made: Any = dataclass(init=False, repr=False, eq=False, slots=True, kw_only=kw_only)(cls)
    own = cls.__dict__
    all_fields = fields(made)
    made.__init__ = _init(all_fields, has_more="__post_init__" in own)
    made.__setattr__, made.__delattr__, made.__reduce__ = _refuse_to_set, _refuse_to_delete, _reduce
    if "__repr__" not in own:
        made.__repr__ = _repr
    if eq and "__eq__" not in own:
        made.__eq__ = _eq(_getter([f for f in all_fields if f.compare]))
        made.__hash__ = _hash(_getter([f for f in all_fields if (f.compare if f.hash is None else f.hash)]))
    return made  # type: ignore[no-any-return]  # it is *cls* with slots


def _init(all_fields: tuple[Field[Any], ...], *, has_more: bool) -> Any:
    """Compile the one method that is called too often to be anything else."""
    given = [f for f in all_fields if f.init]
    plain, named = [f for f in given if not f.kw_only], [f for f in given if f.kw_only]
    names = {"_set": _SET, "_new": MISSING}
    names |= {f"_{f.name}": f.default_factory if f.default is MISSING else f.default for f in all_fields}
    parameters = [*map(_parameter, plain), *(["*"] if named else []), *map(_parameter, named)]
    body = [f"_set(self, {f.name!r}, {_argument(f)})" for f in all_fields] + ["self.__post_init__()"] * has_more
    source = f"def __init__(self, {', '.join(parameters)}):\n " + "\n ".join(body or ["pass"])
    exec(source, names)  # noqa: S102 of names that are identifiers of ours
    return names["__init__"]


def _parameter(one: Field[Any]) -> str:
    if one.default is not MISSING:
        return f"{one.name}=_{one.name}"
    return one.name if one.default_factory is MISSING else f"{one.name}=_new"


def _argument(one: Field[Any]) -> str:
    if not one.init:
        return f"_{one.name}()" if one.default is MISSING else f"_{one.name}"
    return one.name if one.default_factory is MISSING else f"_{one.name}() if {one.name} is _new else {one.name}"


def _getter(some: list[Field[Any]]) -> Callable[[Any], Any]:
    """Return what makes of an instance something that compares as these fields do."""
    return attrgetter(*(f.name for f in some)) if some else lambda _: ()


def _eq(parts: Callable[[Any], Any]) -> Any:
    def __eq__(self: Any, other: object) -> Any:  # noqa: N807 it is to be called so
        return parts(self) == parts(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


def _hash(parts: Callable[[Any], Any]) -> Any:
    def __hash__(self: Any) -> int:  # noqa: N807 it is to be called so
        return hash(parts(self))

    return __hash__


def _repr(self: Any) -> str:
    shown = ", ".join(f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr)
    return f"{type(self).__qualname__}({shown})"


def _refuse_to_set(self: Any, name: str, _value: Any) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r} of {type(self).__qualname__}")


def _refuse_to_delete(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r} of {type(self).__qualname__}")


def _reduce(self: Any) -> tuple[Any, ...]:
    """Have copies and pickles made as the original was."""
    return _made_again, (type(self), {f.name: getattr(self, f.name) for f in fields(self) if f.init})


def _made_again(cls: type, facts: dict[str, Any]) -> Any:
    return cls(**facts)
