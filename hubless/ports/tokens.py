"""The stores of tokens, OAuth clients, codes and sessions; they find records by the hash of a secret."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from hubless.domain.tokens import Client, Code, OwnerKind, Session, Token
from hubless.domain.users import User


class TokenStore(Protocol):
    """Stores tokens. Reads return expired ones too: the services check `is_expired`.

    A filter on a user, a group or a server (`!user=bob`) refers to the thing that has the name when the token is added.
    Reads return its present name, and leave the scope out if the thing does not exist. A filter on a server that does
    not exist yet refers to its owner and its name.
    """

    def find(self, sha256: str) -> Token | None:
        """Return the token with that hash or None."""
        ...

    def find_with_user(self, sha256: str) -> tuple[Token, User | None] | None:
        """Return the token and, if a user owns it, the user with its groups: one round trip or two."""
        ...

    def look_up(self, sha256: str, prefix: str) -> tuple[tuple[Token, User | None] | None, Sequence[str]]:
        """Return what `find_with_user` returns for *sha256*, and if that is None, the imported hashes of *prefix*.

        The hashes are texts (`hubless.domain.imported_secrets`), at most `MOST`: an import leaves out what is beyond
        its bounds. `find_with_user` finds a token by such a text. Candidates cost a round trip more, but none if the
        hub never got an imported secret.
        """
        ...

    def adopt(self, token: Token, sha256: str, now: datetime, /) -> bool:
        """Replace the imported hash in *token* by ours, in one write, and say whether this call did.

        It does nothing if the token is gone, has another hash by now, or if another token has *sha256*. The imported
        hash may lead to the token for an hour more, so that a look-up at the same moment finds it.
        """
        ...

    def get(self, owner_kind: OwnerKind, owner_id: str, token_id: str) -> Token | None:
        """Return the owner's token of that id or None."""
        ...

    def of_owner(self, owner_kind: OwnerKind, owner_id: str) -> list[Token]:
        """Return the owner's tokens, oldest first."""
        ...

    def issued(self, owner_id: str, client_id: str, number: int) -> list[Token]:
        """Return the newest *number* tokens that were issued to *client_id* for this user, newest first.

        On one machine this takes no longer if the user has many other tokens.
        """
        ...

    def create(self, token: Token, *, limit: int = 0) -> None:
        """Add *token*.

        Args:
            token: the token.
            limit: the number of API tokens that the owner may have, this one included; 0 means no limit. Tokens of
                servers and of OAuth clients do not count, nor do tokens that expire before this one was created.

        Raises:
            StoreConflictError: when another token has its id or its hash.
            NotFoundError: when its owner is a user who does not exist, or its browser session has ended. If the session
                ends at the same moment, the token is not added or is removed with the session.
            QuotaExceededError: when the limit is reached; concurrent calls never exceed it.
        """
        ...

    def create_many(self, tokens: Sequence[Token]) -> None:
        """Add tokens that belong to no session or client, as `create` does each, in few requests.

        Raises:
            StoreConflictError: when another token has the id or the hash of one. Some may have been added then.
            NotFoundError: when the owner of one is a user who does not exist; likewise.
        """
        ...

    def keep_newest(self, session_id: str, client_id: str, number: int) -> None:
        """Remove the tokens that were issued to *client_id* in this browser session, except the newest *number*."""
        ...

    def delete(self, token_ids: Iterable[str]) -> None:
        """Remove the tokens of these ids; a token that does not exist is no error."""
        ...

    def delete_issued(self, owner_id: str, client_id: str) -> None:
        """Remove every token that was issued to *client_id* for this user."""
        ...

    def delete_session(self, session_id: str) -> None:
        """Remove every token that was issued to a browser session."""
        ...

    def touch(self, token_id: str, at: datetime, *, address: str = "", agent: str = "") -> None:
        """Set the token's last activity to *at* if that is later, in one write, with who used it then.

        Args:
            token_id: the token's id.
            at: when it was used.
            address: from where; "" if that is not known.
            agent: by which program, as it calls itself; "" if it does not.
        """
        ...

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Remove up to *limit* expired tokens and return how many were removed."""
        ...


class ClientStore(Protocol):
    """Stores the OAuth clients of running servers, and authorization codes. Clients of services are not stored here."""

    def get(self, client_id: str) -> Client | None:
        """Return the client or None."""
        ...

    def put(self, client: Client, token: Token) -> None:
        """Store a launch's client and its server's own token in one transaction.

        It removes what an earlier launch with the same client id left: its token, issued tokens and codes. It is
        idempotent for one launch: what was issued in between stays.

        Raises:
            StoreConflictError: when the client's server is not starting in that launch: a stop removes credentials for
            good.
        """
        ...

    def delete(self, client_id: str, launch_id: str) -> None:
        """Remove the client with its server's token, every token issued to it and its codes.

        The store uses one transaction if it is large enough; otherwise none of them is valid after the first write. Do
        nothing if the client belongs to another launch or does not exist.
        """
        ...

    def add_code(self, code: Code) -> None:
        """Store an authorization code.

        Raises:
            NotFoundError: when its user does not exist, or its session has ended, as with a token.
        """
        ...

    def find_code(self, sha256: str) -> Code | None:
        """Return the code with that hash, expired or not, or None."""
        ...

    def take_code(self, sha256: str) -> Code | None:
        """Remove and return the code. Of two concurrent calls, one gets it and the other None."""
        ...

    def delete_expired_codes(self, now: datetime, limit: int) -> int:
        """Remove up to *limit* expired codes and return how many."""
        ...


class SessionStore(Protocol):
    """Stores browser sessions."""

    def find_with_user(self, sha256: str) -> tuple[Session, User] | None:
        """Return the session with that hash, expired or not, and its user with groups; otherwise None."""
        ...

    def create(self, session: Session) -> None:
        """Add *session*.

        Raises:
            NotFoundError: when its user does not exist.
        """
        ...

    def of_user(self, user_id: str) -> list[Session]:
        """Return the user's sessions, oldest first."""
        ...

    def keep_newest(self, user_id: str, number: int) -> None:
        """End the user's sessions, except the newest *number*, as `end` does."""
        ...

    def end(self, session_id: str) -> None:
        """Remove the session with every token issued in it and its codes, as `ClientStore.delete` does."""
        ...

    def end_all(self, user_id: str) -> None:
        """Remove every session of the user as `end` does."""
        ...

    def delete_expired(self, now: datetime, limit: int) -> int:
        """Remove up to *limit* expired sessions and return how many were removed."""
        ...
