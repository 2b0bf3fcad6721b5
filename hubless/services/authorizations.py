"""OAuth authorizations: which scopes a user grants to a client, whether to ask for consent, codes and tokens."""

import logging
from collections.abc import Callable, Iterable
from datetime import timedelta

from hubless.domain import scopes
from hubless.domain.bounds import MAX_SCOPES
from hubless.domain.scopes import IDENTIFY, Bearer, Scopes
from hubless.domain.tokens import Client, Code, OwnerKind, Token, sha256
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.tokens import ClientStore, TokenStore
from hubless.services.identifiers import new_id
from hubless.services.identity import Identities
from hubless.services.visits import Visits

logger = logging.getLogger(__name__)
CODE_LIFETIME = timedelta(minutes=5)  # as in JupyterHub
KEPT_TOKENS = 5  # of a client in one session: tabs that log in at once each have a token that works
_REMEMBERED = 50  # tokens of a client that consent looks at: a login stays short with however many sessions
_ANY_USER = "/"  # stands for the user who will be asked; no user has this name


@value
class Grant:
    """A user's permission for a client to act with these scopes, in one browser session."""

    client: Client
    user: User
    session_id: str
    scopes: tuple[str, ...]


@value
class Authorizations:
    """Decides on consent, and stores authorization codes and issued tokens."""

    clients: ClientStore
    tokens: TokenStore
    identities: Identities
    clock: Clock
    visits: Visits
    tell: Callable[[User, Client, Token], None] = lambda _user, _client, _token: None  # of a token that is issued

    def may_request(self, client: Client, wanted: Iterable[str]) -> bool:
        """Say whether *client* may request these scopes: access, the user's identity, and its allowed scopes."""
        raw, bearer = (
            (*client.access_scopes, *client.allowed_scopes, *IDENTIFY),
            Bearer(user=_ANY_USER, service=client.service),
        )
        allowed, wanted = scopes.expand(raw, bearer), list(wanted)
        return len(wanted) <= MAX_SCOPES and all(
            scope in raw or _lies_within(scopes.expand([scope], bearer), allowed) for scope in wanted
        )

    def may_access(self, user: User, client: Client) -> bool:
        """Say whether *user* may access the server or service of *client*."""
        held = self.identities.of_user(user)
        access = scopes.expand(client.access_scopes, Bearer(user=user.name))
        return bool(access.intersection(held, self.identities.groups_of(user)).all)

    def granted(self, user: User, client: Client, wanted: Iterable[str]) -> tuple[str, ...]:
        """Return the scopes of a grant: those of *wanted* that *user* has, the user's identity, and access."""
        held, groups_of = self.identities.of_user(user), self.identities.groups_of(user)

        def is_held(raw: str) -> bool:
            asked = scopes.expand([raw], Bearer(user=user.name))
            return bool(asked.all) and bool(asked.intersection(held, groups_of).all)

        named = (f"{scope}={client.service}" if scope.endswith("!service") else scope for scope in wanted)
        kept = [scope for scope in named if scope not in IDENTIFY and is_held(scope)]
        return tuple(dict.fromkeys((*kept, *IDENTIFY, *client.access_scopes)))

    def needs_consent(self, user: User, client: Client, wanted: tuple[str, ...]) -> bool:
        """Say whether *user* has to confirm: not for an own server, a trusted client, or scopes granted before."""
        if client.no_confirm or client.owner_id == user.id:
            return False
        now = self.clock.now()
        before = {
            scope
            for token in self.tokens.issued(user.id, client.id, _REMEMBERED)
            if not token.is_expired(now)
            for scope in token.scopes
        }
        return not before.issuperset(wanted)

    def opens_only(self, client: Client, wanted: tuple[str, ...]) -> bool:
        """Say whether these scopes let *client* identify its visitor and let the visitor in, and nothing else."""
        return client.server_id is not None and set(wanted) <= {*IDENTIFY, *client.access_scopes}

    def store_code(self, code: str, grant: Grant, *, challenge: str | None, challenge_method: str | None) -> None:
        """Store an authorization code, which is valid for five minutes."""
        self.clients.add_code(
            Code(
                sha256=sha256(code),
                client_id=grant.client.id,
                user_id=grant.user.id,
                session_id=grant.session_id,
                redirect_uri=grant.client.redirect_uri,
                scopes=grant.scopes,
                expires_at=self.clock.now() + CODE_LIFETIME,
                challenge=challenge,
                challenge_method=challenge_method,
            )
        )

    def take_code(self, code: str, client: Client) -> Code | None:
        """Redeem *code* and return it, or None if it is another client's, redeemed already or expired."""
        digest = sha256(code)
        kept = self.clients.find_code(digest)
        if kept is None or kept.client_id != client.id:
            return None
        taken = self.clients.take_code(digest)
        return None if taken is None or self.clock.now() >= taken.expires_at else taken

    def store_token(self, secret: str, grant: Grant, *, lifetime: timedelta) -> Token:
        """Store the token that is issued to a client; it ends with the browser session.

        The session keeps the newest few tokens of the client, so that a browser that logs in again and again piles up
        none.
        """
        self.visits.note(grant.user, grant.client)  # first: nobody gets in unrecorded
        now = self.clock.now()
        token = Token(
            id=new_id("a", now),
            sha256=sha256(secret),
            owner_kind=OwnerKind.USER,
            owner_id=grant.user.id,
            scopes=grant.scopes,
            created_at=now,
            expires_at=now + lifetime,
            session_id=grant.session_id,
            client_id=grant.client.id,
        )
        self.tokens.create(token)
        self.tokens.keep_newest(grant.session_id, grant.client.id, KEPT_TOKENS)
        logger.info("user %s has a token for client %s from now on", grant.user.name, grant.client.id)
        self.tell(grant.user, grant.client, token)
        return token


def _lies_within(asked: Scopes, allowed: Scopes) -> bool:
    return bool(asked.all) and all(allowed.covers(scope, lambda _user: ()) for scope in asked.all)
