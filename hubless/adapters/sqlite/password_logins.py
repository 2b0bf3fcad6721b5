"""Logins with a password in SQLite."""

from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.passwords import SqliteAttemptStore, SqlitePasswordStore
from hubless.adapters.sqlite.tokens import SqliteSessionStore
from hubless.adapters.sqlite.users import SqliteUserStore
from hubless.domain.names import normalise_user_name, spellings
from hubless.domain.tokens import Session
from hubless.domain.users import User
from hubless.ports.password_logins import Guess, LoginFacts


class SqlitePasswordLoginStore:
    """Reads without a lock. Each answer is one transaction, which counts again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._users, self._passwords = SqliteUserStore(database), SqlitePasswordStore(database)
        self._attempts, self._sessions = SqliteAttemptStore(database), SqliteSessionStore(database)

    def read(self, typed: str, guess: Guess) -> LoginFacts:
        if any(self._is_full(key, guess, limit) for key, limit in guess.limits.items()):
            return LoginFacts(is_locked=True)
        user = self._user_of(typed)
        stored = None if user is None else self._passwords.get(user.id)
        return LoginFacts(is_locked=False, user=user, password_hash=stored)

    def count(self, facts: LoginFacts, guess: Guess) -> bool:  # noqa: ARG002 it reads again under the write lock
        with self._database.transaction():
            if self._is_used_up(guess):
                return False
            for key in guess.limits:
                self._attempts.add(key, guess.at)
        return True

    def accept(self, facts: LoginFacts, guess: Guess, session: Session | None) -> bool:  # noqa: ARG002 as above
        with self._database.transaction():
            if self._is_used_up(guess):
                return False
            if session is not None:
                self._sessions.create(session)
            for key in guess.tries:
                self._attempts.clear(key)
        return True

    def _user_of(self, typed: str) -> User | None:
        for name in spellings(typed):
            if (user := self._users.find(name)) is not None:
                return user
        normal = normalise_user_name(typed)
        holder = self._users.holders([normal]).get(normal)
        is_spelling = holder is not None and normalise_user_name(holder) == normal
        return self._users.find(holder) if holder is not None and is_spelling else None

    def _is_used_up(self, guess: Guess) -> bool:
        return any(self._is_full(key, guess, limit) for key, limit in guess.tries.items())

    def _is_full(self, key: str, guess: Guess, limit: int) -> bool:
        return self._attempts.failures(key, guess.window.since, guess.window.until) >= limit
