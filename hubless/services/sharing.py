"""Sharing of servers: granting and revoking shares, share codes, and lists of both."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import field, replace
from datetime import timedelta

from hubless.domain import imported_secrets
from hubless.domain.bounds import MAX_IDENTIFIER, MAX_SECRET_LENGTH
from hubless.domain.errors import InvalidRequestError, NotFoundError, QuotaExceededError
from hubless.domain.lifecycle import Server
from hubless.domain.shares import ACCESS, LONGEST, MAX_CODES, MAX_SHARES, MAX_USES, SHORTEST, Share, ShareCode
from hubless.domain.tokens import is_same, link_secret, sha256
from hubless.domain.translatable import gettext as _
from hubless.domain.users import Group, User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.servers import ServerStore
from hubless.ports.shares import ShareCodeStore, ShareStore
from hubless.ports.users import GroupStore, UserStore
from hubless.services.identifiers import new_id, new_secret
from hubless.services.imported_secret_checks import ImportedSecretChecks


@value
class SharedServer:
    """A shared server and its owner."""

    server: Server
    owner: User


@value
class ShareDetails:
    """A share with the present names of its server, owner and user or group."""

    share: Share
    of: SharedServer
    user: str | None = None
    group: str | None = None


@value
class ShareCodeDetails:
    """A share code with the present names of its server and owner."""

    code: ShareCode
    of: SharedServer


@value
class Sharing:
    """Manages shares and share codes; a change takes effect at the next request of the user."""

    shares: ShareStore
    codes: ShareCodeStore
    servers: ServerStore
    users: UserStore
    groups: GroupStore
    clock: Clock
    imported_secret_checks: ImportedSecretChecks = field(default_factory=ImportedSecretChecks)
    key: Callable[[], bytes] = bytes  # derives the secrets of links

    def grant(self, server: Server, to: User | Group, scopes: tuple[str, ...]) -> Share:
        """Share *server* with *to*; the scopes are added to those of an existing share.

        Raises:
            NotFoundError: when the server, the user or the group does not exist.
            QuotaExceededError: when the server, or the user or group, has the maximum number of shares.
        """
        try:
            return self.shares.grant(self._share(server.id, to, scopes), limit=MAX_SHARES)
        except QuotaExceededError as reached:
            raise _too_many_shares() from reached

    def revoke(self, server: Server, to: User | Group, scopes: tuple[str, ...] | None) -> Share | None:
        """Revoke *scopes* (None: all) of *to* and return the share that is left, or None."""
        there = self.look_up(server, to)
        return None if there is None else self.shares.revoke(there.id, scopes)

    def find(self, server: Server, to: User | Group) -> Share:
        """Return the share of *server* with exactly this user or group.

        Raises:
            NotFoundError: when there is no such share.
        """
        there = self.look_up(server, to)
        if there is None:
            raise NotFoundError("Share", to.name)
        return there

    def look_up(self, server: Server, to: User | Group) -> Share | None:
        """Return the share of *server* with exactly this user or group, or None."""
        if isinstance(to, User):
            return self.shares.find(server.id, user_id=to.id)
        return self.shares.find(server.id, group_id=to.id)

    def end(self, share: Share) -> None:
        """Remove the whole share."""
        self.shares.revoke(share.id)

    def page(
        self,
        *,
        offset: int,
        limit: int,
        of_server: Server | None = None,
        of_owner: User | None = None,
        with_user: User | None = None,
        with_group: Group | None = None,
    ) -> tuple[list[ShareDetails], int]:
        """Return one page and the total of the shares of a server or an owner, or with a user or a group."""
        found, total = self.shares.page(
            offset=offset,
            limit=limit,
            server_id=of_server.id if of_server else None,
            owner_id=of_owner.id if of_owner else None,
            user_id=with_user.id if with_user else None,
            group_id=with_group.id if with_group else None,
        )
        return self.shown(found), total

    def shown(self, shares: Sequence[Share]) -> list[ShareDetails]:
        """Return *shares* with present names, without those whose server, user or group no longer exists."""
        servers = self._servers({share.server_id for share in shares})
        users = self.users.get_many({share.user_id for share in shares if share.user_id})
        groups = self.groups.names({share.group_id for share in shares if share.group_id})
        made = [
            ShareDetails(
                share,
                servers[share.server_id],
                users[share.user_id].name if share.user_id in users else None,
                groups.get(share.group_id or ""),
            )
            for share in shares
            if share.server_id in servers
        ]
        return [granted for granted in made if granted.user or granted.group]

    # --- codes -------------------------------------------------------------------------------------------------------

    def create_code(self, server: Server, scopes: tuple[str, ...], lifetime: timedelta) -> tuple[ShareCode, str]:
        """Create a code for *server* and return it with its secret, which is shown only once.

        Raises:
            QuotaExceededError: when the server has the maximum number of codes.
        """
        now, secret = self.clock.now(), new_secret()
        return self._created(
            ShareCode(new_id("sc_", now), sha256(secret), server.id, scopes, now, now + lifetime)
        ), secret

    def create_link(
        self, server: Server, lifetime: timedelta, max_uses: int, scopes: tuple[str, ...] = ACCESS
    ) -> ShareCode:
        """Create a code that lets users open *server*; `link_secret` returns its secret at any time.

        Args:
            server: the server.
            lifetime: how long the link works.
            max_uses: how many users may use it; 0 for no limit.
            scopes: what the link gives, as bare names, sorted.

        Raises:
            InvalidRequestError: when the lifetime or the number is out of range.
            QuotaExceededError: when the server has the maximum number of codes.
        """
        if not SHORTEST <= lifetime <= LONGEST:
            raise InvalidRequestError("A link works for a minute at least and a year at most")
        if not 0 <= max_uses <= MAX_USES:
            raise InvalidRequestError(_("A link works for at most %(max_uses)s people", max_uses=MAX_USES))
        now = self.clock.now()
        code_id = new_id("sc_", now)
        hashed = sha256(link_secret(self.key(), code_id))
        return self._created(ShareCode(code_id, hashed, server.id, scopes, now, now + lifetime, max_uses=max_uses))

    def link_secret(self, code: ShareCode) -> str | None:
        """Return the secret of a code that is a link's; None for those whose secret was shown only once."""
        secret = link_secret(self.key(), code.id)
        return secret if is_same(code.sha256, secret) else None

    def _created(self, code: ShareCode) -> ShareCode:
        try:
            self.codes.create(code, limit=MAX_CODES)
        except QuotaExceededError as reached:
            raise QuotaExceededError(
                _(
                    "This server already has the maximum of %(max_codes)s share codes. One must be revoked or"
                    " expire before a new one can be created",
                    max_codes=MAX_CODES,
                ),
                limit=MAX_CODES,
            ) from reached
        return code

    def find_code(self, secret: str, user: User) -> ShareCodeDetails:
        """Return the unexpired code of that secret, with its server, to *user*.

        A code that is used up is still valid for a user who has its share.

        Raises:
            NotFoundError: when no valid code has that secret.
            QuotaExceededError: when the user tried too many wrong ones that begin like one of another hub.
        """
        code = self._code_of(secret, user.id) if 0 < len(secret) <= MAX_SECRET_LENGTH else None
        if code is None or code.is_expired(self.clock.now()):
            raise NotFoundError("Share code", "")
        if code.is_used_up and not self._has(user, code):
            raise NotFoundError("Share code", "")
        for offered in self.shown_codes([code]):
            return offered
        raise NotFoundError("Share code", "")

    def accept(self, secret: str, user: User) -> ShareCodeDetails:
        """Redeem the code for *user*, and return it with its server.

        A code whose uses are limited counts each user once, however often the same one follows the link.

        Raises:
            NotFoundError: when no valid code has that secret.
            InvalidRequestError: when the user owns the server.
            QuotaExceededError: when the server or the user has the maximum number of shares, or as `find_code` says.
        """
        offered = self.find_code(secret, user)
        if offered.of.owner.id == user.id:
            raise InvalidRequestError("You can't share with yourself!")
        if offered.code.max_uses and self._has(user, offered.code):
            return offered
        share = self._share(offered.code.server_id, user, offered.code.scopes)
        try:
            granted = self.codes.exchange(offered.code, share, self.clock.now(), limit=MAX_SHARES)
        except QuotaExceededError as reached:
            raise _too_many_shares() from reached
        if granted is None:
            raise NotFoundError("Share code", "")
        return offered

    def _has(self, user: User, code: ShareCode) -> bool:
        """Say whether *user* has all that the code gives."""
        there = self.shares.find(code.server_id, user_id=user.id)
        return there is not None and set(code.scopes) <= set(there.scopes)

    def delete_codes(self, server: Server, *, secret: str | None = None, code_id: str | None = None) -> int:
        """Remove the server's code of that secret or id, or all its codes; return how many were removed."""
        if len(secret or "") > MAX_SECRET_LENGTH or len(code_id or "") > MAX_IDENTIFIER:
            return 0
        if secret is None:
            return self.codes.delete(server.id, code_id=code_id)
        code = self._code_of(secret, server.owner_id)
        if code is None or code.server_id != server.id or code_id not in {None, code.id}:
            return 0
        return self.codes.delete(server.id, code_id=code.id)

    def _code_of(self, secret: str, sender: str) -> ShareCode | None:
        """Return the code of that secret, expired or not, or None. An imported one gets a hash of ours."""
        digest = sha256(secret)
        code, candidates = self.codes.look_up(digest, imported_secrets.prefix_of(secret))
        if code is not None:
            return code
        now = self.clock.now()
        imported = self.imported_secret_checks.matching(candidates, secret, sender, now)
        if imported is None:
            return None
        code = self.codes.find(imported)
        if code is None:
            return self.codes.find(digest)  # another request has adopted it meanwhile
        if imported_secrets.is_imported(code.sha256) and not code.is_expired(now):
            self.codes.adopt(code, digest, now)
        return code

    def code_page(
        self, *, offset: int, limit: int, of_server: Server | None = None, of_owner: User | None = None
    ) -> tuple[list[ShareCodeDetails], int]:
        """Return one page and the total of the codes of a server or of an owner."""
        found, total = self.codes.page(
            offset=offset,
            limit=limit,
            server_id=of_server.id if of_server else None,
            owner_id=of_owner.id if of_owner else None,
        )
        now = self.clock.now()
        return self.shown_codes([code for code in found if not code.is_expired(now)]), total

    def shown_codes(self, codes: Sequence[ShareCode]) -> list[ShareCodeDetails]:
        """Return *codes* with present names."""
        servers = self._servers({code.server_id for code in codes})
        return [ShareCodeDetails(code, servers[code.server_id]) for code in codes if code.server_id in servers]

    def _share(self, server_id: str, to: User | Group, scopes: tuple[str, ...]) -> Share:
        now = self.clock.now()
        share = Share(new_id("sh", now), server_id, scopes, now)
        return replace(share, user_id=to.id) if isinstance(to, User) else replace(share, group_id=to.id)

    def _servers(self, ids: Iterable[str]) -> dict[str, SharedServer]:
        servers = self.servers.get_many(ids)
        owners = self.users.get_many({server.owner_id for server in servers.values()})
        return {
            key: SharedServer(server, owners[server.owner_id])
            for key, server in servers.items()
            if server.owner_id in owners
        }


def _too_many_shares() -> QuotaExceededError:
    return QuotaExceededError(
        _(
            "This server, or the user or group, already has the maximum of %(max_shares)s shares. One must"
            " be revoked before a new one can be granted. A group needs one share for all its members",
            max_shares=MAX_SHARES,
        ),
        limit=MAX_SHARES,
    )
