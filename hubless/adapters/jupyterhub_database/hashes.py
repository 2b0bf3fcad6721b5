"""The hashes of rows, checked."""

from hubless.adapters.jupyterhub_database import values
from hubless.domain.errors import InvalidRequestError
from hubless.domain.imported_secrets import of_jupyterhub

_MAX = 255  # characters of the column


def hash_of(hashed: object, prefix: object) -> str:
    """Return the text of an imported hash.

    Raises:
        BrokenRowError: when it has none of JupyterHub's forms.
    """
    try:
        return of_jupyterhub(values.text(hashed, "hashed", _MAX), values.optional_text(prefix, "prefix", _MAX)).text
    except InvalidRequestError:
        raise values.BrokenRowError("hashed has none of JupyterHub's forms") from None


def optional_hash(hashed: object, prefix: object) -> str | None:
    """Return the text of an imported hash, or None where there is none; errors are as above."""
    return hash_of(hashed, prefix) if hashed else None
