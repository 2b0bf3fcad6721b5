"""Tries a kind of isolation for real: a program in it reports what it can reach of the hub and of a neighbour."""

import os
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

from hubless.adapters.processes.accounts import Account
from hubless.adapters.processes.isolation import Isolation, Start
from hubless.adapters.processes.isolation.programs import interpreter_of
from hubless.adapters.processes.launch_folder import LaunchFolder
from hubless.domain.errors import LaunchFailedError
from hubless.domain.values import value

SECONDS = 20.0  # after which a trial has failed
_SHELL = "/bin/sh"
_DONE, _PROBLEM = "trial: done", "trial: problem: "
_LONGEST_REASON = 300  # characters of a program's own words


@value
class Stakes:
    """What is at stake on this machine.

    Args:
        launches: the folder of launches.
        private: files and folders that no server may read.
        programs: the absolute path of each program that servers are started from.
        environment: the environment of servers.
    """

    launches: Path
    private: tuple[Path, ...]
    programs: tuple[Path, ...]
    environment: Mapping[str, str]


def reason_against(isolation: Isolation, stakes: Stakes) -> str | None:
    """Return why this kind of isolation does not work here, as a clause; None if it does."""
    with ExitStack() as stack:
        try:
            own, neighbour = (participant(isolation, account, stakes, stack) for account in isolation.trial_accounts())
            return _try(isolation, stakes, own, neighbour, stack)
        except LaunchFailedError as error:
            return str(error)
        except (OSError, subprocess.SubprocessError) as error:
            return f"the trial failed: {error}"


@value
class Participant:
    """An account with a home, a folder of a launch, and a descriptor of its lock."""

    account: Account
    folder: LaunchFolder
    lock: int


def participant(isolation: Isolation, account: Account, stakes: Stakes, stack: ExitStack) -> Participant:
    folder = LaunchFolder(stakes.launches / account.home.name)
    for left in (account.home, folder.path):  # by a hub that was killed
        shutil.rmtree(left, ignore_errors=True)
        stack.callback(shutil.rmtree, left, ignore_errors=True)
    isolation.prepare(account)
    folder.make()
    lock = os.open(folder.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    stack.callback(os.close, lock)
    return Participant(account, folder, lock)


def _try(
    isolation: Isolation, stakes: Stakes, own: Participant, neighbour: Participant, stack: ExitStack
) -> str | None:
    notes = neighbour.account.home / "notes"
    notes.write_text("private")
    mark = secrets.token_hex(16)
    environment = dict(stakes.environment)
    marked = environment | {"TRIAL_MARK": mark}
    asleep = ("/bin/sleep", str(2 * SECONDS))
    wrapped = isolation.wrap(Start(asleep, neighbour.account, neighbour.folder, neighbour.lock, marked))
    others = [
        stack.enter_context(_running(list(asleep), marked, own.account.home, ())),
        stack.enter_context(_running(wrapped, marked, neighbour.account.home, (neighbour.lock,))),
    ]
    script = _script([*stakes.private, notes], mark, others, stakes)
    ended = subprocess.run(
        isolation.wrap(Start((_SHELL, "-c", script), own.account, own.folder, own.lock, environment, stakes.programs)),
        cwd=own.account.home,
        env=environment | {"HOME": str(own.account.home)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        pass_fds=(own.lock,),
        timeout=SECONDS,
        check=False,
    )
    return _judge(ended.stdout.decode(errors="replace"), ended.stderr.decode(errors="replace"))


@contextmanager
def _running(command: list[str], environment: Mapping[str, str], folder: Path, passed: Sequence[int]) -> Iterator[int]:
    """Run *command* meanwhile, and yield its process id."""
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=nowhere, stdout=nowhere, stderr=nowhere, pass_fds=passed
    ) as child:
        try:
            yield child.pid
        finally:
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(child.pid)
                for member in (*process.children(recursive=True), process):
                    with suppress(psutil.NoSuchProcess):
                        member.kill()


def _script(private: Sequence[Path], mark: str, others: Sequence[int], stakes: Stakes) -> str:
    """Return what the program in the trial does. It names each problem, and at last says that it is done."""
    lines = [f'problem() {{ echo "{_PROBLEM}$1"; }}', '[ "$(id -u)" -ne 0 ] || problem "it runs as root"']
    lines.append("grep -q '^NoNewPrivs:[[:space:]]*1' /proc/self/status || problem 'it may gain new privileges'")
    for path in private:
        said = shlex.quote(f"it can read {path}")
        tries = f"cat {shlex.quote(str(path))} || ls {shlex.quote(f'{path}/')}"
        lines.append(f"if {{ {tries}; }} >/dev/null; then problem {said}; fi")
    lines.append("for file in /proc/[0-9]*/environ; do")
    lines.append(f'if grep -q {mark} "$file"; then problem "it can read the environment of others"; fi; done')
    for pid in others:
        same = f"[ \"$(cut -d ' ' -f 22 /proc/{pid}/stat)\" = {_started(pid)} ]"
        lines.append(f"if {same} && kill -0 {pid}; then problem 'it can end processes of others'; fi")
    lines.append('touch "$HOME/trial" || problem "it cannot write its home"')
    lines.append('touch "/tmp/trial-$$" || problem "it cannot write /tmp"; rm -f "/tmp/trial-$$"')
    for program in stakes.programs:
        said = shlex.quote(f"it cannot run {program}")
        lines.append(f"{{ {_runs(program, stakes)}; }} || problem {said}")
    return "\n".join(["{", *lines, "} 2>/dev/null", f'echo "{_DONE}"'])


def _runs(program: Path, stakes: Stakes) -> str:
    """Return a command that fails where *program* could not start; it does not start it, which may take seconds."""
    checks = [f"[ -x {shlex.quote(str(program))} ]"]
    interpreter = interpreter_of(program, stakes.environment.get("PATH", os.defpath))
    python = interpreter or program
    if python.name.startswith("python"):
        checks.append(f"{shlex.quote(str(python))} -I -S -c ''")
    elif interpreter is not None:
        checks.append(f"[ -x {shlex.quote(str(interpreter))} ]")
    return " && ".join(checks)


def _started(pid: int) -> str:
    """Return when the process started, as its `stat` says: together with the id it names a process for ever."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]


def _judge(output: str, errors: str) -> str | None:
    problems = [line.removeprefix(_PROBLEM) for line in output.splitlines() if line.startswith(_PROBLEM)]
    if problems:
        return "a trial program found that " + ", ".join(dict.fromkeys(problems))
    if _DONE in output.splitlines():
        return None
    said = " ".join(errors.split())[-_LONGEST_REASON:]
    return said or "a trial program ended before it had checked everything"
