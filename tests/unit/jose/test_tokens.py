import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from joserfc.jwk import OctKey

from hubless.adapters.jose.fetching import FetchError
from hubless.adapters.jose.key_sets import GivenKeys
from hubless.adapters.jose.tokens import (
    ALGORITHMS,
    MAX_HEADER,
    MAX_TOKEN,
    TokenRefusedError,
    header_of,
    unverified_claims_of,
    validate,
)
from tests.doubles.signers import ec_key, ed_key, key_set, part, rsa_key, signed, signed_padded

NOW = datetime(2026, 11, 28, 3, tzinfo=UTC)
AT = int(NOW.timestamp())
CLAIMS = {"iss": "https://idp.example.org", "aud": "hub", "sub": "ada", "iat": AT, "exp": AT + 60, "nonce": "n-1"}
KEYS = GivenKeys(key_set(rsa_key(), ec_key(), ed_key()))


def validated(token: str, **rules):
    facts = {"keys": KEYS, "issuer": "https://idp.example.org", "audience": "hub", "now": NOW}
    return validate(token, **{**facts, **rules})


def refusal(token: str, **rules) -> str:
    with pytest.raises(TokenRefusedError) as refused:
        validated(token, **rules)
    return str(refused.value)


def test_a_good_token_gives_its_claims():
    assert validated(signed(CLAIMS), nonce="n-1", authorized_party="hub") == CLAIMS


@pytest.mark.parametrize(
    ("algorithm", "key"),
    [
        *((name, rsa_key()) for name in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        ("ES256", ec_key()),
        ("Ed25519", ed_key()),
    ],
)
def test_each_algorithm_is_verified(algorithm, key):
    assert validated(signed(CLAIMS, key, algorithm))["sub"] == "ada"


def test_the_old_name_of_ed25519_is_verified_without_a_warning():
    head, body = part({"alg": "EdDSA", "kid": "ed-1"}), part(CLAIMS)
    signature = ed_key().get_op_key("sign").sign(f"{head}.{body}".encode())

    assert validated(f"{head}.{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}")["sub"] == "ada"


def test_a_public_key_is_no_secret():
    """Nobody signs with a published key as if it were a shared secret."""
    secret = OctKey.import_key(json.dumps(rsa_key().as_dict(private=False)))

    assert "HS256" in refusal(signed(CLAIMS, secret, "HS256", kid="rsa-1"))


@pytest.mark.parametrize("algorithm", ["none", "HS256", "", None, 7, ["RS256"]])
def test_other_algorithms_are_refused(algorithm):
    assert "not accepted" in refusal(f"{part({'alg': algorithm})}.{part(CLAIMS)}.c2ln")


def test_the_signer_may_use_its_own_algorithms_only():
    assert "RS256" in refusal(signed(CLAIMS), algorithms=["ES256"])


def test_no_setting_allows_none_or_a_shared_secret():
    assert "not accepted" in refusal(f"{part({'alg': 'none'})}.{part(CLAIMS)}.c2ln", algorithms=["none", *ALGORITHMS])


def test_a_changed_claim_breaks_the_signature():
    head, _, signature = signed(CLAIMS).split(".")

    assert "signature" in refusal(f"{head}.{part({**CLAIMS, 'sub': 'root'})}.{signature}")


def test_a_key_of_another_curve_does_not_fit():
    other = ec_key("ec-1", "P-384")

    assert "signature" in refusal(signed(CLAIMS, other, "ES384"))


def test_a_key_signs_with_its_own_algorithm_only():
    keys = GivenKeys(key_set(rsa_key(), alg="RS512"))

    assert "signature" in refusal(signed(CLAIMS), keys=keys)


def test_an_unknown_key_is_said():
    assert "does not publish" in refusal(signed(CLAIMS, rsa_key("other")))


def test_of_two_keys_without_an_id_each_may_have_signed():
    keys = GivenKeys(key_set(rsa_key(None), ec_key(None)))

    assert validated(signed(CLAIMS, rsa_key(None)), keys=keys)
    assert validated(signed(CLAIMS, ec_key(None), "ES256"), keys=keys)


class Replaced:
    """A signer who has put another key under the same id."""

    def __init__(self) -> None:
        self.asked: list[bool] = []

    def find(self, kid, *, again=False):
        self.asked.append(again)
        return GivenKeys(key_set(rsa_key("rsa-1", 3072 if again else 2048))).find(kid)


def test_a_bad_signature_asks_once_for_new_keys():
    keys = Replaced()

    assert validated(signed(CLAIMS, rsa_key("rsa-1", 3072)), keys=keys)
    assert keys.asked == [False, True]


def test_keys_that_are_not_there_are_no_refusal():
    class Missing:
        def find(self, kid, *, again=False):
            raise FetchError("gone")

    with pytest.raises(FetchError):
        validated(signed(CLAIMS), keys=Missing())


@pytest.mark.parametrize("name", ["iss", "aud", "exp", "iat"])
@pytest.mark.parametrize("given", [None, "", "left out"])
def test_essential_claims_must_be_there(name, given):
    claims = {**CLAIMS, name: given}
    if given == "left out":
        del claims[name]

    assert refusal(signed(claims)) == f"The token lacks {name}."


def test_callers_name_more_essential_claims():
    assert refusal(signed(CLAIMS), essential=("exp", "jti", "email")) == "The token lacks email, jti."


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"iss": "https://idp.example.org/"}, "issuer"),
        ({"iss": ["https://idp.example.org"]}, "issuer"),
        ({"aud": "Hub"}, "audience"),
        ({"aud": ["other"]}, "audience"),
        ({"aud": {"hub": 1}}, "audience"),
        ({"aud": [["hub"]]}, "audience"),
        ({"exp": AT - 60}, "expired"),
        ({"iat": AT + 61}, "future"),
        ({"nbf": AT + 61}, "not valid yet"),
        ({"exp": "tomorrow"}, "exp is no time"),
        ({"exp": True}, "exp is no time"),
        ({"exp": 10**400}, "exp is no time"),
        ({"exp": float("nan")}, "exp is no time"),
        ({"nonce": "n-2"}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"nonce": "\ud800"}, "nonce"),
        ({"azp": "other"}, "azp"),
        ({"aud": ["hub", "other"]}, "azp"),
    ],
)
def test_wrong_claims_are_refused(change, words):
    assert words in refusal(signed({**CLAIMS, **change}), nonce="n-1", authorized_party="hub")


@pytest.mark.parametrize(
    "change",
    [
        {"exp": AT - 59},
        {"iat": AT + 60},
        {"nbf": AT + 60},
        {"exp": AT + 0.5},
        {"aud": ["other", "hub"], "azp": "hub"},
    ],
)
def test_claims_within_the_leeway_are_taken(change):
    assert validated(signed({**CLAIMS, **change}), authorized_party="hub")


def test_any_of_several_audiences_will_do():
    assert validated(signed(CLAIMS), audience=["other", "hub"])


def test_an_old_token_is_refused_where_age_counts():
    old = signed({**CLAIMS, "iat": AT - 400})

    assert validated(old)
    assert "too old" in refusal(old, max_age=timedelta(minutes=5))


def test_the_type_is_compared_where_it_matters():
    token = signed(CLAIMS, typ="application/Logout+JWT")

    assert validated(token, types=["logout+jwt"])
    assert "type" in refusal(token, types=["jwt"])
    assert "type" in refusal(signed(CLAIMS, typ=None), types=["jwt"])


@pytest.mark.parametrize(
    "token",
    [
        *("", ".", "..", "a.b", "a.b.c.d", "a.b.c.d.e", "ä.b.c", "!.!.!", f"{part([])}.{part({})}.c2ln"),
        f"{part({'alg': 'RS256'})}.{part([])}.c2ln",
        f"{part({'alg': 'RS256'})}.e30=.c2ln",
        f"{part({'alg': 'RS256', 'kid': 7})}.{part(CLAIMS)}.c2ln",
        f"{part({'alg': 'RS256', 'crit': ['exp']})}.{part(CLAIMS)}.c2ln",
        f"{part({'alg': 'RS256', 'b64': False})}.{part(CLAIMS)}.c2ln",
        f"{part({'alg': 'RS256', 'x': 'a' * MAX_HEADER})}.{part(CLAIMS)}.c2ln",
        f"{part({'alg': 'RS256'})}.{'a' * MAX_TOKEN}.c2ln",
    ],
)
def test_malformed_tokens_are_refused(token):
    with pytest.raises(TokenRefusedError):
        validated(token)


@pytest.mark.parametrize("header", [{"crit": ["exp"], "exp": AT}, {"b64": True}, {"crit": ["b64"], "b64": True}])
def test_extensions_are_refused_though_signed(header):
    head, body = part({"alg": "Ed25519", "kid": "ed-1", **header}), part(CLAIMS)
    signature = ed_key().get_op_key("sign").sign(f"{head}.{body}".encode())

    assert "extensions" in refusal(f"{head}.{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}")


def test_deeply_nested_json_is_refused():
    assert "no JSON object" in refusal(signed(b"[" * 20_000))


def test_headers_that_nobody_knows_are_no_harm():
    assert validated(signed(CLAIMS, signer="arn:aws:x", x5t="x" * 600))


def test_padded_tokens_are_taken_where_the_signer_pads():
    keys = GivenKeys(key_set(ec_key()))
    token = signed_padded({**CLAIMS, "sub": "a"}, ec_key())

    assert "=" in token
    assert validated(token, keys=keys, padded=True)["sub"] == "a"
    assert refusal(token, keys=keys)


def test_header_and_claims_can_be_read_before_a_signer_is_chosen():
    token = signed(CLAIMS)

    assert header_of(token)["kid"] == "rsa-1"
    assert unverified_claims_of(token)["iss"] == "https://idp.example.org"
