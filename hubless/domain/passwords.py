"""One-time links, with which users choose passwords."""

from collections.abc import Iterable
from datetime import datetime

from hubless.domain.values import value


@value
class PasswordLink:
    """A link that sets the password of its user once. A newer link, or a new password, ends it.

    *within* is None for a link of an admin or an operator. Otherwise it holds the scopes that the user had beyond those
    of every user when somebody else made the link: the link is no way to what the user was given afterwards.
    """

    sha256: str  # of the secret
    user_id: str
    expires_at: datetime
    within: tuple[str, ...] | None = None  # sorted

    def still_fits(self, rights: Iterable[str]) -> bool:
        """Say whether the user, who now has *rights* beyond those of every user, has no more than at first."""
        return self.within is None or set(self.within).issuperset(rights)
