"""Accounts: the first admin, who becomes an admin, and what a new password or a new link ends."""

import pytest

from hubless.adapters.authenticators.password import PasswordAuthenticator
from hubless.domain.errors import InvalidRequestError
from hubless.domain.tokens import OwnerKind
from hubless.ports.authenticator import Candidate
from tests.support.fakes import PlainHasher
from tests.support.world import World

GOOD = "a good password"


@pytest.fixture
def world():
    return World()


def key_of(path):
    return path.partition("?key=")[2]


def used(world, user):
    """Give the user a session, a token and the token of a running server."""
    world.logins.open_session(user, "a browser")
    world.issuing.issue_to(user, note="mine", expires_in=None, raw_scopes=None)


def left(world, user):
    return (
        len(world.sessions.of_user(user.id)),
        len(world.tokens.of_owner(OwnerKind.USER, user.id)),
    )


def test_the_first_admin_is_a_new_user(world):
    name, path = world.accounts.first_admin_link()
    assert (name, world.accounts.find("admin").admin) == ("admin", True)
    assert world.accounts.first_admin_link()[0] == "admin"
    assert world.accounts.user_of_link(key_of(path)) is None  # the second link ended the first
    world.accounts.set_password("admin", GOOD)
    assert world.accounts.first_admin_link() is None


def test_nobody_becomes_the_first_admin_because_of_a_name(world):
    taken = world.accounts.add("admin")
    used(world, taken)
    name, path = world.accounts.first_admin_link()
    assert name == "admin-2"
    assert not world.accounts.find("admin").admin
    assert world.accounts.use_link(key_of(path), GOOD).name == "admin-2"
    assert world.accounts.find("admin-2").admin


def test_an_admin_without_a_password_is_the_first_admin(world):
    world.accounts.add("admin", admin=True)
    assert world.accounts.first_admin_link()[0] == "admin"
    assert "admin-2" not in {user.name for user in world.accounts.all()}


def test_who_becomes_an_admin_may_lose_what_was_there_before(world):
    bob = world.accounts.add("bob")
    used(world, bob)
    path = world.accounts.password_link("bob")
    kept = world.accounts.promote(bob, revoke=False)
    assert (kept.admin, left(world, bob)) == (True, (1, 1))
    assert world.accounts.user_of_link(key_of(path))
    plain = world.accounts.change(kept, admin=False)
    again = world.accounts.promote(plain, revoke=True)
    assert (again.admin, left(world, bob)) == (True, (0, 0))
    assert world.accounts.user_of_link(key_of(path)) is None


def test_what_is_made_while_a_user_becomes_an_admin_ends_too(world, monkeypatch):
    bob = world.accounts.add("bob")
    change = world.users.change

    def log_in_first(before, after):
        used(world, bob)
        change(before, after)

    monkeypatch.setattr(world.users, "change", log_in_first)
    assert world.accounts.promote(bob, revoke=True).admin
    assert left(world, bob) == (0, 0)


def test_a_name_that_looks_like_the_first_admins_stops_no_start(world):
    world.accounts.add("\N{LATIN SMALL LETTER ALPHA}dmin")
    name, _ = world.accounts.first_admin_link()
    assert name == "admin-2"


def test_a_login_that_makes_an_admin_ends_earlier_ones(world):
    bob = world.accounts.add("bob")
    used(world, bob)
    assert world.accounts.log_in("bob", admin=True).admin
    assert left(world, bob) == (0, 0)
    used(world, bob)
    assert world.accounts.log_in("bob", admin=True).admin
    assert left(world, bob) == (1, 1)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("revoke", [False, True])
@pytest.mark.parametrize("way", ["link", "password"])
def test_a_new_password_ends_what_was_chosen(world, way, keep, revoke):
    bob = world.accounts.add("bob")
    used(world, bob)
    path = world.accounts.password_link("bob")
    wishes = {"keep_sessions": keep, "revoke_tokens": revoke}
    if way == "link":
        world.accounts.use_link(key_of(path), GOOD, **wishes)
    else:
        world.accounts.set_password("bob", GOOD, **wishes)
    assert left(world, bob) == (int(keep), int(not revoke))
    assert world.accounts.user_of_link(key_of(path)) is None


def test_a_new_link_ends_the_older_one(world):
    world.accounts.add("bob")
    first, second = world.accounts.password_link("bob"), world.accounts.password_link("bob")
    with pytest.raises(InvalidRequestError, match="replaced"):
        world.accounts.use_link(key_of(first), GOOD)
    assert world.accounts.use_link(key_of(second), GOOD).name == "bob"


def test_a_login_with_an_old_password_undoes_no_new_one(world):
    bob = world.accounts.add("bob")
    world.accounts.set_password("bob", "the old one")

    class Hasher(PlainHasher):
        def is_outdated(self, password_hash, password):
            world.accounts.set_password("bob", "the new one")  # meanwhile
            return True

    before = PasswordAuthenticator(world.passwords, Hasher())
    before.authenticate(Candidate("bob", bob, world.passwords.get(bob.id)), "the old one")
    assert world.passwords.get(bob.id) == PlainHasher().hash("the new one")
