"""User accounts: adding, renaming and removing users, and their passwords and one-time links."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import field, replace
from datetime import datetime, timedelta

from hubless.domain import names, tokens
from hubless.domain.bounds import MAX_SECRET_LENGTH
from hubless.domain.errors import (
    InvalidRequestError,
    NameTakenError,
    NotFoundError,
    StoreConflictError,
)
from hubless.domain.lifecycle import ACTIVE
from hubless.domain.passwords import PasswordLink
from hubless.domain.tokens import OwnerKind
from hubless.domain.translatable import gettext as _
from hubless.domain.user_table import Sort, TableFilter
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.passwords import PasswordHasher, PasswordStore
from hubless.ports.servers import ServerStore
from hubless.ports.tokens import SessionStore, TokenStore
from hubless.ports.users import UserStore
from hubless.services.identifiers import new_id, new_secret
from hubless.services.password_policy import PasswordPolicy

LINK_LIFETIME = timedelta(days=3)
FIRST_ADMIN = "admin"
_AT_ONCE = 100  # users of one read of all
USED_LINK = _("This link was used, has expired, or was replaced. Ask for a new one.")


def link_path(secret: str) -> str:
    """Return the path of the one-time link with this secret."""
    return f"/hub/set-password?key={secret}"


@value
class Accounts:
    """Manages the hub's users."""

    users: UserStore
    servers: ServerStore
    passwords: PasswordStore
    sessions: SessionStore
    token_store: TokenStore
    hasher: PasswordHasher
    clock: Clock
    admins: frozenset[str] = frozenset()  # names that settings make admins
    is_reserved: Callable[[str], bool] = lambda _name: False  # whether settings or files belong to a user of that name
    names_are_open: bool = False  # whether many people know the password of every name
    rights_of: Callable[[User], Iterable[str]] = lambda _user: ()  # what a user may do beyond every user
    password_policy: PasswordPolicy = field(default_factory=PasswordPolicy)
    before_adding: Callable[[str], None] = lambda _name: None  # what a login plug-in does for a user, or refuses
    tell_of_password: Callable[[User], None] = lambda _user: None  # by mail, after it was changed; raises nothing

    def find(self, name: str) -> User:
        """Return the user of that name.

        Raises:
            NotFoundError: when no user has that name.
        """
        user = self.users.find(name)
        if user is None:
            raise NotFoundError("User", name)
        return user

    def all(self) -> Iterator[User]:
        """Yield all users in the order of names. It reads them as they are taken, page by page."""
        cursor: str | None = None
        while True:
            page = self.users.table(TableFilter(), Sort.NAME, limit=_AT_ONCE, cursor=cursor)
            yield from (row.user for row in page.rows)
            if (cursor := page.after) is None:
                return

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
            InvalidRequestError: naming the first name that is not allowed, or that a login plug-in refuses.
            NameTakenError: naming the first name that looks like another.
            LoginUnavailableError: when a login plug-in does not answer.
        """
        return self.users.create(self.new_users(user_names, admin=admin))

    def new_users(self, user_names: Iterable[str], *, admin: bool = False) -> list[User]:
        """Return users of these names who are not stored yet.

        Raises:
            InvalidRequestError: see `add_many`.
            NameTakenError: see `add_many`.
            LoginUnavailableError: see `add_many`.
        """
        wanted = [names.check_user_name(name) for name in dict.fromkeys(user_names)]
        self._refuse_look_alikes(wanted)
        for name in wanted:
            self.before_adding(name)
        return [self._new(name, admin=admin) for name in wanted]

    def new_user(self, name: str, *, admin: bool = False) -> User:
        """Return a user of this name who is not stored yet.

        Raises:
            InvalidRequestError: when the name is not allowed.
            NameTakenError: when the name looks like another.
        """
        self._refuse_look_alikes([names.check_user_name(name)])
        return self._new(name, admin=admin)

    def _new(self, name: str, *, admin: bool) -> User:
        now = self.clock.now()
        return User(id=new_id("u", now), name=name, created_at=now, admin=admin or name in self.admins)

    def _refuse_look_alikes(self, wanted: list[str]) -> None:
        known = {names.skeleton(admin): admin for admin in self.admins}
        for name in wanted:
            if (first := known.setdefault(names.skeleton(name), name)) != name:
                raise NameTakenError("User", name, looks_like=first)
        for name, holder in self.users.holders(wanted).items():
            if holder != name:
                raise NameTakenError("User", name, looks_like=holder)

    def stored_name(self, typed: str) -> str:
        """Return the name of the user who typed this, as it is stored, or its normal form if there is no such user.

        Blanks around it, case, width and font do not count. Letters that only look alike do.
        """
        typed = typed.strip()  # phones add a blank after a word
        normal = names.normalise_user_name(typed)
        if not names.is_possible_user_name(normal):
            return normal
        for name in names.spellings(typed):
            if self.users.find(name) is not None:
                return name
        holder = self.users.holders([normal]).get(normal)
        return holder if holder is not None and names.normalise_user_name(holder) == normal else normal

    def log_in(self, name: str, *, admin: bool | None) -> User:
        """Return the user who logs in; a first login adds the user. *admin* None leaves the admin flag as it is.

        A user who becomes an admin by this login keeps no earlier session, token or link: others may have made them.
        """
        user = self.users.find(name)
        if user is None:
            added = self.add_many([name], admin=bool(admin))
            user = added[0] if added else self.find(name)
        return self.with_admin(user, admin=admin)

    def with_admin(self, user: User, *, admin: bool | None) -> User:
        """Return *user* with the admin flag that a login gives; None leaves the flag as it is. See `log_in`.

        Raises:
            StoreConflictError: when another request changed the user meanwhile.
        """
        if admin is None or user.admin == admin:
            return user
        return self.promote(user, revoke=True) if admin else self.change(user, admin=False)

    def promote(self, user: User, *, revoke: bool) -> User:
        """Make *user* an admin; with *revoke*, end its sessions, tokens and link. Its password stays.

        Raises:
            StoreConflictError: when another request changed the user meanwhile.
        """
        return self.change(user, admin=True, revoke=revoke)

    def change(self, user: User, *, name: str | None = None, admin: bool | None = None, revoke: bool = False) -> User:
        """Rename *user* or set its admin flag, in one conditional write.

        Who becomes an admin keeps no earlier session, token or link if *revoke* says so, or if many people know the
        password of every name.

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
                    _(
                        "Stop the servers of %(user)s before you rename the user: their addresses contain the name",
                        user=user.name,
                    )
                )
            after = replace(after, name=name)
        if admin is not None:
            after = replace(after, admin=admin)
        ends = (revoke or self.names_are_open) and after.admin and not user.admin
        if ends:
            self._revoke_all(user)  # before, so that a crash leaves no admin with what others made
        self.users.change(user, after)
        if ends:
            self._revoke_all(user)  # and after, because somebody may have logged in meanwhile
        return after

    def end_logins(self, user: User) -> None:
        """End the user's sessions, tokens and link. The password stays."""
        self._revoke_all(user)

    def remove(self, name: str) -> None:
        """Remove the user of that name and everything that belongs to it.

        Raises:
            NotFoundError: when no user has that name.
            InvalidRequestError: when one of its servers is not stopped.
        """
        user = self.find(name)
        try:
            self.users.delete(user.id, at=self.clock.now())
        except StoreConflictError as conflict:
            raise InvalidRequestError(
                _("Stop the servers of %(name)s before you remove the user", name=name)
            ) from conflict

    def has_admin(self) -> bool:
        """Say whether any admin has a password."""
        return any(self.passwords.get(user.id) for user in self.users.admins())

    def first_admin_link(self) -> tuple[str, str] | None:
        """Return the first admin's name and the path at which it sets a password, or None if an admin has one.

        It adds the user `admin`, or `admin-2` and so on: somebody who has that name already does not become an admin.
        A new link replaces the earlier one.
        """
        if self.has_admin():
            return None
        user = self._first_admin()
        return user.name, self._link(user)

    def _first_admin(self) -> User:
        number = 1
        while True:
            name = FIRST_ADMIN if number == 1 else f"{FIRST_ADMIN}-{number}"
            user = self.users.find(name)
            if user is not None and user.admin:
                return user
            if user is None and (number == 1 or not self.is_reserved_name(name)):
                with suppress(NameTakenError):  # by a user whose name looks like it
                    if added := self.add_many([name], admin=True):
                        return added[0]
            number += 1

    def password_link(self, name: str, *, limited: bool = False, lifetime: timedelta = LINK_LIFETIME) -> str:
        """Return the path of a one-time link with which the user may set a password. It ends an earlier link.

        Args:
            name: the user's name.
            limited: whether somebody makes it who is no admin. The link then ends when the user gets more rights.
            lifetime: how long the link is valid.

        Raises:
            NotFoundError: when no user has that name.
        """
        return self._link(self.find(name), limited=limited, lifetime=lifetime)

    def give_link(self, user: User, secret: str, expires_at: datetime, *, limited: bool) -> None:
        """Store a one-time link with this *secret*, in place of an earlier link of the user; see `password_link`.

        Raises:
            NotFoundError: when somebody has removed the user.
        """
        within = tuple(sorted(self.rights_of(user))) if limited else None
        self.passwords.add_link(PasswordLink(tokens.sha256(secret), user.id, expires_at, within))

    def user_of_link(self, secret: str) -> User | None:
        """Return the user of a valid link, or None, without using the link."""
        if len(secret) > MAX_SECRET_LENGTH:
            return None
        link = self.passwords.find_link(tokens.sha256(secret), self.clock.now())
        user = self.users.get(link.user_id) if link else None
        if link is None or user is None or not link.still_fits(self.rights_of(user) if link.within is not None else ()):
            return None
        return user

    def use_link(self, secret: str, password: str, *, keep_sessions: bool = False, revoke_tokens: bool = False) -> User:
        """Set the password and end the link; of two concurrent calls, one succeeds.

        Args:
            secret: of the link.
            password: the new password.
            keep_sessions: whether browsers that are logged in stay so.
            revoke_tokens: whether the user's API tokens end.

        Raises:
            InvalidRequestError: when the password is not allowed, or the link is not valid any more.
        """
        user = self.user_of_link(secret)
        if user is None:
            raise InvalidRequestError(USED_LINK)
        self.check_password(user, password)
        if not self.passwords.use_link(tokens.sha256(secret), self.hasher.hash(password), self.clock.now()):
            raise InvalidRequestError(USED_LINK)
        self.complete_change(user, keep_sessions=keep_sessions, revoke_tokens=revoke_tokens)
        return user

    def has_logins(self, user: User) -> bool:
        """Say whether the user has a password, a session or a token, which a new password may end."""
        return bool(
            self.passwords.get(user.id)
            or self.sessions.of_user(user.id)
            or self.token_store.of_owner(OwnerKind.USER, user.id)
        )

    def set_password(
        self, name: str, password: str, *, keep_sessions: bool = False, revoke_tokens: bool = False
    ) -> None:
        """Set the user's password and end the user's link and, unless told otherwise, all browser sessions.

        Raises:
            NotFoundError: when no user has that name.
            InvalidRequestError: when the password is not allowed.
        """
        user = self.find(name)
        self.check_password(user, password)
        self.passwords.set(user.id, self.hasher.hash(password))
        self.complete_change(user, keep_sessions=keep_sessions, revoke_tokens=revoke_tokens)

    def check_sign_up(self, name: str, password: str, *, known: Iterable[str] = ()) -> str:
        """Return the normal form of the name with which somebody signs up, if name and password are allowed.

        Args:
            name: as it was typed.
            password: of the user's choice.
            known: what guessers try first besides the name.

        Raises:
            InvalidRequestError: when the name or the password is not allowed.
            NameTakenError: when another user has the name or one that looks like it, or settings reserve it.
        """
        name = names.typed_user_name(name)
        self.password_policy.check(password, admin=False, known=[name, *known])
        if self.is_reserved_name(name) or self.users.find(name) is not None:
            raise NameTakenError("User", name)
        return self.new_user(name).name

    def is_reserved_name(self, name: str) -> bool:
        """Say whether something waits for a user called *name*: only admins may add such users."""
        if self.is_name_of_admin(name):
            return True
        return any(map(self.is_reserved, {name, names.normalise_user_name(name), names.skeleton(name)}))

    def is_name_of_admin(self, name: str) -> bool:
        """Say whether settings make somebody an admin whose name is *name* or looks like it."""
        alike = names.skeleton(name)
        return any(alike == names.skeleton(admin) for admin in self.admins)

    def check_password(self, user: User, password: str) -> None:
        """Refuse a new password of *user* that the policy does not allow.

        Raises:
            InvalidRequestError: saying why, and what to choose.
        """
        self.password_policy.check(password, admin=user.admin or user.name in self.admins, known=[user.name])

    def _revoke_all(self, user: User) -> None:
        self.passwords.end_links(user.id)
        self.sessions.end_all(user.id)
        self._revoke_tokens(user)

    def complete_change(self, user: User, *, keep_sessions: bool, revoke_tokens: bool) -> None:
        """End what the old password has opened, as the person chose who set the new one, and tell the user by mail."""
        if not keep_sessions:
            self.sessions.end_all(user.id)
        if revoke_tokens:
            self._revoke_tokens(user)
        self.tell_of_password(user)

    def _revoke_tokens(self, user: User) -> None:
        """Revoke the user's API tokens; running servers keep theirs, which only report activity and admit visitors."""
        held = self.token_store.of_owner(OwnerKind.USER, user.id)
        self.token_store.delete([token.id for token in held if token.server_id is None])

    def _link(self, user: User, *, limited: bool = False, lifetime: timedelta = LINK_LIFETIME) -> str:
        secret = new_secret()
        self.give_link(user, secret, self.clock.now() + lifetime, limited=limited)
        return link_path(secret)
