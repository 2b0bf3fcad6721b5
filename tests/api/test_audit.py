"""The page, the API and the file of who did what."""

import html
import json
import re
from datetime import timedelta

import pytest

from functions.api import audit_lines
from functions.api.pages.audit import WORDS
from hubless.domain.audit import Act, AuditRecord, Doer, DoerKind
from tests.api.hub import SETTINGS, build_hub

ROLE = '[[roles]]\nname = "auditor"\nscopes = ["custom:audit"]\nusers = ["otto"]\n'
BAD = [
    ({"act": "x" * 99}, "act must be one of"),
    ({"since": "yesterday"}, "since must be a day"),
    ({"until": "9999-12-31"}, "until is out of range"),
    ({"before": "1~"}, "no place in the audit record"),
    ({"before": "x" * 999}, "no place in the audit record"),
    ({"before": f"{10**18}~r1"}, "no place in the audit record"),
    ({"by": "x" * 256}, "at most 255 characters"),
    ({"limit": "many"}, "limit"),
]


@pytest.fixture
def hub(tmp_path):
    return build_hub(tmp_path, SETTINGS + ROLE)


@pytest.fixture
def filled(hub):
    """The hub with 120 acts on bob and one on zoë, the newest."""
    now, by = hub.hub.clock.now(), Doer(DoerKind.USER, "alice", "10.0.0.7", "t-1")
    records = [
        AuditRecord(f"r{n:03}", now - timedelta(minutes=200 - n), Act.TOKEN_ISSUED, by, "bob", {"token": f"a-{n}"})
        for n in range(120)
    ]
    hub.hub.audit_log.add([*records, AuditRecord("r999", now, Act.USER_REMOVED, by, "zoë <b>")])
    return hub


def rows(page):
    return re.findall(r"<h2>(.*?)</h2>", page.text)


def test_the_api_gives_records_page_by_page_to_who_may_read_them(filled, admin):
    first = filled.as_user("otto").get("/audit", params={"on": "bob", "limit": 100}).json()
    assert first["records"][0] | {"at": ""} == {
        "id": "r119",
        "at": "",
        "act": "token-issued",
        "by": {"kind": "user", "name": "alice", "address": "10.0.0.7", "token": "t-1"},
        "on": "bob",
        "about": {"token": "a-119"},
        "count": 1,
        "others": 0,
    }
    last = admin.get("/audit", params={"on": "bob", "limit": 100, "before": first["next"]}).json()
    assert [one["id"] for one in last["records"]] == [f"r{n:03}" for n in range(19, -1, -1)]
    assert last["next"] is None
    assert filled.as_user("alice").get("/audit").status_code == 403
    assert filled.as_user("otto", scopes=["self"]).get("/audit").status_code == 403
    assert filled.anybody.get("/audit/export").status_code == 403


@pytest.mark.parametrize(("query", "why"), BAD)
def test_a_wrong_search_is_named(hub, query, why):
    hub.user("root", admin=True)
    answer = hub.as_user("otto").get("/audit", params=query)
    assert answer.status_code == 400
    assert why in answer.json()["message"]
    if "limit" not in query and "by" not in query:
        page = hub.browser("root").get("/hub/admin/audit", params=query)
        assert page.status_code == 400
        assert why in html.unescape(page.text)


def test_a_day_in_a_search_is_a_whole_day_of_utc(hub):
    query = audit_lines.query_of({"since": "2026-11-28", "until": "2026-11-28"}, hub.hub.auditing)
    assert query.until <= hub.hub.clock.now() + timedelta(days=1)
    day = hub.hub.clock.now().date().isoformat()
    query = audit_lines.query_of({"since": day, "until": day}, hub.hub.auditing)
    assert query.since.isoformat() == f"{day}T00:00:00+00:00"
    assert query.until - query.since == timedelta(days=1)


def test_the_file_has_all_records_of_the_search(filled, admin):
    hub = filled
    hub.user("root", admin=True)
    answer = hub.browser("root").get("/hub/admin/audit/file", params={"on": "bob"})
    assert answer.headers["content-type"] == "application/jsonl"
    assert "attachment" in answer.headers["content-disposition"]
    lines = [json.loads(line) for line in answer.text.splitlines()]
    assert [line["id"] for line in lines] == [f"r{n:03}" for n in range(119, -1, -1)]
    assert admin.get("/audit/export", params={"on": "bob"}).text == answer.text
    newest = admin.get("/audit", params={"act": "audit-downloaded"}).json()["records"]
    assert [one["by"]["name"] for one in newest] == ["admin", "root"]


def test_a_file_that_is_not_streamed_says_from_where_to_go_on(filled, admin, monkeypatch):
    monkeypatch.setattr(audit_lines, "MOST_UNSTREAMED", 50)
    monkeypatch.setattr("hubless.services.auditing.MAX_PAGE", 30)
    monkeypatch.setattr(type(filled.hub), "streams", False)
    lines = [json.loads(line) for line in admin.get("/audit/export", params={"on": "bob"}).text.splitlines()]
    assert len(lines) == 61
    rest = admin.get("/audit/export", params={"on": "bob", "before": lines[-1]["next"]}).text.splitlines()
    assert json.loads(rest[0])["id"] == "r059"


def test_the_page_shows_acts_and_leads_to_older_ones(filled):
    hub = filled
    hub.user("root", admin=True)
    root = hub.browser("root")
    first = root.get("/hub/admin/audit")
    assert rows(first)[:2] == ["root logged in", "alice removed a user: zoë &lt;b&gt;"]
    older = html.unescape(re.search(r'href="([^"]+)" rel="next"', first.text)[1])
    assert rows(root.get(older))[0] == "alice made a token: bob"
    assert "Newest" in root.get(older).text
    found = root.get("/hub/admin/audit", params={"by": "alice", "act": "user-removed"})
    assert rows(found) == ["alice removed a user: zoë &lt;b&gt;"]
    assert '<option value="user-removed" selected>' in found.text
    assert "Nothing found." in root.get("/hub/admin/audit", params={"by": "nobody"}).text
    assert hub.browser("alice").get("/hub/admin/audit").status_code == 403
    assert "/hub/admin/audit" in hub.browser("otto").get("/hub/admin/audit").text


def test_the_page_says_how_often_a_login_failed(hub):
    hub.user("root", admin=True)
    for _ in range(3):
        hub.hub.auditing.login_failed("10.0.0.9", "root")
    page = hub.browser("root").get("/hub/admin/audit", params={"act": "login-failed"})
    assert rows(page)
    assert set(rows(page)) == {"Somebody failed to log in: root"}
    assert "From 10.0.0.9" in page.text


def test_each_act_has_words():
    assert {*WORDS} == {*Act}
