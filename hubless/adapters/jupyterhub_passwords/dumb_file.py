"""Files of `dbm.dumb`: an index with a line for each name, and a file of values.

A line is Python's text of a name, which stands for bytes as Latin-1, and of the value's place and length. `dbm.dumb`
evaluates such lines; this reads the one form that it writes.
"""

import re
from collections.abc import Iterator

from hubless.adapters.jupyterhub_passwords.bytes_of_a_file import piece

_LINE = re.compile(r"""(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"), \(([0-9]{1,12}), ([0-9]{1,9})\)\s*""", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|(.))", re.DOTALL)
_SHORT = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", '"': '"'}


def entries(index: bytes, values: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Return names and values; of two lines of a name the later one counts.

    Raises:
        ValueError: saying what is broken.
    """
    found: dict[bytes, tuple[int, int]] = {}
    for number, line in enumerate(index.decode("latin-1").split("\n"), start=1):
        if line.strip():
            read = _LINE.fullmatch(line)
            if read is None:
                raise ValueError(f"line {number} has not the form that dbm.dumb writes")
            name = read[1] if read[1] is not None else read[2]
            found[_ESCAPE.sub(_unescaped, name).encode("latin-1")] = (int(read[3]), int(read[4]))
    for name_bytes, (start, length) in found.items():
        yield name_bytes, piece(values, start, length)


def _unescaped(escape: re.Match[str]) -> str:
    if escape[1]:
        return chr(int(escape[1], 16))
    if escape[2] not in _SHORT:
        raise ValueError(f"a name has the escape \\{escape[2]}, which dbm.dumb does not write")
    return _SHORT[escape[2]]
