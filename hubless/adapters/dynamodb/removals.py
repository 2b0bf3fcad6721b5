"""Removals that may need several transactions: of users, groups, shares, clients and sessions; and large new groups.

The first transaction marks the item as gone and writes a note. From then on readers ignore it, and its tokens do not
work. Then pages of dependent items are removed, each idempotently; the note goes last. Every sweep calls `finish`,
which continues from the notes that it finds. A group with more members than a transaction holds is created in the same
way.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

from hubless.adapters.dynamodb import keys, user_records
from hubless.adapters.dynamodb.database import (
    TRANSACTION,
    Check,
    ConditionFailedError,
    Database,
    Delete,
    Put,
    Step,
    Update,
    chunks,
)
from hubless.adapters.dynamodb.keys import Key
from hubless.adapters.dynamodb.table import (
    Account,
    CodeItem,
    EmailItem,
    GroupItem,
    Hints,
    IdentityItem,
    Item,
    Pointer,
    ServerItem,
    ShareCodeItem,
    ShareItem,
    Texts,
    TokenItem,
)
from hubless.adapters.dynamodb.user_count import counted
from hubless.domain.errors import NotFoundError, StoreConflictError
from hubless.domain.mails import folded
from hubless.domain.tokens import OwnerKind

BEGUN = "BEGUN"


def finish(database: Database) -> None:
    """Continue all removals in progress. It is harmless if another process still works on one."""
    for note in list(database.query(Pointer, BEGUN)):
        identifier = note.to or ""
        match note.kind:
            case "user":
                _sweep_user(database, identifier)
            case "group":
                _sweep_group(database, identifier)
            case "server":
                sweep_server(database, identifier)
            case "members":
                join_members(database, identifier)
            case "client":
                sweep_client(database, identifier)
            case "service":
                sweep_service(database, identifier)
            case _:
                _sweep_issued(database, keys.session(identifier), note.key)


# --- users ---


def remove_user(database: Database, user_id: str) -> None:
    """Remove a user, as the port describes."""

    def mark() -> bool:
        account = database.get(Account, keys.account(user_id))
        if account is None or account.gone:
            return account is not None
        if account.active:
            # An active server keeps its owner: otherwise its task would have no record.
            raise StoreConflictError("A server of this user is active")
        named, alike = keys.name("user", account.name), keys.skeleton(account.name)
        pointer = database.get(Pointer, alike)
        own = [alike] if alike is not None and pointer is not None and pointer.to == user_id else []
        database.transact(
            [
                Update(
                    account.key,
                    [Account.gone.set(True)],
                    # The user still exists under this name, and no server has started since.
                    Account.gone.does_not_exist() & (Account.name == account.name) & (Account.active == 0),
                ),
                *([Delete(named)] if named else []),
                *(Delete(key) for key in own),
                counted(-1),
                _begin("user", user_id),
            ]
        )
        return True

    if database.retry(mark):
        _sweep_user(database, user_id)


def _sweep_user(database: Database, user_id: str) -> None:
    partition = keys.user(user_id)
    account = database.get(Account, keys.account(user_id))
    if account is not None:
        for pointer in database.query(Pointer, partition, Item.sk.startswith("CLIENT#")):
            _sweep_partition(database, keys.client(pointer.to or ""))
        for pointer in database.query(Pointer, partition, Item.sk.startswith("SESSION#")):
            _sweep_partition(database, keys.session(pointer.sk.removeprefix("SESSION#")))
        for server in list(database.query(ServerItem, partition, Item.sk.startswith("SERVER#"))):
            _sweep_dependents(database, server.id)
            listed = keys.in_state(server.state, server.entered_at, server.id)
            database.delete_many([listed, keys.server_owner(server.id), server.key])
        for grant in user_records.grants(account.shared):
            database.delete_many(
                [keys.share(grant.server_id, user_id=user_id, group_id=None), keys.share_id(grant.share_id)]
            )
        database.delete_many(keys.member(group_id, user_id) for group_id in account.groups)
        tokens = list(database.query(TokenItem, partition, Item.sk.startswith("TOKEN#")))
        database.delete_many(key for token in tokens for key in keys_of_token(token))
        rest = [item for item in database.query(Pointer, partition) if item.sk != "ACCOUNT"]
        identities = [item for item in rest if item.sk.startswith("IDENTITY#")]
        if any(item.key == keys.email(user_id) for item in rest):
            _sweep_email(database, user_id)
        database.transact_each([_ended_identity(item, user_id) for item in identities])
        database.delete_many([*_with_codes(rest), keys.admin(user_id)])
    database.transact([Delete(keys.account(user_id)), Delete(keys.begun("user", user_id))])


def _sweep_email(database: Database, user_id: str) -> None:
    """Remove what leads from the user's e-mail address to the user."""
    if (email := database.get(EmailItem, keys.email(user_id))) is not None and email.address:
        database.delete_many([keys.email_user(folded(email.address), user_id)])


def _ended_identity(item: Pointer, user_id: str) -> list[Step]:
    """Return the step that removes a listed external identity, unless another user has taken it over meanwhile."""
    return [Delete(Key(item.sk, "IDENTITY"), IdentityItem.user_id == user_id)]


def _with_codes(rest: Iterable[Pointer]) -> Iterator[Key]:
    """Yield the keys of the items, and those of the authorization codes among them."""
    for item in rest:
        yield item.key
        if item.sk.startswith("CODE#"):
            yield from keys_of_listed(item)


# --- groups ---


def left(group_id: str, user_id: str) -> list[Step]:
    """Return the steps that end a membership."""
    return [
        Delete(keys.member(group_id, user_id)),
        Update(keys.account(user_id), [Account.groups[group_id].remove()], Account.pk.exists()),
    ]


def joined(user_id: str, groups: Mapping[str, str]) -> list[Step]:
    """Return the steps that add the user to groups (names by id): one step on its account for all of them."""
    return [
        *(Put(Pointer(*keys.member(group_id, user_id))) for group_id in groups),
        Update(
            keys.account(user_id),
            [Account.groups[group_id].set(name) for group_id, name in groups.items()],
            Account.pk.exists() & Account.gone.does_not_exist(),
            NotFoundError("User", user_id),
        ),
    ]


def begin_members(group_id: str, user_ids: Iterable[str]) -> Step:
    """Return the note of users who must still join, for the transaction that creates the group."""
    return Put(Pointer(*keys.begun("members", group_id), kind="members", to=group_id, ids=tuple(user_ids)))


def join_members(database: Database, group_id: str) -> None:
    """Add the members that the note names, unless they or the group were removed meanwhile."""
    note = database.get(Pointer, keys.begun("members", group_id))
    group = database.get(GroupItem, keys.group_item(group_id))
    if note is not None and group is not None and not group.gone:
        there = Check(group.key, GroupItem.pk.exists() & GroupItem.gone.does_not_exist())
        with suppress(ConditionFailedError):  # the removal of the group has begun meanwhile
            for part in chunks(note.ids or (), (TRANSACTION - 1) // 2):
                _join(database, there, group, part)
    database.delete_many([keys.begun("members", group_id)])


def _join(database: Database, there: Step, group: GroupItem, user_ids: Sequence[str]) -> None:
    try:
        database.transact([there, *(step for user_id in user_ids for step in joined(user_id, {group.id: group.name}))])
    except NotFoundError:
        for user_id in user_ids:
            with suppress(NotFoundError):
                database.transact([there, *joined(user_id, {group.id: group.name})])


def remove_group(database: Database, group_id: str) -> None:
    """Remove a group, as the port describes."""

    def mark() -> bool:
        group = database.get(GroupItem, keys.group_item(group_id))
        if group is None or group.gone:
            return group is not None
        named = keys.name("group", group.name)
        database.transact(
            [
                Update(group.key, [GroupItem.gone.set(True)], GroupItem.pk.exists() & GroupItem.gone.does_not_exist()),
                Update(keys.HINTS, [Hints.gone.add({group_id})]),  # from now on its members ignore it
                *([Delete(named)] if named else []),
                _begin("group", group_id),
            ]
        )
        return True

    if database.retry(mark):
        _sweep_group(database, group_id)


def _sweep_group(database: Database, group_id: str) -> None:
    group = database.get(GroupItem, keys.group_item(group_id))
    if group is not None:
        for grant in user_records.grants(group.shared):
            database.delete_many(
                [keys.share(grant.server_id, user_id=None, group_id=group_id), keys.share_id(grant.share_id)]
            )
        members = database.query(Pointer, keys.group(group_id), Item.sk.startswith("MEMBER#"))
        ids = [member.sk.removeprefix("MEMBER#") for member in members]
        done = database.transact_each([left(group_id, user_id) for user_id in ids])
        database.delete_many(
            keys.member(group_id, user_id) for user_id, was_there in zip(ids, done, strict=True) if not was_there
        )
    database.transact(
        [
            Delete(keys.group_item(group_id)),
            Update(keys.HINTS, [Hints.gone.delete({group_id}), Hints.sharing.delete({group_id})]),
            Delete(keys.begun("group", group_id)),
        ]
    )


# --- shares of servers ---


def begin_server(server_id: str) -> Step:
    """Return the note to remove a server's shares, for the transaction that removes the server."""
    return _begin("server", server_id)


def sweep_server(database: Database, server_id: str) -> None:
    """Remove the shares of a removed server, and its note."""
    _sweep_dependents(database, server_id)
    database.delete_many([keys.begun("server", server_id)])


def _sweep_dependents(database: Database, server_id: str) -> None:
    found = database.all_of(keys.server(server_id))
    _end_shares(database, found.each(ShareItem, "SHARE#"))
    codes = found.each(ShareCodeItem, "CODE#")
    database.delete_many(key for code in codes for key in (keys.share_code_hash(code.sha256), code.key))


def remove_shares(database: Database, server_id: str) -> None:
    """Remove all shares of a server, each together with its grant."""
    _end_shares(database, list(database.query(ShareItem, keys.server(server_id), Item.sk.startswith("SHARE#"))))


def _end_shares(database: Database, shares: list[ShareItem]) -> None:
    done = database.transact_each([ended(share) for share in shares])
    rest = [
        share for share, was_there in zip(shares, done, strict=True) if not was_there
    ]  # their user or group is gone
    database.delete_many(key for share in rest for key in (keys.share_id(share.id), share.key))


def ended(share: ShareItem) -> list[Step]:
    """Return the steps that end a share."""
    holder, attribute = holder_of(share.user_id, share.group_id)
    return [
        Delete(share.key),
        Delete(keys.share_id(share.id)),
        Update(holder, [attribute[share.server_id].remove()], Item.pk.exists()),
    ]


def holder_of(user_id: str | None, group_id: str | None) -> tuple[Key, Texts]:
    """Return the key of the user or group that has a share, and the attribute that stores it."""
    if user_id is not None:
        return keys.account(user_id), Account.shared
    return keys.group_item(group_id or ""), GroupItem.shared


# --- tokens and codes of clients and sessions ---


def remove_issued(
    database: Database,
    partition: str,
    *,
    head: Step,
    mark: Step,
    note: Step,
    more: Iterable[Key],
    also: Sequence[Step] = (),
    closes: bool = False,
) -> None:
    """Remove a client or session with every token and code that was issued to it.

    It needs one transaction if all fits. Otherwise the first one marks it, so that its tokens do not work any more.

    Args:
        head: removes the client or session, if it is as expected.
        mark: marks it as gone, if it is as expected.
        note: records that the removal has begun.
        more: further keys of the client or session.
        also: further steps of the first transaction.
        closes: whether something may be issued at this moment; then the mark comes first and prevents it.
    """
    own = list(more)
    if closes:
        database.transact([mark, note, *(Delete(key) for key in own), *also])
        _sweep_issued(database, partition, note.key)
        return
    doomed = list(dict.fromkeys([*own, *issued(database, partition)]))
    if len(doomed) + len(also) < TRANSACTION:
        database.transact([head, *(Delete(key) for key in doomed), *also])
        return
    database.transact([mark, note, *(Delete(key) for key in own), *also])
    _sweep_issued(database, partition, note.key)


def issued(database: Database, partition: str) -> list[Key]:
    """Return the keys of all that was issued to a client or in a session."""
    return [key for pointer in database.query(Pointer, partition) for key in keys_of_listed(pointer)]


def keys_of_listed(pointer: Pointer) -> Iterator[Key]:
    """Yield all keys of a listed token or code."""
    sha256, owner = pointer.sha256 or "", pointer.owner or ""
    if pointer.sk.startswith("TOKEN"):
        yield from token_keys(
            pointer.kind or "", owner, pointer.to or "", sha256, session=pointer.session, client=pointer.client
        )
    elif pointer.sk.startswith("CODE#"):
        yield from code_keys(sha256, owner, pointer.session or "", pointer.client or "")


def token_keys(
    kind: str, owner: str, token_id: str, sha256: str, *, session: str | None, client: str | None
) -> Iterator[Key]:
    """Yield all keys of a token."""
    yield keys.token(kind, owner, token_id)
    yield keys.token_hash(sha256)
    yield keys.token_id(token_id)
    if session is not None:
        yield Key(keys.session(session), f"TOKEN#{token_id}")
    if client is not None:
        yield Key(keys.client(client), f"TOKEN#{token_id}")


def code_keys(sha256: str, user_id: str, session: str, client: str) -> Iterator[Key]:
    """Yield all keys of an authorization code."""
    yield keys.code(sha256)
    for partition in (keys.user(user_id), keys.session(session), keys.client(client)):
        yield Key(partition, f"CODE#{sha256}")


def keys_of_token(item: TokenItem) -> Iterator[Key]:
    """Yield all keys of this token."""
    return token_keys(
        item.owner_kind, item.owner_id, item.id, item.sha256, session=item.session_id, client=item.client_id
    )


def keys_of_code(item: CodeItem) -> Iterator[Key]:
    """Yield all keys of this code."""
    return code_keys(item.sha256, item.user_id, item.session_id, item.client_id)


def begin_client(client_id: str) -> Step:
    """Return the note that a client's removal has begun."""
    return _begin("client", client_id)


def begin_session(session_id: str) -> Step:
    """Return the note that a session's removal has begun."""
    return _begin("session", session_id)


def sweep_client(database: Database, client_id: str) -> None:
    """Remove what was issued to a client that is gone, and its note."""
    _sweep_issued(database, keys.client(client_id), keys.begun("client", client_id))


def begin_service(owner: str) -> Step:
    """Return the note to remove the tokens of a service (`Service.token_owner`), for the removal's transaction."""
    return _begin("service", owner)


def sweep_service(database: Database, owner: str) -> None:
    """Remove the tokens of a service that is gone, and its note. No later service has the same id."""
    where = TokenItem.sk.startswith("TOKEN#")
    items = list(database.query(TokenItem, keys.owner(OwnerKind.SERVICE.value, owner), where))
    database.delete_many(key for item in items for key in keys_of_token(item))
    database.delete_many([keys.begun("service", owner)])


def _sweep_issued(database: Database, partition: str, note: Key) -> None:
    doomed = issued(database, partition)
    # Read after the list: a new launch that took over the client has done all of this before.
    head = database.get(Pointer, Key(partition, "HEAD"))
    if head is not None and not head.gone:
        database.delete_many([note])
        return
    database.delete_many(doomed)
    try:
        database.transact([Delete(Key(partition, "HEAD"), Pointer.gone == True), Delete(note)])  # noqa: E712 a condition of PynamoDB
    except ConditionFailedError:
        database.delete_many([note])


def _sweep_partition(database: Database, partition: str) -> None:
    """Remove a client or session of a removed user, with all that was issued to it."""
    listed = list(database.query(Pointer, partition))
    database.delete_many([*issued(database, partition), *(item.key for item in listed)])


def _begin(kind: str, identifier: str) -> Step:
    return Put(Pointer(*keys.begun(kind, identifier), kind=kind, to=identifier))
