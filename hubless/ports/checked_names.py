"""By which rule the names of all users were checked last."""

from typing import Protocol


class CheckedNames(Protocol):
    """Remembers the check, so that a start of the hub need not read all users."""

    def rule(self) -> int:
        """Return the version of the rule by which all names were checked last; 0 if nobody has checked them."""
        ...

    def note(self, rule: int) -> None:
        """Remember that all names were checked by that version of the rule; an older one changes nothing."""
        ...
