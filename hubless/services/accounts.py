"""User accounts: adding, renaming and removing users, and their passwords and one-time links."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from hubless.domain import names, tokens
from hubless.domain.errors import (
    InvalidRequestError,
    NameTakenError,
    NotFoundError,
    StoreConflictError,
)
from hubless.domain.lifecycle import ACTIVE
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.passwords import PasswordHasher, PasswordStore
from hubless.ports.servers import ServerStore
from hubless.ports.tokens import SessionStore
from hubless.ports.users import UserStore
from hubless.services.identifiers import new_id, new_secret

MINIMUM_PASSWORD = 8
MAXIMUM_PASSWORD = 1024  # hashing longer ones only costs the hub processor time
LINK_LIFETIME = timedelta(days=3)
FIRST_ADMIN = "admin"


@value
class Accounts:
    """Manages the hub's users."""

    users: UserStore
    servers: ServerStore
    passwords: PasswordStore
    sessions: SessionStore
    hasher: PasswordHasher
    clock: Clock
    admins: frozenset[str] = frozenset()  # names that settings make admins
    is_reserved: Callable[[str], bool] = lambda _name: False  # whether settings or files belong to a user of that name

    def find(self, name: str) -> User:
        """Return the user of that name.

        Raises:
            NotFoundError: when no user has that name.
        """
        user = self.users.find(name)
        if user is None:
            raise NotFoundError("User", name)
        return user

    def all(self) -> list[User]:
        """Return all users in order of creation."""
        return self.users.page(offset=0, limit=1_000_000)[0]

    def add(self, name: str, *, admin: bool = False) -> User:
        """Add one user.

        Raises:
            InvalidRequestError: when the name is not allowed.
            NameTakenError: when another user has it.
        """
        added = self.add_many([name], admin=admin)
        if not added:
            raise NameTakenError("User", name)
        return added[0]

    def add_many(self, user_names: list[str], *, admin: bool = False) -> list[User]:
        """Add the users whose names are free and return them, all or none.

        Raises:
            InvalidRequestError: naming the first name that is not allowed.
        """
        now = self.clock.now()
        wanted = [names.check_user_name(name) for name in dict.fromkeys(user_names)]
        return self.users.create(
            [
                User(id=new_id("u", now), name=name, created_at=now, admin=admin or name in self.admins)
                for name in wanted
            ]
        )

    def log_in(self, name: str, *, admin: bool | None) -> User:
        """Return the user who logs in; a first login adds the user. *admin* None leaves the admin flag as it is."""
        user = self.users.find(name)
        if user is None:
            added = self.add_many([name], admin=bool(admin))
            user = added[0] if added else self.find(name)
        wanted = user.admin if admin is None else admin
        return user if user.admin == wanted else self.change(user, admin=wanted)

    def change(self, user: User, *, name: str | None = None, admin: bool | None = None) -> User:
        """Rename *user* or set its admin flag, in one conditional write.

        Raises:
            InvalidRequestError: when the name is not allowed, or a server runs under the old one.
            NameTakenError: when another user has the name.
            StoreConflictError: when another request changed the user meanwhile.
        """
        after = replace(user, revision=user.revision + 1)
        if name is not None and name != user.name:
            names.check_user_name(name)
            if any(s.state in ACTIVE for s in self.servers.of_owners([user.id])):
                raise InvalidRequestError(
                    f"Stop the servers of {user.name} before you rename the user: their addresses contain the name"
                )
            after = replace(after, name=name)
        if admin is not None:
            after = replace(after, admin=admin)
        self.users.change(user, after)
        return after

    def remove(self, name: str) -> None:
        """Remove the user of that name and everything that belongs to it.

        Raises:
            NotFoundError: when no user has that name.
            InvalidRequestError: when one of its servers is not stopped.
        """
        user = self.find(name)
        try:
            self.users.delete(user.id)
        except StoreConflictError as conflict:
            raise InvalidRequestError(f"Stop the servers of {name} before you remove the user") from conflict

    def has_admin(self) -> bool:
        """Say whether any admin has a password."""
        return any(user.admin and self.passwords.get(user.id) for user in self.all())

    def first_admin_link(self) -> str | None:
        """Return the path at which the first admin sets a password, or None if an admin has one.

        It adds the user `admin` if that does not exist. Each link is valid until it expires or is used.
        """
        if self.has_admin():
            return None
        user = self.users.find(FIRST_ADMIN) or self.add(FIRST_ADMIN, admin=True)
        if not user.admin:
            user = self.change(user, admin=True)
        return self._link(user)

    def password_link(self, name: str) -> str:
        """Return the path of a one-time link with which the user may set a password."""
        return self._link(self.find(name))

    def user_of_link(self, secret: str) -> User | None:
        """Return the user of an unexpired link, or None, without using the link."""
        user_id = self.passwords.find_link(tokens.sha256(secret), self.clock.now())
        return self.users.get(user_id) if user_id else None

    def use_link(self, secret: str, password: str) -> User:
        """Set the password and remove the link; of two concurrent calls, one succeeds.

        Raises:
            InvalidRequestError: when the password is not allowed, or the link was used or has expired.
        """
        check_password(password)
        user_id = self.passwords.take_link(tokens.sha256(secret), self.clock.now())
        user = self.users.get(user_id) if user_id else None
        if user is None:
            raise InvalidRequestError("This link was used or has expired. Ask for a new one.")
        self._set_password(user, password)
        return user

    def set_password(self, name: str, password: str) -> None:
        """Set the user's password and end all browser sessions of the user.

        Raises:
            NotFoundError: when no user has that name.
            InvalidRequestError: when the password is not allowed.
        """
        check_password(password)
        self._set_password(self.find(name), password)

    def sign_up(self, name: str, password: str) -> User:
        """Add a user with a password of the user's choice.

        Raises:
            InvalidRequestError: when the name is not allowed.
            NameTakenError: when another user has it.
        """
        check_password(password)
        name = names.normalise_user_name(name)
        if self.is_reserved_name(name):
            raise NameTakenError("User", name)
        user = self.add(name)
        self.passwords.set(user.id, self.hasher.hash(password))
        return user

    def is_reserved_name(self, name: str) -> bool:
        """Say whether something waits for a user called *name*: only admins may add such users."""
        return name in self.admins or self.is_reserved(name)

    def _set_password(self, user: User, password: str) -> None:
        self.passwords.set(user.id, self.hasher.hash(password))
        self.sessions.end_all(user.id)

    def _link(self, user: User) -> str:
        secret = new_secret()
        self.passwords.add_link(tokens.sha256(secret), user.id, self.clock.now() + LINK_LIFETIME)
        return f"/hub/set-password?key={secret}"


def check_password(password: str) -> None:
    """Raise InvalidRequestError when *password* is too short, or longer than a person types."""
    if len(password) < MINIMUM_PASSWORD:
        raise InvalidRequestError(f"Choose a password of at least {MINIMUM_PASSWORD} characters")
    if len(password) > MAXIMUM_PASSWORD:
        raise InvalidRequestError(f"Choose a password of at most {MAXIMUM_PASSWORD} characters")
