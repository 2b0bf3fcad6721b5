"""The names that an import gives to users, applied to everything that names them."""

from collections.abc import Iterable
from dataclasses import replace

from hubless.domain.archive import Archive, ArchivedUser, Remark
from hubless.domain.import_items import Kind, token_in_words
from hubless.domain.import_names import Named
from hubless.domain.import_notes import Notes
from hubless.domain.names import shown
from hubless.domain.tokens import OwnerKind


class Renaming:
    """Puts users' names and ids as they are here in the place of the source's."""

    def __init__(self, named: Named, users: Iterable[ArchivedUser], notes: Notes) -> None:
        """Keep the names of those who come, the users who are here, and where to note what does not come."""
        self._named, self._names, self._notes = named, named.names, notes
        self._users = {user.name: user for user in users}
        self._names_of_ids = {user.id: user.name for user in self._users.values() if user.id}

    def applied_to(self, source: Archive) -> Archive:
        """Return the source with names as they are here; what belongs to nobody is left out with a remark."""
        names = self._names

        def name_of(old: str) -> str:
            return names.get(old, old)

        def is_known(kind: Kind, subject: str, *users: str | None) -> bool:
            for user in users:
                if user is not None and user not in names:
                    if user in self._named.left_out:
                        self._notes.leave_out_with_owner(kind)
                    else:
                        why = f"belongs to {shown(user)}, who is no user there"
                        self._notes.add(Remark(kind, subject, why, is_left_out=True))
                    return False
            return True

        return replace(
            source,
            users=tuple(
                self._with_fitting_id(replace(user, name=names[user.name]))
                for user in source.users
                if user.name in names
            ),
            groups=tuple(
                replace(
                    group,
                    users=tuple(
                        name_of(user) for user in group.users if is_known(Kind.MEMBER, f"{group.name}: {user}", user)
                    ),
                )
                for group in source.groups
            ),
            servers=tuple(
                replace(one, owner=name_of(one.owner))
                for one in source.servers
                if is_known(Kind.SERVER, f"{one.owner}/{one.name}", one.owner)
            ),
            tokens=tuple(
                replace(
                    one,
                    owner=name_of(one.owner) if one.owner_kind is OwnerKind.USER else one.owner,
                    scopes=tuple(self._scope(text) for text in one.scopes),
                )
                for one in source.tokens
                if is_known(Kind.TOKEN, token_in_words(one), one.owner if one.owner_kind is OwnerKind.USER else None)
            ),
            shares=tuple(
                replace(one, owner=name_of(one.owner), user=None if one.user is None else name_of(one.user))
                for one in source.shares
                if is_known(Kind.SHARE, f"{one.owner}/{one.server}", one.owner, one.user)
            ),
            share_codes=tuple(
                replace(one, owner=name_of(one.owner))
                for one in source.share_codes
                if is_known(Kind.SHARE_CODE, f"{one.owner}/{one.server}", one.owner)
            ),
            budgets=tuple(
                replace(one, user=name_of(one.user))
                for one in source.budgets
                if is_known(Kind.BUDGET, one.name, one.user or None)
            ),
            sign_ups=tuple(
                replace(one, name=self._named.sign_ups[one.name])
                for one in source.sign_ups
                if one.name in self._named.sign_ups
            ),
        )

    def _with_fitting_id(self, user: ArchivedUser) -> ArchivedUser:
        """Return *user* with the id that it will have here, and only with factors that work under that id."""
        there = self._users.get(user.name)
        taken_by = self._names_of_ids.get(user.id, user.name)
        fitting = there.id if there is not None else user.id if taken_by == user.name else ""
        if fitting == user.id or not (user.passkeys or user.recovery_codes):
            return replace(user, id=fitting)
        # Without a factor the password alone would open what two factors closed.
        is_bare = bool(user.passkeys) and user.app is None and user.password_hash is not None
        why = "has passkeys and recovery codes that work for the account there only"
        to_do = "The user adds new ones here."
        if is_bare:
            why, to_do = f"{why}, so the password is left out too", "Give the user a one-time link."
        self._notes.remark(Kind.FACTORS, user.name, why, to_do)
        kept = None if is_bare else user.password_hash
        return replace(user, id=fitting, passkeys=(), recovery_codes=(), password_hash=kept)

    def _scope(self, text: str) -> str:
        """Return a scope whose filter names users by their names here."""
        before, mark, old = text.partition("!user=")
        if mark:
            return f"{before}!user={self._names.get(old, old)}"
        before, mark, old = text.partition("!server=")
        owner, slash, server = old.partition("/")
        return f"{before}!server={self._names.get(owner, owner)}{slash}{server}" if mark else text
