"""HAProxy's Runtime API: changes routes without a reload.

https://docs.haproxy.org/2.8/management.html#9.3 describes the commands.
"""

import contextlib
import logging
import re
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from edge_proxy.errors import EdgeError, SilentError, UnreachableError

logger = logging.getLogger(__name__)
# Of entries in one command. HAProxy's buffer holds 16,384: it refuses more, and HAProxy 2.8 aborts at exactly as many.
MAX_COMMAND_BYTES = 8_192
TIMEOUT_SECONDS = 5.0
_COLUMNS = 3  # that HAProxy shows of an entry: its address in memory, key and value
_ENTRY = re.compile(r"key=(\S+) .*?exp=(\d+)")
_KEY = re.compile(r"key=(\S+) ")


class RuntimeApi:
    """Sends commands to one HAProxy over its unix socket, one connection for each."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def command(self, text: str) -> str:
        """Run one command and return HAProxy's answer.

        Raises:
            UnreachableError: when nobody listens at the socket.
            SilentError: when HAProxy does not answer in time.
        """
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(TIMEOUT_SECONDS)
                connection.connect(str(self._path))
                connection.sendall(text.encode() + b"\n")
                connection.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode("utf-8", "replace").strip()
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise UnreachableError(
                f"Nobody listens at {self._path}, HAProxy's Runtime API: {error.strerror}"
            ) from error
        except OSError as error:
            raise SilentError(f"HAProxy's Runtime API at {self._path} does not answer: {error}") from error

    def pid(self) -> int:
        """Return the process id of the HAProxy that answers.

        Raises:
            EdgeError: when none does.
        """
        for line in self.command("show info").splitlines():
            if line.startswith("Pid: "):
                return int(line.removeprefix("Pid: "))
        raise EdgeError(f"What answers at {self._path} is no HAProxy")

    def set(self, map_file: Path, key: str, value: str) -> None:
        """Write an entry, new or not. An entry that is too long for HAProxy is removed instead."""
        if not _fits(key, value):
            self.remove(map_file, key)
        elif self.command(f"set map {map_file} {key} {value}"):  # HAProxy answers only if there is no such entry
            self._run_silent(f"add map {map_file} {key} {value}")

    def remove(self, map_file: Path, key: str) -> None:
        """Remove an entry; it is no error if there is none.

        Raises:
            EdgeError: when HAProxy refuses for another reason.
        """
        if len(key) >= MAX_COMMAND_BYTES:
            return  # `set` never wrote it
        answer = self.command(f"del map {map_file} {key}")
        if answer and "key not found" not in answer.lower():
            raise _refused(answer)

    def replace(self, map_file: Path, entries: Iterable[tuple[str, str]]) -> int:
        """Replace the whole map at once, and return the number of entries; until then the old map serves.

        Entries that are too long for HAProxy are left out.

        Raises:
            EdgeError: when HAProxy does not answer or refuses; the old map stays then.
        """
        version = self.command(f"prepare map {map_file}").rpartition(" ")[2]
        if not version.isdigit():
            raise EdgeError(f"HAProxy has no map {map_file}: it runs with another configuration")
        try:
            count = self._add(version, map_file, entries)
            self._run_silent(f"commit map @{version} {map_file}")
        except BaseException:
            # Entries that are not committed have no effect, but would stay in memory.
            with contextlib.suppress(EdgeError):
                self.command(f"clear map @{version} {map_file}")
            raise
        return count

    def entries(self, map_file: Path) -> list[tuple[str, str]]:
        """Return the map as (key, value).

        Raises:
            EdgeError: when HAProxy does not answer, or has no such map.
        """
        answer = self.command(f"show map {map_file}")
        lines = [line.split(" ", 2) for line in answer.splitlines()]
        if any(len(line) != _COLUMNS or not line[0].startswith("0x") for line in lines):
            raise _refused(answer)
        return [(key, value) for _pointer, key, value in lines]

    def set_server_state(self, backend: str, server: str, *, is_up: bool) -> None:
        """Set a server without health checks up or down."""
        self._run_silent(f"set server {backend}/{server} state {'ready' if is_up else 'maint'}")

    def idle_seconds(self, table: str, expire_seconds: int) -> dict[str, float]:
        """Return the seconds since HAProxy last tracked each key of a stick table, whose keys expire as given."""
        answer = self.command(f"show table {table}")
        return {key: expire_seconds - int(left) / 1000 for key, left in _ENTRY.findall(answer)}

    def connected(self, table: str) -> list[str]:
        """Return the keys of a stick table with `conn_cur` for which connections are open."""
        return _KEY.findall(self.command(f"show table {table} data.conn_cur gt 0"))

    def _add(self, version: str, map_file: Path, entries: Iterable[tuple[str, str]]) -> int:
        count = 0
        for lines in _batches(_line(key, value) for key, value in entries if _fits(key, value)):
            self._run_silent(f"add map @{version} {map_file} <<\n{''.join(lines)}")
            count += len(lines)
        return count

    def _run_silent(self, text: str) -> None:
        """Run a command that HAProxy answers only when it refuses."""
        if answer := self.command(text):
            raise _refused(answer)


def _refused(answer: str) -> EdgeError:
    return EdgeError(f"HAProxy refuses: {answer[:200]}")


def _fits(key: str, value: str) -> bool:
    """Say whether HAProxy takes the entry. All valid names fit; an invalid one must not cost the other routes."""
    if len(_line(key, value)) <= MAX_COMMAND_BYTES:
        return True
    logger.warning("left out a route that is too long for HAProxy: %s…", key[:80])
    return False


def _line(key: str, value: str) -> str:
    return f"{key} {value}\n"


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield *lines* in batches that each fit into one command."""
    batch, size = list[str](), 0
    for line in lines:
        if batch and size + len(line) > MAX_COMMAND_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    if batch:
        yield batch
