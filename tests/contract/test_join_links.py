from dataclasses import replace
from datetime import timedelta

from hubless.domain.join_links import JoinLink
from tests.support.builders import NOW
from tests.support.concurrency import MANY, concurrently

LATER = NOW + timedelta(days=7)
MOMENT = timedelta(microseconds=1)
LINK = JoinLink("j-1", "hash", "ada", NOW, LATER, 2, "physics ü", needs_approval=True)


def add(stores, link=LINK, *, most=9):
    return stores.join_links.add(link, NOW, most=most)


def test_a_join_link_is_stored_with_all_its_facts(stores):
    assert add(stores)
    assert stores.join_links.find("hash", NOW) == LINK
    assert stores.join_links.find("other", NOW) is None


def test_the_newest_join_link_comes_first(stores):
    for number in (1, 3, 2):
        add(stores, replace(LINK, id=f"j-{number}", sha256=f"{number}"))
    assert [one.id for one in stores.join_links.all(NOW)] == ["j-3", "j-2", "j-1"]


def test_only_so_many_join_links_are_there_at_once(stores):
    assert add(stores, replace(LINK, id="old", sha256="old", expires_at=NOW), most=2)
    assert add(stores, most=2)
    assert add(stores, replace(LINK, id="j-2", sha256="2"), most=2)
    assert not add(stores, replace(LINK, id="j-3", sha256="3"), most=2)
    assert stores.join_links.find("3", NOW) is None


def test_a_join_link_has_so_many_places(stores):
    add(stores)
    assert [stores.join_links.use("hash", NOW) for _ in range(3)] == [True, True, False]
    stores.join_links.give_back("hash")
    assert stores.join_links.find("hash", NOW).used == 1
    assert stores.join_links.use("hash", NOW)
    for _ in range(3):
        stores.join_links.give_back("hash")
    assert stores.join_links.find("hash", NOW).used == 0


def test_a_class_that_presses_at_once_takes_no_more_places(stores):
    add(stores, replace(LINK, places=3))
    outcomes = concurrently(lambda _: stores.join_links.use("hash", NOW))
    assert (outcomes.count(True), outcomes.count(False)) == (3, MANY - 3)


def test_a_join_link_ends_at_its_instant(stores):
    add(stores)
    assert stores.join_links.use("hash", LATER - MOMENT)
    assert not stores.join_links.use("hash", LATER)
    assert stores.join_links.find("hash", LATER) is None
    assert stores.join_links.all(LATER) == []


def test_a_join_link_that_was_ended_has_no_place_and_does_not_come_back(stores):
    add(stores)
    stores.join_links.end("hash")
    stores.join_links.end("hash")
    assert not stores.join_links.use("hash", NOW)
    stores.join_links.give_back("hash")
    assert stores.join_links.all(NOW) == []


def test_ended_join_links_can_be_removed(stores):
    add(stores)
    add(stores, replace(LINK, id="j-2", sha256="later", expires_at=LATER + MOMENT))
    assert stores.join_links.delete_expired(LATER, 100) in {0, 1}  # DynamoDB removes them by itself
    assert stores.join_links.delete_expired(LATER, 100) == 0
    assert stores.join_links.find("later", LATER)
