"""How long an import of many people takes into a stage in AWS, again, and back out; and how many requests it sends.

    .venv/bin/python benchmarks/bench_import_stage.py [USERS [TOKENS [MILLISECONDS]]]

DynamoDB is MiniStack, a process of its own, each of whose answers comes MILLISECONDS later. It prints seconds, requests
and write units for each part, and the peak memory of this process. MiniStack's own work is in the seconds.
"""

import json
import math
import resource
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from benchmarks.bench_import import NOW, many
from hubless.adapters import archive_file
from hubless.adapters.dynamodb.database import Database
from hubless.domain.archive import ArchivedShare, ArchivedShareCode
from hubless.domain.import_choices import Choices
from hubless.domain.tokens import sha256
from tests.support.dynamodb import REGION, in_new_table, ministack
from tests.support.moving import MovingHub

WRITES = {"PutItem": "Item", "UpdateItem": "Key", "DeleteItem": "Key"}


def with_shares(archive, every=10):
    """Return *archive* in which every tenth server has a share with a user, one with a group, and a code."""
    owners, groups = archive.servers[::every], archive.groups
    shares = [
        ArchivedShare(one.owner, "", ("access:servers",), NOW, user=archive.users[number].name)
        for number, one in enumerate(owners, start=1)
    ]
    shares += [
        ArchivedShare(one.owner, "", ("access:servers",), NOW, group=groups[number % len(groups)].name)
        for number, one in enumerate(owners[: len(groups)])
    ]
    codes = [
        ArchivedShareCode(
            one.owner, "", sha256(f"code {one.owner}"), ("access:servers",), NOW, NOW + timedelta(days=9999)
        )
        for one in owners
    ]
    return replace(archive, shares=tuple(shares), share_codes=tuple(codes))


class Table:
    """Counts what is asked of the table, and answers later."""

    def __init__(self, events, seconds):
        self._seconds, self.requests, self.units = seconds, Counter(), 0
        events.register_first("before-call.dynamodb", self._see)

    def _see(self, model, params, **_):
        self.requests[model.name] += 1
        body = json.loads(params["body"])
        if model.name == "TransactWriteItems":
            for step in body["TransactItems"]:
                ((_, how),) = step.items()
                self.units += 2 * _units(how.get("Item") or how)
        elif model.name in WRITES:
            self.units += _units(body.get("Item") or body)
        time.sleep(self._seconds)


def _units(what):
    return math.ceil(len(json.dumps(what)) / 1024)


def timed(table, what, act):
    table.requests.clear()
    table.units, began = 0, time.monotonic()
    found = act()
    seconds, requests = time.monotonic() - began, sum(table.requests.values())
    print(
        f"{what:<26}{seconds:8.1f} s {requests:8} requests {table.units:8} write units  {memory():6.0f} MB", flush=True
    )
    print("   ", dict(table.requests.most_common()), flush=True)
    return found


def memory():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(users: int = 10_000, tokens: int = 50_000, milliseconds: int = 8) -> None:
    source = with_shares(many(users, tokens))
    with tempfile.TemporaryDirectory() as folder, ministack(Path(folder)) as url:
        database = Database("hubless", region=REGION, endpoint=url)
        hub = MovingHub(in_new_table(database))
        table = Table(database.client.meta.events, milliseconds / 1000)
        plan = timed(table, "plan", lambda: hub.plan(source, Choices()))
        assert not plan.remarks
        timed(table, f"write {len(plan.steps)} steps", lambda: hub.moving.carry_out(plan, "old"))
        again = timed(table, "plan again", lambda: hub.plan(source, Choices()))
        assert not again.steps
        file = Path(folder) / "here.jsonl"
        timed(
            table,
            "export",
            lambda: archive_file.write_records(hub.exporting.records(), file, NOW, source="here", has_secrets=True),
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
