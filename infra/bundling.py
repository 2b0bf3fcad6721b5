"""What is deployed of the code: for each function, and for an edge, a folder of its own with all that it imports.

`python -m infra.bundling` makes all of them and says how large they are. No Docker is needed: wheels of the target's machine
are taken from the index, by the hashes in uv.lock. What went in decides what comes out, byte for byte, so that a function
whose code has not changed is not deployed anew.
"""
# ruff: noqa: T201 a table for whoever asks

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from itertools import chain
from pathlib import Path

TOP = Path(__file__).parents[1]
PYTHON = "3.13"  # what functions run on where nobody says otherwise
# Wheels for the glibc of Amazon Linux 2023 (2.34), on which Lambda runs Python 3.12 and later.
PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
EPOCH = 315532800  # 1980-01-01: the first day that a zip archive knows
# Botocore knows four hundred services, in 27 MB. A test holds this to what the adapters ask for.
BOTOCORE_SERVICES = frozenset({"dynamodb", "ec2", "ecs", "efs", "elbv2", "s3", "sqs", "ssm"})

_NEEDLESS_FOLDERS = frozenset({"__pycache__", "tests", "bin"})
_NEEDLESS_SUFFIXES = frozenset({".pyi", ".pyc", ".pyx", ".pxd", ".c", ".h"})
_NEEDLESS_FILES = frozenset({".lock"})
_NEEDLESS_FACTS = frozenset(
    {"RECORD", "WHEEL", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "top_level.txt"}
)
# Of Powertools the log's format and metrics are used, which import one of its utilities; the rest is web frameworks and the like.
# boto3's data are its resources; adapters use clients, whose models are botocore's.
_NEEDLESS_PARTS = (
    "aws_lambda_powertools/event_handler",
    "boto3/data",
    "boto3/examples",
    "pydantic/v1",
    "pydantic/mypy.py",
)
_POWERTOOLS_UTILITIES = "aws_lambda_powertools/utilities"
_NEEDED_UTILITIES = frozenset({"__init__.py", "jmespath_utils"})


class BundlingError(Exception):
    """Raised when a bundle cannot be made, with what to do about it."""


@dataclass(frozen=True)
class BundleSpec:
    """What one bundle is made of."""

    groups: tuple[str, ...]  # of pyproject.toml
    packages: tuple[str, ...]  # ours, as folders
    max_bytes: int  # bytes beyond botocore, without what was compiled
    services: frozenset[str] = BOTOCORE_SERVICES


BUNDLE_SPECS = {
    "api": BundleSpec(("api", "functions"), ("hubless", "functions/api"), 30_000_000),
    "spawn": BundleSpec(("functions",), ("hubless", "functions/spawn"), 5_000_000),
    "reaper": BundleSpec(("functions",), ("hubless", "functions/reaper"), 5_000_000),
    "edge": BundleSpec(("dynamodb",), ("hubless", "edge_proxy"), 5_000_000, frozenset({"dynamodb"})),
}


@dataclass(frozen=True)
class _Interpreter:
    path: str = field(repr=False)  # nothing that comes out depends on where it lies
    version: str


@dataclass(frozen=True)
class _Target:
    """Where a bundle is to run, and by what it is compiled for that."""

    platform: str
    python: str
    interpreter: _Interpreter | None


@dataclass(frozen=True)
class Size:
    """How large a bundle is, in bytes."""

    own: int
    whole: int
    zipped: int
    is_compiled: bool


def bundle(
    function: str,
    *,
    into: Path,
    architecture: str = "arm64",
    python: str = PYTHON,
    settings_file: Path | None = None,
    compiled: bool = True,
) -> Path:
    """Return a folder below *into* that holds all that *function* (or the edge) needs to run; made only where it is not there.

    *architecture* is "arm64" or "x86_64", and *python* the version without its last number. *settings_file* is laid beside
    the code as `hubless.toml`. Modules are *compiled* where a Python of that version is installed here: without that a cold
    start takes two to three times as long, but what comes out is the same on every machine.

    Raises:
        BundlingError: when a wheel is missing or the bundle is larger than its bound.
    """
    part = BUNDLE_SPECS[function]
    target = _Target(_platform(architecture), python, _interpreter(python) if compiled else None)
    wanted = _requirements(part.groups)
    needed = _digest([wanted, repr(target), *sorted(part.services)], [Path(__file__)])
    files = [*_sources(part), *([settings_file] if settings_file else [])]
    into.mkdir(parents=True, exist_ok=True)

    def install(folder: Path) -> None:
        _install(wanted, folder, target)
        _prune(folder, part.services)
        _compile(folder, target)

    def lay_together(folder: Path) -> None:
        shutil.copytree(
            _once(into / f".needed-{needed}", install), folder
        )  # there are uv's own files: nothing changes them
        for file in files:
            to = folder / ("hubless.toml" if file == settings_file else file.relative_to(TOP))
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, to)
        _check(function, part, folder)
        for package in {Path(package).parts[0] for package in part.packages}:
            _compile(folder / package, target, within=folder)
        _settle(folder)

    return _once(
        into.absolute() / f"{function}-{architecture}-{python}-{_digest([needed, function], files)}", lay_together
    )


def _once(made: Path, make: Callable[[Path], None]) -> Path:
    """Return the folder *made*, which appears when it is whole, whoever else is at it."""
    if made.exists():
        return made
    with tempfile.TemporaryDirectory(dir=made.parent, prefix=".making-") as temporary:
        folder = Path(temporary) / "whole"
        make(folder)
        try:
            folder.rename(made)
        except OSError:  # another was faster, with the same
            if not made.exists():
                raise
    return made


def size_of(folder: Path) -> Size:
    """Measure a bundle."""
    files, archive = list(_files(folder)), BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for file in files:
            out.write(file, file.relative_to(folder))
    whole = sum(file.stat().st_size for file in files)
    return Size(size_without_botocore(folder), whole, archive.tell(), any(file.suffix == ".pyc" for file in files))


def size_without_botocore(folder: Path) -> int:
    """Return the bytes that have a bound: beyond botocore, which no function is without, and without what was compiled."""
    parts = (file for file in _files(folder) if file.suffix != ".pyc")
    return sum(
        file.stat().st_size for file in parts if file.relative_to(folder).parts[0].partition("-")[0] != "botocore"
    )


def _platform(architecture: str) -> str:
    try:
        return PLATFORMS[architecture]
    except KeyError:
        raise BundlingError(f'No bundles are made for "{architecture}": give one of {", ".join(PLATFORMS)}') from None


@lru_cache
def _requirements(groups: tuple[str, ...]) -> str:
    """Return the requirements of *groups* alone from uv.lock, with hashes."""
    named = chain.from_iterable(("--only-group", group) for group in groups)
    return _uv("export", "--frozen", *named, "--no-emit-project", "--no-header", "--no-annotate", "-q")


def _install(wanted: str, folder: Path, target: _Target) -> None:
    listed = folder.with_name("requirements.txt")
    listed.write_text(wanted)
    machine = ("--python-platform", target.platform, "--python-version", target.python, "--only-binary", ":all:")
    _uv(
        "pip",
        "install",
        "-q",
        "--target",
        str(folder),
        *machine,
        "--no-deps",
        "--require-hashes",
        "-r",
        str(listed),
        "--python",
        sys.executable,
    )


def _uv(*args: str) -> str:
    own = TOP / ".venv-uv/bin/uv"
    tool = str(own) if own.exists() else shutil.which("uv")
    if tool is None:
        raise BundlingError("Bundles are made by uv, which is not here: run `make .venv-uv/bin/uv`")
    told = subprocess.run([tool, *args], cwd=TOP, capture_output=True, text=True, check=False)
    if told.returncode:
        raise BundlingError(f"`uv {' '.join(args[:2])}` failed: {told.stderr.strip()}")
    return told.stdout


@lru_cache
def _interpreter(python: str) -> _Interpreter | None:
    """Return a Python of that version which is installed here; None where there is none."""
    names = [sys.executable, f"python{python}"]
    with suppress(BundlingError):
        names.append(_uv("python", "find", "--no-project", "--no-python-downloads", python).strip())
    for path in filter(None, map(shutil.which, names)):
        asked = [path, "-I", "-c", "import sys; print(sys.version)"]
        version = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        if version.startswith(f"{python}."):
            return _Interpreter(path, version)
    return None


def _prune(folder: Path, services: frozenset[str]) -> None:
    """Take out what no function runs."""
    for path in sorted(folder.rglob("*"), reverse=True):  # what lies in a folder before the folder
        if _is_needless(path.relative_to(folder), services):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for service in services:  # botocore takes the newest version where nobody asks for another
        for old in sorted((folder / "botocore/data" / service).iterdir())[:-1]:
            shutil.rmtree(old)


def _is_needless(path: Path, services: frozenset[str]) -> bool:
    name, place = path.name, path.parent.as_posix()
    if place == "botocore/data":  # folders of services, beside files for all of them
        return not path.suffix and name not in services
    if path.parent.suffix == ".dist-info":
        return name in _NEEDLESS_FACTS
    return (
        name in _NEEDLESS_FOLDERS | _NEEDLESS_FILES
        or path.suffix in _NEEDLESS_SUFFIXES
        or name.startswith("examples-")
        or path.as_posix() in _NEEDLESS_PARTS
        or (place == _POWERTOOLS_UTILITIES and name not in _NEEDED_UTILITIES)
    )


def _sources(part: BundleSpec) -> list[Path]:
    """Return our own files of *part*, and the `__init__.py` of what they lie in."""
    found = [file for package in part.packages for file in _files(TOP / package)]
    above = {TOP / Path(package).parts[0] / "__init__.py" for package in part.packages}
    kept = [file for file in found if "__pycache__" not in file.parts and not file.name.startswith(".")]
    return sorted({*kept, *above})


def _compile(folder: Path, target: _Target, within: Path | None = None) -> None:
    """Compile modules so that neither when nor where it was done is in them: they are taken for what they are."""
    if target.interpreter is None:
        return
    how = ("-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", str(within or folder))
    command = [target.interpreter.path, "-I", "-m", "compileall", *how, str(folder)]
    env = {"PATH": os.defpath, "PYTHONHASHSEED": "0"}
    told = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if told.returncode:
        raise BundlingError(f"A module cannot be compiled: {told.stdout.strip()[-2000:]}")


def _settle(folder: Path) -> None:
    """Give files the modes and the times that they have everywhere."""
    for path in (folder, *folder.rglob("*")):
        runs = path.is_dir() or (path.stat().st_mode & 0o100 and path.suffix != ".so")
        path.chmod(0o755 if runs else 0o644)
        os.utime(path, (EPOCH, EPOCH))


def _check(function: str, part: BundleSpec, folder: Path) -> None:
    own = size_without_botocore(folder)
    if own > part.max_bytes:
        raise BundlingError(
            f"The bundle of {function} has {own / 1e6:.1f} MB beyond botocore and may have {part.max_bytes / 1e6:.0f}:"
            " take a dependency out of its group in pyproject.toml, or prune what it does not use in infra/bundling.py"
        )


def _digest(texts: Iterable[str], files: Iterable[Path]) -> str:
    made = hashlib.sha256()
    for text in texts:
        made.update(f"{len(text)}:{text}".encode())
    for file in files:
        name = file.relative_to(TOP) if file.is_relative_to(TOP) else file.name
        content = file.read_bytes()
        made.update(f"{name}:{os.access(file, os.X_OK)}:{len(content)}:".encode() + content)
    return made.hexdigest()[:16]


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def main() -> None:
    """Make all bundles for the machine and the Python of the command line, and print how large they are."""
    parser = argparse.ArgumentParser(prog="python -m infra.bundling", description="Make the bundles that are deployed.")
    parser.add_argument(
        "--into", type=Path, default=TOP / "dist/bundles", help="the folder to make them in (%(default)s)"
    )
    parser.add_argument("--architecture", choices=PLATFORMS, default="arm64")
    parser.add_argument("--python", default=PYTHON, help="(%(default)s)")
    parser.add_argument("--settings-file", type=Path, help="hubless.toml")
    asked = parser.parse_args()
    print("| bundle | MB beyond botocore | bound | whole, unzipped | zipped | compiled | folder |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, part in BUNDLE_SPECS.items():
        try:
            made = bundle(
                name,
                into=asked.into,
                architecture=asked.architecture,
                python=asked.python,
                settings_file=asked.settings_file,
            )
        except BundlingError as why:
            sys.exit(str(why))
        size = size_of(made)
        figures = " | ".join(f"{figure / 1e6:.1f}" for figure in (size.own, part.max_bytes, size.whole, size.zipped))
        print(
            f"| {name} | {figures} | {'yes' if size.is_compiled else f'no: no Python {asked.python} here'} | {made.name} |"
        )


if __name__ == "__main__":
    main()
