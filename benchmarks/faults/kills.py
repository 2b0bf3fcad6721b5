"""kill -9 of each role under load: what is lost, doubled or orphaned, and how long it takes to serve again."""

import contextlib
import re
import statistics
import time
from collections import defaultdict

from faults.hubs import Ours, Theirs, end_servers_except, is_serving, seconds_until
from faults.rows import NOT_MEASURED, Row, progress

from tests.support.bad_days import Load

CHILD_SECONDS, TREE_SECONDS = 1.0, 3.0
SETTLE_SECONDS = 20
ADOPTED = "adopted"  # whose server runs through all kills
PAUSE_SECONDS = 0.03  # between two users: each is asked for often until all is settled


class Tally:
    """What the kills of one hub came to."""

    def __init__(self):
        self.kills = self.acknowledged = self.started = self.lost = self.doubled = self.orphans = 0
        self.idle_kills = 0  # under no load, and so they prove nothing
        self.wrong = []  # what was lost, doubled or orphaned, in words
        self.seconds = defaultdict(list)  # until it serves again, by role

    def add(self, acknowledged, lost, ready, running):
        """Count one kill: how many writes were acknowledged, what was lost; who has a server, how many run by owner."""
        self.kills += 1
        self.idle_kills += not acknowledged
        self.acknowledged += acknowledged
        self.started += len(ready - {ADOPTED})
        lost = [*lost, *(f"{name}'s server does not run" for name in ready if name not in running)]
        doubled = [f"{name} has {count} servers" for name, count in running.items() if count > 1]
        orphans = [f"{name} has a server that the hub does not know" for name in running if name not in ready]
        self.lost += len(lost)
        self.doubled += len(doubled)
        self.orphans += len(orphans)
        self.wrong += [*lost, *doubled, *orphans]

    def is_met(self):
        was_under_load = self.kills and self.started and not self.idle_kills
        return bool(was_under_load) and self.lost == self.doubled == self.orphans == 0

    def shown(self):
        idle = f", {self.idle_kills} of them under no load" if self.idle_kills else ""
        of = f"of {self.acknowledged} and {self.started} servers in {self.kills} kills{idle}"
        return f"{self.lost}, {self.doubled}, {self.orphans} ({of})"

    def longest(self, roles):
        times = [one for role in roles for one in self.seconds[role]]
        return f"{statistics.median(times):.2f}; {max(times):.2f}", max(times)


def one_kill(hub, role, number, tally):
    """Kill the role while users are made and servers start and stop, wait until all is settled, and count."""
    with Load(hub, f"{role}{number}x", PAUSE_SECONDS) as load:
        time.sleep(1)
        began = time.monotonic()
        hub.kill(role)
        seconds_until(is_serving, hub, ADOPTED)
        tally.seconds[role].append(time.monotonic() - began)
        time.sleep(0.5)
    seconds_until(lambda: bool(hub.of_role(role if role not in ("supervisor", "all") else "api")))
    models, running = settled(hub, load.asked)
    ready = {ADOPTED} | {name for name, model in models.items() if model["ready"]}
    acknowledged = len(load.acknowledged) + len(load.servers)
    lost = load.lost() + [not_ready(hub, name, models.get(name)) for name in load.servers if name not in ready]
    tally.add(acknowledged, lost, ready, running)
    for name in load.asked:
        hub.until(lambda name=name: hub.ask("DELETE", f"/hub/api/users/{name}"))
    seconds_until(lambda: set(hub.owners_running()) == {ADOPTED}, limit=SETTLE_SECONDS, every=0.2)
    end_servers_except(hub, ADOPTED)  # an orphan counts once


def settled(hub, owners):
    """Wait until no server starts or stops, and those run that are ready; return models and programs of one look.

    A look that the hub does not answer is no look: it would count as a loss what is there.
    """
    give_up_at = time.monotonic() + SETTLE_SECONDS
    while True:
        answers = {name: hub.until(hub.ask, "GET", f"/hub/api/users/{name}/server") for name in owners}
        models = {name: answer.json() for name, answer in answers.items() if answer.is_success}
        running = hub.owners_running()
        ready = {ADOPTED} | {name for name, model in models.items() if model["ready"]}
        is_settled = set(running) == ready and not any(model["pending"] for model in models.values())
        if is_settled or time.monotonic() > give_up_at:
            return models, running
        time.sleep(0.2)


def not_ready(hub, name, model):
    """Say that a server whose start was acknowledged is not ready, with what the hub says and has logged of it."""
    is_ = "has no record" if model is None else f"is not ready: {model['pending'] or model.get('state')}"
    known = re.search(rf"server (\w+) of {name}:", hub.log())
    said = [line for line in hub.log().splitlines() if known and known[1] in line]
    return "\n    ".join([f"{name}'s server {is_}", *said])


def of_hub(hub, rounds):
    tally = Tally()
    hub.start(ADOPTED)
    for number in range(rounds):
        for role in hub.roles:
            one_kill(hub, role, number, tally)
            progress(
                f"kills, {hub.name}: {role} of round {number + 1} of {rounds}: {tally.shown()} {tally.wrong or ''}"
            )
    return tally


def measure(rounds, *, has_peer):
    """Return the rows."""
    with contextlib.closing(Ours().up()) as hub:
        ours = of_hub(hub, rounds)
    theirs = None
    if has_peer:
        with contextlib.closing(Theirs().up()) as hub:
            theirs = of_hub(hub, rounds)
    children = [role for role in Ours.roles if role not in ("supervisor", "all")]
    child, child_longest = ours.longest(children)
    tree, tree_longest = ours.longest(["supervisor", "all"])
    return [
        Row(
            f"{rounds} kill -9 per role under load: acknowledged writes lost, servers doubled, orphans",
            "0, 0, 0",
            ours.is_met(),
            ours.shown(),
            theirs.shown() if theirs else NOT_MEASURED,
        ),
        Row(
            "until it serves again, a child, s (median; longest)",
            f"≤ {CHILD_SECONDS:g}",
            child_longest <= CHILD_SECONDS,
            child,
            theirs.longest(["proxy"])[0] if theirs else NOT_MEASURED,
        ),
        Row(
            "until it serves again, the whole tree, s (median; longest)",
            f"≤ {TREE_SECONDS:g}",
            tree_longest <= TREE_SECONDS,
            tree,
            theirs.longest(["hub", "all"])[0] if theirs else NOT_MEASURED,
        ),
    ]
