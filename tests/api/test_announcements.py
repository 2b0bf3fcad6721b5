"""Announcements that admins make at run time: their pages, their API, and who reads them."""

import html
from datetime import datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from hubless.domain.announcements import Kind
from hubless.domain.audit import AuditQuery
from hubless.domain.errors import StoreUnavailableError
from hubless.services.announcements import Wish
from tests.api.hub import SETTINGS, An, build_hub

PAGE = "/hub/admin/announcements"
BERLIN = SETTINGS + '\n[hub]\ntimezone = "Europe/Berlin"\n'
SOON = {"text": "Exams on *Friday*", "ends_at": "2099-01-01T10:00:00Z"}


@pytest.fixture
def hub(tmp_path):
    return build_hub(tmp_path / "hub", BERLIN)


def tomorrow(hub):
    return (hub.hub.clock.now() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")


def announce(hub, text="Exams on *Friday*", **facts):
    return hub.hub.announcements.make("root", Wish(text, hub.hub.clock.now() + timedelta(days=1), **facts))


def put_away(browser, announcement, page="/hub/home"):
    fields = {"_xsrf": browser.xsrf, "id": announcement.id}
    return browser.post("/hub/announcements/put-away", data=fields, headers={"Referer": f"http://hub.test{page}"})


def test_an_admin_announces_something_and_everybody_reads_it(hub, root):
    sent = root.submit(PAGE, text="Exams on *Friday*", ends=tomorrow(hub), zone="UTC")

    assert (sent.status_code, sent.headers["location"]) == (303, PAGE)
    page = root.get(PAGE).text
    assert "The announcement is made." in page
    assert "Made by root" in page
    assert "For everybody" in page
    for reader in (hub.browser(), hub.browser("alice")):
        path = "/hub/home" if reader.cookies.get("jupyterhub-session-id") else "/hub/login"
        assert "Exams on <em>Friday</em>" in reader.get(path).text


def test_times_are_by_the_clock_of_the_zone_in_the_form(hub, root):
    root.submit(PAGE, text="Exams", starts="2026-07-05T08:00", ends=tomorrow(hub), zone="Asia/Kolkata")

    (made,) = hub.hub.announcements.all()

    assert made.starts_at.isoformat() == "2026-07-05T02:30:00+00:00"
    assert (made.ends_at + timedelta(hours=5.5)).strftime("%Y-%m-%dT%H:%M") == tomorrow(hub)
    page = root.get(f"{PAGE}/{made.id}").text
    assert 'value="2026-07-05T04:30"' in page  # by the clock of the hub


def test_a_form_offers_the_zone_of_the_hub(root):
    assert 'value="Europe/Berlin"' in root.get(PAGE).text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"ends": "soon"}, "soon is no date with a time"),
        ({"ends": "2001-01-01T00:00"}, "The end must be in the future"),
        ({"starts": "0001-01-01T00:00"}, "The start must be in the year 2000 or later"),
        ({"zone": "Mars"}, "Mars is no time zone"),
        ({"text": " "}, "Write what people shall read"),
        ({"groups": "nobody"}, "There is no group 'nobody'"),
    ],
)
def test_a_form_that_is_refused_keeps_what_was_typed(hub, root, fields, words):
    filled = {"text": "<b>Exams</b>", "ends": tomorrow(hub), "zone": "UTC", "kind": "warning"} | fields

    refused = root.submit(PAGE, **filled)

    assert refused.status_code == 400
    assert words in html.unescape(refused.text)
    assert html.escape(filled["text"]).strip() in refused.text
    assert 'value="warning" checked' in refused.text
    assert hub.hub.announcements.all() == ()


def test_members_of_its_groups_read_an_announcement_and_nobody_else(hub):
    hub.user("alice", groups=("physics",))
    announce(hub, groups=("physics",))

    assert "Friday" in hub.browser("alice").get("/hub/home").text
    assert "Friday" not in hub.browser("bob").get("/hub/home").text
    assert "Friday" not in hub.browser().get("/hub/login").text


def test_an_announcement_has_no_markup_but_markdown(hub):
    announce(hub, "<script>alert(1)</script> [x](javascript:alert(1)) ![p](https://example.org/p.png)")
    page = hub.browser("alice").get("/hub/home").text
    assert "&lt;script&gt;alert(1)" in page
    assert 'href="javascript:' not in page
    assert '<img src="https://example.org' not in page


def test_an_info_that_was_put_away_does_not_come_back(hub):
    info, other = announce(hub, "First"), announce(hub, "Second")
    browser = hub.browser("alice")
    assert "First" in browser.get("/hub/home").text

    answer = put_away(browser, info, "/hub/token")

    assert (answer.status_code, answer.headers["location"]) == (303, "/hub/token")
    page = browser.get("/hub/home").text
    assert "First" not in page
    assert "Second" in page
    put_away(browser, other)
    assert "Put away" not in browser.get("/hub/home").text
    assert "First" in hub.browser("bob").get("/hub/home").text


def test_who_is_not_logged_in_puts_an_info_away_too(hub):
    info, browser = announce(hub), hub.browser()
    browser.get("/hub/login")
    assert put_away(browser, info, "/hub/login").headers["location"] == "/hub/login"
    assert "Friday" not in browser.get("/hub/login").text


def test_a_warning_stays(hub):
    warning = announce(hub, kind=Kind.WARNING)
    browser = hub.browser("alice")
    assert "Put away" not in browser.get("/hub/home").text
    put_away(browser, warning)
    assert "Friday" in browser.get("/hub/home").text


def test_a_browser_keeps_only_ids_of_announcements_that_are_there(hub):
    info, browser = announce(hub), hub.browser("alice")
    browser.cookies.set("jupyterhub-hub-put-away", ".".join(["x" * 30] * 200), domain="hub.test", path="/hub/")
    put_away(browser, info)
    kept = [one.value for one in browser.cookies.jar if one.name == "jupyterhub-hub-put-away" and info.id in one.value]
    assert kept == [info.id]


def test_another_page_puts_nothing_away_and_leads_nowhere_else(hub):
    info, browser = announce(hub), hub.browser("alice")
    assert browser.post("/hub/announcements/put-away", data={"id": info.id}).status_code == 403
    fields = {"_xsrf": browser.xsrf, "id": info.id}
    sent = browser.post("/hub/announcements/put-away", data=fields, headers={"Referer": "https://evil.example/hub/"})
    assert sent.headers["location"] == "/hub/home"


def test_an_announcement_changes_and_a_form_that_is_out_of_date_does_not(hub, root):
    made = announce(hub)
    page = root.get(f"{PAGE}/{made.id}").text
    assert 'name="revision" value="0"' in page
    fields = {"text": "Moved", "ends": tomorrow(hub), "zone": "UTC", "kind": "warning", "revision": "0"}

    assert root.submit(f"{PAGE}/{made.id}", **fields).status_code == 303
    stale = root.submit(f"{PAGE}/{made.id}", **fields | {"text": "Stale"})

    assert stale.status_code == 409
    assert "Somebody else has saved a change meanwhile" in stale.text
    assert "<dd>Moved</dd>" in stale.text
    assert "Stale</textarea>" in stale.text
    (changed,) = hub.hub.announcements.all()
    assert (changed.text, changed.kind.value, changed.revision) == ("Moved", "warning", 1)
    assert 'name="revision" value="1"' in stale.text  # whoever sends it again has read what the other wrote
    assert root.submit(f"{PAGE}/{made.id}", **fields | {"text": "Stale", "revision": "1"}).status_code == 303


def test_a_form_that_is_refused_for_another_reason_stays_as_old_as_it_is(hub, root):
    made = announce(hub)
    hub.hub.announcements.change(made, Wish("Moved", made.ends_at))
    fields = {"text": "Mine", "ends": "2001-01-01T00:00", "zone": "Mars", "revision": "0"}
    refused = root.submit(f"{PAGE}/{made.id}", **fields)
    assert refused.status_code == 400
    assert 'name="revision" value="0"' in refused.text
    assert "<dd>Moved</dd>" not in refused.text


def test_an_announcement_that_was_removed_is_gone(hub, root):
    made = announce(hub)
    assert 'name="revision" value="0"' in root.get(PAGE).text
    assert root.submit(f"{PAGE}/{made.id}/remove", revision="0").headers["location"] == PAGE
    assert "Friday" not in root.get("/hub/home").text
    for gone in (root.get(f"{PAGE}/{made.id}"), root.submit(f"{PAGE}/{made.id}/remove")):
        assert gone.status_code == 404
        assert "has ended, or was removed" in gone.text


def test_who_has_read_an_older_announcement_does_not_remove_it(hub, root):
    made = announce(hub)
    hub.hub.announcements.change(made, Wish("Moved", made.ends_at))

    late = root.submit(f"{PAGE}/{made.id}/remove", revision="0")

    assert late.status_code == 409
    assert '<p class="alert bad" role="alert" id="error" tabindex="-1" autofocus>Nothing is removed' in late.text
    assert ("Moved" in late.text, 'name="revision" value="1"' in late.text) == (True, True)
    assert hub.hub.announcements.get(made.id).text == "Moved"


def test_only_who_may_manage_users_announces(hub):
    teacher = hub.browser("teacher")
    assert teacher.get(PAGE).status_code == 403
    assert teacher.submit(PAGE, text="x", ends=tomorrow(hub), zone="UTC").status_code == 403
    api = hub.as_user("teacher")
    assert api.get("/announcements").status_code == api.post("/announcements", SOON).status_code == 403
    assert hub.hub.announcements.all() == ()


def test_who_announces_what_is_recorded(hub, root):
    root.submit(PAGE, text="Exams", ends=tomorrow(hub), zone="UTC")
    (made,) = hub.hub.announcements.all()
    root.submit(f"{PAGE}/{made.id}/remove", revision="0")
    now = hub.hub.clock.now()
    records = hub.hub.audit_log.page(AuditQuery(now - timedelta(hours=1), now + timedelta(hours=1)), limit=9).records
    acts = [(one.act.value, one.by.name) for one in records if one.act.value.startswith("announcement")]
    assert acts == [("announcement-removed", "root"), ("announcement-made", "root")]


def test_pages_go_on_when_the_store_has_no_announcements_to_tell(hub, monkeypatch):
    def fails(now):
        raise StoreUnavailableError("no answer")

    browser = hub.browser("alice")
    monkeypatch.setattr(hub.hub.bulletin_reader, "_store", type("Away", (), {"read": staticmethod(fails)}))
    hub.hub.bulletin_reader.forget()
    assert browser.get("/hub/home").status_code == 200


def test_jupyterlab_reads_what_is_for_everybody_as_a_feed(hub):
    hub.user("alice", groups=("physics",))
    announce(hub, "Exams <b>&\x00\x1b on *Friday*\n\nBring a pen.")
    announce(hub, "Of a group", groups=("physics",))
    hub.hub.announcements.make(
        "root",
        Wish("Later", hub.hub.clock.now() + timedelta(days=2), hub.hub.clock.now() + timedelta(days=1)),
    )
    ends_at = hub.hub.clock.now() + timedelta(hours=1)
    hub.hub.maintaining.turn_on("root", text="New disks", ends_at=ends_at)

    answer = hub.browser().get("/hub/announcements.atom")

    assert answer.headers["content-type"] == "application/atom+xml"
    entries = ET.fromstring(answer.content).findall("{*}entry")
    told = [(one.findtext("{*}title"), one.findtext("{*}summary")) for one in entries]
    assert told == [
        (f"Maintenance until {ends_at:%Y-%m-%d %H:%M} UTC: nobody can start a server.", "New disks"),
        ("Exams <b>& on *Friday*", "Bring a pen."),
    ]
    for one in entries:
        assert datetime.fromisoformat(one.findtext("{*}updated")).tzinfo
        assert one.findtext("{*}id").startswith("http://hub.test/hub/announcements.atom#")


def test_an_announcement_that_changed_is_news_again(hub):
    made = announce(hub)

    def identifiers():
        feed = ET.fromstring(hub.browser().get("/hub/announcements.atom").content)
        return [one.text for one in feed.findall("{*}entry/{*}id")]

    before = identifiers()
    assert identifiers() == before
    hub.hub.announcements.change(made, Wish("Moved", made.ends_at))
    assert identifiers() != before


# --- the API ---


@pytest.fixture
def api(hub):
    return hub.as_token(An.ADMIN_TOKEN)


def test_a_program_makes_changes_lists_and_removes_announcements(hub, api):
    hub.user("alice", groups=("physics",))
    answer = api.post("/announcements", SOON | {"ends_at": f"{tomorrow(hub)}:00Z", "groups": ["physics"]})
    assert answer.status_code == 201
    made = answer.json()
    assert made | {"id": "", "created": "", "starts_at": "", "ends_at": ""} == {
        "id": "",
        "text": "Exams on *Friday*",
        "kind": "info",
        "starts_at": "",
        "ends_at": "",
        "groups": ["physics"],
        "made_by": "admin",
        "created": "",
    }
    assert made["ends_at"].startswith(tomorrow(hub))

    changed = api.put(f"/announcements/{made['id']}", {"text": "Moved", "ends_at": made["ends_at"], "kind": "warning"})
    assert (changed.status_code, changed.json()["groups"], changed.json()["created"]) == (200, [], made["created"])
    assert api.get("/announcements").json() == {"announcements": [changed.json()]}
    assert api.delete(f"/announcements/{made['id']}").status_code == 204
    assert api.get("/announcements").json() == {"announcements": []}
    assert api.delete(f"/announcements/{made['id']}").status_code == 404
    assert api.put(f"/announcements/{made['id']}", SOON).status_code == 404


def test_a_program_changes_only_what_it_has_read(hub, api):
    path = f"/announcements/{announce(hub).id}"
    read = api.get(path)
    body = {"text": "Mine", "ends_at": read.json()["ends_at"]}
    etag = read.headers["etag"]

    theirs = api.put(path, body | {"text": "Theirs"}, headers={"If-Match": etag})
    assert theirs.status_code == 200
    late = api.put(path, body, headers={"If-Match": etag})

    assert (late.status_code, late.json()["status"]) == (412, 412)
    assert late.json()["message"].startswith("It is not as you read it any more")
    assert api.get(path).headers["etag"] == theirs.headers["etag"] != etag
    present = theirs.headers["etag"]
    weak = api.put(path, body, headers={"If-Match": f"W/{present}"})  # made so by a proxy on the way
    assert (weak.status_code, weak.json()["message"][:33]) == (412, "An ETag that begins with W/ never")
    assert api.put(path, body, headers={"If-Match": f'"other",{present}'}).status_code == 200
    assert api.put(path, body, headers={"If-Match": "*"}).status_code == 200
    assert api.put(path, body, headers={"If-None-Match": "*"}).status_code == 412
    assert api.put(path, body).status_code == 200  # the last one counts, as ever
    assert [api.get("/announcements/none").status_code, api.get(path).json()["text"]] == [404, "Mine"]
    assert api.delete(path, headers={"If-Match": etag}).status_code == 412
    assert api.delete(path, headers={"If-Match": api.get(path).headers["etag"]}).status_code == 204


def test_a_precondition_that_is_none_changes_nothing(hub, api):
    made = announce(hub)
    for header in ("If-Match", "If-None-Match"):
        for value in ("W/*", "", "unquoted"):
            refused = api.delete(f"/announcements/{made.id}", headers={header: value})
            assert (refused.status_code, refused.json()["message"][: len(header)]) == (400, header)
    assert hub.hub.announcements.get(made.id) == made


@pytest.mark.parametrize(("headers", "status"), [({"If-Match": "*"}, 412), ({}, 409)])
@pytest.mark.parametrize("write", ["replace", "remove"])
def test_who_is_slower_than_another_change_is_told(hub, monkeypatch, write, headers, status):
    made, api = announce(hub), hub.as_token(An.ADMIN_TOKEN)
    store, really = hub.hub.announcements.store, getattr(hub.hub.announcements.store, write)

    def after_another(*what, **more):
        monkeypatch.setattr(type(store), write, lambda _self, *what, **more: really(*what, **more))
        hub.hub.announcements.change(made, Wish("Theirs", made.ends_at))
        return really(*what, **more)

    monkeypatch.setattr(type(store), write, lambda _self, *what, **more: after_another(*what, **more))
    path, body = f"/announcements/{made.id}", {"text": "Mine", "ends_at": f"{tomorrow(hub)}:00Z"}
    answer = api.put(path, body, headers=headers) if write == "replace" else api.delete(path, headers=headers)
    assert answer.status_code == status
    assert hub.hub.announcements.get(made.id).text == "Theirs"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "x"},
        SOON | {"text": "x" * 2_001},
        SOON | {"ends_at": "soon"},
        SOON,  # more than a year away
        SOON | {"kind": "danger"},
        SOON | {"groups": ["g"] * 21},
        SOON | {"more": 1},
    ],
)
def test_a_body_that_is_not_allowed_announces_nothing(hub, api, body):
    refused = api.post("/announcements", body)
    assert refused.status_code == 400
    assert refused.json()["message"]
    assert hub.hub.announcements.all() == ()


def test_no_announcement_begins_before_some_clocks_do(hub, api):
    body = {"text": "x", "ends_at": f"{tomorrow(hub)}:00Z", "starts_at": "0001-01-01T00:00:00Z"}
    refused = api.post("/announcements", body)
    assert (refused.status_code, refused.json()["message"]) == (400, "The start must be in the year 2000 or later.")
    assert hub.hub.announcements.all() == ()
