"""New identifiers and secrets, from the operating system's randomness."""

import secrets
from datetime import datetime

from hubless.domain.ids import RANDOM_BYTES, identifier


def new_id(prefix: str, at: datetime) -> str:
    """Return an identifier that sorts by *at* and that nobody else makes."""
    return identifier(prefix, at, secrets.token_bytes(RANDOM_BYTES))


def new_secret() -> str:
    """Return 128 bits as 32 hex digits: the form of JupyterHub's own tokens."""
    return secrets.token_hex(16)
