"""Limits of homes that admins set: they keep to whom they were set for, whatever the name."""

from dataclasses import replace

import pytest

from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.home_limits import SqliteHomeLimitStore
from hubless.domain.errors import NotFoundError
from hubless.domain.home_limits import SetLimits
from hubless.domain.users import Group
from hubless.ports.home_limits import LimitOf
from tests.support import sqlite
from tests.support.builders import a_user


@pytest.fixture
def database(tmp_path):
    made = Database(tmp_path / "hub.sqlite")
    yield made
    made.close()


@pytest.fixture
def stores(database):
    made = sqlite.stores_of(database)
    made.users.create([a_user(), a_user("bob")])
    made.groups.create(Group("g-1", "physics"))
    return made


@pytest.fixture
def limits(database, stores):
    return SqliteHomeLimitStore(database)


def test_limits_are_those_of_the_users_and_groups_that_are_asked_for(limits):
    limits.put(LimitOf.USER, "u-alice", 7)
    limits.put(LimitOf.USER, "u-bob", None)
    limits.put(LimitOf.GROUP, "g-1", 2**60)
    limits.put(LimitOf.USER, "u-alice", 8)
    assert limits.of(["u-alice", "u-bob", "u-none"], ["physics", "art"]) == SetLimits(
        {"u-alice": 8, "u-bob": None}, {"physics": 2**60}
    )
    assert limits.of(["u-bob"], []) == SetLimits({"u-bob": None})
    assert limits.all(2) == [(LimitOf.GROUP, "physics", 2**60), (LimitOf.USER, "alice", 8)]


def test_a_limit_goes_with_its_user_or_group(limits, stores):
    limits.put(LimitOf.USER, "u-alice", 7)
    limits.put(LimitOf.GROUP, "g-1", 9)
    stores.users.delete("u-alice")
    stores.groups.delete("g-1")
    stores.groups.create(Group("g-2", "physics"))
    assert limits.all(9) == []
    assert limits.of(["u-alice"], ["physics"]) == SetLimits()
    for of, its_id in ((LimitOf.USER, "u-alice"), (LimitOf.GROUP, "g-1")):
        with pytest.raises(NotFoundError):
            limits.put(of, its_id, 7)


def test_a_renamed_user_keeps_the_limit(limits, stores):
    limits.put(LimitOf.USER, "u-alice", 7)
    alice = stores.users.find("alice")
    stores.users.change(alice, replace(alice, name="zora", revision=alice.revision + 1))
    assert limits.all(9) == [(LimitOf.USER, "zora", 7)]


def test_a_limit_is_removed_once(limits):
    limits.put(LimitOf.GROUP, "g-1", None)
    assert [limits.remove(LimitOf.GROUP, "g-1"), limits.remove(LimitOf.GROUP, "g-1")] == [True, False]
    assert limits.of([], ["physics"]) == SetLimits()
