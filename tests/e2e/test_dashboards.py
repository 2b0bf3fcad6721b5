"""The public JupyterHub dashboards' queries in Prometheus, on this hub's metrics and on those of JupyterHub 6.1.1.

JupyterHub's were recorded by `tests/support/record_metrics.py`. This hub lives through the same, with two processes
that answer requests.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from urllib.parse import quote

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.free_port import free_port
from tests.support.local_hub import LocalHub
from tests.support.metrics_scenario import ADMIN_TOKEN, PASSWORD, live_through

TOP = Path(__file__).parents[2]
PROMETHEUS, PROMTOOL = TOP / ".venv-prometheus/prometheus", TOP / ".venv-prometheus/promtool"
RECORDED = [TOP / f"tests/data/metrics-jupyterhub-6.1.1-{when}.txt" for when in ("before", "after")]
JUPYTERHUB, OURS = "jupyterhub", "hubless"  # the namespaces of the two hubs
SECONDS = 30
SETTINGS = f"""
[hub]
workers = 2

[login]
kind = "shared-password"
password = "{PASSWORD}"

[servers]
active_limit = 1

[[services]]
name = "admin"
token = "{ADMIN_TOKEN}"
admin = true
"""
# What docs/compatibility.md says that there is not.
MISSING = {
    "jupyterhub_check_routes_duration_seconds",
    "jupyterhub_event_loop_interval_seconds",
    "jupyterhub_hub_startup_duration_seconds",
    "jupyterhub_init_spawners_duration_seconds",
    "jupyterhub_proxy_poll_duration_seconds",
}
# Of handlers whose counts or codes depend on how long starts and stops take; and of this very request.
WAITING = {
    f"jupyterhub.{name}"
    for name in (
        "apihandlers.hub.RootAPIHandler",
        "apihandlers.users.ActivityAPIHandler",
        "apihandlers.users.UserAPIHandler",
        "apihandlers.users.UserServerAPIHandler",
        "handlers.metrics.MetricsHandler",
    )
}
OURS_ALONE = {"hubless_servers", "hubless_starts_held"}  # families that JupyterHub does not have
ALL_BUT_STREAMS = 'app="jupyterhub", namespace=~"$hub", handler!="jupyterhub.apihandlers.users.SpawnProgressAPIHandler"'
# What the panels of github.com/jupyterhub/grafana-dashboards ask that JupyterHub itself answers, by their titles.
PANELS = {
    "Running Servers": 'max(jupyterhub_running_servers{namespace=~"$hub"}) by (namespace)',
    "Daily Active Users": 'max(jupyterhub_active_users{period="24h", namespace=~"$hub"}) by (namespace)',
    "Weekly Active Users": 'max(jupyterhub_active_users{period="7d", namespace=~"$hub"}) by (namespace)',
    "Monthly Active Users": 'max(jupyterhub_active_users{period="30d", namespace=~"$hub"}) by (namespace)',
    "Hub response latency": (
        f"sum by (le) (jupyterhub_request_duration_seconds_bucket{{{ALL_BUT_STREAMS}}}"
        f" - jupyterhub_request_duration_seconds_bucket{{{ALL_BUT_STREAMS}}} offset 2m)"
    ),
    "Server Start Times": (
        'sum by (le) (jupyterhub_server_spawn_duration_seconds_bucket{namespace=~"$hub"}'
        ' - jupyterhub_server_spawn_duration_seconds_bucket{namespace=~"$hub"} offset 2m)'
    ),
    "Server Start Failures": (
        'sum(increase(jupyterhub_server_spawn_duration_seconds_count{status!="success", namespace=~"$hub"}[2m]))'
        " by (status)"
    ),
}
CODES = 'sum(increase(jupyterhub_request_duration_seconds_count{app="jupyterhub", namespace=~"$hub"}[2m])) by (code)'

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


def scrape(hub):
    answer = httpx.get(f"{hub.url}/hub/metrics", headers={"Authorization": f"token {ADMIN_TOKEN}"})
    assert answer.status_code == 200
    return answer.text


def settled(hub, found):
    """Return the metrics once all processes have written what *found* looks for."""
    give_up_at = time.monotonic() + SECONDS
    while not found(text := scrape(hub)):
        assert time.monotonic() < give_up_at, text
        time.sleep(0.5)
    return text


def samples_of(text):
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def total(text, name, **labels):
    """Return the sum of the series of this name with these labels."""
    return sum(
        value
        for (found, *has), value in samples_of(text).items()
        if found == f"jupyterhub_{name}" and labels.items() <= dict(has).items()
    )


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    profile = f"""
[[profiles]]
name = "small"
command = {json.dumps([sys.executable, "-S", "-E", "-c", SERVER])}
"""
    hub = LocalHub(folder, SETTINGS + profile, admin_token=ADMIN_TOKEN)
    yield hub
    hub.close()


@pytest.fixture(scope="module")
def scrapes(hub):
    """The metrics of this hub before and after what happens in both."""
    before = scrape(hub)
    live_through(hub.url)
    return before, settled(
        hub,
        lambda text: (
            total(text, "server_stop_seconds_count", status="success") == 1
            and total(text, "logout_duration_seconds_count") == 1
            and total(text, "login_duration_seconds_count") == 3
            and total(text, "server_spawn_duration_seconds_count", reason="too-many-users") == 1
            and total(text, "request_duration_seconds_count", code="404") == 1
        ),
    )


@pytest.fixture(scope="module")
def query(scrapes, tmp_path_factory):
    """Return a function that asks Prometheus, which holds two scrapes of both hubs, two minutes apart."""
    folder = tmp_path_factory.mktemp("prometheus")
    now = int(time.time()) // 60 * 60
    recorded = [file.read_text() for file in RECORDED]
    lines = [
        f"{_series(key, namespace)} {value!r} {at}"
        for namespace, texts in ((JUPYTERHUB, recorded), (OURS, scrapes))
        for key, values in _together(texts).items()
        for at, value in zip(
            (now - 240, now - 120, now - 60, now), (values[0], *values[:1], *values[1:] * 2), strict=True
        )
    ]
    (folder / "both.txt").write_text("\n".join([*sorted(lines), "# EOF\n"]))
    load = ["tsdb", "create-blocks-from", "openmetrics", folder / "both.txt", folder / "data"]
    subprocess.run([PROMTOOL, *load], check=True, capture_output=True)
    (folder / "prometheus.yml").write_text("")
    port = free_port()
    command = [PROMETHEUS, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen([*command, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log) as prometheus,
    ):
        try:
            _wait_for(f"http://127.0.0.1:{port}/-/ready", folder / "log")
            yield lambda text, of: _ask(port, text.replace("$hub", of), now)
        finally:
            prometheus.kill()


def _together(texts):
    """Return the values of each series at both scrapes; one that is new has none before, which counts as zero."""
    before, after = (samples_of(text) for text in texts)
    return {key: (before.get(key, 0.0), value) for key, value in after.items()}


def _series(key, namespace):
    name, *labels = key
    pairs = [*labels, ("namespace", namespace), ("app", "jupyterhub")]  # what a scrape's configuration adds
    return name + "{" + ",".join(f"{label}={json.dumps(value)}" for label, value in pairs) + "}"


def _wait_for(url, log):
    give_up_at = time.monotonic() + SECONDS
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5).close()
        except OSError:
            assert time.monotonic() < give_up_at, log.read_text()
            time.sleep(0.05)


def _ask(port, text, at):
    """Return what a query gives at that time: the labels of each series without the hub's own → its value."""
    url = f"http://127.0.0.1:{port}/api/v1/query?time={at}&query={quote(text)}"
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        found = json.load(answer)["data"]["result"]
    return {
        tuple(sorted((k, v) for k, v in one["metric"].items() if k != "namespace")): float(one["value"][1])
        for one in found
    }


@pytest.mark.parametrize("title", PANELS)
def test_a_panel_shows_the_same_series_of_both_hubs(query, title):
    theirs, ours = query(PANELS[title], JUPYTERHUB), query(PANELS[title], OURS)
    assert theirs.keys() == ours.keys()
    assert theirs


def test_the_panel_of_status_codes_has_those_of_this_hub(query):
    codes = {of: {dict(labels)["code"] for labels in query(CODES, of)} for of in (JUPYTERHUB, OURS)}
    assert codes[JUPYTERHUB] >= {"200", "302", "403", "404", "429"} <= codes[OURS]


def test_panels_show_what_has_happened(query):
    failures = query(PANELS["Server Start Failures"], OURS)
    assert failures[("status", "failure"),] > 0 == failures[("status", "error"),]
    for title in ("Server Start Times", "Hub response latency"):
        buckets = {dict(labels)["le"]: value for labels, value in query(PANELS[title], OURS).items()}
        assert buckets["+Inf"] == max(buckets.values()) > 0
    assert query(PANELS["Daily Active Users"], OURS)[()] == 1  # as in JupyterHub, a login alone is no activity


def test_all_series_of_jupyterhub_are_there_with_their_labels(scrapes):
    def shapes(text):
        return {
            (s.name, *sorted(s.labels), s.labels.get("le", ""), s.labels.get("status", ""), s.labels.get("reason", ""))
            for family in text_string_to_metric_families(text)
            for s in family.samples
            if not s.name.endswith("_created") and not s.name.startswith(tuple(MISSING))
        }

    theirs, ours = shapes(RECORDED[1].read_text()), shapes(scrapes[1])
    assert theirs <= ours
    assert {name for name, *_ in ours - theirs} == OURS_ALONE


def test_families_have_jupyterhubs_types_and_help_texts(scrapes):
    def heads(text):
        return {line for line in text.splitlines() if line.startswith("# ") and "_created " not in line}

    known = {line for line in heads(RECORDED[1].read_text()) if line.split()[2] not in MISSING}
    assert heads(scrapes[1]) - known == {line for line in heads(scrapes[1]) if line.split()[2] in OURS_ALONE}
    assert known <= heads(scrapes[1])


def test_requests_of_both_hubs_count_the_same(scrapes):
    def counted(text):
        return {
            key[1:]: value
            for key, value in samples_of(text).items()
            if key[0] == "jupyterhub_request_duration_seconds_count" and dict(key[1:])["handler"] not in WAITING
        }

    assert counted(scrapes[1]) == counted(RECORDED[1].read_text())


def test_prometheus_finds_no_more_to_mend_than_in_jupyterhubs(scrapes):
    def remarks(text):
        checked = subprocess.run([PROMTOOL, "check", "metrics"], check=False, input=text.encode(), capture_output=True)
        return {*checked.stdout.splitlines(), *checked.stderr.splitlines()}

    assert remarks(scrapes[1]) <= remarks(RECORDED[1].read_text())


def test_sums_are_right_when_a_process_is_killed(hub, scrapes):
    """What a killed process had written stays, what others count is added, and no leftover counts twice."""

    def healths(text):
        return total(text, "request_duration_seconds_count", handler="jupyterhub.handlers.pages.HealthCheckHandler")

    def ask(times):
        for _ in range(times):  # a connection each, so that both processes get some
            assert httpx.get(f"{hub.url}/hub/health").status_code == 200

    ask(40)
    settled(hub, lambda text: healths(text) == 40)
    apis = [p for p in psutil.Process(hub.process.pid).children(recursive=True) if "embedded.api" in p.cmdline()]
    assert len(apis) == 2
    os.kill(apis[0].pid, signal.SIGKILL)
    psutil.wait_procs(apis[:1], timeout=SECONDS)
    ask(20)
    settled(hub, lambda text: healths(text) == 60)
