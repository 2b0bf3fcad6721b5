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
        hashed("x", 1).replace(":1:", ":\u0661:"),  # a digit of another script
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


def text_of(secret: str, rounds: int = 1) -> str:
    return imported_secrets.of_jupyterhub(hashed(secret, rounds), secret[:4]).text


def test_the_candidate_that_a_secret_has_is_found_and_no_other() -> None:
    candidates = [sha256("serv-b"), text_of("serv-a"), text_of("serv-b", 16_384), text_of("serv-c")]
    assert imported_secrets.matching(candidates, "serv-b") == text_of("serv-b", 16_384)
    assert imported_secrets.matching(candidates, "serv-c") == text_of("serv-c")
    assert imported_secrets.matching(candidates, "serv-d") is None
    assert imported_secrets.matching([], "serv-a") is None


@pytest.mark.parametrize("rounds", [1, 16_384])
def test_every_candidate_is_compared_whichever_is_right(rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates, compared = [text_of(f"same{number}", rounds) for number in range(4)], []
    matches = ImportedHash.matches
    monkeypatch.setattr(ImportedHash, "matches", lambda one, secret: compared.append(one) or matches(one, secret))
    for secret in ("same0", "same3", "wrong"):
        imported_secrets.matching(candidates, secret)
    assert len(compared) == 3 * 4


def test_what_is_beyond_the_bounds_of_a_prefix_is_named_and_not_compared() -> None:
    few, many = imported_secrets.MOST_OF_MANY_ROUNDS, imported_secrets.MOST_OF_ONE_ROUND
    slow = [text_of(f"same{number}", 2) for number in range(few + 2)]
    quick = [text_of(f"same{number}") for number in range(many + 1)]
    found = imported_secrets.beyond_bounds([*slow, sha256("x"), *quick, text_of("other")])
    assert found == {*slow[few:], *quick[many:]}
    within = imported_secrets.matching(slow, f"same{few - 1}")
    assert (within, imported_secrets.matching(slow, f"same{few}")) == (slow[few - 1], None)
    assert imported_secrets.matching(quick, f"same{many}") is None


def test_hashes_of_many_rounds_are_told_from_those_of_one() -> None:
    quick, slow = [text_of("same1"), text_of("same2")], [text_of("same", 2), text_of("same", 16_384), text_of("x", 10)]
    assert imported_secrets.by_cost([slow[0], *quick, sha256("x"), *slow[1:]]) == (quick, slow)


def test_hashes_within_the_bounds_are_all_imported() -> None:
    assert imported_secrets.beyond_bounds([text_of(f"same{number}") for number in range(10)]) == frozenset()


def test_an_imported_hash_is_told_from_ours() -> None:
    assert imported_secrets.is_imported(text_of("7ca4"))
    assert not imported_secrets.is_imported(sha256("7ca4"))
    assert (imported_secrets.prefix_in(text_of("7ca4-1")), imported_secrets.prefix_in(sha256("x"))) == ("7ca4", None)
