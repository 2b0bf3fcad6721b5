"""What the hub knows of one user, as the user may take it along: no files, and nothing that opens anything."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from hubless.domain.letters import Delivery
from hubless.domain.lifecycle import Server
from hubless.domain.shares import MAX_CODES, MAX_SHARES
from hubless.domain.tokens import OwnerKind, Token
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.email_addresses import EmailAddressStore
from hubless.ports.external_identities import IdentityStore
from hubless.ports.home_usage import HomeUsageStore
from hubless.ports.letters import LetterStore
from hubless.ports.second_factors import FactorStore
from hubless.ports.servers import ServerStore
from hubless.ports.sign_ups import SignUpStore
from hubless.ports.tokens import SessionStore, TokenStore
from hubless.ports.usage import UsageLog
from hubless.services.sharing import ShareDetails, Sharing

MOST = 10_000  # records of one kind; the newest, where an order is known
VERSION = 1  # of the form; one with another meaning of a field gets the next number
Record = dict[str, Any]
T = TypeVar("T")


@value
class OwnData:
    """Reads what is known of a user."""

    servers: ServerStore
    tokens: TokenStore
    sessions: SessionStore
    sharing: Sharing
    usage: UsageLog
    identities: IdentityStore
    emails: EmailAddressStore
    factors: FactorStore
    sign_ups: SignUpStore
    home_usage: HomeUsageStore
    letters: LetterStore
    clock: Clock

    def of(self, user: User) -> Record:
        """Return what is known of *user*: texts, numbers, lists and mappings of them, and aware instants.

        Secrets and their hashes, ids of sessions, what a login's provider said, and expired records are left out.
        """
        now = self.clock.now()
        servers = self.servers.of_owners([user.id])
        names = {server.id: server.name for server in servers}
        tokens = [one for one in self.tokens.of_owner(OwnerKind.USER, user.id) if not one.is_expired(now)]
        sessions = [one for one in self.sessions.of_user(user.id) if now < one.expires_at]
        return {
            "version": VERSION,
            "made_at": now,
            "user": self._user(user),
            "sign_up": self._sign_up(user, now),
            "logins": self._logins(user),
            "servers": [_server(server) for server in servers[:MOST]],
            "runs": self._runs(user, names),
            "tokens": [_token(token, names) for token in tokens[-MOST:]],
            "sessions": [
                {
                    "created_at": one.created_at,
                    "expires_at": one.expires_at,
                    "browser": one.agent,
                    "address": one.address,
                    "provider": one.provider,
                }
                for one in sessions[-MOST:]
            ],
            "shares": self._shares(user),
            "messages": [_message(one) for one in self.letters.of_user(user.id, now)],
        }

    def _user(self, user: User) -> Record:
        email, home = self.emails.get(user.id), self.home_usage.get_many([user.id]).get(user.id)
        return {
            "name": user.name,
            "admin": user.admin,
            "groups": list(user.groups),
            "created_at": user.created_at,
            "last_activity_at": user.last_activity_at,
            "user_info": user.user_info,
            "email": {"address": email.address, "waiting_for": email.pending} if email else None,
            "home": {"bytes": home.size, "is_whole": home.is_whole, "measured_at": home.measured_at} if home else None,
        }

    def _sign_up(self, user: User, now: datetime) -> Record | None:
        """Return the sign-up from which the account came, if it is still there; nobody else's of the same name."""
        waiting = self.sign_ups.find(user.name, now)
        if waiting is None or waiting.user_id != user.id:
            return None
        return {
            "address": waiting.address,
            "group": waiting.group,
            "waits_for_mail": waiting.waits_for_mail,
            "waits_for_admin": waiting.waits_for_admin,
            "created_at": waiting.created_at,
            "expires_at": waiting.expires_at,
        }

    def _logins(self, user: User) -> Record:
        factors = self.factors.get(user.id)
        return {
            "linked": [
                {
                    "issuer": one.id.issuer,
                    "subject": one.id.subject,
                    "provider": one.provider,
                    "label": one.label,
                    "linked_at": one.linked_at,
                }
                for one in self.identities.of_user(user.id)
            ],
            "app_added_at": factors.app.added_at if factors.app else None,
            "passkeys": [
                {"name": one.name, "host": one.rp_id, "added_at": one.added_at, "last_used_at": one.last_used_at}
                for one in factors.passkeys
            ],
            "recovery_codes_left": len(factors.recovery_codes),
        }

    def _runs(self, user: User, names: dict[str, str]) -> list[Record]:
        """Return how long each launch ran; of a server that was deleted, without its name."""
        return [
            {
                "server": names.get(one.server_id),
                "profile": one.profile,
                "started_at": one.started_at,
                "ended_at": one.ended_at,
                "seconds": one.seconds,
                "outcome": one.outcome,
            }
            for one in self.usage.of_owner(user.id)[-MOST:]
        ]

    def _shares(self, user: User) -> Record:
        sharing = self.sharing

        def received(offset: int) -> tuple[Sequence[ShareDetails], int]:
            return sharing.page(offset=offset, limit=MAX_SHARES, with_user=user)

        def given(offset: int) -> tuple[Sequence[ShareDetails], int]:
            return sharing.page(offset=offset, limit=MAX_SHARES, of_owner=user)

        codes = _all(lambda offset: sharing.code_page(offset=offset, limit=MAX_CODES, of_owner=user), MAX_CODES)
        return {
            "received": [_share(one) | {"owner": one.of.owner.name} for one in _all(received, MAX_SHARES)],
            "given": [_share(one) | {"user": one.user} for one in _all(given, MAX_SHARES)],
            "codes": [
                {
                    "server": one.of.server.name,
                    "scopes": list(one.code.scopes),
                    "created_at": one.code.created_at,
                    "expires_at": one.code.expires_at,
                    "used": one.code.exchange_count,
                }
                for one in codes
            ],
        }


def _all(page: Callable[[int], tuple[Sequence[T], int]], size: int) -> Iterator[T]:
    """Yield what *page* returns for each offset, up to `MOST`."""
    for offset in range(0, MOST, size):
        found, total = page(offset)
        yield from found
        if offset + size >= total:
            return


def _message(one: Delivery) -> Record:
    letter = one.letter
    return {
        "subject": letter.subject,
        "text": letter.text,
        "sent_by": letter.sent_by,
        "sent_at": letter.sent_at,
        "read_at": one.read_at,
        "deleted": one.is_put_away,
    }


def _server(server: Server) -> Record:
    return {
        "name": server.name,
        "display_name": server.display_name,
        "state": server.state.value,
        "profile": server.profile,
        "options": dict(server.user_options),
        "created_at": server.created_at,
        "started_at": server.started_at,
        "last_activity_at": server.last_activity_at,
        "failure": server.failure,
    }


def _token(token: Token, names: dict[str, str]) -> Record:
    return {
        "id": token.id,
        "note": token.note,
        "scopes": list(token.scopes),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "last_activity_at": token.last_activity_at,
        "last_address": token.last_address,
        "last_program": token.last_agent,
        "application": token.client_id,
        "server": names.get(token.server_id) if token.server_id else None,
    }


def _share(one: ShareDetails) -> Record:
    return {
        "server": one.of.server.name,
        "group": one.group,
        "scopes": list(one.share.scopes),
        "created_at": one.share.created_at,
    }
