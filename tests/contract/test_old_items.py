"""The present code reads and removes items that older code wrote: no deployment needs a migration."""

# ruff: noqa: RUF001 letters that look alike

import json

import pytest

from hubless.adapters.dynamodb import keys, table
from hubless.domain.passwords import PasswordLink
from hubless.domain.tokens import sha256
from tests.support.builders import NOW, a_user
from tests.support.dynamodb import Contents, in_new_table, stores_of
from tests.support.stored_items import DATA, end, fill, read

FILES = sorted(DATA.glob("items-v*.json"))
SHORT_LIVED = {table.QueueDigestItem, table.LeasesItem}  # good for half a minute, and for an hour at most


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
    assert _of(received["read"], read(stores)) == received["read"]


def test_old_items_are_removed_like_new_ones(old):
    stores, _ = old
    end(stores)
    left = _kinds_of_keys()

    Contents().clear()
    fill(stores)
    assert left < _kinds_of_keys()
    end(stores)
    assert left == _kinds_of_keys()


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
    once = {keys.ALL_SKELETONS}  # in the life of a table
    return {(pk.partition("#")[0], sk.partition("#")[0].rstrip("0123456789")) for pk, sk in {*Contents().read()} - once}


def test_an_old_name_with_capitals_is_found_and_kept_free_of_others(in_moto):
    before = in_new_table(in_moto)
    before.users.create([a_user("Dave"), a_user("сосо"), a_user("zoë")])
    in_moto.delete_many(keys.Key(*key) for key in Contents().read() if key[0] in {"NAMES#alike", "SKELETONS"})
    stores = stores_of(in_moto, before.close)  # older versions wrote none
    assert stores.users.holders(["dave", "coco", "ZOË", "bob"]) == {"dave": "Dave", "coco": "сосо", "ZOË": "zoë"}
    assert stores.users.create([a_user("dave"), a_user("coco"), a_user("bob")]) == [a_user("bob")]
    stores.close()


def _attributes(kind):
    attributes = kind.get_attributes()
    return {name for name, one in attributes.items() if not one.null and one.default is None}, set(attributes)


def _of(wanted, found):
    """Return the part of *found* that *wanted* has too: newer code may have more fields."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return {name: _of(one, found[name]) for name, one in wanted.items() if name in found}
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [_of(*pair) for pair in zip(wanted, found, strict=True)]
    return found
