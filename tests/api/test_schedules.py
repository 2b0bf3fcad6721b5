"""Schedules that admins make: the page, the API, and what home says of them."""

from datetime import timedelta

import pytest

from hubless.domain.audit import Act
from hubless.domain.lifecycle import State
from hubless.ports.launcher import TaskRunning
from tests.api.hub import SETTINGS, An, build_hub
from tests.support.builders import NOW, a_server
from tests.support.fakes import ScriptedLauncher, StoppedClock

PAGE = "/hub/admin/schedules"
OF_SETTINGS = """
[culling]
idle_after = "1h"
[[schedules]]
name = "fixed"
days = ["friday"]
begins = "12:00"
ends = "13:00"
timezone = "UTC"
groups = ["physics"]
"""
FIELDS = {
    "name": "Physics lab",
    "groups": "physics",
    "day": "tuesday",
    "begins": "09:30",
    "ends": "11:00",
    "zone": "Europe/Berlin",
    "lead": "10",
    "after": "stop",
}
BODY = {"days": ["tuesday"], "begins": "09:30", "ends": "11:00", "timezone": "Europe/Berlin", "groups": ["physics"]}


def a_hub(folder):
    made = build_hub(folder, SETTINGS + OF_SETTINGS)
    made.hub.clock = StoppedClock(NOW)  # a Tuesday, 10:00 in Berlin
    made.user("alice", groups=["physics", "staff"])
    return made


@pytest.fixture
def hub(tmp_path):
    made = a_hub(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory):
    """A hub that refuses all that these tests ask of it."""
    made = a_hub(tmp_path_factory.mktemp("hub"))
    yield made
    made.close()


def acts(hub, act):
    found = hub.hub.auditing.page(hub.hub.auditing.query(act=act), limit=50).records
    return [(one.by.name, one.on, one.about) for one in found]


def test_an_admin_adds_changes_pauses_and_removes_a_schedule(hub, root):
    assert "fixed" in root.get(PAGE).text
    done = root.submit(PAGE, **FIELDS)
    assert (done.status_code, done.headers["location"]) == (303, PAGE)
    page = root.get(PAGE).text
    shown = ("Physics lab counts from now on", "Tuesday, 2026-11-24, 09:30 to 11:00", "<strong>now</strong>")
    for text in (*shown, "Servers start 10 minutes before", "Europe/Berlin"):
        assert text in page
    edited = root.get(f"{PAGE}?edit=Physics+lab").text
    assert 'value="tuesday" checked' in edited
    assert 'name="version" value="0"' in edited
    change = FIELDS | {"edited": "Physics lab", "ends": "12:15", "groups": "physics, staff", "after": "leave"}
    assert root.submit(PAGE, **change, version="0").status_code == 303
    stored = hub.hub.schedules.find("Physics lab")
    assert (stored.groups, f"{stored.ends}", stored.stops) == (("physics", "staff"), "12:15:00", False)
    late = root.submit(PAGE, **change, version="0")
    assert (late.status_code, "Somebody else has saved a change" in late.text) == (409, True)
    for text in ("<dd>physics, staff</dd>", "<dd>12:15</dd>", "<dd>Tuesday</dd>", 'name="version" value="1"'):
        assert text in late.text
    assert root.submit(f"{PAGE}/pause", name="Physics lab").status_code == 303
    assert "paused" in root.get(PAGE).text
    assert hub.hub.schedules.find("Physics lab").is_paused
    assert root.submit(f"{PAGE}/resume", name="Physics lab").status_code == 303
    assert not hub.hub.schedules.find("Physics lab").is_paused
    stale = root.submit(f"{PAGE}/remove", name="Physics lab", version="2")
    assert (stale.status_code, 'name="version" value="3"' in stale.text) == (409, True)
    assert '<p class="alert bad" role="alert" id="error" tabindex="-1" autofocus>Nothing is removed' in stale.text
    assert root.submit(f"{PAGE}/remove", name="Physics lab", version="3").status_code == 303
    assert root.submit(f"{PAGE}/remove", name="Physics lab", version="3").status_code == 404
    assert root.submit(f"{PAGE}/pause", name="fixed").status_code == 400
    assert len(acts(hub, Act.SCHEDULE_SET)) == 4
    assert acts(hub, Act.SCHEDULE_REMOVED) == [("root", "Physics lab", {})]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"begins": "25:00"}, 400),
        ({"zone": "Berlin"}, 400),
        ({"lead": "many"}, 400),
        ({"lead": "9" * 400}, 400),
        ({"date": "2026-02-30"}, 400),
        ({"date": "2026-12-01"}, 400),  # and a day of the week
        ({"groups": "nobody"}, 400),
        ({"profile": "huge"}, 400),
        ({"name": "fixed"}, 409),
        ({"day": "someday"}, 400),
    ],
)
def test_a_form_that_is_refused_stays_as_it_was_filled_in(unchanged, changed, status):
    refused = unchanged.browser("root").submit(PAGE, **FIELDS | changed)
    assert refused.status_code == status
    assert 'value="11:00"' in refused.text
    assert len(unchanged.hub.schedules.all()) == 1


def test_the_page_of_a_group_has_its_lessons_and_leads_to_a_new_one(root):
    root.submit(PAGE, **FIELDS)
    page = root.get("/hub/admin/groups/physics").text
    assert "Physics lab: Tuesday, 2026-11-24, 09:30 to 11:00" in page
    assert "/hub/admin/schedules?group=physics#edit" in page
    assert 'value="staff"' in root.get(f"{PAGE}?group=staff").text


def test_a_program_makes_reads_and_removes_schedules(hub):
    admin = hub.as_token(An.ADMIN_TOKEN)
    made = admin.put("/schedules/lab", BODY | {"start_before": 10})
    assert made.status_code == 201
    assert made.json()["next"][0] == {
        "servers_start": "2026-11-24T08:20:00Z",
        "begins": "2026-11-24T08:30:00Z",
        "ends": "2026-11-24T10:00:00Z",
    }
    paused = admin.put("/schedules/lab", BODY | {"paused": True})
    assert (paused.status_code, paused.json()["paused"], paused.json()["start_before"]) == (200, True, 0)
    once = admin.put("/schedules/exam", BODY | {"days": [], "date": "2026-12-01", "stop": False})
    assert (once.json()["date"], once.json()["days"], len(once.json()["next"])) == ("2026-12-01", [], 1)
    listed = admin.get("/schedules").json()
    assert [(one["name"], one["from_settings"]) for one in listed] == [("fixed", True), ("exam", False), ("lab", False)]
    assert admin.get("/schedules/exam").json() == once.json()
    assert admin.put("/schedules/fixed", BODY).status_code == 400
    assert admin.delete("/schedules/lab").status_code == 204
    assert [admin.delete("/schedules/lab").status_code, admin.get("/schedules/lab").status_code] == [404, 404]
    assert acts(hub, Act.SCHEDULE_REMOVED) == [("admin", "lab", {})]


def test_a_program_replaces_only_the_schedule_that_it_has_read(hub, monkeypatch):
    admin = hub.as_token(An.ADMIN_TOKEN)
    only_new = {"If-None-Match": "*"}
    assert admin.put("/schedules/lab", BODY, headers={"If-Match": "*"}).status_code == 412
    made = admin.put("/schedules/lab", BODY, headers=only_new)
    assert made.status_code == 201
    assert admin.put("/schedules/lab", BODY, headers=only_new).status_code == 412
    etag = made.headers["etag"]
    assert admin.get("/schedules/lab").headers["etag"] == etag
    assert admin.put("/schedules/lab", BODY | {"ends": "12:00"}, headers={"If-Match": etag}).status_code == 200
    assert admin.put("/schedules/lab", BODY, headers={"If-Match": etag}).status_code == 412
    assert admin.get("/schedules/lab").json()["ends"] == "12:00"
    assert admin.delete("/schedules/lab", headers={"If-Match": etag}).status_code == 412
    read = {"If-Match": admin.get("/schedules/lab").headers["etag"]}
    with monkeypatch.context() as patch:
        patch.setattr(type(hub.hub.schedules.store), "remove", lambda *_, **__: False)  # somebody else was faster
        assert [admin.delete("/schedules/lab", headers=asked).status_code for asked in (read, {})] == [412, 409]
    assert admin.delete("/schedules/lab", headers=read).status_code == 204


@pytest.mark.parametrize(
    "wrong",
    [
        {"days": ["noday"]},
        {"days": ["monday"] * 8},
        {"begins": 9},
        {"begins": "09:30:30"},  # an answer has no seconds
        {"groups": []},
        {"groups": ["g"] * 21},
        {"start_before": 121},
        {"groups": ["nobody"]},  # as an announcement is
        {"timezone": "x" * 65},
        {"date": "2026-12-01"},
        {"unknown": 1},
    ],
)
def test_a_body_that_is_wrong_is_refused(unchanged, wrong):
    assert unchanged.as_token(An.ADMIN_TOKEN).put("/schedules/lab", BODY | wrong).status_code == 400


def test_only_who_manages_all_servers_sees_and_makes_schedules(unchanged):
    alice, program = unchanged.browser("alice"), unchanged.as_user("alice")
    assert alice.get(PAGE).status_code == 403
    for path in ("", "/pause", "/resume", "/remove"):
        assert alice.submit(PAGE + path, **FIELDS).status_code == 403
    assert [program.get("/schedules").status_code, program.put("/schedules/lab", BODY).status_code] == [403, 403]
    assert program.delete("/schedules/fixed").status_code == 403


def test_names_of_schedules_do_not_end_with_a_blank(unchanged):
    program = unchanged.as_token(An.ADMIN_TOKEN)
    assert program.put("/schedules/lab%20", BODY).status_code == 400


def test_the_form_offers_groups_to_who_may_list_them(tmp_path):
    role = '\n[[roles]]\nname = "servers"\nscopes = ["admin-ui", "admin:servers"]\nusers = ["helper"]\n'
    hub = build_hub(tmp_path, SETTINGS + role)
    hub.user("alice", groups=["secret-group"])
    assert "secret-group" in hub.browser("root").get(PAGE).text
    page = hub.browser("helper").get(PAGE)
    assert (page.status_code, "secret-group" in page.text) == (200, False)


def test_home_says_until_when_a_lesson_keeps_a_server(hub, root):
    hub.hub.launcher = ScriptedLauncher()
    hub.hub.launcher.status["t1"] = TaskRunning("127.0.0.1:1")
    before = NOW - timedelta(hours=1)
    facts = {"launch_id": "l1", "task": "t1", "address": "127.0.0.1:1", "requested_at": before, "started_at": before}
    server = a_server("", owner_id=hub.user("alice").id, state=State.READY, last_activity_at=NOW, **facts)
    hub.hub.servers.create(server)
    alice = hub.browser("alice")
    assert 'data-stops="2026-11-24T10:00:30Z"' in alice.get("/hub/home").text
    root.submit(PAGE, **FIELDS | {"ends": "12:00"})
    page = alice.get("/hub/home").text
    assert 'data-stops="2026-11-24T11:00:00Z"' in page
    assert "The lesson “Physics lab” keeps it until then" in page
    assert "Keep running" not in page
