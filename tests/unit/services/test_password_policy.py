"""Which passwords users may choose: their length, and how hard zxcvbn finds them to guess."""

import pytest

from hubless.adapters.passwords.strength import LONGEST, ZxcvbnStrengthMeter
from hubless.domain.bounds import MAX_PASSWORD
from hubless.domain.errors import InvalidRequestError
from hubless.domain.passwords import Strength, StrengthPolicy
from hubless.services.password_policy import PasswordPolicy
from tests.support.world import World

STANDARD = PasswordPolicy(ZxcvbnStrengthMeter(), StrengthPolicy(2, 3), "The Physics Hub")
LAX = PasswordPolicy(ZxcvbnStrengthMeter(), StrengthPolicy(0, 1))


def complaint(policy, password, *, admin=False, known=()):
    with pytest.raises(InvalidRequestError) as caught:
        policy.check(password, admin=admin, known=known)
    return str(caught.value)


@pytest.mark.parametrize("password", ["password", "Passw0rd!", "12345678", "qwertyuiop", "secret123"])
def test_a_common_password_is_refused_with_what_to_choose(password):
    said = complaint(STANDARD, password)
    assert "too easy to guess" in said
    assert "unrelated words" in said


@pytest.mark.parametrize("password", ["the horse reads a map", "violet-kettle-orbit", "Xk3#pq9!zLw2"])
def test_a_password_that_is_hard_to_guess_is_taken(password):
    STANDARD.check(password, admin=True, known=["alice"])


def test_a_password_of_the_users_or_the_hubs_name_is_refused():
    STANDARD.check("willibaldine7", admin=False)
    assert "too easy" in complaint(STANDARD, "willibaldine7", known=["willibaldine"])
    assert "too easy" in complaint(STANDARD, "The Physics Hub")


def test_admins_need_a_stronger_password_than_others():
    STANDARD.check("long enough", admin=False)
    assert "too easy to guess for an admin" in complaint(STANDARD, "long enough", admin=True)


@pytest.mark.parametrize("password", ["password", "12345678", "iloveyou"])
def test_an_admin_gets_no_common_password_however_lax_the_settings(password):
    LAX.check(password, admin=False)
    assert "for an admin" in complaint(LAX, password, admin=True)


def test_an_admins_password_is_never_held_to_less_than_others():
    policy = StrengthPolicy(min_score=4, admin_min_score=1)
    assert policy.refusal_of(Strength(3), admin=True)
    assert policy.refusal_of(Strength(4), admin=True) is None


def test_length_counts_before_strength():
    assert complaint(STANDARD, "Xk3#pq9") == "Choose a password of at least 8 characters"
    assert complaint(STANDARD, "x" * (MAX_PASSWORD + 1)) == f"Choose a password of at most {MAX_PASSWORD} characters"
    assert "NUL" in complaint(STANDARD, "the horse\0reads a map")


def test_zxcvbn_reads_no_more_than_its_bound_of_a_password():
    meter = ZxcvbnStrengthMeter()
    assert meter.measure("a" * MAX_PASSWORD, ["b" * 10_000] * 1000) == meter.measure("a" * LONGEST, [])
    assert meter.measure("", []) == Strength(0)


@pytest.mark.parametrize("way", ["a link", "the command line", "a sign-up"])
def test_every_way_to_a_new_password_asks_the_policy(way):
    world = World(password_policy=STANDARD)
    secret = world.accounts.password_link("alice").partition("?key=")[2]
    with pytest.raises(InvalidRequestError, match="too easy to guess"):
        {
            "a link": lambda: world.accounts.use_link(secret, "alice1234"),
            "the command line": lambda: world.accounts.set_password("alice", "alice1234"),
            "a sign-up": lambda: world.accounts.check_sign_up("bobby", "bobby1234"),
        }[way]()
    assert world.accounts.user_of_link(secret)  # a refused password does not use the link up
    assert world.users.find("bobby") is None


def test_a_name_that_settings_make_an_admin_counts_as_one():
    world = World(password_policy=STANDARD, admins=("boss",))
    world.accounts.add_many(["boss"])
    with pytest.raises(InvalidRequestError, match="for an admin"):
        world.accounts.set_password("boss", "long enough")
