"""Tokens: issues, lists and revokes them. A token is shown once; the hub stores its hash."""

from collections.abc import Iterable
from datetime import timedelta

from hubless.domain import scopes
from hubless.domain.bounds import MAX_IDENTIFIER, MAX_NOTE
from hubless.domain.errors import InvalidRequestError, NotFoundError, QuotaExceededError
from hubless.domain.scopes import Bearer, GroupsOf, Scope, Scopes
from hubless.domain.tokens import OwnerKind, Token, sha256
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.tokens import TokenStore
from hubless.ports.users import GroupStore
from hubless.services.accounts import Accounts
from hubless.services.identifiers import new_id, new_secret
from hubless.services.identity import Identities

INHERIT = ("inherit",)
MAX_SCOPE_TEXT = 8192  # characters of all scopes of a token: lists of tokens stay short


@value
class Tokens:
    """Manages the tokens of users."""

    store: TokenStore
    accounts: Accounts
    groups: GroupStore
    identities: Identities
    clock: Clock
    max_lifetime: timedelta | None = None
    max_per_user: int = 0  # 0: no limit

    def issue(
        self, user_name: str, *, note: str = "", expires_in: timedelta | None = None, scopes: list[str] | None = None
    ) -> tuple[Token, str]:
        """Issue a token to the user of that name, with the rules for a request by the user.

        Raises:
            NotFoundError: when no user has that name.
            InvalidRequestError: when a scope or the lifetime is not allowed.
            QuotaExceededError: when the user has the maximum number of tokens.
        """
        owner = self.accounts.find(user_name)
        return self.issue_to(owner, note=note, expires_in=expires_in, raw_scopes=scopes)

    def issue_to(
        self,
        owner: User,
        *,
        note: str,
        expires_in: timedelta | None,
        raw_scopes: list[str] | None,
        session_id: str | None = None,
        client_id: str | None = None,
        secret: str | None = None,
    ) -> tuple[Token, str]:
        """Issue a token to *owner* and return it with its secret: *secret*, where the caller has derived one.

        Raises:
            InvalidRequestError: when a scope is unknown, *owner* does not have it or its filter names nothing that
                exists, or when the lifetime is not allowed.
            QuotaExceededError: when *owner* has the maximum number of tokens.
        """
        now = self.clock.now()
        wanted = tuple(dict.fromkeys(raw_scopes)) if raw_scopes is not None else INHERIT
        if sum(map(len, wanted)) > MAX_SCOPE_TEXT:
            raise InvalidRequestError(
                _(
                    "The scopes of a token may have at most %(max_scope_text)s characters together",
                    max_scope_text=MAX_SCOPE_TEXT,
                )
            )
        self._check_scopes(owner, wanted)
        lifetime = self._checked_lifetime(expires_in)
        secret = secret or new_secret()
        token = Token(
            id=new_id("a", now),
            sha256=sha256(secret),
            owner_kind=OwnerKind.USER,
            owner_id=owner.id,
            scopes=wanted,
            created_at=now,
            note=note[:MAX_NOTE],
            expires_at=None if lifetime is None else now + lifetime,
            session_id=session_id,
            client_id=client_id,
        )
        try:
            self.store.create(token, limit=self.max_per_user)
        except QuotaExceededError as reached:
            raise QuotaExceededError(
                _(
                    "User %(owner)s already has the maximum of %(max_per_user)s tokens. One must be revoked before"
                    " a new token can be created",
                    owner=owner.name,
                    max_per_user=self.max_per_user,
                ),
                limit=self.max_per_user,
            ) from reached
        return token, secret

    def issue_to_service(
        self, name: str, *, note: str, expires_in: timedelta, raw_scopes: list[str]
    ) -> tuple[Token, str]:
        """Issue a short-lived token to the service of settings of that name and return it with its secret.

        Raises:
            NotFoundError: when settings name no such service.
            InvalidRequestError: when a scope is unknown, the service does not have it or its filter names nothing that
                exists, or when the lifetime is not allowed.
        """
        service = self.identities.services.configured.get(name)
        if service is None:
            raise NotFoundError("Service", name)
        held, now = self.identities.of_service(service), self.clock.now()
        self._require(held, Bearer(service=name), raw_scopes, name, self.identities.groups_of())
        lifetime = self._checked_lifetime(expires_in)
        secret = new_secret()
        token = Token(
            id=new_id("a", now),
            sha256=sha256(secret),
            owner_kind=OwnerKind.SERVICE,
            owner_id=name,
            scopes=tuple(dict.fromkeys(raw_scopes)),
            created_at=now,
            note=note[:MAX_NOTE],
            expires_at=None if lifetime is None else now + lifetime,
        )
        self.store.create(token)
        return token, secret

    def of(self, owner: User) -> list[Token]:
        """Return the owner's tokens that have not expired."""
        now = self.clock.now()
        return [t for t in self.store.of_owner(OwnerKind.USER, owner.id) if not t.is_expired(now)]

    def of_secret(self, owner: User, secret: str) -> Token | None:
        """Return the owner's token with this secret, if it has not expired."""
        found = self.store.find(sha256(secret))
        is_there = found is not None and found.owner_id == owner.id and not found.is_expired(self.clock.now())
        return found if is_there else None

    def get(self, owner: User, token_id: str) -> Token:
        """Return the owner's token of that id.

        Raises:
            NotFoundError: when the owner has no valid token of that id.
        """
        token = self.store.get(OwnerKind.USER, owner.id, token_id) if len(token_id) <= MAX_IDENTIFIER else None
        if token is None or token.is_expired(self.clock.now()):
            raise NotFoundError("Token", token_id[:60])
        return token

    def revoke(self, owner: User, token: Token) -> None:
        """Revoke *token*. If it was issued to an OAuth client, revoke all tokens of that client and owner."""
        if token.client_id and token.server_id is None:
            self.store.delete_issued(owner.id, token.client_id)
        else:
            self.store.delete([token.id])

    def scopes_of(self, token: Token, owner: User) -> Scopes:
        """Return the scopes that *token* has now."""
        return self.identities.effective(token, owner)

    def _check_scopes(self, owner: User, wanted: tuple[str, ...]) -> None:
        for scope in wanted:
            scopes.parse(scope)
        # `!server` and `!service` mean nothing in a user's token: they are accepted and have no effect, as in
        # JupyterHub.
        held = self.identities.of_user(owner)
        self._require(held, Bearer(user=owner.name), wanted, owner.name, self.identities.groups_of(owner))

    def _require(
        self, held: Scopes, bearer: Bearer, wanted: Iterable[str], owner_name: str, groups_of: GroupsOf
    ) -> None:
        asked = scopes.expand(wanted, bearer)
        lacking = [s for s in asked.all if not held.covers(s, groups_of)]
        if lacking:
            named = ", ".join(sorted(map(str, lacking))[:5])
            raise InvalidRequestError(
                _(
                    "Not assigning requested scopes %(named)s: %(owner_name)s does not have them",
                    named=named,
                    owner_name=owner_name,
                )
            )
        for one in map(scopes.parse, wanted):
            self._check_filter(one)

    def _check_filter(self, scope: Scope) -> None:
        """Refuse a filter by a name that does not exist: the scope would stay empty, even if the name exists later."""
        owner = scope.value.partition("/")[0] if scope.kind == scopes.SERVER else scope.value
        if scope.kind in {scopes.USER, scopes.SERVER} and owner and self.accounts.users.find(owner) is None:
            raise InvalidRequestError(
                _("No such user: %(owner)s in scope %(scope)s", owner=repr(owner[:60]), scope=repr(str(scope)[:120]))
            )
        if scope.kind == scopes.GROUP and self.groups.find(scope.value) is None:
            raise InvalidRequestError(
                _(
                    "No such group: %(value)s in scope %(scope)s",
                    value=repr(scope.value[:60]),
                    scope=repr(str(scope)[:120]),
                )
            )

    def _checked_lifetime(self, asked: timedelta | None) -> timedelta | None:
        if asked is not None and asked <= timedelta(0):
            raise InvalidRequestError("expires_in must be a positive number of seconds")
        if self.max_lifetime is None:
            return asked
        if asked is not None and asked > self.max_lifetime:
            raise InvalidRequestError(
                _(
                    "expires_in may be at most %(total_seconds)s seconds on this hub",
                    total_seconds=int(self.max_lifetime.total_seconds()),
                )
            )
        return asked or self.max_lifetime
