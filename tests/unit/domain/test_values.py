"""Values behave as frozen dataclasses with slots do: whatever is asked here is asked of both."""

import copy
import pickle
from collections.abc import Mapping
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from typing import Any, ClassVar

import pytest

from hubless.domain.values import value

frozen = dataclass(frozen=True, slots=True)


def shapes(made, made_with):
    @made
    class Point:
        """A point."""

        x: int
        y: int = 0
        name: str = field(default="", compare=False)
        secret: str = field(default="s", repr=False)
        facts: Mapping[str, Any] = field(default_factory=dict, hash=False)
        count: ClassVar[int] = 7
        seen: list = field(init=False, default_factory=list, compare=False)

        @property
        def sum(self):
            return self.x + self.y

    @made
    class Checked:
        x: int

        def __post_init__(self):
            if self.x < 0:
                raise ValueError("below zero")

    @made
    class Empty:
        pass

    @made_with(kw_only=True)
    class Named:
        b: int = 1
        a: int

    @made_with(eq=False)
    class Self:
        x: int

    return Point, Checked, Empty, Named, Self


BOTH = [
    shapes(value, value),
    shapes(frozen, lambda **how: dataclass(frozen=True, slots=True, **how)),
]
both = pytest.mark.parametrize("kinds", BOTH, ids=["value", "dataclass"])


@both
def test_they_are_made_by_place_and_name_with_defaults_of_their_own(kinds):
    point, _, empty, named, _ = kinds

    one, other = point(1, facts={"a": 1}), point(x=1, y=2)
    assert (one.x, one.y, one.name, one.secret, one.facts, one.count, one.sum, one.seen) == (
        1,
        0,
        "",
        "s",
        {"a": 1},
        7,
        1,
        [],
    )
    assert other.facts == {}
    assert point(1).facts is not point(1).facts
    assert point(1).seen is not point(1).seen
    assert empty() == empty()
    assert (named(a=2).a, named(a=2).b) == (2, 1)


@both
@pytest.mark.parametrize(
    "wrong", [lambda p, n: p(), lambda p, n: p(1, z=2), lambda p, n: p(1, seen=[]), lambda p, n: n(1, 2)]
)
def test_what_is_missing_or_unknown_is_refused(kinds, wrong):
    with pytest.raises(TypeError):
        wrong(kinds[0], kinds[3])


@both
def test_they_are_equal_and_hashed_by_what_is_compared(kinds):
    point, checked, _, _, self_ = kinds

    assert point(1, name="a") == point(1, name="b")
    assert point(1) != point(2)
    assert point(1, facts={"a": 1}) != point(1)
    assert hash(point(1, facts={"a": 1})) == hash(point(1, name="c"))
    assert point(1) != checked(1)
    assert len({point(1), point(1), point(2)}) == 2
    assert self_(1) != self_(1)
    assert len({self_(1), self_(1)}) == 2


@both
def test_nothing_of_them_changes(kinds):
    one = kinds[0](1)

    for change in (lambda: setattr(one, "x", 2), lambda: delattr(one, "x"), lambda: setattr(one, "other", 1)):
        with pytest.raises((FrozenInstanceError, TypeError)):  # as dataclasses themselves have it, by version
            change()
    assert one.x == 1
    assert not hasattr(one, "__dict__")


@both
def test_they_show_what_they_hold_but_what_is_secret(kinds):
    point, _, empty, _, _ = kinds

    assert repr(point(1, name="a")).endswith("Point(x=1, y=0, name='a', facts={}, seen=[])")
    assert "secret" not in repr(point(1))
    assert repr(empty()).endswith("Empty()")
    assert point.__doc__ == "A point."


@both
def test_they_are_replaced_listed_and_matched_as_dataclasses_are(kinds):
    point, checked, *_ = kinds

    assert replace(point(1), y=5) == point(1, 5)
    assert [f.name for f in fields(point)] == ["x", "y", "name", "secret", "facts", "seen"]
    assert asdict(point(1))["y"] == 0
    match point(1, 2):
        case point(x, y):
            assert (x, y) == (1, 2)
        case _:
            raise AssertionError
    with pytest.raises(ValueError, match="below zero"):
        replace(checked(1), x=-1)


@both
def test_a_copy_is_equal(kinds):
    one = kinds[0](1, facts={"a": [1]})

    assert copy.copy(one) == one
    assert copy.deepcopy(one) == one
    assert copy.deepcopy(one).facts["a"] is not one.facts["a"]


@value
class Pickled:
    x: int
    y: str = "b"


def test_they_can_be_pickled():
    assert pickle.loads(pickle.dumps(Pickled(1))) == Pickled(1)
