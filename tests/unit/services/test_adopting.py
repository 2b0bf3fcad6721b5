"""Strays become their owners' servers again, by one write, and nothing else is taken from anybody."""

import contextlib
import itertools
from dataclasses import replace

import pytest

from hubless.domain import tokens
from hubless.domain.budgets import Budget
from hubless.domain.errors import CannotAdoptError, InvalidRequestError
from hubless.domain.lifecycle import State
from hubless.domain.names import route_prefix
from hubless.domain.profiles import Profile
from hubless.domain.strays import Stray
from hubless.domain.tariffs import Meter
from hubless.ports.launcher import TaskRunning, TaskStopped
from hubless.services.adopting import Adopting
from hubless.services.budgets import Budgets
from tests.support.builders import a_server
from tests.support.crash_points import Crash
from tests.support.world import World

KEY, LAUNCH, ADDRESS = b"k" * 32, "l-stray", "127.0.0.1:9999"


class Fuse:
    """Passes calls on, and crashes before or after one of them."""

    def __init__(self):
        self.left = -1

    def around(self, port):
        return _Around(port, self)

    def burn(self):
        self.left -= 1
        if self.left == -1:
            raise Crash


class _Around:
    def __init__(self, port, fuse):
        self._port, self._fuse = port, fuse

    def __getattr__(self, name):
        found = getattr(self._port, name)

        def call(*given, **options):
            self._fuse.burn()
            answer = found(*given, **options)
            self._fuse.burn()
            return answer

        return call


class RestoredWorld(World):
    """A hub whose launcher runs a launch of alice that no record names."""

    def __init__(self, *budgets, **facts):
        super().__init__(profiles=[Profile("lab"), Profile("other")], **facts)
        self.fuse = Fuse()
        self.launcher.status[LAUNCH] = TaskRunning(ADDRESS)
        token = tokens.sha256(tokens.launch_secret(KEY, LAUNCH))
        self.stray = Stray(LAUNCH, "alice", self.alice.id, "", "s-stray", "lab", token)
        servers = self.fuse.around(self.servers)
        self.adopting = Adopting(
            servers,
            self.users,
            self.fuse.around(self.queue),
            self.clock,
            {"lab": Profile("lab"), "other": Profile("other")},
            self.deadlines,
            Meter(),
            Budgets(budgets, self.stores.budgets, self.stores.ledgers, servers, self.users, self.usage, self.clock),
            lambda: KEY,
        )

    def assert_alices_again(self):
        server = self.server()
        assert (server.id, server.state, server.launch_id, server.address) == ("s-stray", State.READY, LAUNCH, ADDRESS)
        assert [(r.prefix, r.address) for r in self.routes.all()] == [(route_prefix("alice", ""), ADDRESS)]
        secret = tokens.launch_secret(KEY, LAUNCH)
        assert self.tokens.find(tokens.sha256(secret)).owner_id == self.alice.id
        assert self.clients.get("jupyterhub-user-s-stray").launch_id == LAUNCH
        assert self.launches() == []
        self.sweep()
        self.assert_settled()


@pytest.fixture
def world():
    return RestoredWorld()


def test_a_stray_becomes_its_owners_server_with_token_client_and_route(world):
    world.adopting.adopt(world.stray)
    world.turn()
    world.assert_alices_again()


def test_a_record_that_the_store_still_has_is_the_strays_again(world):
    world.servers.create(
        a_server(id="s-stray", owner_id=world.alice.id, profile="lab", user_options={"a": "b"}, display_name="Mine")
    )
    world.adopting.adopt(world.stray)
    world.turn()
    world.assert_alices_again()
    assert (world.server().display_name, world.server().user_options) == ("Mine", {"a": "b"})


def test_options_of_another_profile_are_not_taken_for_the_strays(world):
    world.servers.create(
        a_server(id="s-stray", owner_id=world.alice.id, profile="other", user_options={"profile": "other"})
    )
    assert world.adopting.adopt(world.stray).user_options == {}


def test_a_crash_anywhere_and_a_second_word_lose_nothing():
    for at in itertools.count():
        world = RestoredWorld()
        world.fuse.left = at
        with contextlib.suppress(Crash):
            world.adopting.adopt(world.stray)
        has_crashed, world.fuse.left = world.fuse.left < 0, -1
        world.turn()  # between the words the hub goes on with what it finds
        for _ in range(2):
            world.adopting.adopt(world.stray)
            world.turn()
        world.assert_alices_again()
        if not has_crashed:
            break
    assert at == 10  # before and after each of five calls


def test_a_message_that_is_lost_or_comes_twice_changes_nothing(world):
    world.adopting.adopt(world.stray)
    message = world.queue.sent.pop()
    assert world.queue.sent == []
    world.launching.on_message(message)
    world.launching.on_message(message)
    world.turn()
    world.assert_alices_again()


def test_no_deadline_ends_a_stray_while_the_hub_is_down(world):
    world.adopting.adopt(world.stray)
    world.clock.advance(world.deadlines.requested * 10)
    world.launching.reconcile_pending()
    world.turn()
    world.assert_alices_again()


def test_what_an_adopted_server_took_is_not_the_time_of_a_start(world):
    world.adopting.adopt(world.stray)
    world.turn()
    assert world.launch_times.of("lab") == ()


def test_who_starts_anew_at_the_same_time_keeps_the_new_server(world):
    world.servers.create(a_server(id="s-stray", owner_id=world.alice.id))
    found = world.adopting._record_of(world.stray, world.alice)
    world.spawning.start(world.alice, "")
    with pytest.raises(CannotAdoptError, match="alice has just started another server"):
        world.adopting._request(world.stray, world.alice, found)
    with pytest.raises(CannotAdoptError, match=r"alice has another server of that name that is requested\. Stop it"):
        world.adopting.adopt(world.stray)


def test_who_starts_after_the_adoption_gets_the_adopted_server(world):
    world.adopting.adopt(world.stray)
    with pytest.raises(InvalidRequestError, match="alice's server is pending spawn"):
        world.spawning.start(world.alice, "")
    world.turn()
    world.assert_alices_again()


def test_a_stray_that_has_ended_meanwhile_is_a_failed_start(world):
    world.adopting.adopt(world.stray)
    world.launcher.status[LAUNCH] = TaskStopped("has ended")
    world.turn()
    assert world.server().state is State.FAILED


REFUSALS = {
    "an older hubless": {"user_id": "", "server_id": ""},
    "the database has no such user": {"user": "zoe", "user_id": "u-zoe"},
    "another one has that name now": {"user_id": "u-before"},
    r"its owner is called alice in the database\. Rename alice to al": {"user": "al"},
    "the hub has another secret": {"token_sha256": "0" * 64},
    "its profile gone can no longer be chosen": {"profile": "gone"},
}


@pytest.mark.parametrize("why", REFUSALS)
def test_what_cannot_be_adopted_is_told_and_changes_nothing(world, why):
    with pytest.raises(CannotAdoptError, match=why):
        world.adopting.adopt(replace(world.stray, **REFUSALS[why]))
    world.turn()
    assert world.servers.in_states(set(State) - {State.STOPPED}) == []


def test_a_server_that_was_made_since_keeps_its_name(world):
    made = a_server(owner_id=world.alice.id)
    world.servers.create(made)
    with pytest.raises(CannotAdoptError, match="alice has made another server of that name since"):
        world.adopting.adopt(world.stray)
    assert world.server() == made


def test_a_server_that_was_renamed_since_is_named(world):
    world.servers.create(a_server("new", id="s-stray", owner_id=world.alice.id))
    with pytest.raises(CannotAdoptError, match="the server is called alice/new in the database"):
        world.adopting.adopt(world.stray)


def test_a_server_of_somebody_else_is_never_taken(world):
    bob = world.accounts.add("bob")
    world.servers.create(a_server(id="s-stray", owner_id=bob.id))
    with pytest.raises(CannotAdoptError, match="its server belongs to somebody else in the database"):
        world.adopting.adopt(world.stray)


def test_a_budget_that_is_used_up_refuses_and_says_so():
    world = RestoredWorld(Budget("b", servers=1))
    world.adopting.adopt(world.stray)
    world.launcher.status["l-2"] = TaskRunning("127.0.0.1:9998")
    second = replace(world.stray, launch_id="l-2", server="two", server_id="s-2", token_sha256="")
    with pytest.raises(CannotAdoptError, match="budget b"):
        world.adopting.adopt(second)


def test_a_name_means_no_stray_whose_owner_nobody_noted():
    known, unknown = Stray("l-1", "ada", "u-1"), Stray("l-2")
    assert [known.is_meant_by(name) for name in ("l-1", "ada", "ada/", "", "/", "l-2")] == [True] * 3 + [False] * 3
    assert [unknown.is_meant_by(name) for name in ("l-2", "", "/", unknown.called)] == [True, False, False, False]
