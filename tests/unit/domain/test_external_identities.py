import pytest

from hubless.domain import external_identities
from hubless.domain.errors import InvalidRequestError
from hubless.domain.external_identities import ExternalId, check_external_id

ISSUER = "https://sso.example.org"


@pytest.mark.parametrize(
    "identity", [ExternalId(ISSUER, "1"), ExternalId("i" * 1024, "s" * 255), ExternalId("idp", "ü ñ")]
)
def test_an_identity_within_its_bounds_is_taken(identity):
    assert check_external_id(identity) == identity


@pytest.mark.parametrize(
    ("identity", "why"),
    [
        (ExternalId("", "1"), "issuer of an identity must have 1 to 1024"),
        (ExternalId("i" * 1025, "1"), "issuer of an identity must have 1 to 1024"),
        (ExternalId(ISSUER, ""), "subject of an identity must have 1 to 255"),
        (ExternalId(ISSUER, "s" * 256), "subject of an identity must have 1 to 255"),
        (ExternalId(ISSUER, "a\nb"), "subject of an identity has a character that cannot be printed"),
        (ExternalId(ISSUER + "\ud800", "1"), "issuer of an identity has a character"),
        (ExternalId(ISSUER, "a\u202eb"), "subject of an identity has a character"),
    ],
)
def test_an_identity_beyond_its_bounds_is_refused(identity, why):
    with pytest.raises(InvalidRequestError, match=why):
        check_external_id(identity)


def test_labels_and_names_of_providers_are_cut():
    assert external_identities.label("ada@example.org\n\u202e" + "x" * 999) == "ada@example.org" + "x" * 238
    assert external_identities.provider_name("p" * 99) == "p" * 64
