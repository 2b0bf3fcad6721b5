"""The store of external identities: which user a person at a provider is."""

from typing import Protocol

from hubless.domain.external_identities import AwaitedLogin, ExternalId, LinkedIdentity
from hubless.domain.users import User


class IdentityStore(Protocol):
    """Stores external identities. Each belongs to one user at most; a user may have several."""

    def find_with_user(self, identity: ExternalId) -> tuple[LinkedIdentity, User] | None:
        """Return *identity* and the user to whom it is linked, with its groups, or None."""
        ...

    def of_user(self, user_id: str) -> list[LinkedIdentity]:
        """Return the user's identities, the one linked first at the beginning."""
        ...

    def link(self, linked: LinkedIdentity, *, only_way_in: bool = False, awaited: AwaitedLogin | None = None) -> None:
        """Link an identity to its user; what else is known of one that is linked already is replaced.

        Its user awaits no first login any more.

        Args:
            linked: the identity.
            only_way_in: whether the user may have neither a password nor had another identity. Of two concurrent calls
                one succeeds.
            awaited: what the user must await, and be no admin; only with *only_way_in*.

        Raises:
            StoreConflictError: when it would not be the only way in, or the user awaits something else.
            IdentityTakenError: when it is linked to another user. Of two concurrent calls for two users, one raises
                this.
            NotFoundError: when the user does not exist.
        """
        ...

    def await_login(self, user_id: str, awaited: AwaitedLogin) -> bool:
        """Let the user await a first login, in place of one that it awaits already, and say whether it does.

        It does not if it is an admin, has a password or ever had an identity, or does not exist.
        """
        ...

    def create_user(self, user: User, linked: LinkedIdentity) -> None:
        """Add *user* with its first identity, in one transaction.

        Raises:
            NameTakenError: when a user has the name, or one that looks like it.
            IdentityTakenError: when the identity is linked already: somebody else's login was faster, or the same
                person's in another tab. If both are taken, either error may come.
        """
        ...

    def unlink(self, user_id: str, identity: ExternalId) -> bool:
        """End the link, and say whether there was one. It does not ask whether the user has another way in."""
        ...
