from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hubless.domain.workloads import Workload, WorkloadKind, WorkloadRule, check_rule, claims_of_caller

HUB = "https://hub.example.org"
GITHUB = "https://token.actions.githubusercontent.com"
RULE = WorkloadRule("ci", WorkloadKind.GITHUB, GITHUB, HUB, {"repository": ("org/app",)}, user="ada", scopes=("self",))
JOB = Workload(
    issuer=GITHUB,
    subject="repo:org/app:ref:refs/heads/main",
    audiences=(HUB,),
    claims={"sub": "repo:org/app:ref:refs/heads/main", "repository": "org/app", "ref": "refs/heads/main"},
    proof_id="1",
    valid_until=datetime(2026, 11, 28, tzinfo=UTC),
)


def rule(kind="github", **conditions):
    given = {claim: (text,) if isinstance(text, str) else tuple(text) for claim, text in conditions.items()}
    return replace(RULE, kind=WorkloadKind(kind), conditions=given)


def test_a_rule_holds_for_the_workload_that_it_describes():
    assert RULE.holds_for(JOB)


@pytest.mark.parametrize(
    "change",
    [{"issuer": f"{GITHUB}/other"}, {"audiences": ("https://other.example.org",)}, {"is_of_aws": True}, {"claims": {}}],
)
def test_a_rule_does_not_hold_for_others(change):
    assert not RULE.holds_for(replace(JOB, **change))


def test_all_conditions_must_hold():
    both = {"repository": "org/app", "ref": "refs/heads/main"}

    assert rule(**both).holds_for(JOB)
    assert not rule(**both, environment="prod").holds_for(JOB)
    assert not rule(repository="org/app", ref="refs/heads/dev").holds_for(JOB)


def test_one_of_several_texts_is_enough():
    assert rule(repository=["org/other", "org/app"]).holds_for(JOB)
    assert not rule(repository=["org/other", "org/apps"]).holds_for(JOB)


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("org/*", "org/app", True),
        ("org/*", "organisation/app", False),
        ("org/*", "org/", True),
        ("*", "", False),
        ("*/main", "refs/heads/main", True),
        ("refs/*/v?", "refs/tags/v1", True),
        ("refs/*/v?", "refs/tags/v12", False),
        ("a*b*c", "aXbYc", True),
        ("a*b*c", "aXbY", False),
        ("**", "x", True),
        ("[a-z]", "a", False),
        ("[a-z]", "[a-z]", True),
        ("Org/App", "org/app", False),
        ("a.c", "abc", False),
        ("app", "app\n", False),
        ("*a" * 500, "a" * 1_024, True),
        ("*a" * 500 + "b", "a" * 1_024, False),
    ],
)
def test_patterns_match_the_whole_text(pattern, text, matches):
    assert rule(claim=pattern).holds_for(replace(JOB, claims={"claim": text})) is matches


@pytest.mark.parametrize(
    ("claims", "holds"),
    [
        ({"flag": True}, True),
        ({"flag": "true"}, True),
        ({"flag": False}, False),
        ({"flag": ["false", "true"]}, True),
        ({"flag": {"true": 1}}, False),
        ({"flag": None}, False),
        ({"flag": 1.0}, False),
    ],
)
def test_claims_of_other_types_are_compared_as_text(claims, holds):
    assert rule(flag="true").holds_for(replace(JOB, claims=claims)) is holds


def test_a_claim_longer_than_any_pattern_matches_none():
    assert not rule(ref="a*").holds_for(replace(JOB, claims={"ref": "a" * 1025}))
    assert rule(ref="a*").holds_for(replace(JOB, claims={"ref": "a" * 1024}))


@pytest.mark.parametrize(
    "subject",
    ["repo:org/app:*", "repo:org/*", "repository_owner:org", "repository_owner:org:environment:*", "enterprise:e:*"],
)
def test_a_subject_at_github_may_begin_with_whose_it_is(subject):
    check_rule(rule(sub=subject))


def test_claims_within_claims_have_a_path():
    claims = {"kubernetes.io": {"namespace": "ci"}, "a": {"b": "ci"}}

    assert rule(**{'"kubernetes.io".namespace': "ci", "a.b": "ci"}).holds_for(replace(JOB, claims=claims))


@pytest.mark.parametrize(
    "conditions",
    [
        {"repository": "org/app"},
        {"repository": "org/*", "ref": "*"},
        {"repository_id": "7"},
        {"sub": "repo:org/app:ref:*"},
        {"repository_owner": ["org", "other"]},
    ],
)
def test_a_rule_for_github_says_whose_repository(conditions):
    check_rule(rule(**conditions))


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"ref": "refs/heads/main"},
        {"environment": "prod"},
        {"job_workflow_ref": "org/app/.github/workflows/x.yml@main"},
        {"repository": "*"},
        {"repository": "*/app"},
        {"repository": "or?/app"},
        {"repository": ""},
        {"repository": ["org/app", "*/app"]},
        {"sub": "repo:*"},
        {"sub": "repo:org*"},
        {"sub": "environment:prod"},
        {"sub": "ref:refs/heads/main"},
        {"sub": "job_workflow_ref:org/app/.github/workflows/x.yml@main"},
        {"sub": "repository_owner:org*"},
        {"sub": "repo:org"},
        {"repository_owner": "org*"},
        {"repository": "org/" + "a" * 1024},
        {"repository": []},
    ],
)
def test_a_rule_that_lets_in_anybody_at_github_is_refused(conditions):
    with pytest.raises(ValueError, match=r"condition|must name whose"):
        check_rule(rule(**conditions))


@pytest.mark.parametrize(
    ("conditions", "is_good"),
    [
        ({"account": "123456789012"}, True),
        ({"role": "arn:aws:iam::123456789012:role/ci-*"}, True),
        ({"arn": "arn:aws:sts::123456789012:assumed-role/ci/*"}, True),
        ({"role": "arn:aws:iam::*:role/ci"}, False),
        ({"role": "arn:*:iam::123456789012:role/ci"}, False),
        ({"role": "arn:aws:iam::12345678901?:role/ci"}, False),
        ({"role": "*:role/ci"}, False),
        ({"account": "*"}, False),
        ({"session": "build"}, False),
    ],
)
def test_a_rule_for_aws_says_which_account(conditions, is_good):
    if is_good:
        check_rule(rule("aws", **conditions))
    else:
        with pytest.raises(ValueError, match="must name whose"):
            check_rule(rule("aws", **conditions))


@pytest.mark.parametrize("kind", ["kubernetes", "oidc"])
def test_a_rule_for_an_own_issuer_needs_some_words(kind):
    check_rule(rule(kind, sub="system:serviceaccount:ci:*"))
    for pattern in "*", "?", "*:ci", "":
        with pytest.raises(ValueError, match="plain character"):
            check_rule(rule(kind, sub=pattern))


def test_an_assumed_role_is_known_by_the_roles_own_arn():
    claims = claims_of_caller("123456789012", "arn:aws-cn:sts::123456789012:assumed-role/ci/build-7", "A:build-7")

    assert claims["role"] == "arn:aws-cn:iam::123456789012:role/ci"
    assert claims["session"] == "build-7"


@pytest.mark.parametrize("arn", ["arn:aws:iam::123456789012:user/ada", "arn:aws:sts::123456789012:federated-user/x"])
def test_other_callers_have_no_role(arn):
    assert "role" not in claims_of_caller("123456789012", arn, "A")
