"""Hashes that another hub made."""

import hashlib

import pytest

from hubless.domain import imported_secrets
from hubless.domain.errors import InvalidRequestError
from hubless.domain.imported_secrets import ImportedHash
from hubless.domain.tokens import sha256


def hashed(secret: str, rounds: int, salt: str = "0011223344556677") -> str:
    """Hash as JupyterHub does: the salt's text, and then the secret so many times."""
    return f"sha512:{rounds}:{salt}:{hashlib.sha512(salt.encode() + secret.encode() * rounds).hexdigest()}"


@pytest.mark.parametrize("rounds", [1, 16_384])
def test_a_secret_matches_its_own_hash_alone(rounds: int) -> None:
    one = imported_secrets.of_jupyterhub(hashed("service-token-é", rounds), "serv")
    assert one.matches("service-token-é")
    assert not one.matches("service-token-e")
    assert not one.matches("")


@pytest.mark.parametrize("prefix", ["7ca4", "a:b:", ""])
def test_the_stored_text_gives_the_hash_again(prefix: str) -> None:
    one = imported_secrets.of_jupyterhub(hashed("a secret", 1), prefix)
    assert imported_secrets.of_text(one.text) == one


def test_no_hash_of_ours_is_an_imported_one() -> None:
    assert imported_secrets.of_text(sha256("a secret")) is None


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "sha512",
        hashed("x", 1).replace("sha512", "sha256"),
        hashed("x", 1)[:-1],
        hashed("x", 1) + "\n",
        hashed("x", 1).replace(":1:", ":0:"),
        hashed("x", 1).replace(":1:", ":16385:"),
        hashed("x", 1).replace("0011223344556677", ""),
    ],
)
def test_other_forms_are_refused(wrong: str) -> None:
    with pytest.raises(InvalidRequestError, match="none of JupyterHub's forms"):
        imported_secrets.of_jupyterhub(wrong, "abcd")


def test_a_longer_prefix_is_refused() -> None:
    with pytest.raises(InvalidRequestError):
        imported_secrets.of_jupyterhub(hashed("x", 1), "abcde")


def test_candidates_are_found_by_four_characters() -> None:
    assert imported_secrets.prefix_of("7ca41234") == "7ca4"
    assert imported_secrets.prefix_of("7c") == "7c"
    assert ImportedHash("7ca4", 1, "salt", "digest").text.endswith(":7ca4")
