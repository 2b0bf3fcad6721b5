"""Messages to people: by the API, by mail, and on the pages of who sends them and who gets them."""

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from functions.api.pages import admin_selected
from functions.api.pages import messages as pages
from functions.spawn import dispatch
from hubless.adapters.mail.smtp import message_of
from hubless.domain import messages
from hubless.domain.audit import AuditQuery
from hubless.domain.email_addresses import EmailAddress
from hubless.domain.errors import MailFailedError, RetryLaterError, StoreUnavailableError
from hubless.domain.letters import MAX_SUBJECT, MAX_TEXT
from hubless.services import letters
from tests.api.hub import SETTINGS, An, build_hub

SECRET = "At nine, in <b>room</b> 7"
OWN = """
[hub]
name = "Physics"
public_url = "https://hub.example.org"
[mail]
kind = "smtp"
sender = "hub@example.org"
host = "mail.example.org"
[[roles]]
name = "tutors"
users = ["tina"]
scopes = ["admin-ui", "list:users", "admin:users!group=class", "groups!group=class"]
"""


class Post:
    def __init__(self):
        self.mails, self.refusals = [], []

    def send(self, mail):
        if self.refusals:
            raise self.refusals.pop()
        self.mails.append(mail)


@pytest.fixture
def hub(tmp_path):
    made = build_hub(tmp_path / "hub", SETTINGS + OWN)
    made.post = made.hub.__dict__["mailer"] = Post()
    for name in ("alice", "tina"):
        made.user(name)
    made.user("bob", groups=["class"])
    made.user("root", admin=True)
    made.hub.email_addresses.save(None, EmailAddress(made.user("bob").id, "bob@example.org"))
    return made


@pytest.fixture
def api(hub):
    return hub.as_token(An.ADMIN_TOKEN)


def send(api, *users, subject="Exam", text=SECRET, key=None, **more):
    headers = {} if key is None else {"Idempotency-Key": key}
    return api.post("/messages", {"users": list(users), "subject": subject, "text": text, **more}, headers=headers)


def of(api, name="bob"):
    return api.get(f"/users/{name}/messages").json()["messages"]


def work(hub):
    """Do what the worker does with the queue, and return how many messages must come again."""
    again = 0
    for received in hub.hub.queue.receive(10, timedelta(seconds=30), hub.hub.clock.now()):
        record = {
            "messageId": received.receipt,
            "receiptHandle": received.receipt,
            "body": json.dumps(messages.encode(received.message)),
            "attributes": {"ApproximateReceiveCount": "1"},
        }
        if dispatch.handle(hub.hub, {"Records": [record]})["batchItemFailures"]:
            again += 1
        else:
            hub.hub.queue.delete(received.receipt)
    return again


def wait(hub, monkeypatch, **time):
    later = hub.hub.clock.now() + timedelta(**time)
    monkeypatch.setattr(type(hub.hub.clock), "now", lambda _: later)


def acts(hub):
    now = hub.hub.clock.now()
    query = AuditQuery(now.replace(year=2000), now.replace(year=2100))
    found = hub.hub.audit_log.page(query, limit=99).records
    return [(one.act.value, one.by.name, one.on, one.about) for one in found if one.act.value.startswith("message")]


def test_a_message_reaches_users_and_members_of_groups_once(hub, api):
    sent = send(api, "Alice", "bob", "bob", "nobody", groups=["class"])

    assert sent.status_code == 201
    found = sent.json()
    assert {name: found[name] for name in ("subject", "text", "sent_by", "mail", "reached", "read")} == {
        "subject": "Exam",
        "text": SECRET,
        "sent_by": "admin",
        "mail": False,
        "reached": 2,
        "read": 0,
    }
    assert found["refused"] == [{"name": "nobody", "reason": "No access to resources or resources not found"}]
    for name in ("alice", "bob"):
        (got,) = of(api, name)
        assert (got["id"], got["text"], got["read_at"], got["deleted"]) == (found["id"], SECRET, None, False)
    about = {"message": found["id"]}
    assert sorted(acts(hub), key=str) == [("message-sent", "admin", name, about) for name in ("alice", "bob")]


def test_a_message_is_read_and_deleted_by_its_recipient_alone(hub, api):
    sent = send(api, "bob", "alice").json()
    bob, path = hub.as_user("bob"), f"/users/bob/messages/{sent['id']}"

    assert api.put(f"{path}/read").status_code == api.delete(path).status_code == 403
    assert hub.as_user("alice").get("/users/bob/messages").status_code == 404
    assert hub.as_user("bob", ["users:activity!user"]).get("/users/bob/messages").status_code == 403
    assert hub.anybody.get("/users/bob/messages").status_code == 403
    assert bob.put(f"{path}/read").status_code == bob.put(f"{path}/read").status_code == 204
    (got,) = of(bob)
    assert (got["read_at"] is not None, got["deleted"]) == (True, False)
    assert bob.delete(path).status_code == 204
    assert of(api)[0]["deleted"] is True
    assert api.get("/messages").json()["messages"][0] == {k: v for k, v in sent.items() if k != "refused"} | {"read": 1}
    for wrong in ("le-1", "x", sent["id"][:-1] + ("0" if sent["id"][-1] != "0" else "1")):
        assert bob.put(f"/users/bob/messages/{wrong}/read").status_code == 404


def test_a_message_is_taken_back_from_everybody(hub, api):
    sent = send(api, "bob", "alice").json()

    assert hub.as_user("tina").delete(f"/messages/{sent['id']}").status_code == 403
    assert api.delete(f"/messages/{sent['id']}").status_code == 204
    assert api.delete(f"/messages/{sent['id']}").status_code == 404
    assert (of(api), api.get("/messages").json()) == ([], {"messages": [], "next": None})
    assert hub.user("bob").unread == ()  # who looked knows it
    assert acts(hub)[0] == ("message-taken-back", "admin", "", {"message": sent["id"]})


def test_sent_messages_are_listed_in_pages(api):
    for number in range(3):
        send(api, "bob", subject=f"{number}")
    first = api.get("/messages?limit=2").json()
    second = api.get(f"/messages?limit=2&before={first['next']}").json()
    assert [one["subject"] for one in first["messages"] + second["messages"]] == ["2", "1", "0"]
    assert second["next"] is None


def test_who_manages_some_users_sends_to_these_alone(hub, api):
    tina = hub.as_user("tina")

    assert [one["name"] for one in send(tina, "alice", "bob", "nobody").json()["refused"]] == ["alice", "nobody"]
    assert (len(of(api, "alice")), len(of(api)), len(of(tina))) == (0, 1, 1)
    assert send(tina, groups=["class"]).json()["reached"] == 1
    hub.user("alice", groups=["secret"])
    assert send(tina, "bob", groups=["secret"]).status_code == 404  # no answer names the members
    assert send(tina, "alice").status_code == 400
    assert tina.get("/messages").status_code == 403
    assert send(hub.as_user("alice"), "bob").status_code == 403


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": " "},
        {"text": "\n"},
        {"subject": "x" * (MAX_SUBJECT + 1)},
        {"text": "x" * (MAX_TEXT + 1)},
        {"subject": "Exam\r\nBcc: eve@example.org"},
        {"subject": "Exam\u2028Bcc: eve@example.org"},
        {"subject": "Exam\x85Bcc: eve@example.org"},
        {"subject": "Exam\u202egnp"},  # it would turn the line around that says who has sent it
        {"subject": "\u200b \u2060"},
        {"text": "\u200b\n"},
        {"text": "a\x00b"},
        {"text": "\ud800"},
        {"groups": ["x" * 300]},
        {"users": ["bob"] * 501},
        {"users": "bob"},
        {"users": []},
        {"mail": "yes"},
        {"more": 1},
    ],
)
def test_a_wrong_message_is_refused_and_reaches_nobody(hub, api, wrong):
    body = {"users": ["bob"], "subject": "Exam", "text": SECRET} | wrong
    answer = api.post("/messages", content=json.dumps(body), headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert (of(api), acts(hub)) == ([], [])


def test_a_message_to_too_many_is_refused_before_it_reaches_anybody(hub, api, monkeypatch):
    monkeypatch.setattr("functions.api.routes.messages.MOST_RECIPIENTS", 1)
    assert send(api, "alice", groups=["class"]).json()["message"] == "A message may go to at most 1 people at once."
    assert of(api) == []


def test_nobody_sends_more_than_sixty_messages_an_hour(hub, api, monkeypatch):
    monkeypatch.setattr(letters, "MOST_AN_HOUR", 2)
    assert [send(api, "bob").status_code for _ in range(3)] == [201, 201, 429]
    assert send(hub.as_user("root"), "bob").status_code == 201
    wait(hub, monkeypatch, hours=1, seconds=1)
    assert send(api, "bob").status_code == 201


def test_a_message_that_a_client_sends_again_is_one_message(hub, api, monkeypatch):
    monkeypatch.setattr(letters, "MOST_AN_HOUR", 2)
    first = send(api, "bob", key="8e03978e")
    again = send(api, "bob", "alice", key="8e03978e")  # the first answer was lost

    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json() | {"reached": 2}
    assert (len(of(api)), len(of(api, "alice"))) == (1, 1)
    assert send(api, "bob", key="another").json()["id"] != first.json()["id"]
    assert send(api, "bob", key="third").status_code == 429  # of three messages: a repeated one counts once
    assert send(api, "bob", key="8e03978e").json()["id"] == first.json()["id"]
    wait(hub, monkeypatch, hours=1, seconds=1)
    assert send(api, "bob", key="8e03978e").json()["id"] != first.json()["id"]


def test_a_message_that_was_taken_back_is_not_sent_again_by_its_key(hub, api):
    first = send(api, "bob", key="x")
    api.delete(f"/messages/{first.json()['id']}")
    before = acts(hub)

    again = send(api, "bob", key="x")
    assert (again.status_code, again.json()) == (201, first.json())
    assert send(api, "bob", key="x", text="Another").status_code == 409
    more = send(api, "bob", "alice", key="x").json()
    why = "Has not got the message: somebody has taken it back."
    assert more == first.json() | {"refused": [{"name": "alice", "reason": why}]}
    assert (of(api), of(api, "alice"), api.get("/messages").json()["messages"], acts(hub)) == ([], [], [], before)


def test_a_page_sent_again_after_a_take_back_sends_another_message(hub, api):
    draft = letters.Draft("Exam", SECRET, id=hub.hub.letters.new_draft_id())
    first, _ = (hub.hub.letters.begin(draft, "root", "user#root") for _ in range(2))
    hub.hub.letters.take_back(first.id)
    again = hub.hub.letters.begin(draft, "root", "user#root")
    hub.hub.letters.deliver(again, hub.user("bob"))
    assert (again.id != first.id, [one["id"] for one in of(api)]) == (True, [again.id])


def test_a_message_that_was_not_stored_is_sent_when_the_client_tries_again(hub, api, monkeypatch):
    store, really = type(hub.hub.letter_store), hub.hub.letter_store.create

    def fails(_self, letter):
        monkeypatch.setattr(store, "create", lambda _self, letter: really(letter))
        raise StoreUnavailableError("no answer")

    monkeypatch.setattr(store, "create", fails)
    assert [send(api, "bob", key="x").status_code for _ in range(3)] == [503, 201, 201]
    assert len(of(api)) == 1


def test_a_key_is_for_one_message_of_one_sender(hub, api, monkeypatch):
    wait(hub, monkeypatch)  # all send in the same millisecond
    sent = send(api, "bob", key="x").json()
    for other in ({"text": "Another"}, {"subject": "Another"}, {"mail": True}):
        assert send(api, "bob", key="x", **other).status_code == 409
    assert send(hub.as_user("root"), "bob", key="x").json()["id"] != sent["id"]
    assert len(of(api)) == 2
    assert send(api, "bob", key="x" * 256).status_code == 400
    assert [send(api, "bob", key="").status_code for _ in range(2)] == [201, 201]
    assert len(of(api)) == 4


def test_messages_end_with_their_time(hub, api, monkeypatch):
    send(api, "bob")
    assert hub.hub.letters.unread(hub.user("bob"))
    wait(hub, monkeypatch, days=90, seconds=1)
    assert hub.hub.letters.unread(hub.user("bob")) == ()
    assert (of(api), api.get("/messages").json()["messages"]) == ([], [])


# --- mails ---


def test_a_message_goes_by_mail_to_who_has_a_verified_address(hub, api):
    sent = send(api, "bob", "alice", mail=True).json()

    why = "Has the message, but gets no mail: there is no verified address."
    assert (sent["refused"], sent["reached"]) == ([{"name": "alice", "reason": why}], 2)
    assert (work(hub), of(api)[0]["mailed_at"] is not None) == (0, True)
    (mail,) = hub.post.mails
    assert (mail.to, mail.subject) == ("bob@example.org", "Exam (Physics)")
    assert mail.text.startswith("admin has sent a message to the account bob of Physics:\n\n" + SECRET)
    assert "https://hub.example.org/hub/messages" in mail.text


def test_without_the_wish_nobody_gets_a_mail(hub, api):
    send(api, "bob")
    assert (work(hub), hub.post.mails) == (0, [])


def test_a_mail_that_is_asked_for_twice_goes_once(hub, api):
    letter_id = send(api, "bob", mail=True).json()["id"]
    hub.hub.letters.deliver(hub.hub.letters.begun(letter_id, "service#admin"), hub.user("bob"))  # a batch again
    assert (work(hub), len(hub.post.mails)) == (0, 1)


def test_a_mail_that_the_server_did_not_take_goes_later(hub, api):
    hub.post.refusals.append(MailFailedError("busy"))
    send(api, "bob", mail=True)
    assert (work(hub), hub.post.mails, of(api)[0]["mailed_at"]) == (1, [], None)
    hub.hub.letters.deliver(hub.hub.letters.sent(limit=1)[0], hub.user("bob"))
    assert (work(hub), len(hub.post.mails)) == (0, 1)


def test_an_address_that_is_wrong_is_not_tried_again(hub, api):
    hub.post.refusals.append(MailFailedError("no such mailbox", retry=False))
    send(api, "bob", mail=True)
    assert (work(hub), hub.post.mails) == (0, [])


@pytest.mark.parametrize("gone", ["letter", "user", "address"])
def test_no_mail_goes_out_when_what_it_needs_is_gone(hub, api, gone):
    sent, bob = send(api, "bob", mail=True).json(), hub.user("bob")
    if gone == "letter":
        api.delete(f"/messages/{sent['id']}")
    elif gone == "user":
        hub.hub.users.delete(bob.id)
    else:
        hub.hub.email_addresses.save(hub.hub.email_addresses.get(bob.id), EmailAddress(bob.id))
    assert (work(hub), hub.post.mails) == (0, [])


def test_a_hub_without_mails_says_so(tmp_path):
    hub = build_hub(tmp_path / "hub")
    hub.user("bob")
    api = hub.as_token(An.ADMIN_TOKEN)
    assert send(api, "bob", mail=True).json()["message"] == "This hub sends no mails. Send the message without."
    assert of(api) == []


def test_no_subject_brings_a_header_into_a_mail(hub, api):
    send(api, "bob", subject="Exam =?utf-8?q?in=20room=207?= ü", mail=True)  # an encoded word (RFC 2047)
    work(hub)
    made = message_of(hub.post.mails[0], "hub@example.org", hub.hub.clock)
    assert made["Subject"].startswith("Exam = ?utf-8?q?in=20room=207?= ü")  # nothing in it is decoded


@pytest.mark.parametrize("text", ["", "x", "a b c", "le-1 u-1\n"])
def test_a_request_for_a_mail_that_makes_no_sense_is_an_error(hub, text):
    with pytest.raises(ValueError, match="two ids"):
        hub.hub.letter_mails.send(text)


def test_the_worker_that_gives_a_mail_back_says_when_to_come_again(hub, api):
    hub.post.refusals.append(MailFailedError("busy"))
    letter_id = send(api, "bob", mail=True).json()["id"]
    with pytest.raises(RetryLaterError) as refused:
        hub.hub.letter_mails.send(f"{letter_id} {hub.user('bob').id}")
    assert refused.value.after == timedelta(minutes=1)


# --- pages ---

SELECTED = "/hub/admin/selected"


def browse(hub, name=None):
    return hub.browser(name, address="https://hub.example.org")


@pytest.fixture
def root(hub):
    return browse(hub, "root")


def field(page, name):
    return re.search(rf'name="{name}" value="([^"]*)"', page)[1]


def compose(browser, *names, **more):
    """Ask for the page on which a message is written, as the table does, and return its text."""
    asked = browser.submit(SELECTED, act="message", name=list(names), total=str(len(names)), **more)
    assert asked.status_code == 303
    return browser.get(asked.headers["location"]).text


def write(browser, page, *names, subject="Exam", text=SECRET, **more):
    given = {"act": "message", "name": list(names), "draft": field(page, "draft"), "subject": subject, "text": text}
    return browser.submit(SELECTED, **given | more)


def test_an_admin_sends_a_message_from_the_table(hub, root):
    page = compose(root, "alice", "bob")
    assert "To 2 people: alice, bob" in page

    answer = write(root, page, "alice", "bob", text="At nine\r\nsee https://example.org/?a=1&b=2.")

    assert (answer.status_code, answer.headers["location"]) == (303, "/hub/admin")
    assert "2 people have the message" in root.get("/hub/admin").text
    home = browse(hub, "alice").get("/hub/home").text
    assert "root sent it" in home
    link = "https://example.org/?a=1&amp;b=2"
    assert f'At nine\nsee <a href="{link}" rel="noopener noreferrer nofollow">{link}</a>.</p>' in home
    assert [(act, by, on) for act, by, on, _ in acts(hub)] == [
        ("message-sent", "root", name) for name in ("bob", "alice")
    ]
    assert "nine" not in str(acts(hub))


def test_a_form_that_is_sent_twice_sends_one_message(hub, root):
    page = compose(root, "bob")
    for _ in range(2):
        write(root, page, "bob")
    assert len(of(hub.as_token(An.ADMIN_TOKEN))) == 1
    write(root, page, "bob", text="Another text")  # by the browser's button back
    write(root, compose(root, "bob"), "bob")
    assert [one["text"] for one in of(hub.as_token(An.ADMIN_TOKEN))] == [SECRET, "Another text", SECRET]


def test_a_batch_of_a_message_that_comes_again_sends_nothing(hub, root, monkeypatch):
    monkeypatch.setitem(admin_selected.BATCHES, "message", 1)
    names = ("alice", "bob", "nobody")
    first = write(root, compose(root, *names), *names).headers["location"]
    page = root.get(first).text
    assert "1 of 3 users" in page
    state = {"act": "message", "name": list(names), "letter": field(page, "letter"), "total": "3"}
    for at in (1, 1, 2):
        last = root.submit(SELECTED, **state, at=str(at), done=str(at)).headers["location"]
    assert "No such user, or not within your reach" in root.get(last).text
    api = hub.as_token(An.ADMIN_TOKEN)
    assert [len(of(api, name)) for name in ("alice", "bob")] == [1, 1]
    assert api.get("/messages").json()["messages"][0]["reached"] == 2
    hub.user("ada", admin=True)
    refused = browse(hub, "ada").submit(SELECTED, **state, at="0")  # it is root's
    assert (refused.status_code, "This message is gone." in refused.text) == (404, True)


def test_who_gets_no_mail_is_named(hub, root):
    page = compose(root, "alice", "bob")
    assert "Also by mail" in page
    answer = write(root, page, "alice", "bob", mail="1")
    shown = root.get(answer.headers["location"]).text
    assert "<strong>alice</strong>: Has the message, but gets no mail" in shown
    assert "<strong>bob</strong>" not in shown
    assert (work(hub), len(hub.post.mails)) == (0, 1)


def test_a_message_goes_to_all_whom_the_filter_finds(hub, root):
    page = root.get(SELECTED, params={"act": "message", "whom": "all", "group": "class", "back": "/hub/admin/x"}).text
    assert "To everybody whom the filter finds" in page
    answer = write(root, page, whom="all", group="class", back="/hub/admin/groups/class")
    assert answer.headers["location"] == "/hub/admin/groups/class"
    api = hub.as_token(An.ADMIN_TOKEN)
    assert (len(of(api)), len(of(api, "alice"))) == (1, 0)


def test_a_refused_message_keeps_what_was_typed(hub, root):
    answer = write(root, compose(root, "bob"), "bob", subject="<i>x</i>", text=" ", mail="1")
    assert answer.status_code == 400
    assert "Write what people shall read." in answer.text
    assert 'value="&lt;i&gt;x&lt;/i&gt;"' in answer.text
    assert 'name="mail" value="1" checked' in answer.text
    assert of(hub.as_token(An.ADMIN_TOKEN)) == []


@pytest.mark.parametrize("draft", ["", "x", "le" + "z" * 26, "le00000000000000000000000000"])
def test_an_odd_id_of_a_draft_is_not_taken(hub, root, draft):
    root.submit(SELECTED, act="message", name="bob", draft=draft, subject="Exam", text=SECRET)
    (got,) = of(hub.as_token(An.ADMIN_TOKEN))
    assert got["id"] != draft


def test_a_draft_of_somebody_else_is_not_taken(hub, root):
    page = compose(root, "bob")
    write(root, page, "bob")
    hub.user("ada", admin=True)
    write(browse(hub, "ada"), page, "bob")
    assert [one["sent_by"] for one in of(hub.as_token(An.ADMIN_TOKEN))] == ["ada", "root"]


def test_pages_of_a_user_and_a_group_lead_to_a_message(hub, root):
    send(hub.as_token(An.ADMIN_TOKEN), "bob")
    page = root.get("/hub/admin/users/bob").text
    assert "act=message&amp;name=bob" in page
    assert "not read yet" in page
    assert "act=message&amp;whom=all&amp;group=class" in root.get("/hub/admin/groups/class").text
    hub.hub.letters.mark_read(hub.user("bob"), hub.user("bob").unread[0], put_away=True)
    page = root.get("/hub/admin/users/bob").text
    assert ("not read yet" in page, "deleted" in page) == (False, True)


def test_who_may_not_send_is_refused_for_each(hub):
    tina = browse(hub, "tina")
    page = compose(tina, "alice", "bob")
    shown = tina.get(write(tina, page, "alice", "bob").headers["location"]).text
    assert "<strong>alice</strong>: You may not send messages to this user" in shown
    api = hub.as_token(An.ADMIN_TOKEN)
    assert (len(of(api)), len(of(api, "alice"))) == (1, 0)


BANNER = "You have an unread message"


def test_a_reader_marks_and_deletes_messages(hub):
    send(hub.as_token(An.ADMIN_TOKEN), "bob", subject="<b>Exam</b>")
    bob = browse(hub, "bob")
    assert BANNER in bob.get("/hub/account").text
    home = bob.get("/hub/home").text
    assert ("&lt;b&gt;Exam&lt;/b&gt;" in home, "in &lt;b&gt;room&lt;/b&gt; 7" in home, BANNER in home) == (
        True,
        True,
        False,
    )
    letter_id = hub.user("bob").unread[0]

    answer = bob.submit("/hub/messages/read", id=letter_id, next="/hub/home")

    assert (answer.status_code, answer.headers["location"]) == (303, "/hub/home")
    assert "Exam" not in bob.get("/hub/home").text
    assert BANNER not in bob.get("/hub/account").text
    assert "&lt;b&gt;Exam" in bob.get("/hub/messages").text
    for _ in range(2):
        assert bob.submit("/hub/messages/delete", id=letter_id, next="//evil").headers["location"] == "/hub/messages"
    page = bob.get("/hub/messages").text
    assert ("The message is deleted." in page, "You have no messages." in page) == (True, True)


def test_nobody_reads_the_message_of_another_or_without_a_login(hub):
    send(hub.as_token(An.ADMIN_TOKEN), "bob")
    alice = browse(hub, "alice")
    assert "Exam" not in alice.get("/hub/messages").text
    alice.submit("/hub/messages/read", id=hub.user("bob").unread[0])
    assert hub.user("bob").unread
    assert browse(hub).get("/hub/messages").status_code == 302
    assert browse(hub, "bob").post("/hub/messages/read", data={"id": "x"}).status_code == 403  # without the token


def test_home_says_how_many_more_there_are(hub):
    for number in range(7):
        send(hub.as_token(An.ADMIN_TOKEN), "bob", subject=f"number {number}")
    page = browse(hub, "bob").get("/hub/home").text
    assert [f"number {number}" in page for number in range(7)] == [False] * 4 + [True] * 3
    assert "All 7 unread messages" in page
    assert "You have 7 unread messages" in browse(hub, "bob").get("/hub/token").text


def test_who_has_no_unread_message_costs_no_read(hub, monkeypatch):
    hub.hub.letter_store.of_user = None  # nobody calls it
    for name in ("alice", "bob"):
        assert browse(hub, name).get("/hub/home").status_code == 200


def test_who_looks_at_messages_takes_those_that_are_gone_off_the_list(hub, monkeypatch):
    api = hub.as_token(An.ADMIN_TOKEN)
    gone, left = (send(api, "bob").json()["id"] for _ in range(2))
    bob = replace(hub.user("bob"), unread=(gone, left))  # as a DynamoDB has it after somebody took one back
    api.delete(f"/messages/{gone}")
    forgotten = []
    monkeypatch.setattr(hub.hub.letter_store, "forget", lambda *what: forgotten.append(what))
    assert [one.letter.id for one in hub.hub.letters.received(bob)] == [left]
    assert forgotten == [(bob.id, {gone})]


def test_admins_see_what_was_sent_and_take_it_back(hub, root):
    sent = send(hub.as_token(An.ADMIN_TOKEN), "bob", "alice", subject="<b>Exam</b>").json()
    page = root.get("/hub/admin/messages").text
    assert ("&lt;b&gt;Exam" in page, "0 of 2 have read it" in page) == (True, True)
    assert page.index("Take this message back from everybody?") < page.index(">Take back</button>")
    assert browse(hub, "tina").get("/hub/admin/messages").status_code == 403
    assert browse(hub, "tina").submit("/hub/admin/messages/take-back", id=sent["id"]).status_code == 403
    assert root.submit("/hub/admin/messages/take-back", id=sent["id"]).headers["location"] == "/hub/admin/messages"
    assert "The message is taken back." in root.get("/hub/admin/messages").text
    assert root.submit("/hub/admin/messages/take-back", id=sent["id"]).status_code == 404
    assert "Exam" not in browse(hub, "bob").get("/hub/home").text
    assert BANNER not in browse(hub, "bob").get("/hub/account").text  # home has looked


def test_sent_messages_have_pages(hub, root, monkeypatch):
    monkeypatch.setattr(pages, "_ROWS", 2)
    for number in range(3):
        send(hub.as_token(An.ADMIN_TOKEN), "bob", subject=f"number {number}")
    page = root.get("/hub/admin/messages").text
    assert [f"number {number}" in page for number in range(3)] == [False, True, True]
    older = root.get(re.search(r'href="(/hub/admin/messages\?before=[^"]*)"', page)[1]).text
    assert [f"number {number}" in older for number in range(3)] == [True, False, False]
    assert "Newest" in older


def test_frames_of_messages_speak_the_readers_language(hub):
    send(hub.as_token(An.ADMIN_TOKEN), "bob")
    bob = browse(hub, "bob")
    bob.headers["Accept-Language"] = "de"
    page = bob.get("/hub/home").text
    assert ("Als gelesen markieren" in page, "Exam" in page) == (True, True)


def test_the_download_of_an_account_has_its_messages(hub):
    send(hub.as_token(An.ADMIN_TOKEN), "bob")
    (found,) = hub.hub.own_data.of(hub.user("bob"))["messages"]
    assert found == found | {"subject": "Exam", "text": SECRET, "sent_by": "admin", "read_at": None, "deleted": False}
