"""Token exchange: a workload proves who it is, and gets a short-lived token by a rule (RFC 8693)."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from hubless.bootstrap.workloads import verifier_of
from hubless.domain.tokens import OwnerKind
from hubless.ports.workloads import AWS_SIGV4, JWT
from hubless.services.token_exchange import ExchangedToken, ExchangeRequest
from operations.workload_login import aws_proof
from tests.api.hub import SETTINGS, build_hub
from tests.doubles.signers import key_set, rsa_key, signed
from tests.doubles.sts import ACCOUNT, ROLE, StsDouble

EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
GITHUB = "https://token.actions.githubusercontent.com"
CLUSTER = "https://kubernetes.default.svc"
HUB = "https://hub.example.org"
KEYS = json.dumps(key_set(rsa_key()))
RULES = f"""
[[services]]
name = "deployer"

[[roles]]
name = "deployers"
scopes = ["list:users", "servers"]
services = ["deployer"]

[[workloads]]
name = "release"
kind = "github"
keys = '{KEYS}'
audience = "{HUB}"
conditions = {{ repository = "org/app", ref = "refs/heads/main" }}
service = "deployer"
scopes = ["list:users", "read:servers"]
lifetime = "10m"

[[workloads]]
name = "notebooks"
kind = "github"
keys = '{KEYS}'
audience = "{HUB}"
conditions = {{ repository = "org/*" }}
user = "ada"
scopes = ["self"]

[[workloads]]
name = "pods"
kind = "kubernetes"
issuer = "{CLUSTER}"
keys = '{KEYS}'
audience = "{HUB}"
conditions = {{ sub = "system:serviceaccount:ci:builder" }}
user = "ada"
scopes = ["access:servers!user", "read:users:name!user"]

[[workloads]]
name = "lambda"
kind = "aws"
audience = "{HUB}"
conditions = {{ role = "arn:aws:iam::{ACCOUNT}:role/ci" }}
service = "deployer"
scopes = ["inherit"]
"""


@pytest.fixture
def hub(tmp_path):
    hub = build_hub(tmp_path, SETTINGS + RULES)
    hub.user("ada")
    return hub


def job(hub, **claims):
    at = int(hub.hub.clock.now().timestamp())
    made = {"iss": GITHUB, "aud": HUB, "sub": "repo:org/app:ref:refs/heads/main", "iat": at, "exp": at + 300}
    made |= {"jti": f"j-{claims}", "repository": "org/app", "ref": "refs/heads/main"}
    return signed(made | claims)


def ask(hub, proof, **more):
    form = {"grant_type": EXCHANGE, "subject_token": proof, "subject_token_type": JWT, **more}
    return hub.client.post("/hub/api/oauth2/token", data={k: v for k, v in form.items() if v is not None})


def refusal(answer, error, status=400):
    assert (answer.status_code, answer.json()["error"]) == (status, error), answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()["error_description"]


def test_a_job_gets_a_short_lived_token_of_its_service(hub):
    answer = ask(hub, job(hub))

    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said == {
        "access_token": said["access_token"],
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "list:users read:servers",
    }
    assert answer.headers["cache-control"] == "no-store"
    api = hub.as_token(said["access_token"])
    who = api.get("/user").json()
    assert (who["kind"], who["name"]) == ("service", "deployer")
    assert who["scopes"] == ["list:users", "read:servers", "read:users:name"]
    assert api.get("/users").status_code == 200
    assert api.post("/users/ada/server").status_code == 403


def test_a_job_gets_a_token_of_its_user(hub):
    said = ask(hub, job(hub, ref="refs/heads/dev")).json()

    assert said["expires_in"] == 3600
    assert hub.as_token(said["access_token"]).get("/user").json()["name"] == "ada"
    (listed,) = hub.as_user("ada").get("/users/ada/tokens").json()["api_tokens"][:1]
    assert listed["note"] == "Workload notebooks: repo:org/app:ref:refs/heads/main"
    assert listed["expires_at"]


def test_a_token_ends_with_its_time(hub):
    secret = ask(hub, job(hub)).json()["access_token"]
    (token,) = hub.hub.token_store.of_owner(OwnerKind.SERVICE, "deployer")

    assert token.expires_at - token.created_at == timedelta(minutes=10)
    assert token.is_expired(token.expires_at)
    hub.hub.clock.now = lambda: token.expires_at
    assert hub.as_token(secret).get("/users").status_code == 403


def test_a_job_may_ask_for_less(hub):
    said = ask(hub, job(hub), scope="list:users").json()

    assert said["scope"] == "list:users"
    assert hub.as_token(said["access_token"]).scopes() == ["list:users", "read:users:name"]


@pytest.mark.parametrize(
    ("scope", "words"),
    [
        ("admin:users", "does not give admin:auth_state"),
        ("list:users servers", "does not give"),
        ("inherit", "does not give inherit"),
        ("nonsense", "No such scope"),
        (" ".join(["list:users"] * 201), "at most 200"),
    ],
)
def test_a_job_may_not_ask_for_more(hub, scope, words):
    assert words in refusal(ask(hub, job(hub), scope=scope), "invalid_scope")
    assert ask(hub, job(hub)).status_code == 200  # the proof was not used up


def test_an_owner_without_the_scopes_gives_none(tmp_path):
    hub = build_hub(tmp_path, SETTINGS + RULES.replace('scopes = ["list:users", "servers"]', 'scopes = ["list:users"]'))

    assert "deployer does not have them" in refusal(ask(hub, job(hub)), "invalid_scope")


def test_the_first_rule_that_holds_counts_or_the_named_one(hub):
    assert ask(hub, job(hub)).json()["expires_in"] == 600
    assert ask(hub, job(hub, jti="2"), rule="notebooks").json()["expires_in"] == 3600
    assert "No rule of this hub holds" in refusal(ask(hub, job(hub, jti="3"), rule="pods"), "invalid_target")


@pytest.mark.parametrize(
    "claims", [{"repository": "other/app"}, {"repository": None}, {"repository": "org"}, {"repository": ["x"]}]
)
def test_a_job_for_which_no_rule_holds_gets_nothing(hub, claims):
    assert "No rule of this hub holds" in refusal(ask(hub, job(hub, **claims)), "invalid_target")


@pytest.mark.parametrize(
    ("claims", "words"),
    [
        ({"iss": "https://evil.example.org"}, "No rule of this hub is about tokens of"),
        ({"aud": "https://other.example.org"}, "audience"),
        ({"exp": 1_000}, "expired"),
    ],
)
def test_a_proof_that_proves_nothing_is_refused(hub, claims, words):
    assert words in refusal(ask(hub, job(hub, **claims)), "invalid_request")


def test_a_proof_counts_once(hub):
    proof = job(hub)

    assert ask(hub, proof).status_code == 200
    assert "used before" in refusal(ask(hub, proof), "invalid_request")


def test_of_two_at_once_one_gets_a_token(hub):
    exchange, asked = hub.hub.token_exchange.exchange, ExchangeRequest(job(hub), JWT)

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: exchange(asked, "192.0.2.1"), range(8)))

    assert sum(isinstance(one, ExchangedToken) for one in done) == 1


def test_a_pods_token_counts_as_often_as_it_is_shown(hub):
    proof = job(hub, iss=CLUSTER, sub="system:serviceaccount:ci:builder")

    for _ in range(2):
        said = ask(hub, proof).json()
        assert said["scope"] == "access:servers!user read:users:name!user"
    refusal(ask(hub, job(hub, iss=CLUSTER, sub="system:serviceaccount:ci:other")), "invalid_target")


def test_claims_of_one_issuer_do_not_count_for_another(hub):
    proof = job(hub, iss=CLUSTER)  # it says that it is the repository's

    refusal(ask(hub, proof), "invalid_target")


def test_aws_credentials_are_exchanged_without_a_secret_of_the_hub(hub, monkeypatch):
    for name, text in {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE123456", "AWS_SECRET_ACCESS_KEY": "s3cret"}.items():
        monkeypatch.setenv(name, text)
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    sts = StsDouble(hub.hub.clock.now())
    sts.add_caller("AKIDEXAMPLE123456", "s3cret")
    exchange = hub.hub.token_exchange
    hub.hub.token_exchange = type(exchange)(
        exchange.rules,
        verifier_of(hub.hub.settings, hub.hub.clock, sts),
        exchange.tokens,
        exchange.used,
        exchange.throttle,
        exchange.logins,
    )
    proof = aws_proof(HUB, "us-east-1")[0]

    said = ask(hub, proof, subject_token_type=AWS_SIGV4).json()

    assert hub.as_token(said["access_token"]).get("/user").json()["name"] == "deployer"
    assert "used before" in refusal(ask(hub, proof, subject_token_type=AWS_SIGV4), "invalid_request")
    assert "another hub" in refusal(
        ask(hub, aws_proof("https://other.example.org", "us-east-1")[0], subject_token_type=AWS_SIGV4),
        "invalid_request",
    )
    sts.add_caller("AKIDEXAMPLE123456", "s3cret", arn=ROLE.replace("/ci/", "/other/"))
    refusal(ask(hub, aws_proof(HUB, "us-east-1")[0], subject_token_type=AWS_SIGV4), "invalid_target")


def test_nothing_is_created_for_an_unknown_user(tmp_path):
    hub = build_hub(tmp_path, SETTINGS + RULES)

    assert "does not exist" in refusal(ask(hub, job(hub, ref="refs/heads/dev")), "invalid_target")
    assert hub.hub.users.find("ada") is None


def test_a_hub_without_rules_says_so(tmp_path):
    hub = build_hub(tmp_path)

    assert "no rules for workloads" in refusal(ask(hub, "x"), "unsupported_grant_type")


@pytest.mark.parametrize(
    ("more", "error", "words"),
    [
        ({"subject_token": None}, "invalid_request", "subject_token is missing"),
        ({"subject_token_type": None}, "invalid_request", "subject_token_type is missing"),
        ({"subject_token_type": "x"}, "invalid_request", "of this type"),
        ({"requested_token_type": "urn:ietf:params:oauth:token-type:jwt"}, "invalid_request", "of the type"),
        ({"actor_token": "x"}, "invalid_request", "'actor_token' is not known"),
        ({"audience": "x"}, "invalid_target", "leave out audience"),
        ({"resource": "https://x"}, "invalid_target", "leave out audience"),
        ({"scope": ["list:users", "self"]}, "invalid_request", "once"),
        ({"grant_type": [EXCHANGE, "authorization_code"]}, "invalid_request", "once"),
    ],
)
def test_wrong_parameters_are_named(hub, more, error, words):
    assert words in refusal(ask(hub, job(hub), **more), error)


def test_words_of_others_stay_within_what_an_error_may_have(hub):
    why = refusal(ask(hub, job(hub, sub='ä"\\\n<script>', repository="x")), "invalid_target")

    assert why.isascii()
    assert not set('"\\\n') & set(why)


def test_an_address_with_many_wrong_proofs_must_wait(tmp_path):
    hub = build_hub(tmp_path, SETTINGS.replace("max_failures = 1000", "max_failures = 1") + RULES)
    for _ in range(20):
        refusal(ask(hub, "wrong"), "invalid_request")

    assert "refused. Wait" in refusal(ask(hub, job(hub)), "slow_down", 429)
    assert hub.browser("bob").get("/hub/home").status_code == 200  # people may still log in from there


def test_a_platform_that_is_away_is_no_refusal(tmp_path):
    elsewhere = f"keys_url = 'http://127.0.0.1:1/keys'\naudience = \"{HUB}\""
    hub = build_hub(tmp_path, SETTINGS + RULES.replace(f"keys = '{KEYS}'\naudience = \"{HUB}\"", elsewhere))

    assert "127.0.0.1:1" in refusal(ask(hub, job(hub)), "temporarily_unavailable", 503)


def test_calls_to_a_platform_that_fails_are_counted_by_address(tmp_path):
    elsewhere = f"keys_url = 'http://127.0.0.1:1/keys'\naudience = \"{HUB}\""
    rules = RULES.replace(f"keys = '{KEYS}'\naudience = \"{HUB}\"", elsewhere)
    hub = build_hub(tmp_path, SETTINGS.replace("max_failures = 1000", "max_failures = 1") + rules)
    hub.user("ada")

    answers = [ask(hub, job(hub)).status_code for _ in range(21)]

    assert answers == [503] * 20 + [429]


def test_a_removed_service_or_role_ends_its_tokens(tmp_path, hub):
    secret = ask(hub, job(hub)).json()["access_token"]
    without = build_hub(tmp_path, SETTINGS)

    assert without.as_token(secret).get("/users").status_code == 403
    added = without.as_token("admin-service-token-0123456789").post("/services/deployer", {"admin": True})
    assert added.status_code == 201
    assert without.as_token(secret).get("/user").status_code == 403  # that is another service


def test_a_token_of_an_admin_service_is_no_admin_itself(tmp_path):
    rules = RULES.replace('name = "deployer"\n', 'name = "deployer"\nadmin = true\n', 1)
    hub = build_hub(tmp_path, SETTINGS + rules.replace('"list:users", "read:servers"', '"admin:users"'))
    api = hub.as_token(ask(hub, job(hub)).json()["access_token"])

    assert api.post("/users/eve", {}).status_code == 201
    assert api.post("/users/mallory", {"admin": True}).status_code == 403
    assert api.patch("/users/eve", {"admin": True}).status_code == 403


def test_the_log_says_who_got_what_and_no_secret(hub, caplog):
    caplog.set_level("INFO")
    proof = job(hub)
    secret = ask(hub, proof).json()["access_token"]

    (line,) = [one.getMessage() for one in caplog.records if "got token" in one.getMessage()]
    for word in ("repo:org/app:ref:refs/heads/main", GITHUB, "service deployer", "rule release", "list:users"):
        assert word in line
    assert secret not in caplog.text
    assert proof not in caplog.text
