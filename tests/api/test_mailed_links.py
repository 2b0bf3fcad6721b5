"""Mails: links to a new password and to the confirmation of an e-mail address, and that a budget is used up."""

import asyncio
import json
import re
from datetime import timedelta

import pyotp
import pytest

from functions.api import password_pool
from functions.reaper import sweep
from functions.spawn import dispatch
from hubless.domain import messages
from hubless.domain.budgets import Budget
from hubless.domain.email_addresses import EmailAddress
from hubless.domain.errors import MailFailedError
from hubless.domain.messages import MessageKind
from hubless.services import email_addresses, password_resets
from tests.api.hub import build_hub

OWN = """
[hub]
name = "Physics"
public_url = "https://hub.example.org"

[login]
kind = "password"
max_failures = 3

[mail]
kind = "smtp"
sender = "hub@example.org"
host = "mail.example.org"
"""
SIGN_UP = OWN.replace("max_failures", "sign_up = true\nmax_failures") + "\n[sign_up]\nconfirm_email = true\n"
OLD, NEW = "the old one of tom", "a kettle of violets"
TOM = "Tom@example.org"
ADDRESS = "https://hub.example.org"


class Post:
    """Takes mails, and refuses the next ones if it is told so."""

    def __init__(self):
        self.mails, self.refusals = [], []

    def send(self, mail):
        if self.refusals:
            raise self.refusals.pop()
        self.mails.append(mail)

    def link(self):
        """Return the path of the link in the newest mail, which is at the hub's own address."""
        (address,) = re.findall(r"https?://\S+", self.mails[-1].text)
        assert address.startswith(f"{ADDRESS}/hub/")
        return address.removeprefix(ADDRESS)


@pytest.fixture
def hub(tmp_path):
    return with_people(build_hub(tmp_path, OWN), Post())


def with_people(made, post):
    made.post = made.hub.__dict__["mailer"] = post
    for name in ("tom", "without"):
        made.user(name)
        made.hub.accounts.set_password(name, OLD)
    made.hub.email_addresses.save(None, EmailAddress(made.user("tom").id, TOM))
    return made


def browse(hub):
    return hub.browser(address=ADDRESS)


def log_in(hub, password=OLD, name="tom"):
    browser = browse(hub)
    browser.get("/hub/login")
    return browser, browser.submit("/hub/login", username=name, password=password)


def ask(hub, account, browser=None):
    browser = browser or browse(hub)
    browser.get("/hub/forgot-password")
    return browser.submit("/hub/forgot-password", account=account)


def work(hub):
    """Do what the worker does with messages about mails, and return how many must come again."""
    again = 0
    for received in hub.hub.queue.receive(10, timedelta(seconds=30), hub.hub.clock.now()):
        body = json.dumps(messages.encode(received.message))
        record = {
            "messageId": received.receipt,
            "receiptHandle": received.receipt,
            "body": body,
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


@pytest.mark.parametrize("typed", ["tom", " TOM ", "tom@example.org", "TOM@EXAMPLE.ORG"])
def test_who_forgot_the_password_gets_a_link_to_a_new_one(hub, typed):
    assert "forgot-password" in browse(hub).get("/hub/login").text
    answer = ask(hub, typed)
    assert (answer.status_code, answer.headers["location"]) == (303, "/hub/forgot-password/sent")
    assert hub.post.mails == []
    assert work(hub) == 0
    (mail,) = hub.post.mails
    assert (mail.to, mail.subject) == (TOM, "A new password for Physics")
    browser, link = browse(hub), hub.post.link()
    assert "<strong>tom</strong>" in browser.get(link).text
    assert browser.submit(link, password=NEW, again=NEW).status_code == 302
    assert log_in(hub, NEW)[1].status_code == 302
    assert browse(hub).get(link).status_code == 404


def test_nobody_sees_whether_there_is_an_account(hub):
    def seen(account):
        answer = ask(hub, account)
        message = hub.hub.queue.receive(10, timedelta(seconds=30), hub.hub.clock.now())[0]
        hub.hub.queue.delete(message.receipt)
        return answer.status_code, answer.headers["location"], answer.text, message.message.kind

    texts = {seen(account) for account in ("tom", "nobody", "without", "nobody@example.org", "\u200b", "x" * 1000)}
    assert texts == {(303, "/hub/forgot-password/sent", "", MessageKind.RESET_PASSWORD)}


@pytest.mark.parametrize("typed", ["nobody", "without", "nobody@example.org", "tom@example.com", "tom\x00", "@"])
def test_who_has_no_account_or_no_address_gets_no_mail(hub, typed):
    assert ask(hub, typed).status_code == 303
    assert work(hub) == 0
    assert hub.post.mails == []


def test_an_address_that_nobody_confirmed_gets_no_link(hub):
    without = hub.user("without")
    asked = EmailAddress(without.id, pending="eve@example.org", pending_sha256="s", pending_until=hub.hub.clock.now())
    hub.hub.email_addresses.save(None, asked)
    for typed in ("without", "eve@example.org"):
        ask(hub, typed)
    assert work(hub) == 0
    assert hub.post.mails == []


def test_who_never_had_a_password_gets_no_link(hub):
    user = hub.user("other")
    hub.hub.email_addresses.save(None, EmailAddress(user.id, "other@example.org"))
    ask(hub, "other")
    assert work(hub) == 0
    assert hub.post.mails == []


def test_each_user_of_an_address_gets_a_link(hub):
    hub.hub.email_addresses.save(None, EmailAddress(hub.user("without").id, TOM))
    ask(hub, TOM)
    assert work(hub) == 0
    assert [("account tom " in mail.text, "account without " in mail.text) for mail in hub.post.mails] == [
        (True, False),
        (False, True),
    ]


def test_a_link_of_a_mail_is_valid_for_an_hour(hub, monkeypatch):
    ask(hub, "tom")
    work(hub)
    wait(hub, monkeypatch, minutes=59)
    assert browse(hub).get(hub.post.link()).status_code == 200
    wait(hub, monkeypatch, minutes=2)
    assert browse(hub).get(hub.post.link()).status_code == 404


def test_a_user_gets_few_mails_in_an_hour_however_the_user_is_named(hub, monkeypatch):
    for typed in ("tom", "TOM", TOM, TOM.upper(), "tom"):
        assert ask(hub, typed).status_code == 303
        work(hub)
    assert len(hub.post.mails) == password_resets.PER_USER
    wait(hub, monkeypatch, minutes=61)
    ask(hub, "tom")
    work(hub)
    assert len(hub.post.mails) == password_resets.PER_USER + 1


def test_a_sweep_forgets_no_mail_of_the_last_hour(hub, monkeypatch):
    for _ in range(password_resets.PER_USER):
        ask(hub, "tom")
        work(hub)
    wait(hub, monkeypatch, minutes=50)
    sweep.handle(hub.hub, {"detail-type": "Scheduled Event"})
    ask(hub, "tom")
    work(hub)
    assert len(hub.post.mails) == password_resets.PER_USER


def test_a_name_that_is_asked_for_too_often_sends_no_more_messages(hub):
    for _ in range(password_resets.PER_TEXT + 2):
        assert ask(hub, "nobody").status_code == 303
    assert hub.hub.queue.depth() == password_resets.PER_TEXT


def test_an_address_that_asks_too_often_is_told_to_wait(hub, monkeypatch):
    monkeypatch.setattr(password_resets, "PER_NETWORK", 2)
    statuses = [ask(hub, f"name{number}").status_code for number in range(3)]
    assert statuses == [303, 303, 429]
    assert hub.hub.queue.depth() == 2


def test_a_mail_server_that_is_away_gets_the_mail_later(hub, monkeypatch):
    ask(hub, "tom")
    hub.post.refusals = [MailFailedError("away")]
    assert work(hub) == 1
    wait(hub, monkeypatch, minutes=2)
    assert work(hub) == 0
    assert len(hub.post.mails) == 1
    assert hub.hub.queue.depth() == 0


def test_a_mail_server_that_refuses_for_good_is_not_asked_again(hub):
    ask(hub, "tom")
    hub.post.refusals = [MailFailedError("no such address", retry=False)]
    assert work(hub) == 0
    assert hub.hub.queue.depth() == 0


def test_links_have_the_hubs_address_whatever_the_request_says(hub):
    browser = browse(hub)
    browser.get("/hub/forgot-password")
    form = {"account": "tom", "_xsrf": browser.xsrf}
    headers = {"X-Forwarded-Host": "evil.example.org", "Forwarded": "host=evil.example.org"}
    browser.post("/hub/forgot-password", data=form, headers=headers)
    work(hub)
    assert "evil" not in hub.post.mails[0].text
    assert hub.post.link().startswith("/hub/set-password?key=")


def test_a_form_of_another_page_asks_for_nothing(hub):
    assert browse(hub).post("/hub/forgot-password", data={"account": "tom"}).status_code == 403
    assert hub.hub.queue.depth() == 0


def test_a_hub_without_mail_offers_no_link(tmp_path):
    hub = build_hub(tmp_path, OWN[: OWN.index("[mail]")])
    assert "forgot-password" not in browse(hub).get("/hub/login").text
    assert browse(hub).get("/hub/forgot-password").status_code == 404
    hub.user("tom")
    hub.hub.accounts.set_password("tom", OLD)
    assert log_in(hub)[0].get("/hub/email").status_code == 404


def set_email(browser, address, **more):
    browser.get("/hub/email")
    return browser.submit("/hub/email", address=address, **more)


def address_of(hub, name):
    return hub.hub.emails.of(hub.user(name)).address


def test_a_user_confirms_an_address_by_the_link_in_its_mail(hub):
    browser, _ = log_in(hub, name="without")
    assert set_email(browser, " New@Example.org ").status_code == 303
    assert "New@example.org" in browser.get("/hub/email").text
    assert hub.post.mails[-1].to == "New@example.org"
    assert address_of(hub, "without") == ""
    elsewhere = browse(hub)
    assert "New@example.org" in elsewhere.get(hub.post.link()).text
    assert address_of(hub, "without") == ""  # whoever only opens the link confirms nothing
    assert elsewhere.submit(hub.post.link()).status_code == 303
    assert address_of(hub, "without") == "New@example.org"
    assert elsewhere.submit(hub.post.link()).status_code == 404
    assert len(hub.post.mails) == 1


def test_the_verified_address_stays_until_a_new_one_is_confirmed(hub):
    browser, _ = log_in(hub)
    set_email(browser, "new@example.org")
    assert address_of(hub, "tom") == TOM
    link = hub.post.link()
    elsewhere = browse(hub)
    elsewhere.get(link)
    elsewhere.submit(link)
    assert address_of(hub, "tom") == "new@example.org"
    assert hub.post.mails[-1].to == TOM
    assert "is now new@example.org" in hub.post.mails[-1].text


def test_only_the_newest_link_confirms_and_not_for_ever(hub, monkeypatch):
    browser, _ = log_in(hub)
    set_email(browser, "one@example.org")
    first = hub.post.link()
    set_email(browser, "two@example.org")
    assert browser.get(first).status_code == 404
    assert browser.get(hub.post.link()).status_code == 200
    wait(hub, monkeypatch, days=3, seconds=1)
    assert browse(hub).get(hub.post.link()).status_code == 404


@pytest.mark.parametrize(
    "query", ["", "?user=x", "?user=x&key=y", "?key=" + "k" * 5000, "?user=" + "u" * 3000 + "&key=k"]
)
def test_a_link_that_nobody_sent_confirms_nothing(hub, query):
    browser = browse(hub)
    browser.get("/hub/login")
    assert browser.get(f"/hub/email/confirm{query}").status_code == 404
    assert browser.submit(f"/hub/email/confirm{query}").status_code == 404


def test_an_old_login_needs_the_password_to_change_the_address(hub, monkeypatch):
    browser, _ = log_in(hub)
    wait(hub, monkeypatch, minutes=11)
    assert 'name="old"' in browser.get("/hub/email").text
    assert set_email(browser, "new@example.org", old="a wrong one").status_code == 403
    assert hub.post.mails == []
    assert set_email(browser, "new@example.org", old=OLD).status_code == 303


def test_what_is_no_address_or_cannot_be_sent_is_told(hub):
    browser, _ = log_in(hub)
    assert set_email(browser, "nobody").status_code == 400
    hub.post.refusals = [MailFailedError("The hub could not send the mail. Try again in a few minutes")]
    answer = set_email(browser, "new@example.org")
    assert (answer.status_code, "could not send the mail" in answer.text) == (503, True)


def test_a_user_has_few_mails_sent_to_addresses_in_an_hour(hub):
    browser, _ = log_in(hub)
    statuses = [set_email(browser, f"a{n}@example.org").status_code for n in range(email_addresses.PER_USER + 1)]
    assert statuses == [303] * email_addresses.PER_USER + [429]


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("how", ["page", "link", "command"])
def test_a_new_password_is_told_by_mail_and_never_fails_with_it(hub, how, fails):
    browser, _ = log_in(hub)
    link = hub.hub.accounts.password_link("tom")
    hub.post.refusals = [MailFailedError("away")] * fails
    if how == "page":
        browser.get("/hub/change-password")
        assert browser.submit("/hub/change-password", old=OLD, password=NEW, again=NEW).status_code == 302
    elif how == "link":
        other = browse(hub)
        other.get(link)
        assert other.submit(link, password=NEW, again=NEW).status_code == 302
    else:
        hub.hub.accounts.set_password("tom", NEW)
    assert log_in(hub, NEW)[1].status_code == 302
    told = [(mail.to, mail.subject) for mail in hub.post.mails]
    assert told == ([] if fails else [(TOM, "Your password for Physics was changed")])
    assert not any(NEW in mail.text or OLD in mail.text for mail in hub.post.mails)


def test_a_new_password_is_told_to_no_address_that_nobody_confirmed(hub):
    hub.hub.email_addresses.save(None, EmailAddress(hub.user("without").id, pending="without@example.org"))
    hub.hub.accounts.set_password("without", NEW)
    assert hub.post.mails == []


def test_a_promotion_that_ends_logins_tells_of_no_password(hub):
    hub.hub.accounts.promote(hub.user("tom"), revoke=True)
    assert hub.post.mails == []


@pytest.mark.parametrize("fails", [False, True])
def test_who_reset_a_users_second_factors_is_told_by_mail(hub, fails):
    tom, factors = hub.user("tom"), hub.hub.second_factors
    offer = factors.offer_app(tom)
    factors.add_app(tom, offer.offer, pyotp.TOTP(offer.secret).at(hub.hub.clock.now()))
    hub.post.refusals = [MailFailedError("away")] * fails
    hub.user("root", admin=True)
    assert hub.as_user("root").delete("/users/tom/second-factors").status_code == 204
    assert not factors.of(tom).is_set_up
    told = [(mail.to, "root has removed" in mail.text) for mail in hub.post.mails]
    assert told == ([] if fails else [(TOM, True)])


class WatchedPost(Post):
    """Notes what each mail holds up while it is sent."""

    def __init__(self):
        super().__init__()
        self.held_up = []

    def send(self, mail):
        super().send(mail)
        try:
            asyncio.get_running_loop()
            self.held_up.append("all requests")
        except RuntimeError:  # a thread
            self.held_up += ["logins"] * bool(password_pool._limiter().borrowed_tokens)


@pytest.mark.parametrize("how", ["page", "link", "sign-up", "address", "confirmation", "admin"])
def test_a_slow_mail_server_holds_up_no_login_and_no_request(tmp_path, how):
    hub = with_people(build_hub(tmp_path, SIGN_UP), WatchedPost())
    browser, _ = log_in(hub)
    if how == "page":
        browser.get("/hub/change-password")
        browser.submit("/hub/change-password", old=OLD, password=NEW, again=NEW)
    elif how == "link":
        link, other = hub.hub.accounts.password_link("tom"), browse(hub)
        other.get(link)
        other.submit(link, password=NEW, again=NEW)
    elif how == "sign-up":
        stranger = browse(hub)
        stranger.get("/hub/sign-up")
        stranger.submit("/hub/sign-up", username="ada", password=NEW, again=NEW, email="ada@example.org")
    elif how == "admin":
        hub.user("root", admin=True)
        hub.as_user("root").put("/users/tom/email", {"email": "new@example.org"})
    else:
        set_email(browser, "new@example.org")
        if how == "confirmation":
            link = hub.post.link()
            browser.get(link)
            browser.submit(link)
    assert len(hub.post.mails) == (2 if how == "confirmation" else 1)
    assert hub.post.held_up == []


def test_a_provider_gives_an_address_to_who_has_none(hub):
    for name in ("tom", "without"):
        hub.hub.emails.note_verified(hub.user(name), "provider@example.org")
    hub.hub.emails.note_verified(hub.user("without"), "no address")
    assert (address_of(hub, "tom"), address_of(hub, "without")) == (TOM, "provider@example.org")


def test_an_admin_reads_sets_and_removes_an_address_by_the_api(hub):
    hub.user("boss", admin=True)
    boss, tom = hub.as_user("boss"), hub.as_user("tom")
    assert boss.get("/users/tom/email").json() == {"email": TOM, "pending": ""}
    set_now = boss.put("/users/without/email", {"email": "w@example.org"})
    assert (set_now.status_code, set_now.json()["email"]) == (200, "w@example.org")
    assert address_of(hub, "without") == "w@example.org"
    assert boss.put("/users/tom/email", {"email": ""}).json() == {"email": "", "pending": ""}
    assert address_of(hub, "tom") == ""
    for wrong in ({"email": "nobody"}, {"email": None}, {}, {"email": "x" * 300}):
        assert boss.put("/users/tom/email", wrong).status_code == 400
    assert tom.put("/users/without/email", {"email": TOM}).status_code == 403
    assert tom.get("/users/without/email").status_code in {403, 404}
    assert hub.anybody.get("/users/tom/email").status_code == 403


def test_who_may_not_act_as_a_user_cannot_have_its_links_sent_elsewhere(hub):
    hub.user("boss", admin=True)
    helper = hub.as_user("tom", scopes=["admin:users"])
    answer = helper.put("/users/boss/email", {"email": "eve@example.org"})
    assert answer.status_code == 403
    assert address_of(hub, "boss") == ""


def test_a_user_is_told_by_mail_that_a_budget_is_used_up(hub):
    tom = hub.user("tom")
    hub.hub.spawning.start(tom, "")
    (launch,) = hub.hub.queue.receive(10, timedelta(seconds=30), hub.hub.clock.now())
    hub.hub.queue.delete(launch.receipt)
    hub.hub.budgets.put(Budget("tiny", user="tom", seconds=0))
    sweep.handle(hub.hub, {"detail-type": "Scheduled Event"})
    hub.post.refusals.append(MailFailedError("The mail server is away"))
    assert work(hub) == 1
    assert hub.post.mails == []
    received = hub.hub.queue.receive(10, timedelta(seconds=30), hub.hub.clock.now() + timedelta(minutes=2))
    hub.hub.budget_mails.send(received[0].message.text)
    (mail,) = hub.post.mails
    assert (mail.to, mail.subject) == (TOM, "Your budget tiny of Physics is used up")
