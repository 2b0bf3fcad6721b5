"""Hashes of secrets that another hub made, as they lie in its database.

JupyterHub stores `sha512:ROUNDS:SALT:DIGEST` beside the secret's first four characters, by which it finds candidates.
Here both are one text, `sha512:ROUNDS:SALT:DIGEST:PREFIX`, which stands where our own secrets have their SHA-256: none
of 64 hex digits can equal it. The first use of the secret replaces it by our own hash.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable

from hubless.domain.errors import InvalidRequestError
from hubless.domain.values import value

PREFIX_LENGTH = 4  # characters (JupyterHub's Hashed.prefix_length)
MANY_ROUNDS = 16_384  # of secrets that people chose; secrets that the hub made have one round
# The hashes of one prefix that a wrong secret is compared with at most, so that it costs little. Of 50,000 tokens that
# JupyterHub made, few share one; tokens that people chose often begin alike. What is beyond is not imported.
MOST_OF_ONE_ROUND = 64
MOST_OF_MANY_ROUNDS = 4  # each takes as long as a whole request, or longer (benchmarks/RESULTS.md)
MOST = MOST_OF_ONE_ROUND + MOST_OF_MANY_ROUNDS
_ONE_ROUND = "sha512:1:"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FORM = re.compile(r"sha512:([0-9]{1,5}):([0-9a-zA-Z]{1,64}):([0-9a-f]{128})")


@value
class ImportedHash:
    """A salted hash of another hub."""

    prefix: str
    rounds: int
    salt: str
    digest: str

    @property
    def text(self) -> str:
        """Return the text under which a store keeps it."""
        return f"sha512:{self.rounds}:{self.salt}:{self.digest}:{self.prefix}"

    def matches(self, secret: str) -> bool:
        """Say whether *secret* has this hash; it takes as long as hashing the secret *rounds* times.

        *secret* has at most `MAX_SECRET_LENGTH` characters: memory grows with it.
        """
        salted = hashlib.sha512(self.salt.encode() + secret.encode() * self.rounds)
        return hmac.compare_digest(salted.hexdigest(), self.digest)


def of_jupyterhub(hashed: str, prefix: str) -> ImportedHash:
    """Return the hash of a row of JupyterHub's `api_tokens`, `share_codes` or `oauth_clients`.

    Raises:
        InvalidRequestError: when *hashed* has another form, or more rounds than JupyterHub ever makes.
    """
    found = _FORM.fullmatch(hashed)
    if found is None or not 1 <= int(found[1]) <= MANY_ROUNDS or len(prefix) > PREFIX_LENGTH:
        raise InvalidRequestError("The hash has none of JupyterHub's forms")
    return ImportedHash(prefix, int(found[1]), found[2], found[3])


def of_text(text: str) -> ImportedHash | None:
    """Return the imported hash that `ImportedHash.text` made, or None for a hash of ours."""
    if not text.startswith("sha512:"):
        return None
    _, rounds, salt, digest, prefix = text.split(":", 4)  # as `of_jupyterhub` has checked it
    return ImportedHash(prefix, int(rounds), salt, digest)


def is_hash(text: str) -> bool:
    """Say whether a store may keep *text* as a secret's hash: SHA-256 in hex, or what `ImportedHash.text` made."""
    if _SHA256.fullmatch(text):
        return True
    *form, prefix = text.split(":", 4)
    try:
        return of_jupyterhub(":".join(form), prefix).text == text
    except InvalidRequestError:
        return False


def prefix_of(secret: str) -> str:
    """Return the characters by which candidates for *secret* are found."""
    return secret[:PREFIX_LENGTH]


def is_imported(text: str) -> bool:
    """Say whether *text*, which stands where a SHA-256 stands, is a hash of another hub."""
    return text.startswith("sha512:")


def prefix_in(text: str) -> str | None:
    """Return the prefix of the imported hash in *text*, or None if it is a hash of ours."""
    imported = of_text(text)
    return None if imported is None else imported.prefix


def matching(candidates: Iterable[str], secret: str) -> str | None:
    """Return the text among *candidates* whose hash *secret* has, or None.

    It compares with as many as may have one prefix, and with all of those, so that the time does not tell which one.
    """
    found = [imported for text in candidates if (imported := of_text(text)) is not None]
    compared = [*_of_one_round(found)[:MOST_OF_ONE_ROUND], *_of_many_rounds(found)[:MOST_OF_MANY_ROUNDS]]
    right = [imported.text for imported in compared if imported.matches(secret)]
    return right[0] if right else None


def by_cost(candidates: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the imported hashes among *candidates* that are quick to compare, and those of many rounds."""
    found = [text for text in candidates if is_imported(text)]
    quick = [text for text in found if text.startswith(_ONE_ROUND)]
    return quick, [text for text in found if not text.startswith(_ONE_ROUND)]


def beyond_bounds(hashes: Iterable[str]) -> frozenset[str]:
    """Return the imported hashes among *hashes* that are too many of one prefix: an import leaves them out.

    Give it all of a hub that are compared with each other: those of its tokens, or those of its share codes.
    """
    by_prefix: dict[str, list[ImportedHash]] = {}
    for text in hashes:
        if (imported := of_text(text)) is not None:
            by_prefix.setdefault(imported.prefix, []).append(imported)
    return frozenset(
        imported.text
        for found in by_prefix.values()
        for imported in (
            *_of_one_round(found)[MOST_OF_ONE_ROUND:],
            *_of_many_rounds(found)[MOST_OF_MANY_ROUNDS:],
        )
    )


def _of_one_round(found: Iterable[ImportedHash]) -> list[ImportedHash]:
    return [imported for imported in found if imported.rounds == 1]


def _of_many_rounds(found: Iterable[ImportedHash]) -> list[ImportedHash]:
    return [imported for imported in found if imported.rounds > 1]
