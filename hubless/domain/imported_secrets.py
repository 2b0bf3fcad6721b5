"""Hashes of secrets that another hub made, as they lie in its database.

JupyterHub stores `sha512:ROUNDS:SALT:DIGEST` beside the secret's first four characters, by which it finds candidates.
Here both are one text, `sha512:ROUNDS:SALT:DIGEST:PREFIX`, which stands where our own secrets have their SHA-256: none
of 64 hex digits can equal it. The first use of the secret replaces it by our own hash.
"""

import hashlib
import hmac
import re

from hubless.domain.errors import InvalidRequestError
from hubless.domain.values import value

PREFIX_LENGTH = 4  # characters (JupyterHub's Hashed.prefix_length)
MANY_ROUNDS = 16_384  # of secrets that people chose; secrets that the hub made have one round
_FORM = re.compile(r"sha512:(\d{1,5}):([0-9a-zA-Z]{1,64}):([0-9a-f]{128})")


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
        """Say whether *secret* has this hash; it takes as long as hashing the secret *rounds* times."""
        salted = hashlib.sha512(self.salt.encode())
        for _ in range(self.rounds):
            salted.update(secret.encode())
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
    method, rounds, salt, digest, prefix = text.split(":", 4)
    return of_jupyterhub(f"{method}:{rounds}:{salt}:{digest}", prefix)


def prefix_of(secret: str) -> str:
    """Return the characters by which candidates for *secret* are found."""
    return secret[:PREFIX_LENGTH]
