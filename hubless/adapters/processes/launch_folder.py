"""The folder of one launch: its files describe a process that may outlive the hub."""

import fcntl
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import psutil

from hubless.adapters.processes import small_files
from hubless.adapters.processes.process_use import start_of
from hubless.domain.values import value

SANDBOX, ACCOUNTS = "sandbox", "accounts"
NONE = "none"  # the isolation of launches that were noted before there were others
LOG = "server.log"
LOG_BYTES = 8192
LOG_LINES = 40
LOG_LIMIT, LOG_KEPT = 4 * 2**20, 2**16  # bytes: a log that is larger loses all but its end
ENDED_LOG_LIMIT = 2**18  # bytes of the log of a launch that is over: many of them are kept
_CUT = b"[The hub has removed what came before: the log was larger than %d KiB.]\n"
REPORT_BYTES = 4096  # a sandbox's monitor writes some hundred


@value
class Note:
    """What the launcher records before it starts the process; no secrets."""

    port: int
    home: str
    uid: int
    isolation: str = NONE


@value
class LaunchFolder:
    """The files of one launch. Its process, a server or a sandbox's monitor, holds *lock* as long as it lives."""

    path: Path

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def pid_file(self) -> Path:
        return self.path / "pid"

    @property
    def log(self) -> Path:
        return self.path / LOG

    @property
    def users(self) -> Path:
        """Return the file that a sandbox shows as /etc/passwd; its path marks the sandbox's processes."""
        return self.path / "passwd"

    @property
    def groups(self) -> Path:
        """Return the file that a sandbox shows as /etc/group."""
        return self.path / "group"

    @property
    def stray(self) -> Path:
        """Return the file whose existence says that the database, which was restored, does not know the launch."""
        return self.path / "stray"

    def write_owner(self, facts: Mapping[str, str]) -> None:
        """Write whose launch it is, for an operator whose database does not say so."""
        (self.path / "owner.json").write_text(json.dumps(dict(facts)))

    def owner(self) -> dict[str, str]:
        """Return what `write_owner` wrote; empty for a launch of an older hubless."""
        try:
            return {str(key): str(text) for key, text in json.loads((self.path / "owner.json").read_text()).items()}
        except (OSError, ValueError, AttributeError):
            return {}

    def make(self) -> None:
        """Create the folder with mode 0700, if it does not exist."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def try_lock(self) -> int | None:
        """Take the lock and return its descriptor; None if a process or another launcher holds it."""
        descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def is_held(self) -> bool:
        """Say whether the process lives, or a launcher is about to start it.

        The lock alone does not say that: without a sandbox the server itself inherits it, and can release it.
        """
        if self._lives():
            return True  # as a rule: what follows takes twice as long
        try:
            descriptor = os.open(f"{self.path}/lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            # A shared lock, so that two checks at once do not mistake each other for the process.
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = self.pid()
            # A child that outlives the server still holds the lock; only the server itself counts.
            return pid is None or self._lives() or _has_open(pid, os.fstat(descriptor))
        finally:
            os.close(descriptor)
        return self._lives()

    def pid(self) -> int | None:
        """Return the process id, which the process wrote before it became the server; None if it never did."""
        written = self._written()
        return written[0] if written else None

    def living_pid(self) -> int | None:
        """Return the process id while that process lives; None where it could not write when it started."""
        return self.pid() if self._lives() else None

    def _lives(self) -> bool:
        """Say whether the process that wrote its id is there; False where it could not write when it started."""
        pid, *started = self._written() or [0]
        return bool(started) and start_of(pid) == started[0]

    def _written(self) -> list[int]:
        """Return what the process wrote: its id, and when it started in the kernel's clock ticks."""
        try:
            return [int(word) for word in small_files.read(f"{self.path}/pid").split()]
        except (FileNotFoundError, ValueError):
            return []

    def note(self) -> Note | None:
        """Return the launcher's record, or None."""
        try:
            return Note(**json.loads(small_files.read(f"{self.path}/task.json")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write_note(self, note: Note) -> None:
        """Write the record atomically."""
        draft = self.path / "task.json.new"
        draft.write_text(json.dumps(asdict(note)))
        draft.replace(self.path / "task.json")

    def note_server(self, pid: int) -> None:
        """Write which process a fork server made for the launch, just before it becomes the server."""
        (self.path / "server").write_text(f"{pid} {start_of(pid) or 0}")

    @property
    def is_forked(self) -> bool:
        """Say whether a fork server made the server."""
        return (self.path / "server").exists()

    @property
    def awaits_exit_code(self) -> bool:
        """Say whether a fork server writes down how the server ends: a sandbox reports that itself."""
        note = self.note()
        return self.is_forked and note is not None and note.isolation != SANDBOX

    def server(self) -> int | None:
        """Return the process id of a forked server that runs; None if there is none."""
        try:
            pid, started = map(int, (self.path / "server").read_text().split())
        except (OSError, ValueError):
            return None
        return pid if start_of(pid) == started else None

    def exit_code(self) -> int | None:
        """Return the exit code that a fork server wrote, negative for a signal; None if it wrote none."""
        try:
            return int((self.path / "exit-code").read_text())
        except (OSError, ValueError):
            return None

    def sandbox_report(self) -> dict[str, int]:
        """Return what the sandbox's monitor wrote to the lock's file: `child-pid`, and `exit-code` after the end.

        Without a sandbox the server itself has that file open and can write anything to it, so nothing there counts.
        """
        report: dict[str, int] = {}
        note = self.note()
        if note is None or note.isolation != SANDBOX:
            return report
        try:
            with self.lock.open("rb") as file:
                for line in file.read(REPORT_BYTES).splitlines():
                    report |= {key: number for key, number in json.loads(line).items() if isinstance(number, int)}
        except (FileNotFoundError, ValueError, AttributeError):
            pass  # its monitor was killed while it wrote
        return report

    def is_left(self, seconds: float) -> bool:
        """Say whether the folder is of a launch that has ended, or that began *seconds* ago and never ran."""
        if self.pid() is not None:
            return not self.is_held()
        try:
            return time.time() - self.path.stat().st_mtime >= seconds
        except FileNotFoundError:
            return False

    def bound_log(self, limit: int = LOG_LIMIT) -> None:
        """Cut a log of more than *limit* bytes down to its end; the server goes on writing, because it appends.

        The log is the hub's file, so no quota of its users counts it.
        """
        bound_file(self.log, limit)

    def log_tail(self, hidden: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the last lines of the server's log, with `***` for the *hidden* words."""
        try:
            with self.log.open("rb") as file:
                file.seek(0, os.SEEK_END)
                file.seek(max(0, file.tell() - LOG_BYTES))
                text = file.read().decode("utf-8", "replace")
        except FileNotFoundError:
            return ()
        for word in hidden:
            text = text.replace(word, "***")
        return tuple(line.rstrip() for line in text.splitlines()[-LOG_LINES:] if line.strip())


def bound_file(log: str | Path, limit: int) -> None:
    """Cut a log of more than *limit* bytes down to its end. Who writes it must append, and goes on."""
    with suppress(FileNotFoundError):
        if os.lstat(log).st_size > limit:
            with Path(log).open("a+b") as file:
                file.seek(-LOG_KEPT, os.SEEK_END)
                kept = file.read(LOG_KEPT)
                file.truncate(0)
                file.write(_CUT % (limit // 1024) + kept)


def running_otherwise(servers: Path, isolation: str) -> int:
    """Return how many launches below *servers* run that were not started with this kind of *isolation*."""
    return sum(note.isolation != isolation for note in _running(servers))


def running_with(servers: Path, isolation: str) -> int:
    """Return how many launches below *servers* run that were started with this kind of *isolation*."""
    return sum(note.isolation == isolation for note in _running(servers))


def _running(servers: Path) -> list[Note]:
    """Return the notes of the launches below *servers* that run."""
    folders = [LaunchFolder(path) for path in servers.iterdir()] if servers.is_dir() else []
    notes = [folder.note() for folder in folders if folder.is_held()]
    return [note for note in notes if note is not None]


def _has_open(pid: int, wanted: os.stat_result) -> bool:
    """Say whether the process lives and has the file open; without /proc, whether it lives."""
    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return False
        files = sorted(Path(f"/proc/{pid}/fd").iterdir(), key=lambda file: int(file.name))
    except psutil.NoSuchProcess:
        return False
    except OSError:
        return True
    return any(_is_same(file, wanted) for file in files)


def _is_same(file: Path, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(file.stat(), wanted)
    except OSError:
        return False  # it was closed meanwhile
