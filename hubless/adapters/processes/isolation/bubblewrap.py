"""The arguments of bubblewrap: what a server in a sandbox sees of the machine."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from hubless.adapters.processes.isolation import Start
from hubless.adapters.processes.isolation.programs import needed_by
from hubless.domain.values import value

PROGRAM = "bwrap"
DISABLE_USERNS = "--disable-userns"  # since 0.8
# Read-only, as far as they exist. /usr/local is in /usr.
_SYSTEM = ("/usr", "/etc", "/opt", "/sys", "/nix")
_SYSTEM_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")  # on some machines folders
# What programs need of /var and /run, which are the sandbox's own otherwise.
_STATE_OF_PROGRAMS = ("/var/lib/texmf", "/var/cache/fontconfig")
_RUN = Path("/run")
_GPUS = ("nvidia*", "nvidia-caps", "dri", "kfd")
_SMALL = 64 * 1024**2  # bytes of /run and of /var
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")
_FOLDER, _PUBLIC = "0755", "1777"  # modes


@value
class View:
    """What sandboxes see beside the system, and what they never see.

    Args:
        readable: files and folders that the settings show.
        writable: the same, for writing as well.
        hidden: files and folders of the hub, which may be in something that is shown.
        tmp_bytes: the sizes of /tmp and of /dev/shm, which are memory.
    """

    readable: tuple[Path, ...]
    writable: tuple[Path, ...]
    hidden: tuple[Path, ...]
    tmp_bytes: int


def file_system(view: View, start: Start) -> list[str]:
    """Return bubblewrap's arguments for the file system of one server: its program, its home, and what *view* says."""
    made = _Arguments(view.hidden)
    _add_system(made)
    _add_own(made, view.tmp_bytes)
    _add_names(made)
    for path in (*view.readable, *_certificates(start.environment)):
        made.bind("--ro-bind-try", path)
    for path in view.writable:
        made.bind("--bind-try", path)
    for command in (start.command, *((str(program),) for program in start.calls)):
        for path in needed_by(command, start.environment.get("PATH", os.defpath)):
            made.bind("--ro-bind-try", path)
    folder, home = start.folder, start.account.home
    made.add("--ro-bind", str(folder.users), "/etc/passwd", "--ro-bind", str(folder.groups), "/etc/group")
    made.bind("--bind", home)
    made.close()
    made.add("--chdir", str(home))
    return made.arguments


class _Arguments:
    """Collects arguments. Bubblewrap executes them in order, so a later one covers what an earlier one showed."""

    def __init__(self, hidden: Iterable[Path]) -> None:
        self.arguments: list[str] = []
        self._shown: list[Path] = []
        self._covers: dict[str, None] = {}  # a set in order
        self._made = {Path("/")}
        self._hidden = {known for path in hidden for known in (path, path.resolve()) if known.exists()}

    def add(self, *arguments: str) -> None:
        self.arguments += arguments

    def bind(self, how: str, path: Path) -> None:
        """Show *path* without what is hidden in it. Its parents can be entered by all, as bubblewrap's own cannot."""
        if how.startswith("--ro") and self._is_visible(path):
            return
        self._make_parents(path)
        self.add(how, str(path), str(path))
        self._shown.append(path)
        for hidden in sorted(self._hidden):
            if hidden.is_relative_to(path):
                self._cover(hidden)

    def link(self, path: Path) -> None:
        self.add("--symlink", str(path.readlink()), str(path))
        self._shown.append(path)

    def close(self) -> None:
        """Let nobody add anything to the root and to what covers hidden folders."""
        for path in ("/", *self._covers):
            self.add("--remount-ro", path)

    def _cover(self, path: Path) -> None:
        if path.is_dir():
            self.add("--perms", _FOLDER, "--size", str(_SMALL), "--tmpfs", str(path))
            self._covers[str(path)] = None
            self._made = {one for one in self._made if not one.is_relative_to(path)} | {path}
        else:
            self.add("--ro-bind", "/dev/null", str(path))
        self._shown = [one for one in self._shown if one == path or not one.is_relative_to(path)]

    def _is_visible(self, path: Path) -> bool:
        """Say whether the innermost of what is shown and hidden around *path* is shown."""
        around = [(len(one.parts), False) for one in self._shown if path.is_relative_to(one)]
        covers = [(len(one.parts), True) for one in self._hidden if path.is_relative_to(one)]
        return bool(around) and not max([*around, *covers])[1]

    def _make_parents(self, path: Path) -> None:
        for parent in reversed(path.parents):
            if parent not in self._made and not self._is_visible(parent):
                self.add("--perms", _FOLDER, "--dir", str(parent))
                self._made.add(parent)


def _add_system(made: _Arguments) -> None:
    for path in map(Path, _SYSTEM):
        if path.is_dir():
            made.bind("--ro-bind", path)
    for path in map(Path, _SYSTEM_LINKS):
        if path.is_symlink():
            made.link(path)
        elif path.is_dir():
            made.bind("--ro-bind", path)


def _add_own(made: _Arguments, tmp_bytes: int) -> None:
    made.add("--proc", "/proc", "--dev", "/dev")
    for folder, mode, size in (
        ("/dev/shm", _PUBLIC, tmp_bytes),  # noqa: S108 the sandbox's own
        ("/tmp", _PUBLIC, tmp_bytes),  # noqa: S108 the sandbox's own
        ("/run", _FOLDER, _SMALL),
        ("/var", _FOLDER, _SMALL),
    ):
        made.add("--perms", mode, "--size", str(size), "--tmpfs", folder)
    made.add("--symlink", "/tmp", "/var/tmp", "--symlink", "/run", "/var/run")  # noqa: S108 the sandbox's own
    for device in _matching(Path("/dev"), _GPUS):
        made.add("--dev-bind-try", str(device), str(device))
    for state in map(Path, _STATE_OF_PROGRAMS):
        if state.is_dir():
            made.bind("--ro-bind-try", state)


def _add_names(made: _Arguments) -> None:
    """Show the file to which /etc/resolv.conf leads, with its folder in /run, where the file is often replaced."""
    target = Path("/etc/resolv.conf").resolve()
    if target.is_relative_to("/etc") or not target.exists():
        return
    folder = target.parent
    made.bind("--ro-bind-try", folder if folder.is_relative_to(_RUN) and folder != _RUN else target)


def _certificates(environment: Mapping[str, str]) -> Iterable[Path]:
    return (Path(environment[name]) for name in _CERTIFICATES if environment.get(name, "").startswith("/"))


def _matching(folder: Path, patterns: Iterable[str]) -> Iterable[Path]:
    return sorted({path for pattern in patterns for path in folder.glob(pattern)})
