"""Tokens, OAuth clients, codes and sessions, stored by the hash of their secret."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from hubless.domain.tokens import Client, Code, OwnerKind, Session, Token
from hubless.domain.users import User


class TokenStore(Protocol):
    """Holds tokens. Reads return expired ones too: the services ask `is_expired`.

    A scope's filter on a user, a group or a server (`!user=bob`) holds on to whom it names when the token is added: it is
    read with today's name, and left out once that user, group or server is gone, or when there was none. A server that did
    not exist yet is meant by its name, of this very owner.
    """

    def find(self, sha256: str) -> Token | None:
        """Return the token of that hash or None."""
        ...

    def find_with_user(self, sha256: str) -> tuple[Token, User | None] | None:
        """Return the token and, where a user owns it, the user with its groups: one round trip or two."""
        ...

    def get(self, owner_kind: OwnerKind, owner_id: str, token_id: str) -> Token | None:
        """Return the owner's token of that id or None."""
        ...

    def of_owner(self, owner_kind: OwnerKind, owner_id: str) -> list[Token]:
        """Return the owner's tokens, oldest first."""
        ...

    def create(self, token: Token) -> None:
        """Add *token*.

        Raises:
            StoreConflictError: when its id or hash is there already.
            NotFoundError: when its owner is a user who does not exist, or the session that it is issued in has ended: of the
                two at once, either the token is never there or the session's end takes it.
        """
        ...

    def delete(self, token_ids: Iterable[str]) -> None:
        """Remove tokens; those gone already are no error."""
        ...

    def delete_issued(self, owner_id: str, client_id: str) -> None:
        """Remove every token that *client_id* was issued for this user."""
        ...

    def delete_session(self, session_id: str) -> None:
        """Remove every token that was issued to a browser session."""
        ...

    def touch(self, token_id: str, at: datetime) -> None:
        """Set the token's last activity where *at* is later; one write."""
        ...

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Remove up to *limit* expired tokens and return how many."""
        ...


class ClientStore(Protocol):
    """Holds the OAuth clients of running servers, and codes. Services' clients come from settings."""

    def get(self, client_id: str) -> Client | None:
        """Return the client or None."""
        ...

    def put(self, client: Client, token: Token) -> None:
        """Write a launch's client and its server's own token in one transaction.

        Whatever an earlier launch of the same client id left (its tokens, issued tokens and codes) goes. Doing it again
        for the same launch changes nothing that was issued since.

        Raises:
            StoreConflictError: when the client's server is not on its way up in that launch (any more): what was removed
                with a stop never comes back.
        """
        ...

    def delete(self, client_id: str, launch_id: str) -> None:
        """Remove the client with its server's token, every token issued to it and its codes.

        One transaction where the store's holds it; otherwise none of it authenticates from the first write on.

        Nothing happens when the client belongs to another launch, or is gone.
        """
        ...

    def add_code(self, code: Code) -> None:
        """Keep an authorization code.

        Raises:
            NotFoundError: when its user does not exist (any more), or its session has ended, as with a token.
        """
        ...

    def find_code(self, sha256: str) -> Code | None:
        """Return the code or None; expired ones too."""
        ...

    def take_code(self, sha256: str) -> Code | None:
        """Remove and return the code: of two at once, one gets it and the other None."""
        ...

    def delete_expired_codes(self, now: datetime, limit: int) -> int:
        """Remove up to *limit* expired codes and return how many."""
        ...


class SessionStore(Protocol):
    """Holds browser sessions."""

    def find_with_user(self, sha256: str) -> tuple[Session, User] | None:
        """Return the session of that cookie's hash and its user with groups, or None; expired ones too."""
        ...

    def create(self, session: Session) -> None:
        """Add *session*.

        Raises:
            NotFoundError: when its user does not exist (any more).
        """
        ...

    def of_user(self, user_id: str) -> list[Session]:
        """Return the user's sessions, oldest first."""
        ...

    def end(self, session_id: str) -> None:
        """Remove the session, every token issued in it and its codes, as `ClientStore.delete` does."""
        ...

    def end_all(self, user_id: str) -> None:
        """Do the same for every session of the user."""
        ...

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Remove up to *limit* expired sessions and return how many."""
        ...
