"""Files of Berkeley DB's hash access method (`dbm.ndbm` on Debian and Ubuntu), from little-endian machines.

After a page about the file, pages of names and values follow in any order. Each has a list of places. Its items lie
from its end to its beginning, a name before its value (Berkeley DB 4 to 18, `db_page.h`; version 9 of the hash).
"""

from collections.abc import Iterator

from hubless.adapters.jupyterhub_passwords.bytes_of_a_file import numbers, piece

_MAGIC = 0x061561
_VERSIONS = range(7, 11)
_PAGE_SIZES = {2**bits for bits in range(9, 17)}
_CHECKSUM = 0x01
_HASH_PAGES = {2, 13}  # unsorted, which Berkeley DB before 4.6 wrote, and sorted
_LIST = 26  # bytes of a page before its list
_IS_HERE = 1  # what lies elsewhere is longer than a quarter of a page


def is_one(content: bytes) -> bool:
    """Say whether *content* begins as such a file does, of whatever version and machine."""
    return bool({content[:4], content[12:16]} & {_MAGIC.to_bytes(4, "little"), _MAGIC.to_bytes(4, "big")})


def entries(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return names and values; both are empty where one is longer than a password's can be.

    Raises:
        ValueError: saying what is broken, or that another Berkeley DB wrote it.
    """
    if int.from_bytes(content[12:16], "little") != _MAGIC:
        raise ValueError("Berkeley DB 1.85 (of macOS and the BSDs) or a machine with another order of bytes wrote it")
    version, page_size, encryption, _, flags = numbers("<IIBBB", content, 16)
    if version not in _VERSIONS or encryption or flags & _CHECKSUM:
        raise ValueError(f"it is encrypted, has checksums or an unknown version ({version})")
    if page_size not in _PAGE_SIZES or len(content) % page_size:
        raise ValueError("its length is no number of pages")
    for start in range(page_size, len(content), page_size):
        yield from _of_page(piece(content, start, page_size))


def _of_page(page: bytes) -> Iterator[tuple[bytes, bytes]]:
    count, _, _, kind = numbers("<HHBB", page, 20)
    if kind not in _HASH_PAGES:
        return
    places = numbers(f"<{count}H", page, _LIST)
    ends = (len(page), *places)
    if count % 2 or any(end <= start for start, end in zip(places, ends, strict=False)):
        raise ValueError("the items of a page are not in order")
    items = [page[start:end] for start, end in zip(places, ends, strict=False)]
    for name, value in zip(items[::2], items[1::2], strict=True):
        yield (name[1:], value[1:]) if name[0] == value[0] == _IS_HERE else (b"", b"")
