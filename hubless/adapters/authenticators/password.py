"""Authentication by a password per user, stored as a hash."""

from hubless.domain.values import value
from hubless.ports.authenticator import Candidate, Identity, Refused
from hubless.ports.passwords import PasswordHasher, PasswordStore


@value
class PasswordAuthenticator:
    """Accepts the password that the user has set."""

    passwords: PasswordStore
    hasher: PasswordHasher
    name: str = "password"

    def authenticate(self, candidate: Candidate, password: str) -> Identity | Refused:
        """Compare with the stored hash; a user without one is refused in the same time and words.

        A hash of weaker parameters than the present ones is replaced, which is one write more.
        """
        user, stored = candidate.user, candidate.password_hash
        if not self.hasher.verify(stored, password) or user is None or stored is None:
            return Refused()
        if self.hasher.is_outdated(stored, password):
            self.passwords.rehash(user.id, stored, self.hasher.hash(password))  # unless it was changed meanwhile
        return Identity(user.name)
