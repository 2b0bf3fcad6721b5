"""The edge against configurable-http-proxy 5.3: CPU time, requests/s, latency, memory, and route changes under load.

The client shares the cores with the proxies, so the CPU time of a request says more than requests/s. Bounded: a few
seconds a measurement, loopback only. Needs `wrk` (Debian: apt-get install wrk) and npm, or CHP naming a
configurable-http-proxy. Prints a Markdown table with ratios and goals.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import psutil
from peer import free_port, proxy_program
from websockets.sync.client import connect
from websockets.sync.server import serve

from edge_proxy.haproxy_binary import find_haproxy
from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.routes import SqliteRouteStore
from hubless.domain.routes import Route

TOP = Path(__file__).parents[1]
SECONDS = 8
CONNECTIONS = 64
AGENT = """
import sys, threading
from datetime import UTC, datetime
from pathlib import Path
from edge_proxy.agent import Agent
from edge_proxy.haproxy_config import EdgeConfiguration, UnixSocket
from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.routes import SqliteRouteStore
folder, port = Path(sys.argv[1]), int(sys.argv[2])
database = Database(folder / "hub.sqlite")
edge = EdgeConfiguration("127.0.0.1", port, UnixSocket(folder / "api.sock"), folder / "run")
agent = Agent(edge, SqliteRouteStore(database),
              edge_id="bench", clock=lambda: datetime.now(UTC), changed=database.watcher())
agent.start()
print(agent.haproxy_pid, flush=True)
stop = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
agent.run(stop)
agent.close()
"""
LUA = "request = function() return wrk.format('GET', '/user/u' .. math.random(0, {last}) .. '/api') end"


def upstream(folder):
    port = free_port()
    (folder / "upstream.cfg").write_text(
        "global\n  nbthread 1\ndefaults\n  mode http\n  timeout client 60s\n  timeout http-keep-alive 60s\n"
        f"frontend up\n  bind 127.0.0.1:{port}\n  http-request return status 200 content-type text/plain string ok\n"
    )
    process = subprocess.Popen(
        [find_haproxy().program, "-db", "-f", folder / "upstream.cfg"], stderr=subprocess.DEVNULL
    )
    return process, port


def without_rules(folder, address):
    """Start a HAProxy that sends everything to one address: what any rule at all can only slow down."""
    port = free_port()
    (folder / "plain.cfg").write_text(
        "global\n  nbthread 1\ndefaults\n  mode http\n"
        "  timeout client 60s\n  timeout connect 3s\n  timeout server 60s\n"
        f"frontend plain\n  bind 127.0.0.1:{port}\n  default_backend up\nbackend up\n  server up {address}\n"
    )
    process = subprocess.Popen([find_haproxy().program, "-db", "-f", folder / "plain.cfg"], stderr=subprocess.DEVNULL)
    time.sleep(1)
    return process, port


def cpu_seconds(pids):
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(one.user + one.system for one in times)


def load(folder, port, routes, proxies, seconds=SECONDS):
    """Return (requests/s, p99 in ms, failed, CPU time of a request in µs); *proxies* are the processes that serve."""
    before = cpu_seconds(proxies)
    (folder / "paths.lua").write_text(LUA.format(last=routes - 1))
    said = subprocess.run(
        [
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
            "--latency",
            "-s",
            folder / "paths.lua",
            f"http://127.0.0.1:{port}",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    used = cpu_seconds(proxies) - before
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", said).groups()
    failed = sum(map(int, re.findall(r"(?:Non-2xx or 3xx responses: |connect |read |write |timeout )(\d+)", said)))
    return (
        float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1]),
        float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit],
        failed,
        used * 1e6 / int(re.search(r"(\d+) requests in", said)[1]),
    )


def fill(store, database, count, address):
    with database.transaction():
        for number in range(count):
            store.put(Route(f"/user/u{number}/", address, f"l{number}"))
    store.trim(1000)


def edge(folder, port):
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT, folder, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=TOP,
    )
    return agent, int(agent.stdout.readline())


def memory(*pids):
    """Return (PSS, RSS) in MB."""
    facts = [psutil.Process(pid).memory_full_info() for pid in pids]
    return sum(f.pss for f in facts) / 1e6, sum(f.rss for f in facts) / 1e6


def peer(folder, routes, address):
    program = proxy_program(folder)
    port, api = free_port(), free_port()
    process = subprocess.Popen(
        [
            program,
            "--ip",
            "127.0.0.1",
            "--port",
            str(port),
            "--api-ip",
            "127.0.0.1",
            "--api-port",
            str(api),
            "--log-level",
            "error",
        ],
        env=os.environ | {"CONFIGPROXY_AUTH_TOKEN": "bench"},
    )
    time.sleep(2)
    for number in range(routes):
        urllib.request.urlopen(
            urllib.request.Request(
                f"http://127.0.0.1:{api}/api/routes/user/u{number}",
                method="POST",
                headers={"Authorization": "token bench"},
                data=json.dumps({"target": f"http://{address}"}).encode(),
            )
        ).close()
    return process, port


def changes_under_load(folder, port, store, address, proxies):
    """Change 1,000 routes while requests run and a WebSocket is open; return (failed requests, dropped WebSockets)."""
    echo_port = free_port()
    echo = serve(lambda ws: [ws.send(m) for m in ws], "127.0.0.1", echo_port)
    threading.Thread(target=echo.serve_forever, daemon=True).start()
    store.put(Route("/user/socket/", f"127.0.0.1:{echo_port}", "socket"))
    time.sleep(1)
    dropped, result = 0, []
    with connect(f"ws://127.0.0.1:{port}/user/socket/x") as ws:
        loading = threading.Thread(target=lambda: result.append(load(folder, port, 10_000, proxies)))
        loading.start()
        for number in range(1000):
            store.put(Route(f"/user/new{number}/", address, f"n{number}"))
            if number % 50 == 0:
                ws.send(str(number))
                dropped += ws.recv(timeout=10) != str(number)
        loading.join()
        ws.send("end")
        dropped += ws.recv(timeout=10) != "end"
    echo.shutdown()
    return result[0][2], dropped


def main():
    if shutil.which("wrk") is None:
        sys.exit("This measurement needs wrk. Install it (Debian, Ubuntu: apt-get install wrk).")
    folder = Path(tempfile.mkdtemp(prefix="hb-"))
    up, up_port = upstream(folder)
    address = f"127.0.0.1:{up_port}"
    database = Database(folder / "hub.sqlite")
    store, port = SqliteRouteStore(database), free_port()
    fill(store, database, 10_000, address)
    agent, proxy = edge(folder, port)
    ours = load(folder, port, 10_000, (agent.pid, proxy))
    ours_memory = memory(agent.pid, proxy)
    other, other_port = peer(folder, 10_000, address)
    theirs = load(folder, other_port, 10_000, (other.pid,))
    theirs_memory = memory(other.pid)
    other.send_signal(signal.SIGTERM)
    again = load(folder, port, 10_000, (agent.pid, proxy))
    plain, plain_port = without_rules(folder, address)
    ceiling = load(folder, plain_port, 10_000, (plain.pid,))
    plain.terminate()
    failed, dropped = changes_under_load(folder, port, store, address, (agent.pid, proxy))
    agent.stdin.close()
    agent.wait(20)
    fill(store, database, 100_000, address)
    agent, proxy = edge(folder, port)
    large = load(folder, port, 100_000, (agent.pid, proxy))
    time.sleep(3)
    large_memory = memory(agent.pid, proxy)
    agent.stdin.close()
    agent.wait(20)
    up.terminate()
    best = max(ours[0], again[0])
    print(
        f"| measured ({CONNECTIONS} connections) | here | configurable-http-proxy 5.3.0 | ratio | goal |\n"
        "| --- | --- | --- | --- | --- |"
    )
    mine, its, more = min(ours[3], again[3]), theirs[3], large[3]
    print(f"| 10,000 routes, CPU of a request, µs | {mine:.0f} | {its:.0f} | 1/{its / mine:.1f} | ≤ 1/8 |")
    print(f"| 100,000 routes, CPU of a request, µs | {more:.0f} | | {100 * (more / mine - 1):+.0f} % | < +10 % |")
    print(f"| HAProxy without routes and rules, CPU of a request, µs | {ceiling[3]:.0f} | | | |")
    print(
        f"| 10,000 routes, requests/s | {ours[0]:.0f}, again {again[0]:.0f} | {theirs[0]:.0f} "
        f"| {ours[0] / theirs[0]:.1f}x | ≥ 12x |"
    )
    print(f"| HAProxy without routes and rules, requests/s | {ceiling[0]:.0f} | | {ceiling[0] / theirs[0]:.1f}x | |")
    print(f"| 10,000 routes, p99, ms | {ours[1]:.1f} | {theirs[1]:.1f} | 1/{theirs[1] / ours[1]:.0f} | ≤ 1/8 |")
    print(f"| 10,000 routes, failed requests | {ours[2] + again[2]} | {theirs[2]} | | 0 |")
    print(
        f"| 10,000 routes, memory, MB (PSS; RSS) | {ours_memory[0]:.0f}; {ours_memory[1]:.0f} "
        f"| {theirs_memory[0]:.0f}; {theirs_memory[1]:.0f} | | |"
    )
    print(f"| 100,000 routes, requests/s | {large[0]:.0f} | | {100 * (1 - large[0] / best):.0f} % lost | < 10 % |")
    print(
        f"| 100,000 routes, HAProxy and agent, MB (PSS; RSS) "
        f"| {large_memory[0]:.0f}; {large_memory[1]:.0f} | | | ≤ 64 |"
    )
    print(f"| 1,000 route changes under load | {failed} requests failed, {dropped} WebSockets dropped | | | 0, 0 |")


if __name__ == "__main__":
    main()
