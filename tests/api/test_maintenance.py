"""Maintenance: its page, its API, and what people and programs get who start a server meanwhile."""

from datetime import timedelta

import pytest

from hubless.domain.audit import AuditQuery
from hubless.domain.lifecycle import State
from tests.api.hub import SETTINGS, An, build_hub
from tests.support.builders import a_server

PAGE = "/hub/admin/maintenance"
PROFILES = '\n[[profiles]]\nname = "small"\n[[profiles]]\nname = "large"\n'


def turn_on(hub, hours=2, **facts):
    until = hub.hub.clock.now() + timedelta(hours=hours) if hours else None
    return hub.hub.maintaining.turn_on("root", ends_at=until, **facts)


def state(hub, name="alice"):
    found = hub.hub.servers.find(hub.user(name).id, "")
    return found.state if found else None


def test_an_admin_turns_maintenance_on_and_off(hub, root):
    assert "Maintenance is on" not in root.get(PAGE).text
    ends = (hub.hub.clock.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")

    sent = root.submit(PAGE, text="New *disks*", ends=ends, zone="UTC", admins_start="1")

    assert (sent.status_code, sent.headers["location"]) == (303, PAGE)
    page = root.get(PAGE).text
    assert "By root" in page
    assert f'value="{ends}"' in page
    assert 'value="1" checked' in page
    for path, reader in (("/hub/login", hub.browser()), ("/hub/home", hub.browser("alice"))):
        told = reader.get(path).text
        assert "nobody can start a server" in told
        assert "New <em>disks</em>" in told
        assert f'<time datetime="{ends}' in told

    off = root.submit(f"{PAGE}/off", seen=hub.hub.maintaining.current().id)
    assert (off.status_code, off.headers["location"]) == (303, PAGE)
    assert "Everybody can start servers." in root.get(PAGE).text
    assert "nobody can start a server" not in hub.browser("alice").get("/hub/home").text


def test_maintenance_without_an_end_says_none(hub, root):
    root.submit(PAGE, text="", ends="", zone="UTC")
    home = hub.browser("alice").get("/hub/home").text
    assert "nobody can start a server." in home
    assert "It ends" not in home
    refused = hub.as_user("alice").post("/users/alice/server", {})
    assert "retry-after" not in refused.headers


def test_a_form_that_is_out_of_date_changes_nothing(hub, root):
    assert 'name="seen" value=""' in root.get(PAGE).text
    theirs = turn_on(hub, text="New disks")
    mine = {"text": "Old disks", "ends": "", "zone": "UTC"}

    late = root.submit(PAGE, **mine, seen="")

    assert late.status_code == 409
    for text in ("<dd>New disks</dd>", "Old disks</textarea>", f'name="seen" value="{theirs.id}"'):
        assert text in late.text
    assert hub.hub.maintaining.current() == theirs
    assert root.submit(PAGE, **mine, seen=theirs.id).status_code == 303
    assert hub.hub.maintaining.current().text == "Old disks"


def test_a_program_changes_only_the_maintenance_that_it_has_read(hub, monkeypatch):
    api = hub.as_token(An.ADMIN_TOKEN)
    is_off = {"If-Match": api.get("/maintenance").headers["etag"]}
    on = api.put("/maintenance", {"text": "Disks"}, headers=is_off)
    assert on.status_code == 200
    assert api.put("/maintenance", {"text": "More"}, headers=is_off).status_code == 412
    assert api.put("/maintenance", {"text": "More"}, headers={"If-Match": on.headers["etag"]}).status_code == 200
    assert api.get("/maintenance").json()["text"] == "More"
    assert api.delete("/maintenance", headers={"If-Match": on.headers["etag"]}).status_code == 412
    now_on, read = {"If-Match": api.get("/maintenance").headers["etag"]}, hub.hub.maintaining.current()
    with monkeypatch.context() as patch:
        patch.setattr(type(hub.hub.maintaining), "current", lambda _: read)
        theirs = turn_on(hub, text="Theirs")  # after the request has read it
        assert [api.delete("/maintenance", headers=asked).status_code for asked in (now_on, {})] == [412, 409]
    assert hub.hub.maintaining.current() == theirs
    assert api.delete("/maintenance").status_code == 204


def test_who_has_read_of_an_older_maintenance_does_not_turn_it_off(hub, root):
    seen, theirs = turn_on(hub).id, turn_on(hub, text="New disks")

    late = root.submit(f"{PAGE}/off", seen=seen)

    assert late.status_code == 409
    assert '<p class="alert bad" role="alert" id="error" tabindex="-1" autofocus>Maintenance is still on' in late.text
    assert "New disks</textarea>" in late.text
    assert hub.hub.maintaining.current() == theirs
    assert f'name="seen" value="{theirs.id}">\n    <button class="button primary">Turn off' in late.text


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"ends": "2001-01-01T00:00"}, "in the future"), ({"zone": "Mars"}, "Mars"), ({"text": "x" * 1_001}, "at most")],
)
def test_a_form_that_is_refused_turns_nothing_on(hub, root, fields, words):
    refused = root.submit(PAGE, **{"text": "Disks", "ends": "", "zone": "UTC"} | fields)
    assert refused.status_code == 400
    assert words in refused.text
    assert hub.hub.maintaining.current() is None


def test_a_program_gets_503_with_the_time_to_wait(hub):
    turn_on(hub)

    refused = hub.as_user("alice").post("/users/alice/server", {})

    assert refused.status_code == 503
    assert refused.json() == {
        "status": 503,
        "message": "Nobody can start a server now: the hub is under maintenance.",
    }
    assert 7_000 < int(refused.headers["retry-after"]) <= 7_200
    assert state(hub) is None


def test_a_browser_gets_a_page_in_words_and_goes_on_afterwards(tmp_path):
    hub = build_hub(tmp_path / "hub", SETTINGS + PROFILES)
    turn_on(hub)
    browser = hub.browser("alice")
    asked = "/hub/spawn/alice?opt-profile=large&next=%2Fuser%2Falice%2Flab"

    waits = browser.get(asked)

    assert (waits.status_code, state(hub)) == (503, None)
    assert 7_000 < int(waits.headers["retry-after"]) <= 7_200
    assert "Your server does not start now" in waits.text
    assert f'href="{asked.replace("&", "&amp;")}"' in waits.text
    sent = browser.submit("/hub/spawn/alice", profile="large")
    assert (sent.status_code, state(hub)) == (503, None)
    assert "Try again" not in sent.text
    hub.hub.maintaining.turn_off("root")
    assert browser.get(asked).status_code == 302
    assert state(hub) is State.REQUESTED


def test_who_is_let_into_a_server_does_not_start_it(hub):
    owner = hub.user("bob")
    hub.hub.spawning.create(owner, "dask")
    turn_on(hub)
    refused = hub.browser("bob").submit("/hub/open/bob/dask")
    assert refused.status_code == 503
    assert "under maintenance" in refused.text
    assert hub.hub.servers.find(owner.id, "dask").state is State.STOPPED


def test_an_admin_who_starts_many_servers_reads_why_not(hub, root):
    hub.user("alice")
    turn_on(hub, admins_start=True)
    sent = root.submit("/hub/admin/selected", act="start", name=["alice"], back="/hub/admin")
    page = root.get(sent.headers["location"]).text
    assert "under maintenance" in page
    assert state(hub) is None


def test_an_admin_starts_a_server_of_their_own_where_it_says_so(hub):
    hub.user("alice")
    turn_on(hub, admins_start=True)
    assert hub.as_user("root").post("/users/root/server", {}).status_code == 202
    assert hub.as_user("root").post("/users/alice/server", {}).status_code == 503
    assert state(hub) is None


def test_what_is_no_start_goes_on(hub):
    alice = hub.as_user("alice")
    assert alice.post("/users/alice/server", {}).status_code == 202
    turn_on(hub)
    browser = hub.browser("alice")  # logs in
    assert browser.get("/hub/home").status_code == 200
    assert alice.delete("/users/alice/server").status_code in {202, 204}
    assert hub.as_token(An.ADMIN_TOKEN).post("/users/carol", {}).status_code == 201


def test_a_server_that_runs_is_reached_and_cannot_start_again(hub):
    alice, browser, owner = hub.as_user("alice"), hub.browser("alice"), hub.user("alice")
    facts = {"state": State.READY, "launch_id": "l1", "task": "t1", "address": "127.0.0.1:1"}
    hub.hub.servers.create(a_server(owner_id=owner.id, **facts))
    before = alice.post("/users/alice/server", {})
    turn_on(hub)
    again = alice.post("/users/alice/server", {})
    assert (again.status_code, again.json()) == (400, before.json())
    for path in ("/hub/spawn", "/hub/spawn/alice", "/hub/user-redirect/lab"):
        assert browser.get(path).status_code == 302


def test_who_waits_in_a_full_hub_reads_of_the_maintenance(tmp_path):
    full = build_hub(tmp_path / "hub", SETTINGS.replace("named_limit = 5", "named_limit = 5\nactive_limit = 1"))
    full.user("bob")
    full.as_user("bob").post("/users/bob/server", {})
    browser = full.browser("alice")
    assert browser.get("/hub/spawn").status_code == 429
    turn_on(full)
    assert browser.get("/hub/spawn/alice").status_code == 503
    full.hub.stopping.stop(full.hub.stopping.request(full.hub.servers.find(full.user("bob").id, "")))
    assert browser.get("/hub/spawn/alice").status_code == 503
    assert state(full) is None


def test_only_who_manages_all_servers_turns_it_on(hub):
    teacher = hub.browser("teacher")
    assert teacher.get(PAGE).status_code == teacher.submit(PAGE, zone="UTC").status_code == 403
    assert teacher.submit(f"{PAGE}/off").status_code == 403
    api = hub.as_user("teacher")
    assert api.get("/maintenance").status_code == api.put("/maintenance", {}).status_code == 403
    assert api.delete("/maintenance").status_code == 403
    assert hub.hub.maintaining.current() is None


def test_a_program_turns_maintenance_on_and_off(hub):
    api = hub.as_token(An.ADMIN_TOKEN)
    off = {"on": False, "text": "", "since": None, "ends_at": None, "admins_start": False, "by": ""}
    assert api.get("/maintenance").json() == off

    answer = api.put("/maintenance", {"text": "Disks", "admins_start": True})

    assert (answer.status_code, answer.json()["on"], answer.json()["by"]) == (200, True, "admin")
    assert api.get("/maintenance").json() == answer.json()
    assert api.put("/maintenance", {"text": "x" * 1_001}).status_code == 400
    assert api.put("/maintenance", {"ends_at": "2001-01-01T00:00:00Z"}).status_code == 400
    assert [api.delete("/maintenance").status_code for _ in range(2)] == [204, 204]
    assert api.get("/maintenance").json() == off


def test_who_turns_it_on_and_off_is_recorded(hub, root):
    root.submit(PAGE, zone="UTC")
    seen = hub.hub.maintaining.current().id
    for _ in range(2):
        root.submit(f"{PAGE}/off", seen=seen)
    now = hub.hub.clock.now()
    records = hub.hub.audit_log.page(AuditQuery(now - timedelta(hours=1), now + timedelta(hours=1)), limit=9).records
    acts = [(one.act.value, one.by.name) for one in records if one.act.value.startswith("maintenance")]
    assert acts == [("maintenance-off", "root"), ("maintenance-on", "root")]
    assert "turned maintenance on" in root.get("/hub/admin/audit").text
