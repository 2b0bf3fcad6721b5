"""Run the CDK's command line, as `make deploy` and `make destroy` do."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

from hubless.settings.environment import ENVIRON
from operations.errors import OperationsError

TOP = Path(__file__).parents[2]  # the checkout
PROGRAM = TOP / ".venv-cdk/node_modules/.bin/cdk"
POLL_SECONDS = 2.0
END_SECONDS = 30.0  # for an interrupted CDK to end by itself
LAST_LINES = 40  # of the CDK's output, in a report


class CdkError(OperationsError):
    """Raised when the CDK ended with an error. The message has the end of its output."""


class Cdk:
    """Deploys and destroys all stacks of one stage.

    Args:
        stage: the stage's name.
        log: file that gets the CDK's output. The id of a running CDK is beside it: it outlives a killed trial.
    """

    def __init__(self, stage: str, log: Path) -> None:
        self._stage, self._log, self._running = stage, log, log.with_suffix(".pid")

    @staticmethod
    def require() -> None:
        """Check that the CDK is installed.

        Raises:
            OperationsError: if it is not.
        """
        if not PROGRAM.exists() or shutil.which("node") is None:
            raise OperationsError("A trial needs a checkout with the CDK and Node: run `make deployer` in it")

    def deploy(self, settings: Path, wait: Callable[[float], None]) -> None:
        """Deploy the stage of the file *settings*. While the CDK runs, call *wait*: what it raises ends the CDK.

        Raises:
            CdkError: if the deployment fails.
        """
        self._run(self.command("deploy", settings, "--require-approval", "never", "--concurrency", "4"), wait)

    def destroy(self, settings: Path, wait: Callable[[float], None]) -> None:
        """Remove the stage of the file *settings*. While the CDK runs, call *wait*.

        Raises:
            CdkError: if a stack stays.
        """
        self._run(self.command("destroy", settings, "-c", "uncompiled=yes", "--force"), wait)  # nobody runs it any more

    def command(self, verb: str, settings: Path, *more: str) -> list[str]:
        """Return the words of one call of the CDK."""
        context = ("-c", "example=no", "-c", f"stage={self._stage}", "-c", f"settings={settings.resolve()}")
        return [str(PROGRAM), verb, "--all", *context, "--ci", "--no-notices", "--no-version-reporting", *more]

    def _run(self, command: list[str], wait: Callable[[float], None]) -> None:
        _end_earlier(self._running)
        with self._log.open("ab") as log:
            begin = log.tell()
            code = _code_of(command, log, self._running, wait)
        if code:
            text = self._log.read_bytes()[begin:].decode(errors="replace")
            raise CdkError(f"cdk {command[1]} exited with {code}:\n" + "\n".join(text.splitlines()[-LAST_LINES:]))


def _code_of(command: list[str], log: IO[bytes], running: Path, wait: Callable[[float], None]) -> int:
    """Return the exit code. The CDK has a session of its own: Ctrl-C reaches it through this process alone."""
    environment = ENVIRON | {"CDK_DISABLE_CLI_TELEMETRY": "true"}
    with subprocess.Popen(
        command,
        cwd=TOP,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
    ) as process:
        running.write_text(f"{process.pid} {_begun_at(process.pid)}", encoding="ascii")
        try:
            while (code := process.poll()) is None:
                wait(POLL_SECONDS)
        except BaseException:
            _end(process)
            raise
        finally:
            running.unlink(missing_ok=True)
    return code


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the CDK with all its children. CloudFormation goes on by itself."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)


def _begun_at(pid: int) -> float | None:
    """Return when a process began, in seconds since 1970. None if there is none."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def _end_earlier(running: Path) -> None:
    """End the CDK of a trial that was killed: it would go on to deploy what the clean-up removes."""
    try:
        pid, begun = running.read_text(encoding="ascii").split()
    except (FileNotFoundError, ValueError):
        return
    if str(_begun_at(int(pid))) == begun:
        with suppress(ProcessLookupError):
            os.killpg(int(pid), signal.SIGKILL)
    running.unlink(missing_ok=True)
