"""The store as a login with a password sees it: one place for all that such a login reads and writes."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any, Protocol

from hubless.domain.lock_policy import Window
from hubless.domain.tokens import Session
from hubless.domain.users import User
from hubless.domain.values import value


@value
class Guess:
    """A guess at a password: under which keys it counts, each with its limit.

    Under the keys *tries* each guess counts, and a right one forgets them. Under the keys *failures* wrong ones count.
    """

    at: datetime
    window: Window  # which earlier guesses count
    tries: Mapping[str, int]
    failures: Mapping[str, int] = field(default_factory=dict)

    @property
    def limits(self) -> Mapping[str, int]:
        """Return the limit of each key."""
        return {**self.tries, **self.failures}


@value
class LoginFacts:
    """What is known before a password is checked. If it *is_locked*, nothing else is."""

    is_locked: bool
    user: User | None = None
    password_hash: str | None = field(default=None, repr=False)
    as_read: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)  # what the store's writes name


class PasswordLoginStore(Protocol):
    """Reads and writes what a login needs, in as few round trips as possible.

    The answer to a guess is given only after `count` or `accept` returned True. So of guesses that come at once, no
    more are answered than the limits of their *tries* allow, although all of them were checked. Limits of *failures*
    are looked at before: guesses at the same moment may exceed them by their number.
    """

    def read(self, typed: str, guess: Guess) -> LoginFacts:
        """Return what is known, and the user who typed this as a name, as `names.spellings` tells.

        Somebody whose name only looks like it is another user. An unknown name costs as many round trips.
        """
        ...

    def count(self, facts: LoginFacts, guess: Guess) -> bool:
        """Count a wrong guess under all its keys and return True; False if a limit of its tries was reached meanwhile.

        Raises:
            StoreUnavailableError: when too many guesses at one name come at once.
        """
        ...

    def accept(self, facts: LoginFacts, guess: Guess, session: Session | None) -> bool:
        """Forget the tries because this one was right, and return True; False if a limit was reached meanwhile.

        The same write adds *session*, if it is one.

        Raises:
            NotFoundError: when the session's user was removed meanwhile.
            StoreUnavailableError: when too many guesses at one name come at once.
        """
        ...
