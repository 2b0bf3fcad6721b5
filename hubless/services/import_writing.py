"""Carrying out the plan of an import through the ports of a hub's stores.

In DynamoDB several threads write at once; kinds follow one another, and what one record has is written by one thread.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from datetime import timedelta
from itertools import groupby

from hubless.domain.archive import ArchivedServer, ArchivedService, ArchivedToken, ArchivedUser
from hubless.domain.archive_conversion import archived_budget, archived_schedule, budget_of, schedule_of
from hubless.domain.email_addresses import EmailAddress
from hubless.domain.errors import NotFoundError, StoreConflictError
from hubless.domain.external_identities import AWAITED_FOR, LinkedIdentity
from hubless.domain.import_items import Item, Kind, changing, place_of
from hubless.domain.import_plan import Action, Plan
from hubless.domain.lifecycle import Server
from hubless.domain.second_factors import AuthenticatorApp, Passkey
from hubless.domain.shares import Share, ShareCode
from hubless.domain.sign_ups import SignUp
from hubless.domain.tokens import OwnerKind, Token
from hubless.domain.user_notes import UserNote
from hubless.domain.users import Group, Service, User
from hubless.domain.values import value
from hubless.services.exporting import ALL, HubStores, Progress
from hubless.services.identifiers import new_id
from hubless.services.import_lanes import BATCH, Count, lanes
from hubless.services.second_factors import sealed_app_secret
from hubless.services.side_by_side import batches, in_order

SLOWED = ", more slowly, because the store is busy"
KEEP_WAITING = timedelta(days=365)  # how long an imported sign-up waits


@value
class _Ids:
    """The ids of what is here, by name; it grows with the import."""

    users: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    servers: dict[tuple[str, str], str] = field(default_factory=dict)

    def user(self, name: str) -> str:
        """Return the id of the user *name*.

        Raises:
            NotFoundError: when there is none.
        """
        if name not in self.users:
            raise NotFoundError("User", name)
        return self.users[name]

    def group(self, name: str) -> str:
        """Return the id of the group *name*.

        Raises:
            NotFoundError: when there is none.
        """
        if name not in self.groups:
            raise NotFoundError("Group", name)
        return self.groups[name]

    def server(self, owner: str, name: str) -> str:
        """Return the id of a server.

        Raises:
            NotFoundError: when there is none.
        """
        if (owner, name) not in self.servers:
            raise NotFoundError("Server", f"{owner}/{name}")
        return self.servers[owner, name]


class ImportWriting:
    """Carries out one plan."""

    def __init__(self, stores: HubStores, configured: frozenset[str]) -> None:
        self._stores, self._configured = stores, configured
        self._now = stores.clock.now()
        self._ids = _Ids()
        self._users = dict[str, User]()
        self._each: Mapping[Kind, Callable[[Item], None]] = {
            Kind.PASSWORD: self._password,
            Kind.EMAIL: self._email,
            Kind.NOTE: self._note,
            Kind.AUTH_STATE: self._auth_state,
            Kind.FACTORS: self._factors,
            Kind.IDENTITY: self._identity,
            Kind.AWAITED: self._awaited,
            Kind.SERVICE: self._service,
            Kind.SERVER: self._server,
            Kind.TOKEN: self._token,
            Kind.SHARE: self._share,
            Kind.SHARE_CODE: self._share_code,
            Kind.SIGN_UP: self._sign_up,
            Kind.BUDGET: self._budget,
            Kind.SCHEDULE: self._schedule,
            Kind.ACTIVITY: self._activity,
            Kind.GROUP: self._change_group,
            Kind.USER: self._change_user,
        }
        self._together: Mapping[tuple[Kind, Action], Callable[[Sequence[Item]], None]] = {
            (Kind.USER, Action.ADD): self._add_users,
            (Kind.GROUP, Action.ADD): self._add_groups,
            (Kind.MEMBER, Action.ADD): self._add_members,
            (Kind.PASSWORD, Action.ADD): self._add_passwords,
            (Kind.SERVER, Action.ADD): self._add_servers,
            (Kind.TOKEN, Action.ADD): self._add_tokens,
        }
        self._gone_each: Mapping[Kind, Callable[[Item], object]] = {
            Kind.USER: lambda item: stores.users.delete(self._ids.user(item.key[0])),
            Kind.PASSWORD: self._remove_password,
            Kind.SIGN_UP: self._remove_sign_up,
            Kind.IDENTITY: lambda item: stores.identities.unlink(self._ids.user(item.owner), item.record.id),
            Kind.GROUP: lambda item: stores.groups.delete(self._ids.group(item.key[0])),
            Kind.MEMBER: lambda item: stores.groups.remove_users(self._ids.group(item.key[0]), [item.key[1]]),
            Kind.SERVICE: self._remove_service,
            Kind.SERVER: self._remove_server,
            Kind.TOKEN: lambda item: stores.tokens.delete([item.key[0]]),
            Kind.SHARE: self._revoke,
            Kind.SHARE_CODE: self._remove_share_code,
            Kind.BUDGET: lambda item: stores.budgets.remove(item.key[0]),
            Kind.SCHEDULE: lambda item: stores.schedules.remove(item.key[0]),
        }

    def all(self, plan: Plan, origin: str, progress: Progress) -> None:
        """Write everything of *plan* and its marks."""
        marks, of, done = self._stores.marks, len(plan.steps), Count()
        for (kind, action), steps in groupby(plan.steps, key=lambda step: (step.item.kind, step.action)):

            def tell(kind: Kind = kind) -> None:
                progress(f"{kind.value}s{SLOWED if marks.throttled else ''}", done.number, of)

            def write(lane: list[Item], kind: Kind = kind, action: Action = action) -> None:
                for items in batches(lane, BATCH):
                    self._batch(kind, action, items, origin)
                    done.add(len(items))

            tell()
            for _ in in_order(write, lanes([step.item for step in steps]), marks.at_once, tell):
                tell()
        progress("done", done.number, of)

    def _batch(self, kind: Kind, action: Action, items: Sequence[Item], origin: str) -> None:
        """Write some items, and then their marks."""
        if begun := [item for item in items if _is_known_by_mark_alone(kind, action, item)]:
            self._stores.marks.put(origin, {place_of(item): changing(item.mark) for item in begun})
        self._write(kind, action, items)
        self._stores.marks.put(origin, _marks(action, items))

    def read_ids(self) -> None:
        """Read what has which id. Who is gone when the writes come makes them fail."""
        stores = self._stores
        users, groups = stores.users.page(offset=0, limit=ALL)[0], stores.groups.page(offset=0, limit=ALL)[0]
        self._users = {user.name: user for user in users}
        self._ids.users.update({user.name: user.id for user in users})
        self._ids.groups.update({group.name: group.id for group in groups})
        names = {user.id: user.name for user in users}
        for batch in batches(users, BATCH):
            for server in stores.servers.of_owners([user.id for user in batch]):
                self._ids.servers[names[server.owner_id], server.name] = server.id

    def _write(self, kind: Kind, action: Action, items: Sequence[Item]) -> None:
        if action is Action.MARK:
            return
        if action is Action.REMOVE:
            for item in items:
                self._gone_each[kind](item)
        elif (together := self._together.get((kind, action))) is not None:
            together(items)
        else:
            for item in items:
                self._each[kind](item)

    def _add_members(self, items: Iterable[Item]) -> None:
        for group, members in groupby(items, key=lambda item: item.key[0]):
            self._stores.groups.add_users(self._ids.group(group), [item.key[1] for item in members])

    # --- users ---

    def _add_users(self, items: Sequence[Item]) -> None:
        wanted = [self._user(item.record) for item in items]
        added = {user.name for user in self._stores.users.create(wanted)}
        for user in wanted:
            if user.name not in added:
                raise StoreConflictError(f"The name {user.name} was taken meanwhile. Import again")
            self._users[user.name], self._ids.users[user.name] = user, user.id

    def _user(self, record: ArchivedUser) -> User:
        created = record.created_at or self._now
        return User(
            record.id or new_id("u", created),
            record.name,
            created,
            record.admin,
            last_activity_at=record.last_activity_at,
            user_info=record.user_info,
        )

    def _change_user(self, item: Item) -> None:
        user, record, before = self._users[item.key[0]], item.record, item.before
        _expect((before.admin, before.user_info), (user.admin, user.user_info), f"The user {user.name}")
        after = replace(user, admin=record.admin, user_info=record.user_info, revision=user.revision + 1)
        if (after.admin, after.user_info) != (user.admin, user.user_info):
            self._stores.users.change(user, after)
            self._users[user.name] = after
        if item.last_activity_at is not None:
            self._stores.users.touch(user.id, item.last_activity_at)

    def _password(self, item: Item) -> None:
        user_id = self._ids.user(item.owner)
        if not self._stores.passwords.change(user_id, item.before, item.record):
            raise StoreConflictError(f"The password of {item.owner} was changed meanwhile. Import again")

    def _add_passwords(self, items: Sequence[Item]) -> None:
        names = {self._ids.user(item.owner): item.owner for item in items}
        refused = self._stores.passwords.add({self._ids.user(item.owner): item.record for item in items})
        if refused:
            raise StoreConflictError(f"The password of {names[refused[0]]} was changed meanwhile. Import again")

    def _email(self, item: Item) -> None:
        user_id = self._ids.user(item.owner)
        before = self._stores.emails.get(user_id)
        _expect(item.before or "", before.address if before else "", f"The address of {item.owner}")
        self._stores.emails.save(before, replace(before or EmailAddress(user_id), address=item.record))

    def _note(self, item: Item) -> None:
        user_id = self._ids.user(item.owner)
        there, record = self._stores.user_notes.get(user_id), item.record
        before = "" if item.before is None else item.before.text
        _expect(before, there.text if there else "", f"The note on {item.owner}")
        revision = (there.revision if there else 0) + 1
        after = UserNote(user_id, record.text, revision, record.written_by, record.written_at)
        self._stores.user_notes.save(there, after)

    def _auth_state(self, item: Item) -> None:
        self._ids.user(item.owner)
        self._stores.auth_states.keep(self._users[item.owner], item.record)

    def _factors(self, item: Item) -> None:
        user_id = self._ids.user(item.owner)
        before = self._stores.factors.get(user_id)
        app, record = item.record.app, item.record
        after = replace(
            before,
            revision=before.revision + 1,
            app=None
            if app is None
            else AuthenticatorApp(
                sealed_app_secret(self._stores.app_secrets, user_id, app.secret),
                app.added_at or self._now,
                before.app.last_step if before.app else 0,
                app.is_imported,
            ),
            passkeys=tuple(
                Passkey(one.id, one.public_key, one.sign_count, one.rp_id, one.name, one.added_at, one.last_used_at)
                for one in record.passkeys
            ),
            recovery_codes=record.recovery_codes,
        )
        self._stores.factors.save(before, after)

    def _identity(self, item: Item) -> None:
        record = item.record
        self._stores.identities.link(
            LinkedIdentity(
                record.id, self._ids.user(item.owner), record.provider, record.label, record.linked_at, record.by_admin
            )
        )

    def _awaited(self, item: Item) -> None:
        awaited = replace(item.record, until=min(item.record.until, self._now + AWAITED_FOR))
        if not self._stores.identities.await_login(self._ids.user(item.owner), awaited):
            raise StoreConflictError(f"{item.owner} got a way in, or became an admin, meanwhile. Import again")

    def _activity(self, item: Item) -> None:
        assert item.last_activity_at is not None  # noqa: S101 the plan has looked
        user_id = self._ids.user(item.owner)
        if len(item.key) == 1:
            self._stores.users.touch(user_id, item.last_activity_at)
        else:
            server_id = self._ids.server(*item.key)
            self._stores.servers.touch(server_id, item.last_activity_at, owner_id=user_id)

    # --- groups and services ---

    def _add_groups(self, items: Sequence[Item]) -> None:
        groups = [Group(new_id("g", self._now), item.record.name, properties=item.record.properties) for item in items]
        self._stores.groups.create(*groups)
        self._ids.groups.update({group.name: group.id for group in groups})

    def _change_group(self, item: Item) -> None:
        group_id, before = self._ids.group(item.key[0]), item.before.properties
        if not self._stores.groups.change_properties(group_id, before, item.record.properties):
            raise StoreConflictError(f"The group {item.key[0]} was changed meanwhile. Import again")

    def _service(self, item: Item) -> None:
        there = self._stores.services.find(item.key[0])
        wanted = _service(item.record)
        if there is None:
            self._stores.services.create(replace(wanted, id=new_id("sv", self._now)))
            return
        before = None if item.before is None else replace(_service(item.before), id=there.id)
        _expect(before, there, f"The service {there.name}")
        wanted = replace(
            wanted,
            id=there.id,
            # An archive without secrets takes none away.
            token_sha256=wanted.token_sha256 or there.token_sha256,
            client_secret_hash=wanted.client_secret_hash or there.client_secret_hash,
        )
        if not self._stores.services.change(there, wanted):
            raise StoreConflictError(f"The service {there.name} was changed meanwhile. Import again")

    # --- what belongs to users ---

    def _server(self, item: Item) -> None:
        record = item.record
        if (record.owner, record.name) in self._ids.servers:
            there = self._stores.servers.get(self._ids.server(record.owner, record.name))
            if there is None:
                raise NotFoundError("Server", f"{record.owner}/{record.name}")
            before = None if item.before is None else _choices(item.before)
            _expect(before, _choices(there), f"The server {record.owner}/{record.name}")
            after = replace(
                there,
                display_name=record.display_name,
                user_options=record.user_options,
                profile=record.profile,
                revision=there.revision + 1,
            )
            self._stores.servers.write(there, after)
            return
        self._add_servers([item])

    def _add_servers(self, items: Sequence[Item]) -> None:
        servers = [(item.key, self._new_server(item.record)) for item in items]
        self._stores.servers.create_many([server for _, server in servers])
        self._ids.servers.update({(key[0], key[1]): server.id for key, server in servers})

    def _new_server(self, record: ArchivedServer) -> Server:
        created = record.created_at or self._now
        return Server(
            id=new_id("s", created),
            owner_id=self._ids.user(record.owner),
            name=record.name,
            created_at=created,
            entered_at=created,
            display_name=record.display_name,
            profile=record.profile,
            user_options=record.user_options,
            last_activity_at=record.last_activity_at,
        )

    def _add_tokens(self, items: Sequence[Item]) -> None:
        """Add tokens that are not here; those of services may be, under the name that settings have taken since."""
        is_users = [item for item in items if item.record.owner_kind is OwnerKind.USER]
        self._stores.tokens.create_many(
            [_token(item.record, self._ids.user(item.owner), item.record.hashed) for item in is_users]
        )
        for item in items:
            if item.record.owner_kind is not OwnerKind.USER:
                self._token(item)

    def _token(self, item: Item) -> None:
        record, tokens = item.record, self._stores.tokens
        is_users = record.owner_kind is OwnerKind.USER
        owner_id, *earlier = [self._ids.user(record.owner)] if is_users else self._owners_of_service(record.owner)
        if item.before is not None and item.before.owner != record.owner:  # it moves
            before = item.before.owner
            earlier += [self._ids.user(before)] if is_users else self._owners_of_service(before)
        found = (tokens.get(record.owner_kind, one, record.id) for one in (owner_id, *earlier))
        there = next((one for one in found if one is not None), None)
        if there is not None:
            tokens.delete([there.id])
        # A token that was used here has our own hash.
        tokens.create(_token(record, owner_id, there.sha256 if there else record.hashed))

    def _owners_of_service(self, name: str) -> list[str]:
        """Return the owner of a service's tokens, and the added service that settings have replaced if there is one."""
        added = self._stores.services.find(name)
        owners = [name] if name in self._configured else []
        return [*owners, *([] if added is None else [added.token_owner])]

    def _share(self, item: Item) -> None:
        record = item.record
        user_id = None if record.user is None else self._ids.user(record.user)
        group_id = None if record.group is None else self._ids.group(record.group)
        server_id, shares = self._ids.server(record.owner, record.server), self._stores.shares
        there = shares.find(server_id, user_id=user_id, group_id=group_id)
        if item.before is not None:
            known = () if there is None else there.scopes
            _expect(set(item.before.scopes), set(known), f"A share of {record.owner}/{record.server}")
        if there is not None and (fewer := set(there.scopes) - set(record.scopes)):
            shares.revoke(there.id, fewer)
        shares.grant(
            Share(new_id("sh", record.created_at), server_id, record.scopes, record.created_at, user_id, group_id)
        )

    def _share_code(self, item: Item) -> None:
        record = item.record
        server_id = self._ids.server(record.owner, record.server)
        self._stores.share_codes.create(
            ShareCode(
                record.id,
                record.hashed,
                server_id,
                record.scopes,
                record.created_at,
                record.expires_at,
                record.exchange_count,
                record.last_exchanged_at,
                record.max_uses,
            )
        )

    def _sign_up(self, item: Item) -> None:
        record, now = item.record, self._now
        if item.before is not None:
            self._change_sign_up(item)
            return
        created = record.created_at or now
        asked = SignUp(
            record.name,
            new_id("u", created),
            record.password_hash,
            created,
            now + KEEP_WAITING,
            record.address,
            needs_approval=True,
        )
        self._stores.sign_ups.add(asked, now, most=None)

    def _change_sign_up(self, item: Item) -> None:
        record, before = item.record, item.before
        there = self._stores.sign_ups.find(record.name, self._now)
        found = None if there is None else (there.password_hash, there.address)
        if there is None or found != (before.password_hash, before.address):
            raise StoreConflictError(f"The sign-up of {record.name} was changed meanwhile. Import again")
        after = replace(there, password_hash=record.password_hash, address=record.address, revision=there.revision + 1)
        self._stores.sign_ups.change(there, after)

    # --- what admins set while the hub ran ---

    def _budget(self, item: Item) -> None:
        there = next((one for one in self._stores.budgets.all() if one.name == item.key[0]), None)
        found = None if there is None else archived_budget(there)
        _expect(item.before, found, f"The budget {item.key[0]}")
        self._stores.budgets.put(budget_of(item.record))

    def _schedule(self, item: Item) -> None:
        schedules, wanted = self._stores.schedules, schedule_of(item.record)
        there = next((one for one in schedules.all() if one.name == wanted.name), None)
        found = None if there is None else archived_schedule(there)
        _expect(item.before, found, f"The schedule {wanted.name}")
        if there is None:
            is_written = schedules.add(wanted)
        else:
            is_written = schedules.replace(there, replace(wanted, revision=there.revision + 1))
        if not is_written:
            raise StoreConflictError(f"The schedule {wanted.name} was changed meanwhile. Import again")

    # --- what the source has lost ---

    def _remove_password(self, item: Item) -> None:
        if not self._stores.passwords.remove(self._ids.user(item.owner), item.before):
            raise StoreConflictError(f"The password of {item.owner} was changed meanwhile. Import again")

    def _remove_sign_up(self, item: Item) -> None:
        if (waiting := self._stores.sign_ups.find(item.key[0], self._now)) is not None:
            self._stores.sign_ups.remove(waiting)

    def _remove_service(self, item: Item) -> None:
        if (service := self._stores.services.find(item.key[0])) is not None:
            self._stores.services.delete(service)

    def _remove_server(self, item: Item) -> None:
        if (server := self._stores.servers.get(self._ids.server(*item.key))) is not None:
            self._stores.servers.delete(server)

    def _remove_share_code(self, item: Item) -> None:
        self._stores.share_codes.delete(self._ids.server(item.record.owner, item.record.server), code_id=item.key[0])

    def _revoke(self, item: Item) -> None:
        record = item.record
        user_id = None if record.user is None else self._ids.user(record.user)
        group_id = None if record.group is None else self._ids.group(record.group)
        server_id = self._ids.server(record.owner, record.server)
        there = self._stores.shares.find(server_id, user_id=user_id, group_id=group_id)
        if there is not None:
            self._stores.shares.revoke(there.id)


def _token(record: ArchivedToken, owner_id: str, hashed: str) -> Token:
    return Token(
        record.id,
        hashed,
        record.owner_kind,
        owner_id,
        record.scopes,
        record.created_at,
        record.note,
        record.expires_at,
        record.last_activity_at,
    )


def _service(record: ArchivedService) -> Service:
    return Service(
        record.name,
        record.admin,
        record.url,
        record.token_hash,
        record.oauth_client_id,
        record.oauth_redirect_uri,
        record.oauth_no_confirm,
        record.oauth_client_allowed_scopes,
        record.info,
        record.display,
        from_settings=False,
        client_secret_hash=record.client_secret_hash,
    )


def _is_known_by_mark_alone(kind: Kind, action: Action, item: Item) -> bool:
    """Say whether the next import would take the item for removed, or for somebody else's, if this one broke off."""
    if kind is Kind.TOKEN:
        return action is Action.CHANGE  # which deletes first
    return kind is Kind.USER and action is Action.ADD and item.record.created_at is None


def _choices(server: Server | ArchivedServer) -> tuple[object, ...]:
    return server.display_name, server.profile, dict(server.user_options)


def _expect(planned: object, found: object, what: str) -> None:
    """Refuse to write over what somebody changed here since the plan was made.

    Raises:
        StoreConflictError: saying what it is and what to do.
    """
    if planned != found:
        raise StoreConflictError(f"{what} was changed meanwhile. Import again")


def _marks(action: Action, items: Iterable[Item]) -> dict[str, str | None]:
    return {
        place_of(item): None if action is Action.REMOVE else item.digest
        for item in items
        if item.kind is not Kind.ACTIVITY
    }
