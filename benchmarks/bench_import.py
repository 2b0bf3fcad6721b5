"""How long an import of many people takes on one machine: 10,000 users and 50,000 tokens, again, and back out.

    .venv/bin/python benchmarks/bench_import.py [USERS [TOKENS]]

It prints seconds for each part, the longest wait of another writer meanwhile, and the peak memory.
"""

import resource
import sys
import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from embedded.moving import MOST_BESIDE_A_HUB
from hubless.adapters import archive_file
from hubless.adapters.sqlite.database import Database
from hubless.bootstrap import machine
from hubless.domain.archive import Archive, ArchivedGroup, ArchivedServer, ArchivedToken, ArchivedUser
from hubless.domain.import_choices import Choices
from hubless.domain.tokens import OwnerKind, sha256
from hubless.settings import parse

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def many(users: int, tokens: int) -> Archive:
    names = [f"user{number:05}" for number in range(users)]
    return Archive(
        "benchmark",
        users=tuple(
            ArchivedUser(name, created_at=NOW + timedelta(seconds=number), password_hash=f"$2b$12${name:x<53}")
            for number, name in enumerate(names)
        ),
        groups=tuple(
            ArchivedGroup(f"class{start}", tuple(names[start : start + 200])) for start in range(0, users, 200)
        ),
        servers=tuple(ArchivedServer(name, created_at=NOW) for name in names),
        tokens=tuple(
            ArchivedToken(
                OwnerKind.USER,
                names[number % users],
                sha256(str(number)),
                ("inherit",),
                NOW + timedelta(seconds=number),
            )
            for number in range(tokens)
        ),
    )


class Writer(threading.Thread):
    """Writes beside the import, as a hub does, and knows its longest wait."""

    def __init__(self, database: Database) -> None:
        super().__init__(daemon=True)
        self._database, self.longest, self.is_over = database, 0.0, False

    def run(self) -> None:
        while not self.is_over:
            began = time.monotonic()
            self._database.write("UPDATE sweep SET place = place")
            self.longest = max(self.longest, time.monotonic() - began)
            time.sleep(0.005)
        self._database.close()


def timed(what: str, act):
    began = time.monotonic()
    found = act()
    print(f"{what:<34}{time.monotonic() - began:8.1f} s", flush=True)
    return found


def beside(hub, settings) -> None:
    """Import as much as may be imported beside a hub that runs, with a writer in its place."""
    few = many(MOST_BESIDE_A_HUB // 3, MOST_BESIDE_A_HUB // 4)
    few = replace(few, users=tuple(replace(one, name=f"late-{one.name}") for one in few.users), groups=(), servers=())
    few = replace(
        few, tokens=tuple(replace(one, owner=f"late-{one.owner}", hashed=one.hashed[::-1]) for one in few.tokens)
    )
    plan = hub.moving.plan(few, "late", Choices())
    assert 0 < len(plan.steps) <= MOST_BESIDE_A_HUB, len(plan.steps)
    writer = Writer(Database(settings.database))
    writer.start()
    timed(f"write {len(plan.steps)} steps beside a hub", lambda: hub.moving.carry_out(plan, "late"))
    writer.is_over = True
    writer.join()
    print(f"{'longest wait of another writer':<34}{writer.longest:8.2f} s")


def main(users: int = 10_000, tokens: int = 50_000) -> None:
    source = many(users, tokens)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        settings = parse("", data)
        settings.secret_file.write_bytes(b"k" * 32)
        file = Path(folder) / "old.jsonl"
        timed("write the archive", lambda: archive_file.write(source, file, NOW))
        read = timed("read the archive", lambda: archive_file.read(file))
        hub = machine.build(settings)
        plan = timed("plan", lambda: hub.moving.plan(read, "", Choices()))
        timed(f"write {len(plan.steps)} steps", lambda: hub.moving.carry_out(plan, ""))
        again = timed("plan again", lambda: hub.moving.plan(read, "", Choices()))
        assert not again.steps
        timed("export", lambda: hub.exporting.read("here"))
        beside(hub, settings)
    print(f"{'peak memory':<34}{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:8.0f} MB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
