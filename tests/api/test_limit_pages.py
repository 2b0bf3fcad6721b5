"""What pages say of servers: promises only where limits are held, notices for who has run into one, and versions."""

from dataclasses import replace

import pytest

from hubless.adapters.processes.cgroups import ControlGroups
from hubless.adapters.processes.limit_means import Means
from hubless.domain.home_usage import HomeUsage
from hubless.domain.lifecycle import State
from hubless.domain.limits import LimitReached, Resource
from tests.api.hub import SETTINGS, build_hub
from tests.support.builders import NOW, a_server

PROFILES = """
[[profiles]]
name = "small"
memory = "2G"
cpus = 1.5
[[profiles]]
name = "large"
memory = "8G"
"""
LIMIT = SETTINGS.replace("named_limit = 5", 'named_limit = 5\nhome_limit = "10G"')
GIB = 2**30


def with_means(folder, means, settings=SETTINGS + PROFILES):
    folder.mkdir(exist_ok=True)
    means.save(folder / "resource-limits.json")
    return build_hub(folder, settings)


def groups(folder, *controllers):
    return Means(ControlGroups(1, {one: folder / one for one in controllers}))


@pytest.mark.parametrize(
    ("controllers", "memory", "cpus"),
    [(("memory", "pids", "cpu"), True, True), (("memory", "pids"), True, False), ((), True, False)],
)
def test_the_spawn_page_promises_what_is_held(tmp_path, controllers, memory, cpus):
    means = groups(tmp_path, *controllers) if controllers else Means(None, "Read-only file system")
    page = with_means(tmp_path / "hub", means).browser("alice").get("/hub/spawn").text
    assert ("2 GiB memory" in page) is memory
    assert ("1.5 CPUs" in page) is cpus


def test_servers_in_the_cloud_hold_what_their_task_has():
    from hubless.bootstrap.hub import Hub

    assert Hub.held_resources.fget(None) == {Resource.MEMORY, Resource.CPUS}


def run_into(hub, name, *reached, state=State.READY):
    user = hub.hub.users.find(name) or hub.user(name)
    made = a_server(owner=name, owner_id=user.id, state=state, launch_id="l1", task="t1", address="127.0.0.1:1")
    made = replace(made, failure="The server ended" if state is State.FAILED else None, limits_reached=reached)
    hub.hub.servers.create(made)


@pytest.fixture
def asks_nobody(monkeypatch):
    """Let pages believe the records: there is no process behind them."""
    monkeypatch.setattr("hubless.services.launching.Launching.reconcile", lambda *_: None)


@pytest.mark.usefixtures("asks_nobody")
@pytest.mark.parametrize("state", [State.READY, State.FAILED])
def test_home_tells_who_has_run_into_a_limit(hub, state):
    run_into(hub, "alice", LimitReached(Resource.MEMORY, GIB, 3, NOW), state=state)
    page = hub.browser("alice").get("/hub/home").text
    assert "Your server reached its memory limit of 1 GiB" in page
    assert "2026-11-24T09:00:00" in page
    assert "limit of 512 processes" not in page


@pytest.mark.usefixtures("asks_nobody")
def test_home_tells_of_processes_that_were_refused(hub):
    run_into(hub, "alice", LimitReached(Resource.PROCESSES, 512, 9, NOW))
    assert "Your server reached its limit of 512 processes and threads" in hub.browser("alice").get("/hub/home").text


@pytest.mark.usefixtures("asks_nobody")
def test_the_api_keeps_jupyterhubs_model_of_a_server(hub, admin):
    run_into(hub, "alice")
    run_into(hub, "bob", LimitReached(Resource.MEMORY, GIB, 3, NOW))
    plain, told = (admin.get(f"/users/{name}").json()["servers"][""] for name in ("alice", "bob"))
    assert plain.keys() == told.keys()


@pytest.mark.usefixtures("asks_nobody")
def test_admins_see_which_servers_have_another_jupyterhub(hub):
    hub.user("root", admin=True)
    for name, version in (("alice", "4.1.6"), ("bob", "6.1.0"), ("carol", "")):
        owner = hub.user(name)
        made = a_server(owner=name, owner_id=owner.id, state=State.READY, launch_id=name, address="127.0.0.1:1")
        hub.hub.servers.create(replace(made, jupyterhub_version=version))
    page = hub.browser("root").get("/hub/admin").text
    assert page.count("logins may fail") == 1
    assert "JupyterHub 4.1.6, and the hub is 6.1.1" in page
    assert "4.1.6" not in hub.browser("alice").get("/hub/home").text


# --- homes ---


def measure(hub, name, size, *, is_whole=True):
    user = hub.hub.users.find(name) or hub.user(name)
    hub.hub.home_usage.put(HomeUsage(user.id, size, is_whole, NOW))


def test_home_shows_the_size_of_the_files(tmp_path):
    hub = build_hub(tmp_path / "hub", LIMIT)
    browser = hub.browser("alice")
    assert "Your files take" not in browser.get("/hub/home").text
    measure(hub, "alice", 3 * GIB // 2)
    assert "Your files take 1.5 GiB of 10 GiB." in browser.get("/hub/home").text
    measure(hub, "alice", 4096)
    assert "Your files take less than 1 MiB of 10 GiB." in browser.get("/hub/home").text
    measure(hub, "alice", 4096, is_whole=False)
    assert "Your files take at least 0 MiB of 10 GiB." in browser.get("/hub/home").text


def test_who_has_too_many_files_is_told_and_may_start_to_remove_some(tmp_path):
    hub = build_hub(tmp_path / "hub", LIMIT + PROFILES)
    browser = hub.browser("alice")
    measure(hub, "alice", 11 * GIB, is_whole=False)
    for page in ("/hub/home", "/hub/spawn"):
        assert "Your files take at least 11 GiB, more than the 10 GiB" in browser.get(page).text
    assert browser.submit("/hub/spawn", profile="small").status_code == 303


def test_one_users_files_are_no_others_matter(tmp_path):
    hub = build_hub(tmp_path / "hub", LIMIT + PROFILES)
    measure(hub, "alice", 11 * GIB)
    hub.user("root", admin=True)
    root = hub.browser("root")
    assert "Your files" not in root.get("/hub/home").text
    assert "Your files" not in root.get("/hub/spawn/alice").text
    admin = root.get("/hub/admin").text
    assert "11 GiB, over the limit" in admin


def test_without_a_limit_no_size_is_too_much(hub):
    measure(hub, "alice", 2**50)
    page = hub.browser("alice").get("/hub/home").text
    assert "Your files take 1024 TiB." in page
    assert "more than" not in page
