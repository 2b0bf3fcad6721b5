# ruff: noqa: RUF001 letters that look alike
import pytest

from hubless.domain.admission import AdmissionPolicy

BY_NAME = AdmissionPolicy(allow_users=frozenset({"ada"}), admins=frozenset({"root"}))
BY_GROUP = AdmissionPolicy(allow_groups=frozenset({"staff"}), admin_groups=frozenset({"ops"}))


def enters(policy, name="bob", groups=None, *, is_existing=False, by_admin=False):
    return policy.refusal_of(name, groups, is_existing=is_existing, by_admin=by_admin) is None


def test_nobody_may_log_in_without_a_rule():
    assert not enters(AdmissionPolicy())
    assert not enters(AdmissionPolicy(), groups=("staff",))
    assert AdmissionPolicy().refusal_of("bob", None, is_existing=False) == "bob is not allowed on this hub."


def test_everybody_may_log_in_if_all_are_allowed():
    assert enters(AdmissionPolicy(allow_all=True))


def test_allowed_users_and_admins_may_log_in_and_no_others():
    assert [enters(BY_NAME, name) for name in ("ada", "root", "bob", "ad", "adaa", "")] == [True, True] + 4 * [False]


@pytest.mark.parametrize("name", ["Ada", "ADA", "ａｄａ"])
def test_case_and_width_of_a_name_do_not_count(name):
    assert enters(BY_NAME, name)


def test_a_name_that_only_looks_like_an_allowed_one_is_refused():
    assert not enters(BY_NAME, "аda")


def test_members_of_allowed_groups_and_of_admin_groups_may_log_in():
    assert enters(BY_GROUP, groups=("guests", "staff"))
    assert enters(BY_GROUP, groups=("ops",))
    assert not enters(BY_GROUP, groups=("Staff", "staf", "staff2"))
    assert not enters(BY_GROUP, groups=())
    assert not enters(BY_GROUP, groups=None)


def test_somebody_whom_an_admin_let_in_may_log_in():
    assert enters(AdmissionPolicy(), by_admin=True)
    assert not enters(AdmissionPolicy(blocked_users=frozenset({"bob"})), by_admin=True)


def test_existing_users_may_log_in_only_where_a_rule_says_so():
    assert enters(AdmissionPolicy(allow_existing_users=True), is_existing=True)
    assert not enters(AdmissionPolicy(allow_existing_users=True))
    assert not enters(BY_NAME, is_existing=True)


@pytest.mark.parametrize("name", ["eve", "Eve", "ｅｖｅ", "еve"])
def test_a_blocked_user_may_not_log_in_whatever_else_allows_it(name):
    policy = AdmissionPolicy(
        allow_all=True,
        allow_users=frozenset({"eve"}),
        blocked_users=frozenset({"eve"}),
        admins=frozenset({"eve"}),
        allow_groups=frozenset({"staff"}),
    )
    assert policy.is_blocked(name)
    assert policy.refusal_of(name, ("staff",), is_existing=True) == f"{name} is blocked on this hub."
    assert enters(policy, "steve")


def test_only_known_groups_that_settings_name_make_admins():
    assert BY_GROUP.is_admin_by(("ops",)) is True
    assert BY_GROUP.is_admin_by(("staff",)) is False
    assert BY_GROUP.is_admin_by(()) is False
    assert BY_GROUP.is_admin_by(None) is None
    assert BY_NAME.is_admin_by(("ops",)) is None


def test_a_policy_says_whether_it_lets_nobody_in():
    assert AdmissionPolicy().lets_nobody_in
    assert AdmissionPolicy(blocked_users=frozenset({"eve"})).lets_nobody_in
    assert not AdmissionPolicy(allow_all=True).lets_nobody_in
    assert not AdmissionPolicy(allow_existing_users=True).lets_nobody_in
    assert not BY_NAME.lets_nobody_in
    assert not BY_GROUP.lets_nobody_in
