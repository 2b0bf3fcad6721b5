"""The hub's memory before and after many requests, and starts and stops of servers."""

import concurrent.futures
import contextlib
import os
import sys
import time

import httpx

REQUESTS = int(os.environ.get("REQUESTS", "100000"))
STARTS = int(os.environ.get("STARTS", "2000"))
AT_ONCE = 10
USERS = 200
TOKEN = "benchmark-token-0123456789"
SERVER = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import urlsplit
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"{}")
    def log_message(self, *args): pass
HTTPServer(("127.0.0.1", urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port), Answer).serve_forever()
"""
PATHS = ("/hub/api/users/{}", "/hub/api/users?limit=20", "/hub/api/users/{}/tokens", "/hub/login", "/hub/api/info")


def settings(program):
    """Return settings of a hub whose servers run *program*, a file with `SERVER`."""
    return (
        "[login]\nkind = 'shared-password'\npassword = 'benchmark'\n[servers]\nrun_as_system_users = false\n"
        f"[[profiles]]\nname = 'small'\ncommand = [{sys.executable!r}, '-S', '-E', {str(program)!r}]\n"
        f"[[services]]\nname = 'benchmark'\nadmin = true\ntoken = '{TOKEN}'\n"
    )


def client(url, token):
    return httpx.Client(base_url=url, headers={"Authorization": f"token {token}"}, timeout=120)


def ask(url, token, count):
    """Send that many requests of several kinds over `AT_ONCE` connections."""

    def some(part):
        with client(url, token) as http:
            for number in range(part, count, AT_ONCE):
                http.get(PATHS[number // AT_ONCE % len(PATHS)].format(f"user{number % USERS:03}")).raise_for_status()

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(some, range(AT_ONCE)))


def start_and_stop(url, token, count):
    """Start and stop servers that many times, `AT_ONCE` at once, each of them of another user."""

    def some(part):
        with client(url, token) as http:
            for number in range(part, count, AT_ONCE):
                user = number // AT_ONCE % (USERS // AT_ONCE) * AT_ONCE + part
                path = f"/hub/api/users/user{user:03}/server"
                http.post(path).raise_for_status()
                _until(http, path, "ready")
                http.delete(path).raise_for_status()
                _until(http, path, "stopped")

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(some, range(AT_ONCE)))


def _until(http, path, what):
    give_up_at = time.monotonic() + 120
    while not http.get(path).json()[what]:
        assert time.monotonic() < give_up_at, f"{path} is never {what}"
        time.sleep(0.05)


def megabytes(pid):
    """Return the private memory and the share of the rest (PSS) of a hub's processes, by name; servers left out."""
    import psutil

    found = {}
    hub = psutil.Process(pid)
    for one in [hub, *hub.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            words = one.cmdline()
            name = next((word for word in words if word.startswith("embedded.")), "")
            name = name or ("haproxy" if "haproxy" in words[0] else "supervisor" if one.pid == pid else "")
            if name:
                found[name] = found.get(name, 0) + one.memory_full_info().pss / 1e6
    return found


def measure(hub, megabytes, token=TOKEN, requests=REQUESTS, starts=STARTS):
    """Return what *megabytes* returns before and after; the hub knows a service with that token.

    Before is after a tenth of it all, when what is loaded late has been loaded, and caches are full.
    """
    with client(hub.url, token) as http:
        http.post("/hub/api/users", json={"usernames": [f"user{n:03}" for n in range(USERS)]}).raise_for_status()
    ask(hub.url, token, requests // 10)
    start_and_stop(hub.url, token, starts // 10)
    before = megabytes()
    ask(hub.url, token, requests)
    start_and_stop(hub.url, token, starts)
    return before, megabytes()


def main():
    import tempfile
    from pathlib import Path

    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.support.local_hub import LocalHub

    with tempfile.TemporaryDirectory(prefix="hubless-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        program = folder / "server.py"
        program.write_text(SERVER)
        hub = LocalHub(folder, settings(program))
        try:
            before, after = measure(hub, lambda: megabytes(hub.process.pid))
        finally:
            hub.close()
    for process, size in before.items():
        print(f"{process}: {size:.1f} MB before, {after.get(process, 0):.1f} MB after")
    was, is_ = sum(before.values()), sum(after.values())
    print(f"all: {was:.1f} MB before, {is_:.1f} MB after {REQUESTS} requests and {STARTS} starts: {is_ / was:.2f}x")


if __name__ == "__main__":
    main()
