"""Admission: who may log in. Nobody may whom no rule lets in, and a blocked user may never (JupyterHub 5's rule)."""

from collections.abc import Iterable
from functools import lru_cache

from hubless.domain.names import normalise_user_name, skeleton
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value


@value
class AdmissionPolicy:
    """The rules. Names are normalised (`names.normalise_user_name`); groups are as the provider writes them.

    A user who was blocked stays blocked under a name that only looks like it.
    """

    allow_all: bool = False
    allow_existing_users: bool = False  # whether everybody may who is a user of the hub already
    allow_users: frozenset[str] = frozenset()
    blocked_users: frozenset[str] = frozenset()
    allow_groups: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()  # names that settings make admins: they may always
    admin_groups: frozenset[str] = frozenset()
    contact: str = ""  # whom to ask

    def refusal_of(
        self, name: str, groups: Iterable[str] | None, *, is_existing: bool, by_admin: bool = False
    ) -> Message | None:
        """Return why the person may not log in, or None if the person may.

        Args:
            name: the user's name, normalised or as stored.
            groups: the groups that the provider says the person is in; None if it says nothing of them.
            is_existing: whether the person is a user of the hub already.
            by_admin: whether an admin let this very person in, by adding the user or by linking the identity.
        """
        if self.is_blocked(name):
            return _("%(user)s is blocked on this hub.", user=name)
        normal, known = normalise_user_name(name), frozenset(groups or ())
        may_enter = (
            self.allow_all
            or by_admin
            or (is_existing and self.allow_existing_users)
            or normal in self.allow_users | self.admins
            or not known.isdisjoint(self.allow_groups | self.admin_groups)
        )
        return None if may_enter else _("%(user)s is not allowed on this hub.", user=name)

    def is_blocked(self, name: str) -> bool:
        """Say whether the user of this name may not use the hub at all."""
        return bool(self.blocked_users) and (
            normalise_user_name(name) in self.blocked_users or skeleton(name) in _skeletons(self.blocked_users)
        )

    def is_admin_by(self, groups: Iterable[str] | None) -> bool | None:
        """Say whether the person's groups make an admin; None if they say nothing: no group does, or none is known."""
        if groups is None or not self.admin_groups:
            return None
        return not self.admin_groups.isdisjoint(groups)

    @property
    def lets_nobody_in(self) -> bool:
        """Say whether no rule lets anybody in but admins and those whom admins let in one by one."""
        named = self.allow_users or self.allow_groups or self.admins or self.admin_groups
        return not (self.allow_all or self.allow_existing_users or named)


@lru_cache(maxsize=8)
def _skeletons(names: frozenset[str]) -> frozenset[str]:
    return frozenset(map(skeleton, names))
