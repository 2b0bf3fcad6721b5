"""HAProxy's Runtime API: routes come and go without a reload."""

import contextlib
import logging
import re
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

from edge_proxy.errors import EdgeError

logger = logging.getLogger(__name__)
# Bytes of one command's entries. HAProxy's buffer holds 16,384: it refuses more, and just as many have HAProxy 2.8 abort.
MAX_COMMAND_BYTES = 8_192
TIMEOUT = 5.0
_COLUMNS = 3  # of an entry that HAProxy shows: its address in memory, key and value
_ENTRY = re.compile(r"key=(\S+) .*?exp=(\d+)")


class RuntimeApi:
    """Speaks to one HAProxy over its unix socket, a connection a command."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def command(self, text: str) -> str:
        """Run one command and return what HAProxy says.

        Raises:
            EdgeError: when HAProxy does not answer.
        """
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(TIMEOUT)
                connection.connect(str(self._path))
                connection.sendall(text.encode() + b"\n")
                connection.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: connection.recv(65536), b"")).decode("utf-8", "replace").strip()
        except OSError as error:
            raise EdgeError(f"HAProxy's Runtime API does not answer: {error}") from error

    def is_alive(self) -> bool:
        """Say whether HAProxy answers."""
        try:
            return "Name: HAProxy" in self.command("show info")
        except EdgeError:
            return False

    def set(self, map_file: Path, key: str, value: str) -> None:
        """Let *key* stand for *value*, whether it is there or not; for nothing where they are too long for HAProxy."""
        if not _fits(key, value):
            self.remove(map_file, key)
        elif self.command(f"set map {map_file} {key} {value}"):  # it says so when there is no such entry
            self._quietly(f"add map {map_file} {key} {value}")

    def remove(self, map_file: Path, key: str) -> None:
        """Take *key* away; one that is gone is no error.

        Raises:
            EdgeError: when HAProxy does not, for whatever other reason.
        """
        if len(key) >= MAX_COMMAND_BYTES:
            return  # it never was there
        said = self.command(f"del map {map_file} {key}")
        if said and "key not found" not in said.lower():
            raise _refusal(said)

    def replace(self, map_file: Path, entries: Iterable[tuple[str, str]]) -> int:
        """Put all *entries* in the place of the whole map at once, and return how many; meanwhile the old one serves.

        Those that are too long for HAProxy are left out.
        """
        version = self.command(f"prepare map {map_file}").rpartition(" ")[2]
        if not version.isdigit():
            raise EdgeError(f"HAProxy does not know the map {map_file}")
        try:
            count = self._add(version, map_file, entries)
            self._quietly(f"commit map @{version} {map_file}")
        except BaseException:
            # What was not committed serves nobody, but would stay in memory.
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
            raise _refusal(answer)
        return [(key, value) for _pointer, key, value in lines]

    def set_server_state(self, backend: str, server: str, *, is_up: bool) -> None:
        """Have a server that nobody checks count as up or not."""
        self._quietly(f"set server {backend}/{server} state {'ready' if is_up else 'maint'}")

    def idle_seconds(self, table: str, expire_seconds: int) -> dict[str, float]:
        """Return how long ago each key of a stick table was last tracked."""
        told = self.command(f"show table {table}")
        return {key: expire_seconds - int(left) / 1000 for key, left in _ENTRY.findall(told)}

    def _add(self, version: str, map_file: Path, entries: Iterable[tuple[str, str]]) -> int:
        count = 0
        for lines in _batches(_line(key, value) for key, value in entries if _fits(key, value)):
            self._quietly(f"add map @{version} {map_file} <<\n{''.join(lines)}")
            count += len(lines)
        return count

    def _quietly(self, text: str) -> None:
        if said := self.command(text):
            raise _refusal(said)


def _refusal(said: str) -> EdgeError:
    return EdgeError(f"HAProxy refuses: {said[:200]}")


def _fits(key: str, value: str) -> bool:
    """Say whether HAProxy takes the entry. Names are short enough that each does; one that is not must not cost the rest."""
    if len(_line(key, value)) <= MAX_COMMAND_BYTES:
        return True
    logger.warning("a route is left out, as it is too long for HAProxy: %s…", key[:80])
    return False


def _line(key: str, value: str) -> str:
    return f"{key} {value}\n"


def _batches(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield *lines*, as many at once as one command may hold."""
    batch, size = list[str](), 0
    for line in lines:
        if batch and size + len(line) > MAX_COMMAND_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    if batch:
        yield batch
