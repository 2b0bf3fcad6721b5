"""`/hub/metrics` as JupyterHub has it: names, labels, sums over processes, and who may read it."""

import re
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from functions.api.app import _routes
from functions.api.handler_labels import _by_path
from hubless.domain import histograms
from hubless.domain.errors import InvalidRequestError
from tests.api.hub import SETTINGS, An, build_hub

LIMITS = ("active_limit", "starts_per_hour")
SAMPLES = {"path": "a/b", "int": "404"}  # of parts of a path, by their kind


def metrics_of(admin):
    """Return the values of all series: (name, label values by name) → value."""
    answer = admin.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name.removeprefix("jupyterhub_"), *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def count(admin, name, **labels):
    return metrics_of(admin).get((f"{name}_count", *sorted(labels.items())), 0)


def requests_by_handler(admin):
    found = {}
    for (name, *labels), value in metrics_of(admin).items():
        if name == "request_duration_seconds_count":
            facts = dict(labels)
            handler = facts["handler"].removeprefix("jupyterhub.")
            found[handler, facts["method"], facts["code"]] = value
    return found


def handler_in_jupyterhub(path):
    """Return the class of JupyterHub that serves a path of ours; None if none does."""
    from jupyterhub import apihandlers, handlers
    from jupyterhub.apihandlers.base import API404
    from jupyterhub.auth import Authenticator
    from jupyterhub.handlers.static import CacheControlStaticFilesHandler, LogoHandler

    sample = re.sub(r"\{\w+:?(\w*)\}", lambda part: SAMPLES.get(part[1], "abc"), path)
    known = [
        *Authenticator().get_handlers(None),
        *handlers.default_handlers,
        *apihandlers.default_handlers,
        ("/logo", LogoHandler),
        ("/static/(.*)", CacheControlStaticFilesHandler),
    ]
    for pattern, handler, *_ in known:
        whole = ("/hub" + pattern if pattern.startswith("/") else pattern).removesuffix("$")
        if handler is not API404 and re.fullmatch(whole, sample):
            return f"{handler.__module__}.{handler.__name__}"
    return {"/hub/{path:path}": "jupyterhub.handlers.base.Template404"}.get(path)


@pytest.mark.parametrize("path", sorted({route.path for route in _routes()} - {"/{path:path}"}))
def test_a_handler_has_the_name_of_jupyterhubs(path):
    assert _by_path().get(path) == handler_in_jupyterhub(path)


def test_what_is_not_under_hub_has_the_name_of_jupyterhubs_redirect():
    from jupyterhub.handlers.base import PrefixRedirectHandler

    name = f"{PrefixRedirectHandler.__module__}.{PrefixRedirectHandler.__name__}"
    assert _by_path()["/{path:path}"] == name
    assert set(_by_path()) <= {route.path for route in _routes()}


def test_requests_count_by_method_handler_and_code(hub, admin, alice):
    alice.get("/users/alice")
    alice.get("/users/bob")
    admin.post("/users/bob", {})
    hub.anybody("OPTIONS", "/users")
    hub.client.get("/hub/no-such-page")
    hub.client.get("/user/alice/lab")
    hub.client.request("BREW", "/hub/home")

    assert requests_by_handler(admin) == {
        ("apihandlers.users.UserAPIHandler", "GET", "200"): 1,
        ("apihandlers.users.UserAPIHandler", "GET", "404"): 1,
        ("apihandlers.users.UserAPIHandler", "POST", "201"): 1,
        ("functions.api.middleware.HubMiddleware", "OPTIONS", "200"): 1,
        ("handlers.base.Template404", "GET", "404"): 1,
        ("handlers.base.PrefixRedirectHandler", "GET", "302"): 1,
    }
    assert ("handlers.metrics.MetricsHandler", "GET", "200") in requests_by_handler(admin)


def test_paths_and_methods_of_a_client_make_no_new_series(hub, admin, alice):
    def touch(number):
        ways = ("/hub/{}", "/{}", "/hub/user/u{}/x", "/hub/api/users/u{}", "/hub/%f{}")
        for path in (way.format(number) for way in ways):
            hub.client.get(path, headers=alice.headers)
            hub.client.request(f"X{number}", path)
        hub.client.get("/hub/" + "x" * 20_000)

    touch(1)
    metrics_of(admin)
    before = set(metrics_of(admin))
    for number in range(2, 6):
        touch(number)
    assert set(metrics_of(admin)) == before


def test_a_request_that_fails_counts_as_500(hub, admin, alice, monkeypatch):
    def broken(*_):
        raise RuntimeError("broken")

    monkeypatch.setattr("functions.api.serializers.UserView.model", broken)
    assert alice.get("/users/alice").status_code == 500
    assert requests_by_handler(admin) == {("apihandlers.users.UserAPIHandler", "GET", "500"): 1}


def test_logins_and_logouts_count_by_their_outcome(hub, admin):
    hub.user("alice")
    browser = hub.browser()
    browser.get("/hub/login")
    assert browser.submit("/hub/login", username="alice", password="wrong").status_code == 403
    assert count(admin, "login_duration_seconds", status="LoginStatus.failure") == 1
    browser.log_in("alice")
    browser.get("/hub/logout")
    assert count(admin, "login_duration_seconds", status="LoginStatus.success") == 1
    assert count(admin, "login_duration_seconds", status="LoginStatus.failure") == 1
    assert count(admin, "logout_duration_seconds") == 1


def test_reports_of_policies_count(hub, admin):
    assert metrics_of(admin)["csp_reports_total",] == 0
    browser = hub.browser("alice")
    browser.post("/hub/security/csp-report", json={})
    hub.client.post("/hub/security/csp-report", json={})
    assert metrics_of(admin)["csp_reports_total",] == 1


def test_starts_that_are_refused_count_by_the_reason(tmp_path):
    full, busy = (build_hub(tmp_path / key, SETTINGS.replace("[servers]", f"[servers]\n{key} = 1")) for key in LIMITS)
    for hub in (full, busy):
        admin = hub.as_token(An.ADMIN_TOKEN)
        hub.user("alice")
        assert admin.post("/users/alice/server", {}).status_code == 202
        assert admin.post("/users/alice/server", {}).status_code == 202  # which only waits, as in JupyterHub
        with pytest.raises(InvalidRequestError):  # two requests that read the record at once
            hub.hub.spawning.start(hub.user("alice"), "")
        assert admin.post("/users/alice/servers/two", {}).status_code == 429

    assert refusals(full) == {"": 0, "already-pending": 1, "too-many-users": 1, "throttled": 0}
    assert refusals(busy) == {"": 0, "already-pending": 1, "too-many-users": 0, "throttled": 1}


def refusals(hub):
    """Return how many starts failed, by the reason."""
    return {
        dict(labels)["reason"]: value
        for (name, *labels), value in metrics_of(hub.as_token(An.ADMIN_TOKEN)).items()
        if name == "server_spawn_duration_seconds_count" and dict(labels)["status"] == "failure"
    }


def test_several_processes_add_up(tmp_path):
    hub = build_hub(tmp_path)
    other = build_hub(tmp_path)  # another process of the same hub
    admin = hub.as_token(An.ADMIN_TOKEN)
    for one in (hub, other, other):
        one.client.get("/hub/health")
    killed = build_hub(tmp_path)
    killed.client.get("/hub/health")  # it dies before it has written

    key = ("handlers.pages.HealthCheckHandler", "GET", "200")
    assert requests_by_handler(admin)[key] == 1
    other.hub.metrics.flush()
    assert requests_by_handler(admin)[key] == 3
    again = build_hub(tmp_path).as_token(An.ADMIN_TOKEN)  # after a restart
    assert requests_by_handler(again)[key] == 3


def test_a_histogram_is_as_prometheus_reads_it(hub, admin):
    for seconds in (0.001, 0.2, 0.25, 100):
        hub.hub.metrics.observe(histograms.STOP_DURATION, timedelta(seconds=seconds), "success")
    text = admin.get("/metrics").text
    families = {family.name: family for family in text_string_to_metric_families(text)}
    family = families["jupyterhub_server_stop_seconds"]
    assert (family.type, family.documentation) == ("histogram", "Time taken for server stopping operation")
    values = {(s.name[31:], s.labels.get("le")): s.value for s in family.samples if s.labels["status"] == "success"}
    assert [values["bucket", bound] for bound in ("0.005", "0.1", "0.25", "10.0", "+Inf")] == [1, 1, 3, 3, 4]
    assert (values["count", None], values["sum", None]) == (4, pytest.approx(100.451))


def test_counts_of_an_unknown_version_are_left_out(hub, admin):
    def shown():
        return {key for key in metrics_of(admin) if "request" not in key[0]}

    before = shown()
    known = histograms.STOP_DURATION.counted(timedelta(), "success")
    hub.hub.histograms.add(
        [
            histograms.BucketCount("jupyterhub_gone", (), 0, 1, timedelta()),
            histograms.BucketCount(known.histogram, ("a", "b"), 0, 1, timedelta()),
            histograms.BucketCount(known.histogram, ("success",), 99, 1, timedelta()),
        ]
    )
    assert shown() == before


def test_no_label_has_the_name_of_a_user(hub, admin):
    alice = hub.as_user("zaphod")
    alice.post("/users/zaphod/server", {})
    alice.get("/users/zaphod")
    hub.browser("zaphod").get("/hub/user/zaphod/lab")
    assert "zaphod" not in admin.get("/metrics").text


def test_a_token_with_the_scope_alone_reads_the_metrics(hub):
    assert hub.as_user("alice", scopes=["read:metrics"]).get("/metrics").status_code == 403  # no role of hers has it
    settings = SETTINGS + '[[services]]\nname = "prometheus"\ntoken = "prometheus-token-0123456789"\n'
    settings += '[[roles]]\nname = "scraper"\nscopes = ["read:metrics"]\nservices = ["prometheus"]\n'
    scraped = build_hub(hub.hub.settings.data / "other", settings).as_token("prometheus-token-0123456789")
    assert scraped.get("/metrics").status_code == 200
    page = scraped.client.get("/hub/metrics", headers=scraped.headers)
    assert page.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert scraped.get("/users").status_code == 403
