"""What an import reads: an archive of ours."""

from pathlib import Path

from hubless.domain.archive import Archive
from hubless.domain.errors import InvalidRequestError


def read(source: str) -> Archive:
    """Return everything in *source*, the path of an archive (`.jsonl`).

    Raises:
        HublessError: saying why it cannot be read, and what to do.
    """
    from hubless.adapters import archive_file  # noqa: PLC0415 the import alone needs it

    if not source.endswith(".jsonl"):
        raise InvalidRequestError(f"{source} is no archive: its name must end with .jsonl")
    return archive_file.read(Path(source))
