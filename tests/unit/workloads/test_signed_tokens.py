from datetime import UTC, datetime, timedelta

import pytest

from hubless.adapters.jose.fetching import FetchError
from hubless.adapters.jose.key_sets import DiscoveredKeys, GivenKeys
from hubless.adapters.workloads.signed_tokens import Issuer, SignedTokenVerifier
from hubless.adapters.workloads.verifier import EveryWorkloadVerifier
from hubless.domain.errors import LoginRefusedError, ProviderUnavailableError
from hubless.ports.workloads import AWS_SIGV4, ID_TOKEN, JWT
from tests.doubles.signers import FakeFetcher, key_set, rsa_key, signed
from tests.support.fakes import StoppedClock

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)
AT = int(NOW.timestamp())
ISSUER, HUB = "https://ci.example.org", "https://hub.example.org"
CLAIMS = {"iss": ISSUER, "aud": HUB, "sub": "job:7", "iat": AT, "exp": AT + 300, "jti": "j-1"}
METADATA = f"{ISSUER}/.well-known/openid-configuration"


def verifier(keys=None):
    issuer = Issuer(ISSUER, keys or GivenKeys(key_set(rsa_key())), (HUB, "other-audience"))
    return SignedTokenVerifier({ISSUER: issuer}, StoppedClock(NOW))


def refusal(token: str) -> str:
    with pytest.raises(LoginRefusedError) as refused:
        verifier().verify(token, JWT)
    return str(refused.value)


def test_a_token_says_which_workload_sent_it():
    workload = verifier().verify(signed({**CLAIMS, "repository": "org/app"}), JWT)

    assert (workload.issuer, workload.subject, workload.audiences) == (ISSUER, "job:7", (HUB,))
    assert workload.claims["repository"] == "org/app"
    assert workload.valid_until == NOW + timedelta(minutes=6)
    assert not workload.is_of_aws


def test_the_id_of_a_proof_is_the_tokens_and_its_issuers():
    def proof_id(**change):
        return verifier().verify(signed({**CLAIMS, **change}), JWT).proof_id

    assert proof_id() == proof_id(sub="job:8")
    assert proof_id() != proof_id(jti="j-2")
    assert proof_id(jti=None) == proof_id(jti=7) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"iss": "https://other.example.org"}, "No rule of this hub is about tokens of 'https://other"),
        ({"iss": None}, "tokens of nobody"),
        ({"iss": [ISSUER]}, "tokens of nobody"),
        ({"aud": "https://api.example.org"}, "audience"),
        ({"exp": AT - 61}, "expired"),
        ({"exp": None}, "lacks exp"),
        ({"exp": 253_402_300_799}, "end of all years"),  # the last second of the year 9999
        ({"iat": None}, "lacks iat"),
        ({"iat": AT - 90_000}, "too old"),
        ({"sub": ""}, "lacks sub"),
        ({"sub": 7}, "sub is no text"),
        ({"sub": "x" * 1025}, "sub is no text"),
    ],
)
def test_tokens_that_prove_nothing_are_refused(change, words):
    assert words in refusal(signed({**CLAIMS, **change}))


def test_a_token_that_somebody_else_signed_is_refused():
    assert "signature" in refusal(signed(CLAIMS, rsa_key("rsa-1", 3072)))
    assert "no signed token" in refusal("nonsense")


def test_keys_are_found_by_the_issuers_metadata():
    answers = {METADATA: {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}, f"{ISSUER}/keys": key_set(rsa_key())}
    fetcher = FakeFetcher(answers)

    assert verifier(DiscoveredKeys(ISSUER, fetcher, StoppedClock(NOW))).verify(signed(CLAIMS), JWT)
    assert fetcher.asked == [METADATA, f"{ISSUER}/keys"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://other.example.org", "jwks_uri": f"{ISSUER}/keys"},
        {"issuer": ISSUER},
        {"issuer": ISSUER, "jwks_uri": 7},
        [],
        FetchError("down"),
    ],
)
def test_an_issuer_without_good_metadata_is_not_there(metadata):
    fetcher = FakeFetcher({METADATA: metadata, f"{ISSUER}/keys": key_set(rsa_key())})

    with pytest.raises(ProviderUnavailableError):
        verifier(DiscoveredKeys(ISSUER, fetcher, StoppedClock(NOW))).verify(signed(CLAIMS), JWT)


def test_types_of_proofs_without_a_rule_are_refused():
    every = EveryWorkloadVerifier(verifier(), None)

    assert every.verify(signed(CLAIMS), JWT).subject == every.verify(signed(CLAIMS), ID_TOKEN).subject
    for kind in AWS_SIGV4, "", "urn:ietf:params:oauth:token-type:access_token":
        with pytest.raises(LoginRefusedError, match="of this type"):
            every.verify(signed(CLAIMS), kind)
