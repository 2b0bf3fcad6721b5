"""Names of users under which nobody can log in: from old versions, or from stores that other programs filled."""

from collections import Counter
from dataclasses import replace

from hubless.domain import names
from hubless.domain.errors import HublessError
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.services.accounts import Accounts

RULE = 1  # the version of what `NameChecks.lost` finds: raise it with the rules of names, and each hub checks again


@value
class LostName:
    """A user whom no login finds, and the name that would be found; *why* says why it cannot be given."""

    user: User
    wanted: str
    why: str = ""  # "" if it can


@value
class NameChecks:
    """Finds users whom no login finds, and renames them where that is safe."""

    accounts: Accounts

    def lost(self) -> list[LostName]:
        """Return the users whom no login finds, in the order of names. It reads all users, page by page."""
        found = []
        for user in self.accounts.all():
            name = user.name
            if names.typed_user_name(name) == name and names.is_possible_user_name(name):
                continue  # as nearly all
            if self.accounts.stored_name(name) != name:
                wanted = names.typed_user_name(name)
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
