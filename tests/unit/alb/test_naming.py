"""Routes as a load balancer writes them: within its limits, distinct, and always the same."""

import re
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubless.adapters.alb import naming
from hubless.adapters.alb.balancer import AlbConfig
from hubless.domain.errors import InvalidRequestError

USERS = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=12)


def matches(condition, path):
    """Say whether ELB would have *path* meet *condition*: patterns as it documents them, expressions as they are."""
    config = condition["PathPatternConfig"]
    patterns = [
        "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in value) for value in config.get("Values", ())
    ]
    return any(re.fullmatch(p, path) for p in patterns) or any(
        re.search(p, path) for p in config.get("RegexValues", ())
    )


@given(USERS, USERS)
def test_a_users_paths_meet_its_own_condition_and_no_others(one, other):
    condition = naming.condition_of(f"/user/{one}/")
    assert matches(condition, naming.path_of(f"/user/{one}/lab/tree"))
    assert matches(condition, naming.path_of(f"/user/{other}/lab")) == (one == other)
    assert not matches(condition, naming.path_of(f"/user/{one}"))


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("zoë", ["zo%C3%AB", "zo%c3%ab", "zo%C3%aB"]),
        ("a@b.org", ["a@b.org"]),
        ("50%", ["50%25"]),
        ("a.b", ["a.b"]),
        ("a b", ["a%20b"]),
    ],
)
def test_digits_of_an_encoding_may_be_of_either_case(name, written):
    condition = naming.condition_of(f"/user/{name}/")
    assert all(matches(condition, f"/user/{path}/lab") for path in written)


def test_a_dot_is_only_a_dot():
    assert not matches(naming.condition_of("/user/é.b/"), "/user/%C3%A9xb/")


@pytest.mark.parametrize("name", ["alice", "a@b.org", "x_y-z.~'"])
def test_plain_names_are_patterns_of_what_elb_takes(name):
    config = naming.condition_of(f"/user/{name}/")["PathPatternConfig"]
    if "Values" in config:
        (value,) = config["Values"]
        assert re.fullmatch(r"""[A-Za-z0-9_\-.$/~"'@:+]+\*""", value)
    else:
        assert "%" in naming.path_of(name)


@given(USERS)
def test_a_condition_has_one_value_of_at_most_128_characters(name):
    (value,) = naming.values_of(naming.condition_of(f"/user/{name[:6]}/"))
    assert len(value) <= naming.LONGEST_PATTERN


def test_where_there_is_no_room_only_the_usual_case_is_met():
    condition = naming.condition_of(f"/user/{'é' * 12}/")
    assert matches(condition, f"/user/{'%C3%A9' * 12}/x")
    assert not matches(condition, f"/user/{'%c3%a9' * 12}/x")


@pytest.mark.parametrize("name", ["x" * 122, "é" * 40])
def test_a_name_that_is_too_long_is_refused_in_words(name):
    with pytest.raises(InvalidRequestError, match="shorter name"):
        naming.condition_of(f"/user/{name}/")


def test_the_longest_name_that_fits_fits():
    assert naming.values_of(naming.condition_of(f"/user/{'x' * 120}/")) == {f"/user/{'x' * 120}/*"}


def test_a_host_that_is_too_long_is_refused_in_words():
    with pytest.raises(InvalidRequestError, match=r"The host alice.* is too long"):
        naming.conditions_of("/user/alice/", f"{'x' * 60}.{'y' * 60}.org")


@given(USERS, st.sampled_from(["lab", "a"]))
def test_every_named_servers_priority_is_before_every_default_ones(name, server):
    named = islice(naming.priorities_of(f"/user/{name}/{server}/", "l1"), 20)
    default = islice(naming.priorities_of(f"/user/{name}/", "l2"), 20)
    assert 1 <= max(named) < min(default) <= naming.PRIORITIES


def test_priorities_are_always_the_same_and_none_comes_twice():
    tried = list(naming.priorities_of("/user/a/", "l1"))
    assert tried == list(naming.priorities_of("/user/a/", "l1"))
    assert len(set(tried)) == len(tried) == 20_000


@given(USERS)
def test_marks_come_back_from_tags_that_elb_takes(name):
    tags = naming.tags_of("hub", f"/user/{name}/", "l1")
    assert all(re.fullmatch(r"[A-Za-z0-9+\-=._:/@ ]{1,256}", tag["Value"]) for tag in tags)
    assert naming.route_of("hub", tags) == (f"/user/{name}/", "l1")
    assert naming.route_of("other", tags) is None
    assert naming.route_of("hub", []) is None


@pytest.mark.parametrize(("rules", "spare", "capacity"), [(100, 4, 96), (200, 4, 96), (50, 4, 46), (2, 4, 0)])
def test_target_groups_are_the_hard_limit(rules, spare, capacity):
    assert AlbConfig("hub", "listener", "vpc", rules, spare).capacity == capacity
