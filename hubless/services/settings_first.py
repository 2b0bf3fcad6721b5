"""What settings and admins both name, such as budgets: those of the settings are stronger, and change only there."""

from collections.abc import Iterable
from typing import Protocol, TypeVar

from hubless.domain.errors import InvalidRequestError


class Named(Protocol):
    """Something with a name."""

    @property
    def name(self) -> str:
        """Return the name, unique among those of its kind."""
        ...


One = TypeVar("One", bound=Named)


def merged(fixed: Iterable[One], stored: Iterable[One]) -> list[One]:
    """Return those of the settings (*fixed*), and then the *stored* ones of other names."""
    first = list(fixed)
    names = {one.name for one in first}
    return [*first, *(one for one in stored if one.name not in names)]


def is_fixed(fixed: Iterable[Named], name: str) -> bool:
    """Say whether the settings have the one of that *name*."""
    return any(one.name == name for one in fixed)


def require_not_fixed(fixed: Iterable[Named], name: str, refusal: str) -> None:
    """Refuse to change what the settings have, in the words of *refusal*.

    Raises:
        InvalidRequestError: when the settings have the one of that *name*.
    """
    if is_fixed(fixed, name):
        raise InvalidRequestError(refusal)
