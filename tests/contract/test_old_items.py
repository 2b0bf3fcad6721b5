"""The present code reads and removes items that older code wrote: no deployment needs a migration."""

# ruff: noqa: RUF001 letters that look alike

import json
from datetime import timedelta

import pytest

from hubless.adapters.dynamodb import keys, server_activity, table
from hubless.adapters.dynamodb.table import Seen
from hubless.domain.lifecycle import State
from hubless.domain.passwords import PasswordLink
from hubless.domain.tokens import sha256
from tests.support.builders import NOW, a_server, a_user
from tests.support.dynamodb import Contents, in_new_table, stores_of
from tests.support.stored_items import DATA, end, fill, fill_beside, read, read_beside

FILES = sorted(DATA.glob("items-v*.json"), key=lambda file: int(file.stem.removeprefix("items-v")))
AFTERWARDS = NOW + timedelta(hours=2)
# Good for half a minute, for two, for an hour at most, as long as a login or what proves it, as long as a lock, and, of
# spares, for a day or as long as a launch, which needs its claim no more once it has started.
SHORT_LIVED = {
    table.QueueDigestItem,
    table.LeasesItem,
    table.PendingLoginItem,
    table.PeopleBatchItem,
    table.Used,
    table.AttemptCounter,
    table.WaitingItem,
    table.SpareItem,
    table.SpareClaimItem,
}


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def old(request, in_moto):
    stores = in_new_table(in_moto)
    received = json.loads(request.param.read_text())
    for item in received["items"]:
        Contents().add(item)
    yield stores, received
    stores.close()


def test_old_items_are_read_as_before(old):
    stores, received = old
    assert _of(received["read"], read(stores) | read_beside(stores)) == received["read"]


def test_old_items_are_removed_like_new_ones(old):
    stores, received = old
    end(stores)
    left = _kinds_of_keys()

    Contents().clear()
    fill(stores)
    if "lti" in received["read"]:
        fill_beside(stores)
    assert left < _kinds_of_keys()
    end(stores)
    assert left == _kinds_of_keys()


def test_old_guesses_count_until_they_expire(old):
    stores, _ = old
    window = {"since": NOW - timedelta(days=1), "until": NOW + timedelta(days=1)}
    assert [stores.attempts.try_add("alice", NOW, limit=2, **window) for _ in range(2)] == [True, False]
    stores.attempts.clear("alice")
    assert stores.attempts.failures("alice", NOW - timedelta(days=1)) == 0


def test_an_old_password_link_ends_with_a_newer_one(old):
    stores, _ = old
    link = stores.passwords.find_link(sha256("link"), NOW)
    stores.passwords.add_link(PasswordLink("new", link.user_id, link.expires_at))
    assert stores.passwords.find_link(sha256("link"), NOW) is None
    assert not stores.passwords.use_link(sha256("link"), "hash", NOW)


def test_an_old_password_link_still_sets_a_password(old):
    stores, _ = old
    assert stores.passwords.use_link(sha256("link"), "hash", NOW)
    assert stores.passwords.get("u-bob") == "hash"
    assert not stores.passwords.use_link(sha256("link"), "again", NOW)


def test_an_edge_reports_activity_of_an_old_server_after_the_next_sweep(old):
    stores, _ = old
    stores.servers.in_states([State.READY])

    stores.servers.touch("s-alice-", AFTERWARDS, owner_id="u-alice")

    assert stores.servers.get("s-alice-").last_activity_at == AFTERWARDS
    assert stores.users.get("u-alice").last_activity_at == AFTERWARDS


def test_a_user_with_old_activity_gets_another_server(old):
    stores, _ = old
    before = stores.servers.get("s-alice-").last_activity_at

    stores.servers.create(a_server("third"))
    stores.servers.touch("s-alice-third", AFTERWARDS, owner_id="u-alice")

    assert stores.servers.get("s-alice-third").last_activity_at == AFTERWARDS
    assert stores.servers.get("s-alice-").last_activity_at == before


@pytest.mark.parametrize("swept", [False, True])
def test_a_removed_old_server_leaves_its_activity_to_its_owner(old, swept):
    stores, _ = old
    if swept:
        stores.servers.in_states([State.READY])
    before = stores.users.get("u-alice").last_activity_at

    stores.servers.delete(stores.servers.get("s-alice-"))

    assert stores.users.get("u-alice").last_activity_at == before
    held = Contents().read()[keys.seen("u-alice")]
    assert '"s-alice-"' not in json.dumps([held["servers"], held.get("server_activity")])


def test_what_functions_of_version_1_write_during_a_deployment_counts(in_moto):
    stores = in_new_table(in_moto)
    fill(stores)
    item = Contents().read()[keys.seen("u-alice")]
    item["servers"]["M"]["s-alice-"] = {"N": str(keys.to_number(AFTERWARDS))}
    Contents().add(item)
    assert stores.servers.get("s-alice-").last_activity_at == AFTERWARDS

    stores.servers.in_states([State.READY])

    assert stores.servers.get("s-alice-").last_activity_at == AFTERWARDS
    moved = Contents().read()[keys.seen("u-alice")]
    assert moved["servers"] == {"M": {}}  # the map stays: functions of version 1 add new servers to it
    stores.servers.delete(stores.servers.get("s-alice-"))
    assert stores.users.get("u-alice").last_activity_at == AFTERWARDS
    stores.close()


def test_a_report_during_the_move_is_not_lost(in_moto):
    stores = in_new_table(in_moto)
    fill(stores)
    key = keys.seen("u-alice")
    item = Contents().read()[key]
    read = Seen.from_raw_data(item | {"servers": {"M": {"s-alice-": {"N": "1"}}}})
    stores.servers.touch("s-alice-", AFTERWARDS, owner_id="u-alice")

    server_activity.move(stores.database, read)

    assert stores.servers.get("s-alice-").last_activity_at == AFTERWARDS
    stores.close()


def test_the_newest_file_has_an_item_of_every_kind():
    newest = json.loads(FILES[-1].read_text())["items"]
    kinds = {kind for kind in vars(table).values() if isinstance(kind, type) and issubclass(kind, table.Item)}
    needed = {kind: _attributes(kind) for kind in kinds - SHORT_LIVED - {table.Item, table.Expiring}}
    assert [
        kind for kind, (least, most) in needed.items() if not any(least <= item.keys() <= most for item in newest)
    ] == []


def test_the_present_version_has_a_file():
    assert FILES[-1].stem == f"items-v{table.VERSION}", (
        "`python -m tests.support.stored_items tests/data/items-vN.json` writes it"
    )


def _kinds_of_keys():
    once = {keys.ALL_SKELETONS, keys.ALL_ADMINS}  # in the life of a table
    # Attempts, times of launches, acts and what is left of letters expire; the others outlive users, and older versions
    # wrote none.
    left = ("ATTEMPTS#", "TOTALS#", "LEDGER#", "BUDGETS", "SCHEDULES", "LAUNCHTIMES", "AUDIT", "LETTERS")
    held = {(pk, sk) for pk, sk in {*Contents().read()} - once if not pk.startswith(left)}
    return {(pk.partition("#")[0], sk.partition("#")[0].rstrip("0123456789")) for pk, sk in held}


def test_an_old_name_with_capitals_is_found_and_kept_free_of_others(in_moto):
    before = in_new_table(in_moto)
    before.users.create([a_user("Dave"), a_user("сосо"), a_user("zoë")])
    in_moto.delete_many(keys.Key(*key) for key in Contents().read() if key[0] in {"NAMES#alike", "SKELETONS"})
    stores = stores_of(in_moto, before.close)  # older versions wrote none
    assert stores.users.holders(["dave", "coco", "ZOË", "bob"]) == {"dave": "Dave", "coco": "сосо", "ZOË": "zoë"}
    assert stores.users.create([a_user("dave"), a_user("coco"), a_user("bob")]) == [a_user("bob")]
    stores.close()


def _attributes(kind):
    attributes = kind.get_attributes().values()
    needed = {one.attr_name for one in attributes if not one.null and one.default is None}
    return needed, {one.attr_name for one in attributes}


def _of(wanted, found):
    """Return the part of *found* that *wanted* has too: newer code may have more fields."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return {name: _of(one, found[name]) for name, one in wanted.items() if name in found}
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [_of(*pair) for pair in zip(wanted, found, strict=True)]
    return found


def test_a_user_whom_an_old_function_added_keeps_look_alikes_away(in_moto):
    stores = in_new_table(in_moto)
    stores.users.create([a_user("bob")])  # from now on the table counts as having all skeletons
    stores.users.create([a_user("сосо")])
    in_moto.delete_many([keys.skeleton("сосо")])  # as a function without skeletons leaves it

    assert stores.users.find("сосо").name == "сосо"

    assert stores.users.create([a_user("coco")]) == []
    stores.users.delete("u-сосо")
    assert [user.name for user in stores.users.create([a_user("coco")])] == ["coco"]
    stores.close()
