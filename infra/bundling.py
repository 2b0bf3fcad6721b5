"""Build the bundles: for each function, and for an edge, a folder with its code and its libraries.

`python -m infra.bundling` builds all of them and prints their sizes. It needs no Docker: uv installs wheels for the
target machine, by the hashes in uv.lock. Builds are reproducible byte for byte, so unchanged functions are not deployed
again.
"""
# ruff: noqa: T201 it prints a table

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from itertools import chain
from pathlib import Path

from hubless.settings import SettingsError
from hubless.settings.reading import read_section
from hubless.settings.theme import ThemeSettings, theme_files

TOP = Path(__file__).parents[1]
PYTHON = "3.13"  # the default version of functions
# Lambda runs Python 3.12 and later on Amazon Linux 2023, which has glibc 2.34.
PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
EPOCH = 315532800  # 1980-01-01, the earliest date of a zip archive
# Botocore has data of four hundred services (27 MB). A test compares these with the adapters' calls.
BOTOCORE_SERVICES = frozenset({"dynamodb", "ec2", "ecs", "efs", "elbv2", "iam", "s3", "sqs", "ssm"})
_PREPARING_SERVICES = frozenset({"iam"})  # of functions that prepare launches

_EXCLUDED_FOLDERS = frozenset({"__pycache__", "tests", "bin"})
_EXCLUDED_SUFFIXES = frozenset({".pyi", ".pyc", ".pyx", ".pxd", ".c", ".h"})
_EXCLUDED_FILES = frozenset({".lock"})
_EXCLUDED_METADATA = frozenset(
    {"RECORD", "WHEEL", "INSTALLER", "REQUESTED", "direct_url.json", "uv_cache.json", "top_level.txt"}
)
# The functions use the logger and metrics of Powertools, which import one utility. They use boto3's clients, whose
# models are in botocore, and not its resources.
_EXCLUDED_PARTS = (
    "aws_lambda_powertools/event_handler",
    "boto3/data",
    "boto3/examples",
    "pydantic/v1",
    "pydantic/mypy.py",
)
_OF_ONE_MACHINE = ("hubless/adapters/sqlite/", "hubless/adapters/processes/", "hubless/bootstrap/machine.py")
_POWERTOOLS_UTILITIES = "aws_lambda_powertools/utilities"
_NEEDED_UTILITIES = frozenset({"__init__.py", "jmespath_utils"})


class BundlingError(Exception):
    """Raised when a bundle cannot be built. The message says what to do."""


@dataclass(frozen=True)
class BundleSpec:
    """The content of one bundle."""

    groups: tuple[str, ...]  # dependency groups of pyproject.toml
    packages: tuple[str, ...]  # our folders
    max_bytes: int  # without botocore and without compiled modules
    services: frozenset[str] = BOTOCORE_SERVICES


BUNDLE_SPECS = {
    "api": BundleSpec(
        ("api", "functions"), ("hubless", "functions/api"), 42_000_000, BOTOCORE_SERVICES - _PREPARING_SERVICES
    ),
    "spawn": BundleSpec(("functions",), ("hubless", "functions/spawn"), 5_000_000),
    "reaper": BundleSpec(("functions",), ("hubless", "functions/reaper"), 5_000_000),
    "edge": BundleSpec(("dynamodb",), ("hubless", "edge_proxy"), 5_000_000, frozenset({"dynamodb"})),
}


@dataclass(frozen=True)
class _Interpreter:
    path: str = field(repr=False)  # the path must not change the bundle's name
    version: str


@dataclass(frozen=True)
class _Target:
    """The platform of a bundle, and the interpreter that compiles for it."""

    platform: str
    python: str
    interpreter: _Interpreter | None


@dataclass(frozen=True)
class Size:
    """The sizes of a bundle in bytes."""

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
    """Build the bundle of *function* (or "edge") in a folder below *into*, unless it exists. Return the folder.

    *architecture* is "arm64" or "x86_64"; *python* is a minor version such as "3.13". *settings_file* is copied into
    the bundle as `hubless.toml`. With *compiled*, modules are compiled if this machine has a Python of that version.
    Without compiled modules a cold start takes two to three times as long.

    Raises:
        BundlingError: if a wheel is missing, or the bundle is larger than its limit.
    """
    part = BUNDLE_SPECS[function]
    target = _Target(_platform(architecture), python, _interpreter(python) if compiled else None)
    wanted = _requirements(part.groups)
    needed = _digest([wanted, repr(target), *sorted(part.services)], [Path(__file__)])
    beside = files_beside(settings_file) if settings_file else []
    files = [*_sources(part), *([settings_file] if settings_file else []), *beside]
    places = [_place_of(file, settings_file, beside) for file in files]
    into.mkdir(parents=True, exist_ok=True)

    def install(folder: Path) -> None:
        _install(wanted, folder, target)
        _prune(folder, part.services)
        _compile(folder, target)

    def assemble(folder: Path) -> None:
        shutil.copytree(
            build_once(into / f".needed-{needed}", install), folder
        )  # copied, because assembling changes files
        for file, place in zip(files, places, strict=True):
            to = folder / place
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, to)
        _check_size(function, part, folder)
        for package in {Path(package).parts[0] for package in part.packages}:
            _compile(folder / package, target, within=folder)
        _normalize_metadata(folder)

    name = f"{function}-{architecture}-{python}-{_digest([needed, function, *map(str, places)], files)}"
    return build_once(into.absolute() / name, assemble)


def build_once(made: Path, build: Callable[[Path], None]) -> Path:
    """Return the folder *made*. It appears by a rename, so that concurrent builds never see a part of it."""
    if made.exists():
        return made
    with tempfile.TemporaryDirectory(dir=made.parent, prefix=".making-") as temporary:
        folder = Path(temporary) / "whole"
        build(folder)
        try:
            folder.rename(made)
        except OSError:  # another process built the same
            if not made.exists():
                raise
    return made


def check_interpreter(python: str) -> None:
    """Check that this machine can compile modules for *python*, a minor version such as "3.13".

    Compiled modules depend on the minor version. Without them, a cold start takes two to three times as long.

    Raises:
        BundlingError: if no such Python is installed. The message says how to get one, and how to do without.
    """
    if _interpreter(python) is None:
        raise BundlingError(
            f"Python {python}, which the functions run on, is not installed, so their modules cannot be compiled"
            f" and cold starts would take twice as long. Run `uv python install {python}` (`make deployer` tries it)"
            f" or put python{python} on the PATH. To deploy uncompiled modules, add `-c uncompiled=yes`"
        )


def size_of(folder: Path) -> Size:
    """Return the sizes of a bundle."""
    files, archive = list(_files(folder)), BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for file in files:
            out.write(file, file.relative_to(folder))
    whole = sum(file.stat().st_size for file in files)
    return Size(size_without_botocore(folder), whole, archive.tell(), any(file.suffix == ".pyc" for file in files))


def size_without_botocore(folder: Path) -> int:
    """Return the bytes that have a limit: without botocore and without compiled modules."""
    parts = (file for file in _files(folder) if file.suffix != ".pyc")
    return sum(
        file.stat().st_size for file in parts if file.relative_to(folder).parts[0].partition("-")[0] != "botocore"
    )


def _platform(architecture: str) -> str:
    try:
        return PLATFORMS[architecture]
    except KeyError:
        raise BundlingError(
            f'Cannot build bundles for "{architecture}": choose one of {", ".join(PLATFORMS)}'
        ) from None


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
        raise BundlingError("Bundling needs uv, which is not installed. Run `make deployer`")
    told = subprocess.run([tool, *args], cwd=TOP, capture_output=True, text=True, check=False)
    if told.returncode:
        raise BundlingError(f"`uv {' '.join(args[:2])}` failed: {told.stderr.strip()}")
    return told.stdout


@lru_cache
def _interpreter(python: str) -> _Interpreter | None:
    """Return an installed Python of that version. None if there is none."""
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
    """Remove files that no function needs."""
    for path in sorted(folder.rglob("*"), reverse=True):  # files before their folder
        if _is_excluded(path.relative_to(folder), services):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for service in services:  # botocore uses the newest version by default
        for old in sorted((folder / "botocore/data" / service).iterdir())[:-1]:
            shutil.rmtree(old)


def _is_excluded(path: Path, services: frozenset[str]) -> bool:
    name, place = path.name, path.parent.as_posix()
    if place == "botocore/data":  # folders of services, and common files
        return not path.suffix and name not in services
    if path.parent.suffix == ".dist-info":
        return name in _EXCLUDED_METADATA
    return (
        name in _EXCLUDED_FOLDERS | _EXCLUDED_FILES
        or path.suffix in _EXCLUDED_SUFFIXES
        or name.startswith("examples-")
        or path.as_posix() in _EXCLUDED_PARTS
        or (place == _POWERTOOLS_UTILITIES and name not in _NEEDED_UTILITIES)
    )


def files_beside(settings_file: Path) -> list[Path]:
    """Return the pictures of profiles and the files of the theme that *settings_file* names.

    Raises:
        BundlingError: naming a file that is not there.
    """
    toml = tomllib.loads(settings_file.read_text(encoding="utf-8"))
    found = [settings_file.parent / str(name) for one in toml.get("profiles", []) if (name := one.get("picture"))]
    for file in found:
        if not file.is_file():
            raise BundlingError(f"{settings_file.name} names the picture {file.name}, which is not at {file}")
    try:
        theme = read_section(ThemeSettings, toml.get("theme", {}), "theme")
        found += theme_files(theme, settings_file.parent)
    except SettingsError as error:
        raise BundlingError(f"{settings_file.name}: {error}") from None
    return sorted(set(found))


def _place_of(file: Path, settings_file: Path | None, beside: Container[Path]) -> Path:
    """Return where *file* lies in the bundle: what settings name, *beside* them, lies there as here."""
    if file == settings_file:
        return Path("hubless.toml")
    if settings_file and file in beside:
        return file.relative_to(settings_file.parent)
    return file.relative_to(TOP)


def _sources(part: BundleSpec) -> list[Path]:
    """Return our own files of *part*, with the `__init__.py` of their parent packages."""
    found = [file for package in part.packages for file in _files(TOP / package)]
    above = {TOP / Path(package).parts[0] / "__init__.py" for package in part.packages}
    kept = [file for file in found if "__pycache__" not in file.parts and not file.name.startswith(".")]
    kept = [file for file in kept if not file.relative_to(TOP).as_posix().startswith(_OF_ONE_MACHINE)]
    return sorted({*kept, *above})


def _compile(folder: Path, target: _Target, within: Path | None = None) -> None:
    """Compile modules without times and paths, so that builds are reproducible. Python does not check their sources."""
    if target.interpreter is None:
        return
    how = ("-q", "-j", "0", "--invalidation-mode", "unchecked-hash", "-s", str(within or folder))
    command = [target.interpreter.path, "-I", "-m", "compileall", *how, str(folder)]
    env = {"PATH": os.defpath, "PYTHONHASHSEED": "0"}
    told = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if told.returncode:
        raise BundlingError(f"Cannot compile a module: {told.stdout.strip()[-2000:]}")


def _normalize_metadata(folder: Path) -> None:
    """Set modes and times that are the same on every machine."""
    for path in (folder, *folder.rglob("*")):
        runs = path.is_dir() or (path.stat().st_mode & 0o100 and path.suffix != ".so")
        path.chmod(0o755 if runs else 0o644)
        os.utime(path, (EPOCH, EPOCH))


def _check_size(function: str, part: BundleSpec, folder: Path) -> None:
    own = size_without_botocore(folder)
    if own > part.max_bytes:
        raise BundlingError(
            f"The bundle of {function} has {own / 1e6:.1f} MB without botocore, "
            f"more than its limit of {part.max_bytes / 1e6:.0f}."
            " Remove a dependency from its group in pyproject.toml, or prune unused files in infra/bundling.py"
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
    """Build all bundles and print their sizes."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.bundling", description="Build the bundles that are deployed."
    )
    parser.add_argument("--into", type=Path, default=TOP / "dist/bundles", help="output folder (%(default)s)")
    parser.add_argument("--architecture", choices=PLATFORMS, default="arm64")
    parser.add_argument("--python", default=PYTHON, help="(%(default)s)")
    parser.add_argument("--settings-file", type=Path, help="hubless.toml")
    asked = parser.parse_args()
    print("| bundle | MB without botocore | limit | whole, unzipped | zipped | compiled | folder |")
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
        compiled = "yes" if size.is_compiled else f"no: Python {asked.python} is not installed"
        figures = " | ".join(f"{figure / 1e6:.1f}" for figure in (size.own, part.max_bytes, size.whole, size.zipped))
        print(f"| {name} | {figures} | {compiled} | {made.name} |")


if __name__ == "__main__":
    main()
