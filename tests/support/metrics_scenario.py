"""What a hub lives through before its metrics are compared: the same on JupyterHub and here."""

import json
import time

import httpx

PASSWORD, ADMIN_TOKEN = "a class of thirty", "admin-token-0123456789"
SECONDS = 60


def live_through(url):
    """Log in and out, rightly and wrongly; start, poll and stop a server; have a second one refused.

    The hub at *url* takes `PASSWORD` from everybody and runs one server at most; `ADMIN_TOKEN` is an admin service's.
    """
    with httpx.Client(base_url=url, timeout=SECONDS) as alice, httpx.Client(base_url=url, timeout=SECONDS) as admin:
        admin.headers["Authorization"] = f"token {ADMIN_TOKEN}"
        _log_in(alice, "alice", "wrong", 403)
        _log_in(alice, "alice", PASSWORD, 302)
        with httpx.Client(base_url=url, timeout=SECONDS) as bob:
            _log_in(bob, "bob", PASSWORD, 302)
        assert admin.post("/hub/api/users/alice/server").status_code in {201, 202}
        _follow(admin)
        assert admin.post("/hub/api/users/bob/server").status_code == 429
        alice.get("/hub/home")
        time.sleep(0.1)
        assert admin.delete("/hub/api/users/alice/server").status_code in {202, 204}
        give_up_at = time.monotonic() + SECONDS
        while admin.get("/hub/api/users/alice").json()["servers"]:
            assert time.monotonic() < give_up_at
            time.sleep(0.1)
        alice.get("/hub/no-such-page")
        assert alice.get("/hub/logout").status_code in {200, 302}


def _log_in(client, name, password, status):
    client.get("/hub/login")
    form = {"username": name, "password": password, "_xsrf": client.cookies["_xsrf"]}
    assert client.post("/hub/login", data=form).status_code == status


def _follow(admin):
    with admin.stream("GET", "/hub/api/users/alice/server/progress") as events:
        for line in events.iter_lines():
            if line.startswith("data:") and (event := json.loads(line[5:])).get("progress") == 100:
                assert event.get("ready"), event
                return
