"""Finds out which modules a program imports, and which environment variables each reads while it is imported."""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import os
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

ALL = "*"  # in place of a variable's name: the whole environment
# Functions of `os` whose answers differ between processes; their names stand for variables, too.
_CALLS = (
    *("getcwd", "getegid", "geteuid", "getgid", "getgroups", "getlogin", "getpgid", "getpgrp", "getpid", "getppid"),
    *("getsid", "getuid", "urandom"),
)
# What differs from one launch to the next. A module that reads one of these when imported would keep another's value.
_OF_ONE_LAUNCH = ("JUPYTERHUB_", "JPY_")
_OF_ONE_USER = frozenset({"HOME", "USER", "LOGNAME", "SHELL", "PATH", ALL, *_CALLS})


def is_personal(name: str) -> bool:
    """Say whether the variable differs between the launches of one command."""
    return name in _OF_ONE_USER or name.startswith(_OF_ONE_LAUNCH)


class Recording:
    """What an import did: the modules in the order of their import, what each read, and which it imported."""

    def __init__(self) -> None:
        self.modules: list[str] = []
        self.reads: dict[str, set[str]] = defaultdict(set)
        self.imports: dict[str, set[str]] = defaultdict(set)

    def note(self, name: str) -> None:
        """Note that the module which is being imported reads *name*."""
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_name == "<module>":
                self.reads[frame.f_globals.get("__name__", "")].add(name)
                return
            frame = frame.f_back

    def postponed(self, set_right: frozenset[str]) -> set[str]:
        """Return the modules each server must import itself: those that read what is personal, and their importers.

        Modules in *set_right* are loaded nevertheless, because somebody sets right what they have read.
        """
        found = {
            name for name, variables in self.reads.items() if name not in set_right and any(map(is_personal, variables))
        }
        importers = defaultdict(set)
        for importer, imported in self.imports.items():
            for name in imported:
                importers[name].add(importer)
        for name in self.modules:
            importers[name.rpartition(".")[0]].add(name)  # whoever imports it imports its package first
        rest = list(found)
        while rest:
            new = importers[rest.pop()] - found
            found |= new
            rest += new
        return found


class _Environment(type(os.environ)):  # type: ignore[misc] # a class of the running Python
    """The environment, which notes who reads what."""

    def __init__(self, real: Any, recording: Recording) -> None:
        self.__dict__.update(real.__dict__)
        self._recording = recording

    def __getitem__(self, name: Any) -> Any:
        self._recording.note(os.fsdecode(name))
        return super().__getitem__(name)

    def __contains__(self, name: Any) -> bool:
        self._recording.note(os.fsdecode(name))
        return bool(super().__contains__(name))

    def __iter__(self) -> Iterator[Any]:
        self._recording.note(ALL)
        return iter(super().__iter__())

    def get(self, name: Any, default: Any = None) -> Any:
        self._recording.note(os.fsdecode(name))
        try:
            return super().__getitem__(name)
        except KeyError:
            return default


def record(names: list[str]) -> Recording:
    """Import the modules, and return what happened. Call it in a process that does nothing else.

    Raises:
        ImportError: when the first one cannot be imported; the others may be missing.
    """
    recording = Recording()
    real_import = builtins.__import__

    def noting_import(name, globals=None, locals=None, fromlist=(), level=0):  # type: ignore[no-untyped-def] # noqa: A002, ANN001, ANN202 Python's own signature
        made = real_import(name, globals, locals, fromlist, level)
        importer = (globals or {}).get("__name__")
        if importer:
            package = (globals or {}).get("__package__") or ""
            absolute = importlib.util.resolve_name("." * level + name, package) if level else name
            candidates = [absolute, *(f"{absolute}.{one}" for one in fromlist or ())]
            recording.imports[importer].update(one for one in candidates if one in sys.modules)
        return made

    known = set(sys.modules)
    real = {name: getattr(os, name) for name in ("environ", "environb", *_CALLS)}
    builtins.__import__ = noting_import
    os.environ, os.environb = _Environment(os.environ, recording), _Environment(os.environb, recording)
    for name in _CALLS:
        setattr(os, name, _noting(real[name], recording))
    try:
        for number, name in enumerate(names):
            try:
                importlib.import_module(name)
            except ImportError:
                if number == 0:
                    raise
    finally:
        builtins.__import__ = real_import
        for name, was in real.items():
            setattr(os, name, was)
    recording.modules = [name for name in sys.modules if name not in known]
    return recording


def _noting(function: Callable[..., object], recording: Recording) -> Callable[..., object]:
    """Return *function*, which notes each call."""

    def noting(*arguments: object) -> object:
        recording.note(function.__name__)
        return function(*arguments)

    return noting
