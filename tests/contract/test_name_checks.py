"""Users whom no login finds, in both stores."""

from dataclasses import replace

import pytest

from hubless.domain.lifecycle import State
from hubless.services import accounts
from hubless.services.accounts import Accounts
from hubless.services.name_checks import Glance, NameChecks
from tests.support.builders import NOW, a_server, a_user
from tests.support.fakes import StoppedClock


class NoHashes:
    """Hashes nothing: nobody gets a password here."""


@pytest.fixture
def checks(stores):
    parts = ("users", "servers", "passwords", "sessions", "tokens")
    stored = (getattr(stores, part) for part in parts)
    return NameChecks(Accounts(*stored, NoHashes(), StoppedClock(NOW), admins=frozenset({"boss"})))


def add(stores, *names):
    users = [replace(a_user(f"n{number}"), name=name) for number, name in enumerate(names)]
    assert stores.users.create(users) == users


def test_who_can_log_in_is_left_alone(stores, checks):
    add(stores, "ada", "Bob", "zoë", "o'neil", "user@example.org", "\uff4d\uff41\uff49")
    assert checks.lost() == []


def test_a_user_with_blanks_around_the_name_gets_it_without(stores, checks):
    add(stores, " Maria ", "ada")
    (found,) = checks.lost()
    assert (found.user.name, found.wanted) == (" Maria ", "maria")
    assert checks.mend(found) == ""
    assert stores.users.get(found.user.id).name == "maria"
    assert checks.lost() == []


def test_a_glance_counts_the_first_users_and_reads_no_others(stores, checks, monkeypatch):
    add(stores, " maria ", "ada", "bob", "zoë ")
    assert checks.glance(4) == Glance(2, 4, is_whole=True)
    monkeypatch.setattr(accounts, "_AT_ONCE", 1)
    table, pages = stores.users.table, []
    monkeypatch.setattr(stores.users, "table", lambda *args, **more: pages.append(1) or table(*args, **more))
    assert checks.glance(2) == Glance(1, 2, is_whole=False)
    assert len(pages) == 3


@pytest.mark.parametrize(
    ("names", "why"),
    [
        ((" ada ", "ada"), "another user"),
        ((" eve", "eve "), "several users"),
        ((" boss",), "give rights"),
        (("a/b ",), "slash"),
    ],
)
def test_no_name_is_given_that_is_not_safe(stores, checks, names, why):
    add(stores, *names)
    found = checks.lost()
    assert len(found) == sum(name != "ada" for name in names)
    for one in found:
        assert why in one.why
        assert checks.mend(one) == one.why
        assert stores.users.get(one.user.id).name == one.user.name


def test_a_running_server_keeps_its_owners_name(stores, checks):
    add(stores, " maria ")
    (found,) = checks.lost()
    stores.servers.create(replace(a_server(state=State.READY), owner_id=found.user.id))
    assert "Stop the servers" in checks.mend(found)
    assert stores.users.get(found.user.id).name == " maria "


def test_a_change_at_the_same_moment_wins(stores, checks):
    add(stores, " maria ")
    (found,) = checks.lost()
    stores.users.change(found.user, replace(found.user, admin=True, revision=found.user.revision + 1))
    assert checks.mend(found)
    kept = stores.users.get(found.user.id)
    assert (kept.name, kept.admin) == (" maria ", True)
