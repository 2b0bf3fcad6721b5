"""Files of GNU dbm (`dbm.gnu`, and `dbm.ndbm` where it stands on GNU dbm), from machines with 64 bits.

A header tells where the directory is. Each of its entries is the place of a bucket, and several may name the same one.
A bucket has a table of elements, each with the place and the lengths of a name and its value. Numbers are as the
machine has them that wrote the file (gdbm 1.8 to 1.26, `gdbmdefs.h`).
"""

from collections.abc import Iterator

from hubless.adapters.jupyterhub_passwords.bytes_of_a_file import numbers, piece

_OURS = {0x13579ACF, 0x13579AD1}  # the second counts its writes
_OTHERS = {0x13579ACD, 0x13579ACE, 0x13579AD0}  # places have 32 bits, or have as many as the machine's numbers
_MAX_DIRECTORY = 2**24  # bytes
_BEFORE = 112  # bytes of a bucket before its table
_ELEMENT = "<i4xqii"  # the hash of the name, its first four bytes, where it is, its length and the value's
_ELEMENT_SIZE = 24
_EMPTY = -1  # the hash of an element that holds nothing


def is_one(content: bytes) -> bool:
    """Say whether *content* begins as such a file does, of whatever machine."""
    return any(int.from_bytes(content[:4], order) in _OURS | _OTHERS for order in ("little", "big"))


def entries(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return names and values.

    Raises:
        ValueError: saying what is broken, or that another kind of machine wrote it.
    """
    if int.from_bytes(content[:4], "little") not in _OURS:
        raise ValueError("a machine with 32 bits or another order of bytes wrote it")
    directory, size, _, _, elements, end = numbers("<qiiiiq", content, 8)  # after magic number and size of a block
    if end > len(content):
        raise ValueError(f"it ends before byte {end}")
    if not 0 < size <= _MAX_DIRECTORY or size % 8:
        raise ValueError("its directory has no possible size")
    for bucket in sorted(set(numbers(f"<{size // 8}q", content, directory))):
        (count,) = numbers("<i", content, bucket + _BEFORE - 4)
        if not 0 <= count <= elements:
            raise ValueError(f"the bucket at byte {bucket} cannot have {count} elements")
        piece(content, bucket + _BEFORE, elements * _ELEMENT_SIZE)
        for at in range(elements):
            hashed, start, name, value = numbers(_ELEMENT, content, bucket + _BEFORE + at * _ELEMENT_SIZE)
            if hashed != _EMPTY:
                yield piece(content, start, name), piece(content, start + name, value)
