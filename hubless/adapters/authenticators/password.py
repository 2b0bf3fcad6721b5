"""Authentication by a password per user, stored as a hash."""

from hubless.domain.values import value
from hubless.ports.authenticator import Identity, Refused
from hubless.ports.passwords import PasswordHasher, PasswordStore
from hubless.ports.users import UserStore


@value
class PasswordAuthenticator:
    """Accepts the password that the user has set."""

    users: UserStore
    passwords: PasswordStore
    hasher: PasswordHasher
    name: str = "password"

    def authenticate(self, user_name: str, password: str) -> Identity | Refused:
        """Compare with the stored hash; a user without one is refused in the same time and words."""
        user = self.users.find(user_name)
        stored = self.passwords.get(user.id) if user else None
        if not self.hasher.verify(stored, password) or user is None or stored is None:
            return Refused()
        if self.hasher.is_outdated(stored, password):
            self.passwords.rehash(user.id, stored, self.hasher.hash(password))  # unless it was changed meanwhile
        return Identity(user.name)
