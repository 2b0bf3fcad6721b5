"""Logins with a password in DynamoDB: two reads and one transaction."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from hubless.adapters.dynamodb import attempt_counters, keys, user_records
from hubless.adapters.dynamodb.database import Database, Step
from hubless.adapters.dynamodb.passwords import ATTEMPTS_STAY
from hubless.adapters.dynamodb.sessions import steps_of_session
from hubless.adapters.dynamodb.table import AttemptCounter, Password
from hubless.adapters.dynamodb.users import DynamoUserStore
from hubless.domain.names import normalise_user_name, spellings
from hubless.domain.tokens import Session
from hubless.domain.users import User
from hubless.ports.password_logins import Guess, LoginFacts

_NOBODY = "nobody"  # no user's id: an unknown name is looked for like a known one
Counters = dict[str, AttemptCounter | None]


class DynamoPasswordLoginStore:
    """Reads names with the counters of guesses, then users with their hashes. Each answer is one transaction."""

    def __init__(self, database: Database, *, lock_for: timedelta = ATTEMPTS_STAY) -> None:
        self._database, self._keep_for = database, max(lock_for, ATTEMPTS_STAY)
        self._users = DynamoUserStore(database)

    def read(self, typed: str, guess: Guess) -> LoginFacts:
        counted = [keys.attempt_counter(key) for key in guess.limits]
        found, exact, alike = self._users.read_names(spellings(typed), normalise_user_name(typed), counted)
        counters: Counters = attempt_counters.read_from(found, guess.limits)
        if _is_full(counters, guess):
            return LoginFacts(is_locked=True)
        ids = list(dict.fromkeys([*exact, *alike])) or [_NOBODY]
        facts = self._database.get_many([*user_records.keys_of(ids), *map(keys.password, ids)])
        users = user_records.users_of(self._database, facts, ids)
        user = next((users[one] for one in exact if one in users), None)
        if user is None:
            user = next((users[one] for one in alike if one in users and _is_spelling(typed, users[one])), None)
        stored = None if user is None else facts.item(Password, keys.password(user.id))
        return LoginFacts(
            is_locked=False, user=user, password_hash=None if stored is None else stored.hash, as_read=counters
        )

    def count(self, facts: LoginFacts, guess: Guess) -> bool:
        def steps(counters: Counters) -> list[Step]:
            one_more = partial(attempt_counters.one_more, window=guess.window, at=guess.at, keep_for=self._keep_for)
            tries = [one_more(key, counters[key], limit=limit) for key, limit in guess.tries.items()]
            return [*tries, *(one_more(key, counters[key], limit=None) for key in guess.failures)]

        return self._settle(facts, guess, steps)

    def accept(self, facts: LoginFacts, guess: Guess, session: Session | None) -> bool:
        def steps(counters: Counters) -> list[Step]:
            opened = [] if session is None else steps_of_session(session)
            forgotten = [
                attempt_counters.none_left(key, counters[key], guess.window, limit)
                for key, limit in guess.tries.items()
            ]
            return [*opened, *forgotten]

        return self._settle(facts, guess, steps)

    def _settle(self, facts: LoginFacts, guess: Guess, steps: Callable[[Counters], list[Step]]) -> bool:
        """Write the steps for the counters as they were read; after another guess, as they are read again."""
        known: list[Counters] = [dict(facts.as_read)]

        def attempt() -> bool:
            counters = known.pop() if known else self._counters(guess)
            if any(attempt_counters.is_full(counters[key], guess.window, limit) for key, limit in guess.tries.items()):
                return False
            self._database.transact(steps(counters))
            return True

        return self._database.retry(attempt)

    def _counters(self, guess: Guess) -> Counters:
        found = self._database.get_many(keys.attempt_counter(key) for key in guess.limits)
        return attempt_counters.read_from(found, guess.limits)


def _is_full(counters: Counters, guess: Guess) -> bool:
    return any(attempt_counters.is_full(counters[key], guess.window, limit) for key, limit in guess.limits.items())


def _is_spelling(typed: str, user: User) -> bool:
    return normalise_user_name(user.name) == normalise_user_name(typed)
