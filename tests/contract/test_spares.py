"""The promises of a store of spares: DynamoDB's, and the one that tests use beside SQLite's servers."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from hubless.domain.errors import StoreConflictError
from hubless.domain.lifecycle import Deadlines, State, launched
from hubless.domain.spares import Spare, SpareClaim, claimed, ended, started, waiting
from tests.support import sqlite
from tests.support.builders import NOW, a_server, a_user
from tests.support.concurrency import concurrently
from tests.support.dynamodb import in_new_table
from tests.support.fakes import SparesInMemory
from tests.support.sqlite import InMemory

NEW = Spare("w01", "lab", "kind", NOW)


@pytest.fixture(params=["in memory", "dynamodb"])
def stores(request):
    if request.param == "dynamodb":
        made = in_new_table(request.getfixturevalue("in_moto"))
    else:
        found = sqlite.stores_of(InMemory())
        made = SimpleNamespace(**vars(found), spares=SparesInMemory(found.servers))
    made.users.create([a_user(), a_user("bob")])
    yield made
    made.close()


def requested(stores, owner="alice", launch_id="l1"):
    server = a_server(owner=owner) if owner != "alice" else a_server()
    stores.servers.create(server)
    after = replace(server, state=State.REQUESTED, launch_id=launch_id, requested_at=NOW, revision=1)
    stores.servers.write(server, after)
    return after


def claim(stores, spare, server):
    after = launched(server, task=spare.task, now=NOW, deadlines=Deadlines(), spare_id=spare.id)
    return stores.spares.claim(spare, claimed(spare, after), server=server, launched=after)


def a_free_one(stores, spare_id="w01"):
    spare = waiting(started(replace(NEW, id=spare_id), f"{spare_id}/arn:1"), NOW)
    assert stores.spares.add(spare)
    return spare


def test_a_spare_is_stored_as_it_was_written(stores):
    whole = replace(NEW, id="w02", task="t", waits_since=NOW, ended_at=NOW, failure="why")
    assert [stores.spares.add(whole), stores.spares.add(NEW), stores.spares.add(NEW)] == [True, True, False]
    assert stores.spares.all() == [NEW, whole]
    assert stores.spares.find("w02") == whole
    assert stores.spares.find("w03") is None


def test_each_write_names_the_revision_that_it_expects(stores):
    stores.spares.add(NEW)
    after = started(NEW, "t")
    assert [stores.spares.replace(NEW, after), stores.spares.replace(NEW, ended(NEW, NOW))] == [True, False]
    assert stores.spares.find(NEW.id) == after
    assert [stores.spares.remove(NEW), stores.spares.remove(after), stores.spares.remove(after)] == [False, True, False]
    assert not stores.spares.replace(after, waiting(after, NOW))
    assert stores.spares.all() == []


def test_a_claim_takes_the_spare_out_of_the_list_and_writes_the_server(stores):
    spare, server = a_free_one(stores), requested(stores)
    other = a_free_one(stores, "w02")
    assert stores.spares.claim_of("w01") is None

    assert claim(stores, spare, server)

    found = stores.servers.get(server.id)
    assert (found.state, found.task, found.spare_id) == (State.LAUNCHING, "w01/arn:1", "w01")
    assert stores.spares.claim_of("w01") == SpareClaim("w01", server.id, "l1")
    assert (stores.spares.find("w01"), stores.spares.all()) == (None, [other])
    assert not stores.spares.replace(spare, ended(spare, NOW))
    assert [one.id for one in stores.servers.in_states([State.LAUNCHING])] == [server.id]

    for _ in range(2):
        stores.spares.remove_claim("w01")
        assert stores.spares.claim_of("w01") is None


def test_a_claim_of_a_spare_that_has_changed_writes_nothing(stores):
    spare, server = a_free_one(stores), requested(stores)
    stores.spares.replace(spare, ended(spare, NOW))

    assert not claim(stores, spare, server)

    assert stores.servers.get(server.id).state is State.REQUESTED
    assert stores.spares.claim_of("w01") is None


def test_a_claim_for_a_server_that_has_changed_leaves_the_spare_free(stores):
    spare, server = a_free_one(stores), requested(stores)
    stores.servers.write(server, replace(server, revision=server.revision + 1))

    with pytest.raises(StoreConflictError):
        claim(stores, spare, server)

    assert (stores.spares.find("w01"), stores.spares.claim_of("w01")) == (spare, None)


@pytest.mark.parametrize("stores", ["dynamodb"], indirect=True)  # the other is for one thread
def test_of_claims_at_once_one_gets_the_spare_and_a_launch_gets_one_spare(stores):
    first, second = a_free_one(stores), a_free_one(stores, "w02")
    server, other = requested(stores), requested(stores, "bob", "l2")

    def try_to(number):
        try:
            return claim(stores, (first, second)[number // 2], (server, other)[number % 2])
        except StoreConflictError:
            return False

    done = concurrently(try_to, times=4)

    claims = [found for spare in (first, second) if (found := stores.spares.claim_of(spare.id))]
    assert sum(done) == len(claims) == len({found.launch_id for found in claims}) >= 1
    assert len(stores.spares.all()) == 2 - len(claims)
    for found in claims:
        assert stores.servers.get(found.server_id).task == f"{found.spare_id}/arn:1"


def test_ids_sort_by_the_time_of_their_records(stores):
    for number in (3, 1, 2):
        stores.spares.add(replace(NEW, id=f"w0{number}", recorded_at=NOW + timedelta(seconds=number)))
    assert [spare.id for spare in stores.spares.all()] == ["w01", "w02", "w03"]
