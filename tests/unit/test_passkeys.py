import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hubless.adapters.passkeys import WebauthnCeremonies
from hubless.domain.errors import InvalidRequestError
from hubless.ports.second_factors import PasskeyAnswer, RelyingParty
from tests.support.authenticator import PRESENT, VERIFIED, Authenticator, encoded

PARTY = RelyingParty("hub.example", "https://hub.example", "Our hub")
CHALLENGE, HANDLE = b"c" * 56, b"u-1"
ceremonies = WebauthnCeremonies()


def creation(**more):
    facts = {"user_handle": HANDLE, "user_name": "alice", "challenge": CHALLENGE, "known": ()} | more
    return ceremonies.creation_options(PARTY, **facts)


@pytest.fixture
def phone():
    return Authenticator(PARTY.origin)


@pytest.fixture
def held(phone):
    return ceremonies.registered(PARTY, ceremonies.read(phone.create(creation())))


def use(phone, held, *, sign_count=0, party=PARTY, **wrong):
    answer = ceremonies.read(phone.get(ceremonies.request_options(party, CHALLENGE), **wrong))
    return ceremonies.used(PARTY, answer, public_key=held.public_key, sign_count=sign_count)


def test_options_demand_a_passkey_that_is_found_without_a_name():
    options = json.loads(creation(known=("aWQ",)))

    assert options["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    assert options["user"] == {"id": encoded(HANDLE), "name": "alice", "displayName": "alice"}
    assert options["rp"] == {"id": "hub.example", "name": "Our hub"}
    assert options["attestation"] == "none"
    assert [one["id"] for one in options["excludeCredentials"]] == ["aWQ"]


def test_options_of_a_login_demand_that_the_user_is_verified():
    options = json.loads(ceremonies.request_options(PARTY, CHALLENGE, ("aWQ",)))

    assert options["userVerification"] == "required"
    assert [one["id"] for one in options["allowCredentials"]] == ["aWQ"]
    assert json.loads(ceremonies.request_options(PARTY, CHALLENGE))["allowCredentials"] == []


def test_a_passkey_is_made_and_used(phone, held):
    assert use(phone, held) == 1
    assert use(phone, held, sign_count=1) == 2


def test_the_answer_says_whose_passkey_it_is(phone, held):
    read = ceremonies.read(phone.get(ceremonies.request_options(PARTY, CHALLENGE)))

    assert (read.credential_id, read.challenge, read.user_handle) == (held.credential_id, CHALLENGE, HANDLE)


def test_a_count_that_stays_zero_is_fine():
    phone = Authenticator(PARTY.origin, counts=False)
    held = ceremonies.registered(PARTY, ceremonies.read(phone.create(creation())))

    assert use(phone, held) == use(phone, held) == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"said": {"origin": "https://alice.hub.example"}},
        {"said": {"origin": "http://hub.example"}},
        {"said": {"type": "webauthn.create"}},
        {"said": {"challenge": "bm90IG91cnM"}, "read_as": CHALLENGE},
        {"said": {"crossOrigin": True}},
        {"said": {"topOrigin": "https://evil.example"}},
        {"rp_id": "example"},
        {"flags": PRESENT},
        {"flags": VERIFIED},
        {"key": ec.generate_private_key(ec.SECP256R1())},
        {"count": 0, "sign_count": 3},
        {"count": 3, "sign_count": 3},
    ],
    ids=lambda wrong: "-".join(wrong.get("said", wrong)),
)
def test_a_wrong_answer_is_refused(phone, held, wrong):
    wrong, sign_count = dict(wrong), wrong.get("sign_count", 0)
    read_as = wrong.pop("read_as", None)
    wrong.pop("sign_count", None)
    sent = phone.get(ceremonies.request_options(PARTY, CHALLENGE), **wrong)

    def use_it():
        read = ceremonies.read(sent)
        asked = PasskeyAnswer(read.credential_id, read_as or read.challenge, read.user_handle, read.text)
        return ceremonies.used(PARTY, asked, public_key=held.public_key, sign_count=sign_count)

    with pytest.raises(InvalidRequestError):
        use_it()


@pytest.mark.parametrize(
    "wrong",
    [
        {"said": {"origin": "https://alice.hub.example"}},
        {"said": {"type": "webauthn.get"}},
        {"said": {"crossOrigin": True}},
        {"rp_id": "alice.hub.example"},
        {"flags": PRESENT},
        {"flags": VERIFIED},
    ],
    ids=lambda wrong: "-".join(wrong.get("said", wrong)),
)
def test_a_wrong_registration_is_refused(phone, wrong):
    with pytest.raises(InvalidRequestError):
        ceremonies.registered(PARTY, ceremonies.read(phone.create(creation(), **wrong)))


def test_an_id_that_is_longer_than_any_is_refused(phone):
    ceremonies.read(phone.create(creation(), credential_id=b"i" * 1023))
    with pytest.raises(InvalidRequestError):
        ceremonies.read(phone.create(creation(), credential_id=b"i" * 1024))


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '"x"', "[" * 5000, '{"response": 1}', '{"rawId": "aWQ", "response": {}}']
)
def test_what_is_no_answer_is_refused(text):
    with pytest.raises(InvalidRequestError, match="not valid"):
        ceremonies.read(text)


@pytest.mark.parametrize("key", ["authenticatorData", "signature", "clientDataJSON"])
@pytest.mark.parametrize("value", ["", "!!!!", "AAAA", None, 7])
def test_a_damaged_answer_is_refused(phone, held, key, value):
    sent = json.loads(phone.get(ceremonies.request_options(PARTY, CHALLENGE)))
    sent["response"][key] = value
    with pytest.raises(InvalidRequestError):
        ceremonies.used(PARTY, ceremonies.read(json.dumps(sent)), public_key=held.public_key, sign_count=0)
