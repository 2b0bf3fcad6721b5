"""Loads what all servers need, and knows what it would keep of one server that another must not see."""

from __future__ import annotations

import gc
import hashlib
import importlib
import json
import os
import sys
from pathlib import Path
from typing import TypedDict, cast

from fork_server import answers, linux, parsers, personal
from fork_server.debugger import Debugger
from fork_server.recording import record

# Python, the loader and the C library read these when a program starts, and never again.
_AT_EXECUTION = ("PYTHON", "LD_", "GLIBC_", "MALLOC_", "LC_")
_ALSO_AT_EXECUTION = frozenset({"LANG", "LANGUAGE", "TZ"})
_RECORD = "modules.json"


class Found(TypedDict):
    """What a child found out about the packages."""

    state: str
    shared: list[str]  # modules that all servers can share, in the order of their import
    postponed: list[str]  # modules that each server imports itself
    reads: dict[str, list[str]]  # which variables each module read


class UnfitError(Exception):
    """Raised when servers must start in the usual way; the message says why."""


class Loaded:
    """What this process has loaded."""

    def __init__(self, state: str, reads: dict[str, list[str]], known: answers.Answers) -> None:
        self.state = state
        self.answers = known
        self.debugger = Debugger()
        self._places = [*sys.path]  # a server adds its user's packages later
        self._reads = {
            variable: name
            for name, variables in reads.items()
            if name in sys.modules and name not in personal.SET_RIGHT
            for variable in variables
        }
        parts = Path("/proc/self/environ").read_bytes().split(b"\0")
        self._environment = dict(os.fsdecode(part).split("=", 1) for part in parts if b"=" in part)  # as it was given
        # Python sets LC_CTYPE where the locale is "C" (PEP 538); it would do so for a server, too.
        self.by_python = {name: text for name, text in os.environ.items() if name not in self._environment}

    def check(self, environment: dict[str, str], home: str) -> None:
        """Check that a server with that environment, and that home, would have loaded the same.

        Raises:
            UnfitError: when a module that is loaded would be another.
        """
        if personal.has_own_packages_first(home):
            raise UnfitError("its user has packages that come before those of this Python")
        for variable in sorted(set(self._environment) | set(environment)):
            theirs, ours = environment.get(variable), self._environment.get(variable)
            if theirs == ours:
                continue
            if variable.startswith(_AT_EXECUTION) or variable in _ALSO_AT_EXECUTION:
                raise UnfitError(f"its {variable} is its own, and Python reads it when a program starts")
            if variable in self._reads:
                raise UnfitError(f"its {variable} is its own, and {self._reads[variable]} reads it when imported")

    def note_packages(self) -> None:
        """Take the environment's packages as they are seen now: a sandbox does not show all of them."""
        self.state = state_of_packages(self._places)

    @property
    def is_stale(self) -> bool:
        """Say whether the environment's packages have changed since they were loaded."""
        return state_of_packages(self._places) != self.state


def load(names: list[str], folder: Path) -> Loaded:
    """Import the modules *names*, and what they import, as far as all servers can share it.

    What is found out about them is kept in *folder*, for the next time.

    Raises:
        ImportError: when the first module is not there.
        UnfitError: when something was loaded that servers cannot share.
    """
    state = state_of_packages(sys.path)
    found = _remembered(folder / _RECORD, state) or _recorded(names, folder / _RECORD, state)
    with parsers.made_later():
        for name in found["shared"]:
            try:
                importlib.import_module(name)
            except ImportError:  # such as a module that another one made without an import
                continue
    if wrong := sorted(set(found["postponed"]) & set(sys.modules)):
        raise UnfitError(f"{wrong[0]} was loaded, which reads what belongs to one server")
    known = answers.ask(os.environ)
    if (threads := _threads()) != 1:
        raise UnfitError(f"one of its packages started threads: there are {threads}, and a fork keeps one")
    gc.collect()
    gc.freeze()
    linux.unmap_files()
    return Loaded(state, found["reads"], known)


def state_of_packages(places: list[str]) -> str:
    """Return a digest that changes when packages below *places* are installed, removed or upgraded.

    By then a folder has changed.
    """
    facts = [sys.version]
    for place in [*places, f"{sys.prefix}/pyvenv.cfg", os.path.realpath(sys.executable), __file__]:
        try:
            found = Path(place).stat()
        except OSError:
            continue
        facts.append(f"{place} {found.st_ino} {found.st_mtime_ns}")
    return hashlib.sha256("\n".join(facts).encode(errors="surrogateescape")).hexdigest()


def _remembered(file: Path, state: str) -> Found | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return cast(Found, found) if isinstance(found, dict) and found.get("state") == state else None


def _recorded(names: list[str], file: Path, state: str) -> Found:
    """Let a child import everything, write what it saw, and end."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.environ["PATH"] = os.defpath  # `debugpy` runs uname(1) when imported, here with the hub's rights
            with parsers.made_later():
                recording = record(names)
            postponed = recording.postponed(frozenset(personal.SET_RIGHT))
            draft = file.with_suffix(".new")
            found: Found = {
                "state": state,
                "shared": [name for name in recording.modules if name not in postponed],
                "postponed": sorted(postponed),
                "reads": {name: sorted(read) for name, read in recording.reads.items()},
            }
            draft.write_text(json.dumps(found), encoding="utf-8")
            draft.replace(file)
            code = 0
        except BaseException as error:  # noqa: BLE001 the child ends here, whatever it was
            sys.stderr.write(f"the import of {names[0]} failed: {error!r}\n")
            sys.stderr.flush()
        finally:
            os._exit(code)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 0:
        raise ImportError(f"{names[0]} cannot be imported")
    remembered = _remembered(file, state)
    if remembered is None:
        raise UnfitError("its packages changed while they were loaded")
    return remembered


def _threads() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())
