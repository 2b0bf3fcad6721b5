"""Messages to people: by the API, by mail, and on the pages of who sends them and who gets them."""

import json
from datetime import timedelta

import pytest

from functions.spawn import dispatch
from hubless.adapters.mail.smtp import message_of
from hubless.domain import messages
from hubless.domain.audit import AuditQuery
from hubless.domain.email_addresses import EmailAddress
from hubless.domain.errors import MailFailedError, RetryLaterError
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


def send(api, *users, subject="Exam", text=SECRET, **more):
    return api.post("/messages", {"users": list(users), "subject": subject, "text": text, **more})


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
    send(api, "bob", subject="Exam =?utf-8?q?in=20room=207?= ü", mail=True)
    work(hub)
    made = message_of(hub.post.mails[0], "hub@example.org", hub.hub.clock)
    assert sorted(map(str.lower, made.keys())).count("bcc") == 0
    assert b"\nBcc" not in bytes(made)


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
