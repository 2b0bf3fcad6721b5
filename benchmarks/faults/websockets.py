"""200 open WebSockets: how many a killed role cuts, and what HAProxy's planned replacement costs."""

import base64
import contextlib
import os
import select
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
from faults.hubs import Ours, Theirs, is_serving, seconds_until
from faults.rows import NO_NOTION, NOT_MEASURED, Row, progress

SOCKETS = 200
ASKING = 4  # clients that send one request after the other
FRAMES_SECONDS = 10  # in which each WebSocket that is open gets a frame


class Sockets:
    """WebSockets at a user's server, through the hub's proxy."""

    def __init__(self, hub, user, count):
        self._open = [self._one(hub, user) for _ in range(count)]

    @staticmethod
    def _one(hub, user):
        line = socket.create_connection(("127.0.0.1", hub.port), 20)
        key = base64.b64encode(os.urandom(16)).decode()
        line.sendall(
            f"GET /user/{user}/channels HTTP/1.1\r\nHost: 127.0.0.1:{hub.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        assert line.recv(4096).startswith(b"HTTP/1.1 101 ")
        return line

    def cut(self):
        """Return how many got no frame any more, once what had arrived before is read."""
        for line in self._open:
            line.setblocking(False)
            try:
                while line.recv(65_536):
                    pass
            except OSError:
                pass
        waiting = {line.fileno(): line for line in self._open}
        poll = select.poll()
        for number in waiting:
            poll.register(number, select.POLLIN)
        ended = 0
        while waiting and (found := poll.poll(FRAMES_SECONDS * 1000)):
            for number, _ in found:
                poll.unregister(number)
                try:
                    ended += not waiting[number].recv(65_536)
                except OSError:
                    ended += 1
                del waiting[number]
        return ended + len(waiting)

    def close(self):
        for line in self._open:
            line.close()


def cut_per_role(hub, rounds, roles):
    """Return how many were cut of *rounds* times SOCKETS, by role."""
    hub.start("adopted")
    found = dict.fromkeys(roles, 0)
    for number in range(rounds):
        for role in roles:
            sockets = Sockets(hub, "adopted", SOCKETS)
            hub.kill(role)
            seconds_until(is_serving, hub, "adopted")
            found[role] += sockets.cut()
            sockets.close()
        progress(f"WebSockets, {hub.name}: round {number + 1} of {rounds}: {found}")
    return found


def haproxies(hub):
    """Return the process ids of the hub's HAProxy, and of those that it replaced and that keep WebSockets."""
    return {one.pid for one in hub.of_role("haproxy")}


def replaced(rounds):
    """Replace HAProxy by one with other settings while clients ask; return WebSockets cut, requests, requests lost."""
    hub = Ours()
    hub.change("[login]", "hub.websocket_timeout = '1h'\n[login]")
    hub.up()
    answers, is_over = [], threading.Event()

    def ask(number):
        with httpx.Client(base_url=hub.url, timeout=20, verify=False) as client:
            while not is_over.is_set():
                try:
                    headers = {"Connection": "close"} if number % 2 else {}
                    answers.append(client.get("/user/adopted/api", headers=headers).status_code)
                except httpx.HTTPError as error:
                    answers.append(repr(error))

    try:
        hub.start("adopted")
        sockets = Sockets(hub, "adopted", SOCKETS)
        with ThreadPoolExecutor(ASKING) as pool:
            asking = [pool.submit(ask, number) for number in range(ASKING)]
            for number in range(rounds):
                before = haproxies(hub)
                hub.change(f"'{number + 1}h'", f"'{number + 2}h'")
                hub.kill("supervisor")
                seconds_until(is_serving, hub, "adopted")
                seconds_until(lambda before=before: haproxies(hub) - before)
                assert haproxies(hub) - before, "HAProxy was not replaced"
                progress(
                    f"HAProxy replaced: {number + 1} of {rounds}, {len(haproxies(hub))} run, {len(answers)} requests"
                )
            is_over.set()
            for one in asking:
                one.result()
        cut = sockets.cut()
        sockets.close()
    finally:
        is_over.set()
        hub.close()
    return cut, len(answers), sum(one != 200 for one in answers)


def measure(rounds, *, has_peer):
    """Return the rows."""
    with contextlib.closing(Ours().up()) as hub:
        ours = cut_per_role(hub, rounds, [role for role in Ours.roles if role != "all"])
    theirs = {}
    if has_peer:
        with contextlib.closing(Theirs().up()) as hub:
            theirs = cut_per_role(hub, rounds, ["hub", "proxy"])
    times = min(rounds, 20)
    cut, asked, lost = replaced(times)
    of = f"of {rounds * SOCKETS} each: "
    return [
        Row(
            f"{SOCKETS} WebSockets: cut per role killed",
            "0, HAProxy excepted",
            not any(count for role, count in ours.items() if role != "haproxy"),
            of + ", ".join(f"{role} {count}" for role, count in ours.items()),
            of + ", ".join(f"{role} {count}" for role, count in theirs.items()) if theirs else NOT_MEASURED,
        ),
        Row(
            f"HAProxy's planned replacement, {times} times: WebSockets cut, requests lost",
            "0, 0",
            asked > 0 and cut == lost == 0,
            f"{cut} of {SOCKETS}, {lost} of {asked}",
            NO_NOTION,
        ),
    ]
