"""The files that pages are made of: templates, catalogues, style sheets, scripts and pictures of this version.

Each is read once. A process that lives long calls `read_all` first: whoever upgrades the package under it replaces the
files, and the code that runs does not fit those of another version.
"""

from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

HERE = Path(__file__).parent
TEMPLATES, STATIC, LOCALE = HERE / "templates", HERE / "static", HERE / "locale"


@lru_cache(maxsize=3)
def files_in(folder: Path) -> Mapping[str, Path]:
    """Return the files below one of the three folders, by their paths there."""
    return {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}


@cache  # there are no more files than the package has
def content_of(file: Path) -> bytes:
    """Return what one of these files had in it when it was first read."""
    return file.read_bytes()


def read_all() -> None:
    """Read all of them."""
    for folder in (TEMPLATES, STATIC, LOCALE):
        for file in files_in(folder).values():
            content_of(file)
