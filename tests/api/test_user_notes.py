"""Notes on users: admins read and write them on the page of a user and by the API, and nobody else does."""

import json

import pytest

from hubless.domain.audit import AuditQuery
from hubless.domain.user_notes import MAX_TEXT
from tests.api.hub import SETTINGS, An, build_hub

PAGE, NOTE = "/hub/admin/users/alice", "/users/alice/note"
SECRET = "Needs <b>more</b> time\nin exams"
SHOWN = "Needs &lt;b&gt;more&lt;/b&gt; time\nin exams"
ROLES = """
[[roles]]
name = "helpers"
users = ["anna"]
scopes = ["admin-ui", "admin:users", "list:users", "tokens"]
"""


@pytest.fixture
def hub(tmp_path):
    made = build_hub(tmp_path / "hub", SETTINGS + ROLES)
    for name in ("alice", "anna"):
        made.user(name)
    made.user("root", admin=True)
    return made


@pytest.fixture
def api(hub):
    return hub.as_token(An.ADMIN_TOKEN)


def note_on(hub, name="alice"):
    return hub.hub.user_notes.of(hub.user(name))


def acts(hub):
    now = hub.hub.clock.now()
    query = AuditQuery(now.replace(year=2000), now.replace(year=2100))
    return [
        (one.by.name, one.on, one.about) for one in hub.hub.audit_log.page(query, limit=9).records if "note" in one.act
    ]


def test_an_admin_writes_a_note_and_every_admin_reads_it(hub, root):
    sent = root.submit(f"{PAGE}/note", note=SECRET.replace("\n", "\r\n"), revision="0")

    assert (sent.status_code, sent.headers["location"]) == (303, PAGE)
    assert "The note on alice is saved" in root.get(PAGE).text
    hub.user("ada", admin=True)
    page = hub.browser("ada").get(PAGE).text
    assert SHOWN in page
    assert "root wrote it" in page
    assert note_on(hub).text == SECRET
    assert acts(hub) == [("root", "alice", {})]  # never what it says


def test_an_empty_note_is_none_and_its_revision_goes_on(hub, root):
    root.submit(f"{PAGE}/note", note=SECRET, revision="0")
    root.submit(f"{PAGE}/note", note=" ", revision="1")

    page = root.get(PAGE).text
    assert "There is no note on alice" in page
    assert "wrote it" not in page
    assert root.submit(f"{PAGE}/note", note="Old tab", revision="0").status_code == 409
    assert root.submit(f"{PAGE}/note", note="Old tab", revision="1").status_code == 409
    assert note_on(hub).text == ""


@pytest.mark.parametrize("revision", ["0", "", "x", "²", "9" * 40])
def test_who_did_not_see_the_present_note_keeps_what_they_typed(hub, root, revision):
    hub.hub.user_notes.write(hub.user("alice"), "Ask Tina", "ada")

    refused = root.submit(f"{PAGE}/note", note=SECRET, revision=revision)

    assert refused.status_code == 409
    for words in ("Somebody else has changed this note meanwhile", "Ask Tina", SHOWN, 'name="revision" value="1"'):
        assert words in refused.text, words
    assert note_on(hub).text == "Ask Tina"
    assert root.submit(f"{PAGE}/note", note=SECRET, revision="1").status_code == 303


def test_a_note_that_is_sent_twice_is_written_once(hub, root):
    for _ in range(2):
        assert root.submit(f"{PAGE}/note", note=SECRET, revision="0").status_code == 303
    assert (note_on(hub).revision, len(acts(hub))) == (1, 1)


def test_a_note_has_a_bound(hub, root, api):
    refused = root.submit(f"{PAGE}/note", note="x" * (MAX_TEXT + 1), revision="0")
    assert (refused.status_code, "at most 2000 characters" in refused.text) == (400, True)
    assert api.put(NOTE, {"text": "x" * (MAX_TEXT + 1)}).status_code == 400
    assert root.submit(f"{PAGE}/note", note="\r\n".join("x" * (MAX_TEXT // 2)), revision="0").status_code == 303


def test_the_api_reads_writes_and_removes_a_note(hub, api):
    assert api.get(NOTE).json() == {"text": "", "revision": 0, "written_by": "", "written_at": None}
    written = api.put(NOTE, {"text": SECRET, "revision": 0})
    assert (written.status_code, written.json()["text"], written.json()["revision"]) == (200, SECRET, 1)
    assert api.get(NOTE).json() == written.json()
    assert api.put(NOTE, {"text": "Other", "revision": 0}).status_code == 409
    assert api.put(NOTE, {"text": ""}).json()["text"] == ""
    assert api.get("/users/nobody/note").status_code == 404
    assert len(acts(hub)) == 2


def test_nobody_but_admins_reads_or_writes_a_note(hub, root):
    hub.hub.user_notes.write(hub.user("alice"), SECRET, "root")
    hub.hub.user_notes.write(hub.user("anna"), SECRET, "root")
    for name, mine in (("alice", hub.as_user("alice")), ("anna", hub.as_user("anna"))):
        for path in ("/users/alice/note", "/users/anna/note"):
            assert mine.get(path).status_code in {403, 404}
            assert mine.put(path, {"text": "All good"}).status_code in {403, 404}
        assert "more" not in mine.get(f"/users/{name}").text
        browser = hub.browser(name)
        for path in ("/hub/home", "/hub/account", f"/hub/admin/users/{name}"):
            assert "in exams" not in browser.get(path).text
        assert browser.submit(f"/hub/admin/users/{name}/note", note="x", revision="1").status_code in {403, 404}
    narrowed = hub.as_user("root", scopes=["admin:users"])
    assert narrowed.get(NOTE).status_code == 403
    assert note_on(hub).text == note_on(hub, "anna").text == SECRET


def test_no_download_of_an_account_has_the_note(hub):
    hub.hub.user_notes.write(hub.user("alice"), SECRET, "root")
    own = json.dumps(hub.hub.own_data.of(hub.user("alice")), default=str)
    assert "exams" not in own


def test_a_form_of_a_foreign_page_writes_no_note(hub, root):
    assert root.post(f"{PAGE}/note", data={"note": "x", "revision": "0"}).status_code == 403
    assert note_on(hub).revision == 0


def test_a_new_user_of_the_same_name_has_no_note(hub, root):
    hub.hub.user_notes.write(hub.user("alice"), SECRET, "root")
    root.submit(f"{PAGE}/delete")
    assert note_on(hub).text == ""
