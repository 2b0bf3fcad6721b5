"""Names of users under which nobody can log in: from old versions, or from stores that other programs filled."""

from collections import Counter
from dataclasses import replace
from itertools import islice
from typing import Final

from hubless.domain import names
from hubless.domain.errors import HublessError
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.services.accounts import Accounts

RULE = 1  # the version of what `NameChecks.lost` finds: raise it with the rules of names, and each hub checks again
GLANCE: Final = 2000  # users that a report reads: a few pages, also in a hub of any size


@value
class LostName:
    """A user whom no login finds, and the name that would be found; *why* says why it cannot be given."""

    user: User
    wanted: str
    why: str = ""  # "" if it can


@value
class Glance:
    """How many users no login finds, of those that were read; *is_whole* says whether these are all users."""

    lost: int
    read: int
    is_whole: bool

    @property
    def in_words(self) -> str:
        """Return what an operator reads."""
        of = "all" if self.is_whole else f"the first {self.read}"
        if not self.lost:
            return f"logins find {of} users"
        return f"no login finds {self.lost} of {of} users"


@value
class NameChecks:
    """Finds users whom no login finds, and renames them where that is safe."""

    accounts: Accounts

    def glance(self, most: int) -> Glance:
        """Count the users whom no login finds, among the first *most* in the order of names."""
        read = [user.name for user in islice(self.accounts.all(), most + 1)]
        lost = sum(map(self._is_lost, read[:most]))
        return Glance(lost, min(len(read), most), is_whole=len(read) <= most)

    def lost(self) -> list[LostName]:
        """Return the users whom no login finds, in the order of names. It reads all users, page by page."""
        found = []
        for user in self.accounts.all():
            if self._is_lost(user.name):
                wanted = names.typed_user_name(user.name)
                found.append(LostName(user, wanted, self._refusal_of(wanted)))
        wanted_by = Counter(one.wanted for one in found)
        meets = "several users would get this name"
        return [replace(one, why=one.why or meets) if wanted_by[one.wanted] > 1 else one for one in found]

    def mend(self, lost: LostName) -> str:
        """Rename the user if that is safe, in one conditional write; return why not, or ""."""
        if lost.why:
            return lost.why
        try:
            self.accounts.change(lost.user, name=lost.wanted)
        except HublessError as refused:
            return refused.message
        return ""

    def _is_lost(self, name: str) -> bool:
        if names.typed_user_name(name) == name and names.is_possible_user_name(name):
            return False  # as nearly all
        return self.accounts.stored_name(name) != name

    def _refusal_of(self, wanted: str) -> str:
        try:
            names.check_user_name(wanted)
        except HublessError as refused:
            return refused.message
        if self.accounts.users.find(wanted) is not None:
            return f"another user has the name {names.shown(wanted)}"
        if self.accounts.is_reserved_name(wanted):
            return f"the settings give rights to the name {names.shown(wanted)}"
        return ""
