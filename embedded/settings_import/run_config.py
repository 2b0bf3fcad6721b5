"""Runs a jupyterhub_config.py in a process of its own, and writes as JSON what it sets. It needs no other module.

Statements run one by one: what fails is noted by its line and the rest goes on. It runs with the
standard library alone (`-S`), so that it does not matter what is installed: other modules have a stand-in, and so have
variables of the environment, whose values nobody told.
"""

import ast
import importlib.machinery
import itertools
import json
import os
import resource
import signal
import sys
import types
from collections.abc import Iterator
from typing import Any

MEMORY = 1024**3  # bytes
CPU_SECONDS = 10
MAX_PROCESSES = 64  # of the user, or of the namespace; root has no such limit
MAX_VALUES = 40_000
MAX_VALUES_OF_TRAIT = 20_000
MAX_CLASSES, MAX_TRAITS = 100, 200
MAX_DEPTH = 15
MAX_TEXT = 20_000
MAX_FILES = 20
MAX_BYTES = 1_000_000
BEGINS, ENDS = "\ue000", "\ue001"  # as in old_settings
_SECRET_WORDS = ("secret", "token", "password", "passwd", "key", "client_id")


class TooLongError(BaseException):
    """Raised in a statement that takes too long; no `except Exception` holds it."""


class TooLargeError(Exception):
    """Raised for a file that is too large for settings."""


class Lazy:
    """A value of a trait that a file only adds to, as traitlets has it."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.table: dict[Any, Any] = {}

    def append(self, one: Any) -> None:
        self.items.append(one)

    add = append

    def extend(self, more: Any) -> None:
        self.items.extend(more)

    def prepend(self, more: Any) -> None:
        self.items[:0] = more

    def insert(self, index: int, one: Any) -> None:
        self.items.insert(index, one)

    def update(self, more: Any) -> None:
        if isinstance(more, dict):
            self.table.update(more)
        else:
            self.items.extend(more)


class Section(dict[str, Any]):
    """A class's traits, or all classes: names with a capital are sections, as traitlets has it."""

    def __missing__(self, name: str) -> Any:
        made = Section() if name[:1].isupper() else Lazy()
        self[name] = made
        return made

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __setattr__(self, name: str, given: Any) -> None:
        self[name] = given

    def __delattr__(self, name: str) -> None:
        self.pop(name, None)


class _StandInType(type):
    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn()


class StandIn(metaclass=_StandInType):
    """Something of another module: it can be called, extended and asked for anything."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return StandIn()

    def __call__(self, *_: Any, **__: Any) -> Any:
        return StandIn()

    def __iter__(self) -> Iterator[Any]:
        return iter(())


class StandInModule(types.ModuleType):
    """A module that is not in the standard library."""

    __path__: list[str] = []  # noqa: RUF012 a package's, as the machinery of imports wants it

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = _StandInType(name, (StandIn,), {"__module__": self.__name__})
        setattr(self, name, made)
        return made


class Finder:
    """Finds a stand-in for a module that the file imports and that is not in the standard library."""

    def __init__(self, files: set[str]) -> None:
        self._files = files

    def find_spec(self, name: str, *_: Any) -> Any:
        parent = sys.modules.get(name.rpartition(".")[0])
        if isinstance(parent, StandInModule) or _asked_by(self._files):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)  # type: ignore[arg-type]  # a duck
        return None

    def create_module(self, spec: Any) -> Any:
        return StandInModule(spec.name)

    def exec_module(self, module: Any) -> None: ...


class Environment(dict[str, str]):
    """The environment: a variable that is not known is a text with its name, if the file asks for it."""

    def __init__(self, known: Any, files: set[str]) -> None:
        super().__init__(known)
        self._files = files
        self.asked: dict[str, None] = {}

    def __missing__(self, name: str) -> str:
        if not _asked_by(self._files):
            raise KeyError(name)
        self.asked[name] = None
        return f"{BEGINS}{name}{ENDS}"

    def get(self, name: Any, default: Any = None) -> Any:
        if name in self or not _asked_by(self._files):
            return super().get(name, default)
        self.asked[name] = None
        is_secret = any(word in str(name).lower() for word in _SECRET_WORDS)
        return f"{BEGINS}{name}{ENDS}" if default is None and is_secret else default


def _asked_by(files: set[str]) -> bool:
    """Say whether the code of the file called, not that of a library."""
    frame: types.FrameType | None = sys._getframe(1)  # noqa: SLF001 there is no other way to know the caller
    while frame and frame.f_code.co_filename in _OWN:
        frame = frame.f_back
    return frame is not None and frame.f_code.co_filename in files


_OWN = {__file__, os.__file__, "<frozen os>", "<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>"}


class Run:
    """The run of a file and of those that it loads."""

    def __init__(self, environment: Environment, files: set[str]) -> None:
        self.config = Section()
        self.failures: list[tuple[str, int, str]] = []
        self.ended = ""
        self._environment = environment
        self._files = files

    def load(self, path: str) -> None:
        """Run the file at *path*, statement by statement, until one ends the program."""
        path = os.path.abspath(path)  # noqa: PTH100 as little as possible is imported
        if len(self._files) >= MAX_FILES:
            raise RecursionError
        self._files.add(path)
        with open(path, "rb") as file:  # noqa: PTH123 as above
            text = file.read(MAX_BYTES + 1)
        if len(text) > MAX_BYTES:
            raise TooLargeError
        tree = ast.parse(text, path)
        folder = os.path.dirname(path)  # noqa: PTH120 as above
        names: dict[str, Any] = {
            "__name__": "jupyterhub_config",
            "__file__": path,
            "exit": sys.exit,
            "quit": sys.exit,
            "c": self.config,
            "get_config": lambda: self.config,
            "load_subconfig": lambda other, **_: self.load(os.path.join(folder, other)),  # noqa: PTH118 as above
        }
        for statement in tree.body:
            if self.ended:
                return
            self._run(statement, names, path)

    def _run(self, statement: ast.stmt, names: dict[str, Any], path: str) -> None:
        try:
            exec(compile(ast.Module([statement], []), path, "exec"), names)  # noqa: S102 what the admin asked for
        except Exception as error:  # noqa: BLE001 whatever the file does
            self.failures.append((os.path.basename(path), statement.lineno, type(error).__name__))  # noqa: PTH119 as above
        except (SystemExit, KeyboardInterrupt, GeneratorExit, TooLongError) as end:
            self.ended = type(end).__name__
            self.failures.append((os.path.basename(path), statement.lineno, self.ended))  # noqa: PTH119 as above


def encoded(config: Section) -> dict[str, Any]:
    """Return what a file sets, by class and trait. A trait with too many values has none."""
    left = MAX_VALUES
    classes: dict[str, dict[str, Any]] = {}
    for name, traits in itertools.islice(config.items(), MAX_CLASSES):
        table = classes[str(name)[:MAX_TEXT]] = {}
        for trait, given in itertools.islice(traits.items() if isinstance(traits, dict) else (), MAX_TRAITS):
            most = min(left, MAX_VALUES_OF_TRAIT)
            encoder = Encoder(most)
            one = encoder.encode(given)
            is_whole = encoder.left >= 0
            table[str(trait)[:MAX_TEXT]] = one if is_whole else {"named": ["too much", "object", []]}
            left -= most - encoder.left if is_whole else 1
    return {"table": {name: {"table": table} for name, table in classes.items()}}


class Encoder:
    """Writes values as JSON; what has no form as data has its name."""

    def __init__(self, left: int) -> None:
        self.left = left  # values that it may write; below 0 after more

    def encode(self, given: Any, depth: int = 0) -> Any:
        """Return *given* as data: tables in `{"table": …}`, what is no data in `{"named": …}`."""
        self.left -= 1
        if self.left < 0 or depth > MAX_DEPTH:
            return {"named": ["too much", "object", []]}
        if given is None or type(given) in (bool, int, float):
            return given
        if isinstance(given, str):
            return str(given)[:MAX_TEXT]
        if isinstance(given, Lazy):
            given = given.table or given.items
        if isinstance(given, dict):
            pairs = itertools.islice(given.items(), max(self.left, 0) + 1)
            return {"table": {str(key)[:MAX_TEXT]: self.encode(one, depth + 1) for key, one in pairs}}
        if isinstance(given, set | frozenset) and all(type(one) is str for one in given):
            given = sorted(given)
        if isinstance(given, list | tuple | set | frozenset):
            return [self.encode(one, depth + 1) for one in itertools.islice(given, max(self.left, 0) + 1)]
        return str(given) if isinstance(given, os.PathLike) else {"named": _named(given)}


def _named(given: Any) -> list[Any]:
    if isinstance(given, type):
        return [_full_name(given), "class", [_full_name(one) for one in given.__mro__[1:-1]]]
    kind = "callable" if callable(given) and not isinstance(given, StandIn) else "object"
    return [type(given).__name__, kind, []]


def _full_name(given: type) -> str:
    return f"{given.__module__}.{given.__qualname__}"[:MAX_TEXT]


def _bound(seconds: float) -> None:
    for limit, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, MAX_PROCESSES),
    ):
        resource.setrlimit(limit, (most, most))

    def too_long(*_: Any) -> None:
        raise TooLongError

    signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def main(path: str, answer: int, seconds: float) -> None:
    """Run the file at *path*, and write what it sets to the descriptor *answer*."""
    _bound(seconds)
    files: set[str] = set()
    environment = Environment(os.environ, files)  # noqa: TID251 this process has one of its own
    os.environ = environment  # type: ignore[assignment]  # noqa: B003, TID251 so that the file asks this one
    sys.meta_path.append(Finder(files))
    run = Run(environment, files)
    said: dict[str, Any] = {"error": ""}
    try:
        run.load(path)
    except SyntaxError as error:
        said["error"] = f"line {error.lineno} is no Python that can be read"
    except TooLargeError:
        said["error"] = f"it is larger than {MAX_BYTES} bytes: remove what is no setting"
    except (TooLongError, OSError, ValueError, RecursionError, MemoryError) as error:
        said["error"] = f"it cannot be run ({type(error).__name__})"
    signal.setitimer(signal.ITIMER_REAL, 0)
    said |= {
        "config": encoded(run.config),
        "failures": run.failures[:100],
        "variables": [str(name)[:100] for name in list(environment.asked)[:100]],
    }
    with open(answer, "w", encoding="ascii") as file:
        json.dump(said, file)
    os._exit(0)  # threads and exit handlers of the file do not count


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
