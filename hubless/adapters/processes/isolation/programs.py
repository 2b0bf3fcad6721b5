"""Which folders a program needs to run: its environment, and that of its interpreter, wherever they are."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

LONGEST_CHAIN = 20  # links and interpreters that lead from a program to the last one
_SYSTEM = (Path("/"), Path("/usr"))
_FIRST_BYTES = 512
_SHEBANG = re.compile(rb"#!\s*(\S+)(?:[ \t]+(\S+))?")
# pip and uv write this where a path is too long, or has blanks, for the first line of a script.
_LONG_SHEBANG = re.compile(rb"#!/bin/sh\n'''exec' [\"']?(/[^\"'\n]+?)[\"']? [\"']?\$0")


def needed_by(command: Sequence[str], path: str) -> list[Path]:
    """Return the folders and files that *command* needs, as its links and first lines name them.

    Args:
        command: a program's absolute path, and its arguments. Files that arguments name absolutely are needed, too.
        path: the PATH on which `env` would look for an interpreter.
    """
    program, *arguments = command
    needed = list(_of_program(Path(program), path, LONGEST_CHAIN))
    needed += [Path(one) for one in arguments if one.startswith("/") and Path(one).is_file()]
    return list(dict.fromkeys(needed))


def environment_folder(program: Path, path: str) -> Path | None:
    """Return the `bin` of the virtual environment, conda's or Python's, that *program* runs in; None without one.

    It is found along the links and first lines of *program*. The system's Python has none: it is on each PATH.

    Args:
        program: an absolute path.
        path: the PATH on which `env` would look for an interpreter.
    """
    at: Path | None = program
    for _ in range(LONGEST_CHAIN):
        if at is None:
            return None
        root = at.parent.parent
        is_python = at.name.startswith("python") and root not in _SYSTEM
        if at.parent.name == "bin" and (is_python or _is_made(root)):
            return at.parent
        at = Path(_without_dots(at.parent / at.readlink())) if at.is_symlink() else interpreter_of(at, path)
    return None


def interpreter_of(program: Path, path: str) -> Path | None:
    """Return the interpreter that the first lines of *program* name, or None."""
    try:
        with program.open("rb") as file:
            head = file.read(_FIRST_BYTES)
    except OSError:
        return None
    if long := _LONG_SHEBANG.match(head):
        return Path(long[1].decode(errors="surrogateescape"))
    if (line := _SHEBANG.match(head)) is None:
        return None
    named = line[1].decode(errors="surrogateescape")
    if Path(named).name != "env" or line[2] is None:
        return Path(named)
    found = (Path(folder) / line[2].decode(errors="surrogateescape") for folder in path.split(":") if folder)
    return next((one for one in found if one.exists()), None)


def _of_program(program: Path, path: str, left: int) -> Iterator[Path]:
    if left == 0:
        return
    yield from _around(program, path, left)
    if program.is_symlink():
        target = program.parent / program.readlink()
        yield from _of_program(Path(_without_dots(target)), path, left - 1)
        yield from _around(Path(os.path.realpath(program)), path, left)
    elif (interpreter := interpreter_of(program, path)) is not None:
        yield from _of_program(interpreter, path, left - 1)


def _around(program: Path, path: str, left: int) -> Iterator[Path]:
    """Yield the environment of *program* and the one that this is based on; without one the program alone."""
    root = program.parent.parent
    if program.parent.name != "bin" or not _is_environment(root):
        yield program
        return
    yield root
    yield Path(os.path.realpath(root))
    if (base := _base_of(root)) is not None:
        yield from _of_program(base / "python3", path, left - 1)


def _is_environment(root: Path) -> bool:
    """Say whether *root* is a virtual environment, conda's, or the prefix of a Python; `~/.local` is none of these."""
    if root == Path("/"):
        return False
    if _is_made(root):
        return True
    return all(next(root.glob(sign), None) is not None for sign in ("bin/python3*", "lib/python3*"))


def _is_made(root: Path) -> bool:
    """Say whether *root* is a virtual environment or one of conda."""
    return (root / "pyvenv.cfg").is_file() or (root / "conda-meta").is_dir()


def _base_of(environment: Path) -> Path | None:
    """Return the folder of the Python that the virtual *environment* was made with."""
    try:
        lines = (environment / "pyvenv.cfg").read_text().splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    named = (line.partition("=")[2].strip() for line in lines if line.partition("=")[0].strip() == "home")
    return next((Path(one) for one in named if one), None)


def _without_dots(path: Path) -> str:
    """Return *path* without `..`; the folders before them are real, because the link was found through them."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and len(parts) > 1:
            parts.pop()
        elif part != ".":
            parts.append(part)
    return str(Path(*parts))
