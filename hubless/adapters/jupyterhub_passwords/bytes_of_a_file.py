"""Numbers and pieces of a file's bytes, within its bounds."""

import struct


def piece(content: bytes, start: int, length: int) -> bytes:
    """Return *length* bytes from *start*.

    Raises:
        ValueError: when they are not all there.
    """
    if start < 0 or length < 0 or start + length > len(content):
        raise ValueError(f"it ends before byte {start + length}")
    return content[start : start + length]


def numbers(layout: str, content: bytes, start: int) -> tuple[int, ...]:
    """Return the numbers of *layout* (as `struct` has it) from *start*.

    Raises:
        ValueError: when they are not all there.
    """
    return struct.unpack(layout, piece(content, start, struct.calcsize(layout)))
