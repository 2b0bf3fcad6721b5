"""The virtual environment of users' servers: `hubless up` installs JupyterLab into one where this machine has none.

An environment is a folder `jupyterlab-<digest>`; the digest covers the pinned packages and Python's version. It counts
once its marker file is there, which is written last: an interrupted installation starts again. The link `current` leads
to the environment that servers use, so an upgrade leaves running servers the programs that they were started from.
"""

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hubless.domain.errors import HublessError
from hubless.settings import Settings
from hubless.settings.environment import ENVIRON
from hubless.settings.loading import server_environment

PROGRAM = "jupyterhub-singleuser"
FREE_BYTES_NEEDED = 1200 * 1024 * 1024  # for packages, their compiled modules and the downloads
# In the wheel the file is next to this module, in a checkout in the folder of the image of servers.
REQUIREMENTS = (
    Path(__file__).with_name("servers-requirements.txt"),
    Path(__file__).parents[1] / "images" / "singleuser" / "requirements.txt",
)
_MARKER = ".hubless-ready"
_OTHER_PACKAGES = "include-system-site-packages"  # of pyvenv.cfg (PEP 405)
_PREFIX = "jupyterlab-"
_LAST_LINES = 15
_PACKAGES_A_LINE = 20
# These would lead the packages elsewhere than into the new environment.
_MISLEADING = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER")
_PIP_PACKAGE = ("Collecting ", "Processing ")  # from an index, or from a folder
_UV_REPORTS = ("Downloading", "Building", "Prepared", "Installed")
_REMEDY = (
    "Look whether this machine reaches PyPI (PIP_INDEX_URL or UV_INDEX_URL name a mirror), then run `hubless up` "
    "again. Or install jupyterhub and jupyterlab yourself, and name their environment in the settings as "
    "servers.virtual_environment."
)


class VirtualEnvironmentError(HublessError):
    """Raised when servers have no usable environment; the message says why and what to do."""

    code = "virtual-environment"


def must_be_installed(settings: Settings) -> bool:
    """Say whether `prepare` would install JupyterLab."""
    return _is_managed(settings) and not _is_usable(_wanted(settings, _requirements()))


def prepare(settings: Settings, tell: Callable[[str], None], *, requirements: Path | None = None) -> Settings:
    """Return *settings* whose servers find JupyterLab; install it first if this machine has none.

    *tell* takes lines about the progress. *requirements* are pinned packages with hashes, hubless's own without it.

    Raises:
        VirtualEnvironmentError: the environment that the settings name is missing, or installing JupyterLab fails.
    """
    if (named := settings.named_virtual_environment) is not None and not (named / "bin").is_dir():
        raise VirtualEnvironmentError(
            f"servers.virtual_environment names {named}, which is no virtual environment. "
            "Make it, or take the key out of the settings: then `hubless up` installs JupyterLab by itself."
        )
    if not _is_managed(settings):
        return settings
    file = requirements or _requirements()
    wanted, current = _wanted(settings, file), settings.virtual_environments / "current"
    if not _is_usable(wanted):
        try:
            _install(wanted, file, tell)
        except VirtualEnvironmentError as error:
            if not _is_usable(current.resolve()):
                raise
            tell(f"{error}\nServers use the JupyterLab of before, in {current.resolve()}, until then.")
            return settings
    if current.resolve() != wanted.resolve():
        _lead(current, wanted)
    _remove_unused(settings.virtual_environments, keep=wanted)
    return replace(settings, server_environment=server_environment(ENVIRON, settings.data, settings.servers))


def _is_managed(settings: Settings) -> bool:
    """Say whether the environment is hubless's to make: a profile needs it, and the machine has no other."""
    needed = any(profile.command[0] == PROGRAM for profile in settings.profiles)
    if not needed or settings.named_virtual_environment is not None:
        return False
    found = shutil.which(PROGRAM, path=settings.search_path)
    return found is None or Path(found).is_relative_to(settings.virtual_environments.resolve())


def _requirements() -> Path:
    return next(file for file in REQUIREMENTS if file.exists())


def _wanted(settings: Settings, requirements: Path) -> Path:
    python = f"{sys.implementation.name}-{sys.version_info.major}.{sys.version_info.minor}"
    digest = hashlib.sha256(requirements.read_bytes() + python.encode()).hexdigest()[:12]
    return settings.virtual_environments / f"{_PREFIX}{digest}"


def _is_usable(environment: Path) -> bool:
    """Say whether all of *environment* is there, at the place that its programs name, and its Python still exists."""
    try:
        place = (environment / _MARKER).read_text()
    except OSError:
        return False
    return place == str(environment.resolve()) and (environment / "bin" / "python").exists()


def _install(environment: Path, requirements: Path, tell: Callable[[str], None]) -> None:
    folder = environment.parent
    try:
        _make_folder(folder)
        with _locked(folder / "lock", tell) as lock:
            if _is_usable(environment):  # another process was installing, and is done
                return
            _check_space(folder)
            tell(
                f"Installing JupyterLab for users' servers into {environment}. "
                "This is done once and takes some minutes."
            )
            shutil.rmtree(environment, ignore_errors=True)
            for command in _commands(environment.resolve(), requirements):
                _run(command, lock, tell)
            _show_users_packages(environment)
            (environment / _MARKER).write_text(str(environment.resolve()))
    except OSError as error:
        raise VirtualEnvironmentError(
            f"JupyterLab cannot be installed into {environment}: {error.strerror}. "
            "Give the folder to the user that runs the hub."
        ) from None
    tell("JupyterLab is installed.")


def _show_users_packages(environment: Path) -> None:
    """Let programs of *environment* see what their user installs with `pip install --user`; its own come first.

    They see packages of the Python below as well. So this comes last: pip would leave out what that Python has.
    """
    file = environment / "pyvenv.cfg"
    others = [line for line in file.read_text().splitlines() if not line.startswith(_OTHER_PACKAGES)]
    file.write_text("\n".join([*others, f"{_OTHER_PACKAGES} = true", ""]))


def _make_folder(folder: Path) -> None:
    """Make *folder* and what is above it; other users may enter with any umask, because root's servers run as them."""
    for path in reversed([path for path in (folder, *folder.parents) if not path.exists()]):
        path.mkdir(exist_ok=True)
        path.chmod(0o755)


@contextlib.contextmanager
def _locked(file: Path, tell: Callable[[str], None]) -> Iterator[int]:
    """Hold the lock *file*. Installing programs inherit it, so a killed hub's pip ends before the next one starts."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("Another process is installing JupyterLab into the same folder. Waiting for it …")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _check_space(folder: Path) -> None:
    if (free := shutil.disk_usage(folder).free) < FREE_BYTES_NEEDED:
        raise VirtualEnvironmentError(
            f"The disk of {folder} is too full to install JupyterLab: {free // 1024**2} MB are free, and it needs "
            f"{FREE_BYTES_NEEDED // 1024**2} MB. Make room, or choose another folder with --data."
        )


def _commands(environment: Path, requirements: Path) -> list[list[str]]:
    """Return the commands that make *environment*: uv's if it is on the PATH, as it is faster, else Python's own."""
    python, pinned = str(environment / "bin" / "python"), ("--no-deps", "--require-hashes", "-r", str(requirements))
    if uv := shutil.which("uv"):
        return [
            [uv, "venv", "--quiet", "--no-project", "--no-config", "--python", sys.executable, str(environment)],
            [uv, "pip", "install", "--compile-bytecode", "--python", python, *pinned],
        ]
    quiet = ("--disable-pip-version-check", "--no-input", "--retries", "2")
    return [
        [sys.executable, "-I", "-m", "venv", str(environment)],
        [python, "-I", "-m", "pip", "install", *quiet, *pinned],
    ]


def _run(command: Sequence[str], lock: int, tell: Callable[[str], None]) -> None:
    """Run a *command* that installs, and pass on how far it is.

    Raises:
        VirtualEnvironmentError: when it fails, with what it said last.
    """
    said: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(
        command,
        env=_environment(ENVIRON),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=(lock,),
        umask=0o022,  # where root runs the hub, system users run what is installed
    ) as process:
        try:
            packages = 0
            for line in process.stdout or ():
                said.append(line.rstrip())
                packages += line.startswith(_PIP_PACKAGE)
                if (progress := _progress(line, packages)) is not None:
                    tell(progress)
        except BaseException:
            process.terminate()
            raise
    if process.returncode:
        raise VirtualEnvironmentError(_failure(list(said)))


def _progress(line: str, packages: int) -> str | None:
    """Return what *line* of pip or uv says about the progress; None where that is nothing new."""
    if line.startswith(_PIP_PACKAGE) and packages % _PACKAGES_A_LINE == 0:
        return f"  {packages} packages downloaded"
    if line.startswith("Installing collected packages"):
        return "  installing the packages"
    return f"  {line.strip()}" if line.startswith(_UV_REPORTS) else None


def _failure(said: Sequence[str]) -> str:
    if any("ensurepip" in line for line in said):
        return (
            "JupyterLab cannot be installed: this Python has no venv module. Install it (Debian, Ubuntu: "
            "apt-get install python3-venv), or put uv on the PATH; then run `hubless up` again."
        )
    lines = "\n".join(f"    {line}" for line in said if line)
    return f"JupyterLab could not be installed:\n{lines}\n{_REMEDY}"


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    kept = {key: text for key, text in environ.items() if key not in _MISLEADING}
    return kept | {"UV_PYTHON_DOWNLOADS": "never", "PYTHONUNBUFFERED": "1"}


def _lead(link: Path, environment: Path) -> None:
    """Make *link* point to *environment*, in one atomic step."""
    draft = link.with_name(f"{link.name}.{secrets.token_hex(4)}")
    draft.symlink_to(environment.name)
    draft.replace(link)


def _remove_unused(folder: Path, *, keep: Path) -> None:
    """Remove environments of earlier versions that no process runs from any more."""
    earlier = [path for path in folder.glob(f"{_PREFIX}*") if path.name != keep.name]
    if not earlier:
        return
    import psutil  # noqa: PLC0415 large, and only after an upgrade

    commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
    for path in earlier:
        if not any(str(path.resolve()) in command for command in commands):
            shutil.rmtree(path, ignore_errors=True)
