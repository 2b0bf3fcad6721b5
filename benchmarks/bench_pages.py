"""Pages against JupyterHub 6.1.1: what each costs the server, and how long one person waits for it.

Both hold 10,000 users and run one process of the hub; the port is direct, without a proxy. In each round every page is
asked for at both, in turns. Goals are for CPU time, which does not depend on what else the machine does. Needs npm or
what peer.py names; JupyterHub's first start with so many users takes minutes. Prints a Markdown table, and fails if a
page misses a goal.
"""

import os
import re
import statistics
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
from bench_api import TOKEN, USERS, Hubless
from peer import JupyterHub

ROUNDS = int(os.environ.get("ROUNDS", "10"))
EACH = 50  # requests for each page at each hub, in each round: the CPU clock ticks every 10 ms
BOUND, RATIO = 30, 5  # milliseconds at most, and JupyterHub's for one of ours
USER, ADMIN, PASSWORD = "user05001", "root", "benchmark"  # whose server does not run, at either hub


@dataclass(frozen=True)
class Page:
    """One page, who asks for it, and what its text has if it is that page."""

    name: str
    path: str
    who: str
    has: str


PAGES = [
    Page("login", "/hub/login", "", 'name="password"'),
    Page("home", "/hub/home", USER, "/hub/spawn"),
    Page("spawn", "/hub/spawn/{user}", USER, "<form"),
    Page("token", "/hub/token", USER, "token"),
    Page("admin", "/hub/admin", ADMIN, '<h1>|id="react-admin-hook"'),
]
OURS = f"""
admins = ["{ADMIN}"]
shared_password_opens_admins = true
[[profiles]]
name = "small"
[[profiles]]
name = "large"
"""
THEIRS = f"""
c.Authenticator.admin_users = {{"{ADMIN}"}}
c.Spawner.options_form = '<select name="profile"><option>small</option><option>large</option></select>'
"""
# JupyterHub's admin page is a frame that a script fills by this request.
ADMIN_FILL = "/hub/api/users?include_stopped_servers=1&offset=0&limit=50&sort=id"


def browser(url, name):
    """Return a browser that is logged in as *name*, if there is one."""
    client = httpx.Client(base_url=url, timeout=120, headers={"Accept": "text/html"}, follow_redirects=False)
    if name:
        client.get("/hub/login").raise_for_status()
        form = {"username": name, "password": PASSWORD, "_xsrf": client.cookies["_xsrf"]}
        answer = client.post("/hub/login", data=form, params={"_xsrf": client.cookies["_xsrf"]})
        if answer.status_code not in {302, 303}:
            raise RuntimeError(f"{url}: {name} cannot log in: {answer.status_code}")
        client.get("/hub/home").raise_for_status()
        client.headers["X-XSRFToken"] = client.cookies.get("_xsrf", path="/hub/") or client.cookies.get("_xsrf")
    return client


def milliseconds(client, path, has):
    """Return how long a request takes, and check what comes."""
    began = time.perf_counter()
    answer = client.get(path)
    took = (time.perf_counter() - began) * 1000
    if answer.status_code != 200 or not re.search(has, answer.text):
        raise RuntimeError(f"{client.base_url}{path}: {answer.status_code} {answer.text[:300]}")
    return took


def measure(hubs):
    """Return what each page takes at each hub: the milliseconds of all requests, and CPU milliseconds of one."""
    clients = [{who: browser(hub.url, who) for who in {page.who for page in PAGES}} for hub in hubs]
    waits = {page.name: ([], []) for page in PAGES}
    costs = {page.name: [0.0, 0.0] for page in PAGES}
    for turn in range(1 + ROUNDS):  # the first one warms
        for page in PAGES:
            for which in (0, 1) if turn % 2 else (1, 0):
                client, before = clients[which][page.who], hubs[which].cpu_seconds()
                took = [ask(client, page, is_peer=which == 1) for _ in range(EACH)]
                if turn:
                    waits[page.name][which].extend(took)
                    costs[page.name][which] += (hubs[which].cpu_seconds() - before) * 1000 / (EACH * ROUNDS)
    return waits, costs


def ask(client, page, *, is_peer):
    """Return how long a page takes; JupyterHub's admin page is nothing without what its script asks for."""
    took = milliseconds(client, page.path.format(user=page.who), page.has)
    if is_peer and page.name == "admin":
        took += milliseconds(client, ADMIN_FILL, "user00000")
    return took


def main():
    folder = Path(tempfile.mkdtemp(prefix="hubless-bench-"))
    with (
        closing(Hubless(folder, more=OURS)) as hubless,
        closing(JupyterHub(folder, users=USERS, token=TOKEN, more=THEIRS)) as peer,
    ):
        waits, costs = measure([hubless, peer])
    print(f"| page | CPU, ms (≤ {BOUND}) | JupyterHub's | ratio (≥ {RATIO}) | p50, ms | JupyterHub's | |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, (mine, its) in costs.items():
        is_met = mine <= BOUND and its / mine >= RATIO
        p50 = [statistics.median(each) for each in waits[name]]
        print(
            f"| {name} | {mine:.1f} | {its:.1f} | {its / mine:.1f} | {p50[0]:.1f} | {p50[1]:.1f}"
            f" | {'met' if is_met else '**missed**'} |"
        )


if __name__ == "__main__":
    main()
