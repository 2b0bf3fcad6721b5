"""`[[workloads]]`: rules that settings may hold, and what is wrong with others."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from hubless.adapters.jose.key_sets import DiscoveredKeys, FetchedKeys, GivenKeys
from hubless.bootstrap.workloads import rules_of, verifier_of
from hubless.settings import Settings, SettingsError, parse
from tests.doubles.signers import key_set, rsa_key

KEYS = json.dumps(key_set(rsa_key()))
RULE = {
    "name": "ci",
    "kind": "github",
    "conditions": {"repository": "org/app"},
    "user": "Ada",
    "scopes": ["self"],
}


def read(*rules: dict, more: str = "") -> Settings:
    def toml(given: object) -> str:
        if isinstance(given, dict):
            return "{" + ", ".join(f"{json.dumps(key)} = {toml(one)}" for key, one in given.items()) + "}"
        return json.dumps(given)

    text = "".join("[[workloads]]\n" + "".join(f"{k} = {toml(v)}\n" for k, v in rule.items()) for rule in rules)
    return parse(text + more, Path("/srv/hub"), {})


def complaint(**change: object) -> str:
    rule = {key: given for key, given in {**RULE, **change}.items() if given is not None}
    with pytest.raises(SettingsError) as caught:
        read(rule)
    return str(caught.value).removeprefix("hubless.toml: ")


def test_a_rule_is_read_with_its_defaults() -> None:
    (rule,) = read(RULE).workloads.rules

    assert rule.user == "ada"
    assert rule.conditions == {"repository": ("org/app",)}
    assert (rule.issuer, rule.lifetime) == ("https://token.actions.githubusercontent.com", timedelta(hours=1))
    assert rule.single_use


def test_the_hubs_own_address_is_the_audience_unless_settings_name_one() -> None:
    hub = '[hub]\npublic_url = "https://hub.example.org"\n'
    rules = rules_of(read(RULE, {**RULE, "name": "two", "audience": "urn:hub"}, more=hub))

    assert [rule.audience for rule in rules] == ["https://hub.example.org", "urn:hub"]
    assert rules_of(read(RULE))[0].audience == "http://127.0.0.1:8000"


def test_pods_may_show_their_tokens_again_and_others_if_settings_say_so() -> None:
    pods = {**RULE, "name": "pods", "kind": "kubernetes", "issuer": "https://k.example.org", "conditions": {"sub": "a"}}
    jobs = {**RULE, "reuse_proofs": True}

    assert [rule.single_use for rule in read(pods, jobs).workloads.rules] == [False, False]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"conditions": None}, "workloads.ci.conditions is missing"),
        ({"conditions": {}}, "workloads.ci.conditions: it needs at least one condition"),
        ({"conditions": {"ref": "refs/heads/main"}}, "must name whose"),
        ({"conditions": {"repository": 7}}, "workloads.ci.conditions is"),
        ({"conditions": {"repository": []}}, "workloads.ci.conditions is"),
        ({"conditions": {"a[": "x"}}, "workloads.ci.conditions is"),
        ({"scopes": None}, "workloads.ci.scopes is missing"),
        ({"scopes": []}, "workloads.ci.scopes is []"),
        ({"scopes": ["nonsense"]}, "workloads.ci.scopes: No such scope"),
        ({"user": None}, "needs either workloads.ci.user or workloads.ci.service"),
        ({"service": "x"}, "needs either"),
        ({"user": None, "service": "x"}, "not in [[services]]"),
        ({"user": "a/b"}, "workloads.ci.user is"),
        ({"lifetime": "13h"}, 'from "1m" to "12h"'),
        ({"lifetime": "10s"}, 'from "1m" to "12h"'),
        ({"kind": "gitlab"}, "workloads.ci.kind is"),
        ({"kind": "oidc"}, "workloads.ci.issuer is missing"),
        ({"issuer": "http://ci.example.org"}, "must start with https://"),
        ({"keys_url": "http://ci.example.org/keys"}, "must start with https://"),
        ({"keys_url": "https://ci.example.org/keys", "keys": KEYS}, "exclude each other"),
        ({"keys": "{}"}, "a JSON Web Key Set"),
        ({"keys": "["}, "a JSON Web Key Set"),
        ({"kind": "aws", "conditions": {"account": "123456789012"}, "keys": KEYS}, "has no effect"),
        ({"kind": "aws", "conditions": {"session": "x"}}, "must name whose"),
    ],
)
def test_a_wrong_rule_stops_the_start_and_says_why(change: dict, words: str) -> None:
    assert words in complaint(**change)


def test_rules_of_one_issuer_have_the_same_keys() -> None:
    with pytest.raises(SettingsError, match="other keys"):
        read(RULE, {**RULE, "name": "two", "keys": KEYS})


def test_names_are_unique() -> None:
    with pytest.raises(SettingsError, match="used twice"):
        read(RULE, RULE)


@pytest.mark.parametrize(
    ("keys", "kind"),
    [({}, DiscoveredKeys), ({"keys_url": "https://ci.example.org/k"}, FetchedKeys), ({"keys": KEYS}, GivenKeys)],
)
def test_keys_come_from_where_settings_say(keys: dict, kind: type) -> None:
    verifier = verifier_of(read({**RULE, **keys}), clock=None)

    (issuer,) = verifier._verifiers["urn:ietf:params:oauth:token-type:jwt"]._issuers.values()
    assert type(issuer.keys) is kind
    assert verifier._verifiers["urn:hubless:params:oauth:token-type:aws-sigv4"] is None


def test_a_useless_key_set_is_said() -> None:
    settings = read({**RULE, "keys": '{"keys": []}'})

    with pytest.raises(SettingsError, match="of no use"):
        verifier_of(settings, clock=None)
