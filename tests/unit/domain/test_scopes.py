import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubless.domain import roles, scopes
from hubless.domain.bounds import MAX_SCOPE
from hubless.domain.errors import InvalidRequestError
from hubless.domain.scopes import DEFINITIONS, Bearer, Definition, Scope, Scopes, expand, parse

ALICE = Bearer(user="alice")
GROUPS = {"alice": ("g",), "bob": ("g", "h"), "carol": ()}


def groups_of(user):
    return GROUPS.get(user, ())


def texts(*raw, bearer=ALICE):
    return expand(raw, bearer).texts()


def test_a_scope_contains_its_subscopes_with_its_filter():
    assert texts("read:users!user=bob") == [
        "read:users!user=bob",
        "read:users:activity!user=bob",
        "read:users:groups!user=bob",
        "read:users:name!user=bob",
    ]


def test_a_filter_on_a_server_says_nothing_about_reading_its_owner():
    assert texts("read:servers!server=bob/lab") == ["read:servers!server=bob/lab"]
    assert texts("read:users!server=bob/lab", "users:activity!server=bob/lab") == ["users:activity!server=bob/lab"]


def test_an_unfiltered_scope_absorbs_filtered_ones():
    assert texts("proxy", "proxy!user=bob") == ["proxy"]
    assert texts("list:groups!group=g", "read:groups:name") == ["list:groups!group=g", "read:groups:name"]


def test_self_is_everything_of_a_user_and_nothing_for_a_service():
    own = texts("self")

    assert "servers!user=alice" in own
    assert "shares!user=alice" not in own
    assert "access:services" not in own
    assert texts("self", bearer=Bearer(service="s")) == []


def test_a_filter_without_a_value_means_the_bearer():
    assert texts("tokens!user") == ["read:tokens!user=alice", "tokens!user=alice"]
    assert texts("access:servers!server", bearer=Bearer(user="a", server="a/x")) == ["access:servers!server=a/x"]
    assert texts("access:servers!server") == []


@pytest.mark.parametrize(
    "raw",
    [
        "fly",
        "read:users!",
        "read:users!planet=mars",
        "x!user=a",
        "groups!group",
        "users!user=a/b",
        "access:servers!server=a",
        "custom:x-",
    ],
)
def test_unknown_scopes_are_refused_by_name(raw):
    with pytest.raises(InvalidRequestError):
        parse(raw)


@pytest.fixture
def custom():
    scopes.define(
        {
            "custom:grades:read": Definition("Read grades."),
            "custom:grades": Definition("All of grades.", ("custom:grades:read", "custom:grades")),
        }
    )
    yield
    scopes.define({})


def test_a_custom_scope_is_one_that_the_hub_defines(custom):
    assert texts("custom:grades:read!group=a") == ["custom:grades:read!group=a"]
    assert texts("custom:grades") == ["custom:grades", "custom:grades:read"]
    assert scopes.described("custom:grades:read!user=a") == "Read grades. (a)"
    with pytest.raises(InvalidRequestError, match="No such scope: 'custom:other'"):
        scopes.parse("custom:other")


@pytest.mark.parametrize(
    "name", ["grades", "custom:", "custom:x", "custom:Grades", "custom:-a", "custom:a-", "custom:a b", "admin:users"]
)
def test_a_custom_scope_with_a_wrong_name_is_refused(name):
    with pytest.raises(InvalidRequestError, match="is not allowed as a custom scope"):
        scopes.define({name: Definition("x")})


def test_a_custom_scope_contains_only_custom_ones():
    with pytest.raises(InvalidRequestError, match="contains 'admin:users'"):
        scopes.define({"custom:sly": Definition("x", ("admin:users",))})


def test_every_contained_scope_is_defined():
    assert {sub for d in DEFINITIONS.values() for sub in d.contains} <= set(DEFINITIONS)


def test_the_admin_role_has_every_scope_that_admins_grant():
    admin = expand(scopes.ADMIN_ROLE, Bearer(user="admin"))

    assert all(admin.has_everywhere(s) for s in ("servers", "delete:users", "read:tokens", "groups", "access:servers"))
    assert not roles.DEFAULTS["user"].scopes[0].startswith("admin")


@pytest.mark.parametrize(
    ("one", "two", "met"),
    [
        ("servers", "servers!user=bob", "servers!user=bob"),
        ("servers!group=g", "servers!user=bob", "servers!user=bob"),
        ("servers!group=g", "servers!server=bob/lab", "servers!server=bob/lab"),
        ("servers!user=bob", "servers!server=bob/lab", "servers!server=bob/lab"),
        ("servers!group=g", "servers!user=carol", None),
        ("servers!user=bo", "servers!server=bob/lab", None),
        ("servers!user=alice", "servers!user=bob", None),
    ],
)
def test_the_intersection_of_two_filters_is_the_narrower(one, two, met):
    both = Scopes([parse(one)]).intersection(Scopes([parse(two)]), groups_of)

    assert both == Scopes([parse(met)] if met else [])
    assert both == Scopes([parse(two)]).intersection(Scopes([parse(one)]), groups_of)


NAMES = st.sampled_from(sorted(set(DEFINITIONS) - {"self", "inherit", "(no_scope)"}))
FILTERS = st.one_of(
    st.just(("", "")),
    st.tuples(st.just("user"), st.sampled_from(list(GROUPS))),
    st.tuples(st.just("group"), st.sampled_from(["g", "h"])),
    st.tuples(st.just("server"), st.sampled_from(["alice/", "bob/lab", "carol/x"])),
)
RAW = st.lists(st.builds(lambda n, f: str(Scope(n, *f)), NAMES, FILTERS), max_size=6)


@given(RAW, RAW)
def test_an_intersection_never_has_more_than_either_side(one, two):
    left, right = expand(one, ALICE), expand(two, ALICE)

    both = left.intersection(right, groups_of)

    assert all(left.covers(s, groups_of) and right.covers(s, groups_of) for s in both.all)


@given(RAW, RAW)
def test_an_intersection_has_everything_of_both_sides(one, two):
    left, right = expand(one, ALICE), expand(two, ALICE)

    both = left.intersection(right, groups_of)

    assert all(both.covers(s, groups_of) for s in left.all if right.covers(s, groups_of))


@given(RAW)
def test_expanding_is_idempotent(raw):
    once = expand(raw, ALICE)

    assert expand(once.texts(), ALICE) == once


@pytest.mark.parametrize("name", ["self", "inherit", "(no_scope)"])
def test_metascopes_take_no_filter(name):
    with pytest.raises(InvalidRequestError, match="takes no filter"):
        parse(f"{name}!user=alice")


def test_a_scope_that_is_too_long_is_none():
    with pytest.raises(InvalidRequestError) as refused:
        parse("read:users!user=" + "x" * MAX_SCOPE)
    assert len(str(refused.value)) < 200
    assert expand(["read:users!user=" + "x" * MAX_SCOPE], Bearer()).texts() == []


def test_long_lists_of_scopes_fill_no_cache():
    long = [f"read:users!user={'x' * 200}{number}" for number in range(40)]
    before = scopes._expanded.cache_info().currsize
    assert len(expand(long, Bearer()).all) == 40 * len(expand(long[:1], Bearer()).all)
    assert scopes._expanded.cache_info().currsize <= before + 1
