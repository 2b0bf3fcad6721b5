"""Sign-ups with join codes, with the confirmation of an e-mail address, and with the approval of an admin."""

import re
from datetime import timedelta

import pytest

from hubless.domain.archive import Archive, ArchivedSignUp
from hubless.domain.errors import MailFailedError, StoreUnavailableError
from hubless.domain.import_choices import Choices
from hubless.domain.users import Group
from tests.api.hub import build_hub

ADDRESS = "https://hub.example.org"
BASE = """
[hub]
name = "Physics"
public_url = "https://hub.example.org"

[login]
kind = "password"
sign_up = true
admins = ["boss"]

[mail]
kind = "smtp"
sender = "hub@example.org"
host = "mail.example.org"
"""
CODES = """
[[join_codes]]
name = "autumn"
code = "physics 2026"
group = "autumn"
expires = 2026-12-31
uses = 2

[[join_codes]]
name = "old"
code = "physics 2020"
expires = "2020-12-31"
"""
CONFIRM = "\n[sign_up]\nconfirm_email = true\nemail_domains = ['example.org']\n"
APPROVE = "\n[sign_up]\napproval = true\n"
BOTH = CONFIRM + "approval = true\n"
PASSWORD = "a kettle of violets"


class Post:
    """Takes mails, and refuses them if it is told so."""

    def __init__(self):
        self.mails, self.refuses = [], False

    def send(self, mail):
        if self.refuses:
            raise MailFailedError("The hub could not send the mail. Try again in a few minutes")
        self.mails.append(mail)

    def link(self):
        """Return the path of the link in the newest mail."""
        (address,) = re.findall(r"https?://\S+", self.mails[-1].text)
        return address.removeprefix(ADDRESS)


def a_hub(folder, *more):
    made = build_hub(folder, BASE + "".join(more))
    made.post = made.hub.__dict__["mailer"] = Post()
    return made


def browse(hub):
    return hub.browser(address=ADDRESS)


def sign_up(hub, name="ada", **more):
    browser = browse(hub)
    browser.get("/hub/sign-up")
    form = {"username": name, "password": PASSWORD, "again": PASSWORD} | more
    return browser, browser.submit("/hub/sign-up", **form)


def opens(hub, name="ada", password=PASSWORD):
    browser = browse(hub)
    browser.get("/hub/login")
    return browser.submit("/hub/login", username=name, password=password).status_code == 302


def confirm(hub, link=None):
    browser, link = browse(hub), link or hub.post.link()
    assert "ada" in browser.get(link).text
    return browser.submit(link)


def boss_of(hub):
    boss = browse(hub)
    hub.hub.accounts.set_password("boss", "a long password of boss")
    boss.get("/hub/login")
    boss.submit("/hub/login", username="boss", password="a long password of boss")
    return boss


def exists(hub, name="ada"):
    return hub.hub.users.find(name) is not None


def wait(hub, monkeypatch, **time):
    later = hub.hub.clock.now() + timedelta(**time)
    monkeypatch.setattr(type(hub.hub.clock), "now", lambda _: later)


def test_a_join_code_opens_an_account_and_its_group(tmp_path):
    hub = a_hub(tmp_path, CODES)
    browser, answer = sign_up(hub, code=" physics 2026 ")
    assert answer.status_code == 302
    assert browser.get("/hub/api/user").json()["groups"] == ["autumn"]
    assert opens(hub)


@pytest.mark.parametrize("code", ["", "physics 2020", "PHYSICS 2026", "x" * 1000, "wrong"])
def test_without_a_valid_code_there_is_no_account(tmp_path, code):
    hub = a_hub(tmp_path, CODES)
    answer = sign_up(hub, code=code)[1]
    assert (answer.status_code, "join code" in answer.text) == (400, True)
    assert not exists(hub)


def test_a_code_makes_as_many_accounts_as_it_may(tmp_path):
    hub = a_hub(tmp_path, CODES)
    statuses = [sign_up(hub, name, code="physics 2026")[1].status_code for name in ("one", "two", "three")]
    assert statuses == [302, 302, 400]
    assert not exists(hub, "three")


@pytest.mark.parametrize(
    "fields", [{"username": "boss"}, {"username": "\u0430da"}, {"password": "ada12345"}, {"again": "x"}]
)
def test_a_refused_sign_up_uses_no_code(tmp_path, fields):
    hub = a_hub(tmp_path, CODES)
    hub.user("ada2")
    hub.hub.accounts.add("ada")
    for _ in range(3):
        form = {"username": "new"} | fields
        assert sign_up(hub, form.pop("username"), code="physics 2026", **form)[1].status_code == 400
    assert [sign_up(hub, name, code="physics 2026")[1].status_code for name in ("one", "two")] == [302, 302]


def test_a_sign_up_that_fails_late_gives_its_code_back(tmp_path):
    hub = a_hub(tmp_path, CODES, CONFIRM)
    hub.post.refuses = True
    statuses = [sign_up(hub, code="physics 2026", email="ada@example.org")[1].status_code for _ in range(3)]
    assert statuses == [503] * 3
    hub.post.refuses = False
    for name in ("ada", "bob"):
        assert sign_up(hub, name, code="physics 2026", email="ada@example.org")[1].status_code == 303
    assert sign_up(hub, "eve", code="physics 2026", email="ada@example.org")[1].status_code == 400


def test_who_confirms_an_address_gets_the_account(tmp_path):
    hub = a_hub(tmp_path, CONFIRM)
    browser, answer = sign_up(hub, email="Ada@example.org")
    assert (answer.status_code, answer.headers["location"]) == (303, "/hub/sign-up/waiting?for=mail")
    assert "Look at your mail" in browser.get("/hub/sign-up/waiting?for=mail").text
    assert (exists(hub), opens(hub)) == (False, False)
    assert hub.post.mails[0].to == "Ada@example.org"
    browse(hub).get(hub.post.link())
    assert not exists(hub)  # whoever only opens the link confirms nothing
    confirmed = confirm(hub)
    assert (confirmed.status_code, confirmed.headers["location"]) == (303, "/hub/sign-up/ready")
    assert "jupyterhub-hub-login" not in str(confirmed.headers)
    assert opens(hub)
    assert hub.hub.emails.of(hub.user("ada")).address == "Ada@example.org"
    assert browse(hub).get(hub.post.link()).status_code == 404
    assert hub.hub.sign_ups.waiting() == []


@pytest.mark.parametrize("email", ["", "nobody", "ada@example.com", "ada@mail.example.org"])
def test_an_address_that_is_not_allowed_is_refused(tmp_path, email):
    hub = a_hub(tmp_path, CONFIRM)
    assert sign_up(hub, email=email)[1].status_code == 400
    assert hub.hub.sign_ups.waiting() == hub.post.mails == []


def test_a_mail_that_cannot_be_sent_leaves_nothing(tmp_path):
    hub = a_hub(tmp_path, CONFIRM)
    hub.post.refuses = True
    answer = sign_up(hub, email="ada@example.org")[1]
    assert (answer.status_code, "could not send the mail" in answer.text) == (503, True)
    assert hub.hub.sign_ups.waiting() == []
    hub.post.refuses = False
    assert sign_up(hub, email="ada@example.org")[1].status_code == 303


def test_a_link_is_of_one_sign_up_and_ends_with_it(tmp_path, monkeypatch):
    hub = a_hub(tmp_path, CONFIRM)
    sign_up(hub, email="ada@example.org")
    link = hub.post.link()
    sign_up(hub, "bob", email="bob@example.org")
    browser = browse(hub)
    for wrong in (link.replace("name=ada", "name=bob"), link + "x", link.partition("&key")[0], "/hub/sign-up/confirm"):
        assert browser.get(wrong).status_code == 404
        assert browser.submit(wrong).status_code in {403, 404}
    wait(hub, monkeypatch, days=14, seconds=1)
    assert browser.get(link).status_code == 404
    assert not exists(hub)


def test_a_name_waits_for_one_person_until_that_ends(tmp_path, monkeypatch):
    hub = a_hub(tmp_path, CONFIRM)
    sign_up(hub, email="ada@example.org")
    assert sign_up(hub, email="eve@example.org")[1].status_code == 400
    assert sign_up(hub, "\u0430d\u0430", email="eve@example.org")[1].status_code == 400
    wait(hub, monkeypatch, days=14, seconds=1)
    assert sign_up(hub, email="eve@example.org")[1].status_code == 303


def test_only_so_many_sign_ups_wait(tmp_path):
    hub = a_hub(tmp_path, APPROVE + "max_waiting = 1\n")
    assert sign_up(hub, "one")[1].status_code == 303
    answer = sign_up(hub, "two")[1]
    assert (answer.status_code, "Too many people wait" in answer.text) == (400, True)


def test_an_admin_approves_on_the_page(tmp_path):
    hub = a_hub(tmp_path, APPROVE)
    assert sign_up(hub)[1].headers["location"] == "/hub/sign-up/waiting?for=admin"
    assert not opens(hub)
    boss = boss_of(hub)
    assert "ada" in boss.get("/hub/admin").text
    assert boss.submit("/hub/admin/sign-ups/ada/approve").status_code == 303
    assert opens(hub)
    assert "Waiting for an account" not in boss.get("/hub/admin").text


def test_an_admin_refuses_on_the_page(tmp_path):
    hub = a_hub(tmp_path, APPROVE)
    sign_up(hub)
    boss = boss_of(hub)
    assert boss.submit("/hub/admin/sign-ups/ada/refuse").status_code == 303
    assert (exists(hub), hub.hub.sign_ups.waiting()) == (False, [])
    assert boss.submit("/hub/admin/sign-ups/ada/approve").status_code == 400
    assert sign_up(hub)[1].status_code == 303


def test_nobody_but_admins_approves(tmp_path):
    hub = a_hub(tmp_path, APPROVE)
    sign_up(hub)
    hub.user("tom")
    hub.hub.accounts.set_password("tom", PASSWORD)
    tom = browse(hub)
    tom.get("/hub/login")
    tom.submit("/hub/login", username="tom", password=PASSWORD)
    assert tom.submit("/hub/admin/sign-ups/ada/approve").status_code == 403
    assert browse(hub).submit("/hub/admin/sign-ups/ada/approve").status_code in {302, 403}
    api = hub.as_user("tom")
    assert api.get("/sign-ups").status_code == 403
    assert api.post("/sign-ups/ada/approve").status_code == 403
    assert api.delete("/sign-ups/ada").status_code == 403
    assert not exists(hub)


def test_a_sign_up_with_a_code_needs_no_approval(tmp_path):
    hub = a_hub(tmp_path, CODES, APPROVE)
    assert sign_up(hub, code="physics 2026")[1].status_code == 302
    assert sign_up(hub, "bob")[1].status_code == 303


@pytest.mark.parametrize("first", ["the admin", "the user"])
def test_confirmation_and_approval_come_in_any_order(tmp_path, first):
    hub = a_hub(tmp_path, BOTH)
    hub.user("boss", admin=True)
    boss = hub.as_user("boss")
    sign_up(hub, email="ada@example.org")
    link = hub.post.link()
    if first == "the user":
        assert confirm(hub, link).headers["location"] == "/hub/sign-up/waiting?for=admin"
    approved = boss.post("/sign-ups/ada/approve")
    assert (approved.status_code, approved.json()) == (200, {"name": "ada", "is_made": first == "the user"})
    assert exists(hub) == (first == "the user")
    if first == "the admin":
        assert confirm(hub, link).headers["location"] == "/hub/sign-up/ready"
    else:
        assert "is ready" in hub.post.mails[-1].subject
    assert opens(hub)


def test_the_api_lists_approves_and_refuses(tmp_path):
    hub = a_hub(tmp_path, APPROVE)
    hub.user("boss", admin=True)
    boss = hub.as_user("boss")
    for name in ("ada", "bob"):
        sign_up(hub, name)
    listed = boss.get("/sign-ups").json()["sign_ups"]
    assert [(one["name"], one["waits_for_admin"], one["waits_for_mail"]) for one in listed] == [
        ("ada", True, False),
        ("bob", True, False),
    ]
    assert not any("hash" in key or "sha256" in key for one in listed for key in one)
    assert boss.delete("/sign-ups/bob").status_code == 204
    assert boss.delete("/sign-ups/bob").status_code == 404
    assert boss.post("/sign-ups/ada/approve").status_code == 200
    assert boss.post("/sign-ups/ada/approve").status_code == 404
    assert boss.get("/sign-ups").json() == {"sign_ups": []}


@pytest.mark.parametrize("call", ["passwords.change", "groups.add_users", "sign_up_store.remove"])
def test_an_account_that_was_made_in_part_is_completed(tmp_path, monkeypatch, call):
    hub = a_hub(tmp_path, BOTH, CODES)
    sign_up(hub, email="ada@example.org", code="physics 2026")
    store, name = call.split(".")
    kind = type(getattr(hub.hub, store))

    def crash(*_, **__):
        raise StoreUnavailableError("crash")

    with monkeypatch.context() as patch:
        patch.setattr(kind, name, crash)
        assert confirm(hub).status_code == 503
    assert exists(hub)
    assert confirm(hub).status_code == 303
    assert opens(hub)
    assert hub.user("ada").groups == ("autumn",)
    assert hub.hub.sign_ups.waiting() == []


def test_who_waits_while_the_group_is_made_anew_joins_no_group(tmp_path, monkeypatch):
    hub = a_hub(tmp_path, CONFIRM, CODES)
    hub.user("boss", admin=True)
    boss = hub.as_user("boss")
    assert boss.post("/groups/autumn").status_code == 201
    sign_up(hub, email="ada@example.org", code="physics 2026")
    asked = boss_of(hub).get("/hub/admin/groups/autumn/delete").text
    assert "1 sign-up that waits will join no group." in asked
    assert boss.delete("/groups/autumn").status_code == 204
    assert boss.post("/groups/autumn").status_code == 201
    assert confirm(hub).status_code == 303
    assert hub.user("ada").groups == ()

    store, add = hub.hub.sign_ups.store, hub.hub.sign_ups.store.add

    def made_anew(_self, asked, now, *, most):
        hub.hub.group_references.remove(hub.hub.groups.find("autumn"))
        hub.hub.groups.create(Group("g-new", "autumn"))
        return add(asked, now, most=most)

    monkeypatch.setattr(type(store), "add", made_anew)
    sign_up(hub, "eve", email="eve@example.org", code="physics 2026")
    assert [(one.name, one.group) for one in hub.hub.sign_ups.waiting()] == [("eve", "")]


def test_a_name_that_an_admin_gave_away_meanwhile_is_not_taken_over(tmp_path):
    hub = a_hub(tmp_path, APPROVE)
    hub.user("boss", admin=True)
    sign_up(hub)
    other = hub.hub.accounts.add("ada")
    answer = hub.as_user("boss").post("/sign-ups/ada/approve")
    assert (answer.status_code, "already exists" in answer.json()["message"]) == (409, True)
    assert hub.hub.passwords.get(other.id) is None
    assert not opens(hub)


def test_a_name_to_which_settings_gave_a_role_meanwhile_gets_no_account(tmp_path):
    sign_up(first := a_hub(tmp_path, CONFIRM), email="ada@example.org")
    role = "\n[[roles]]\nname = 'teachers'\nscopes = ['admin:users']\nusers = ['ada']\n"
    later = a_hub(tmp_path, CONFIRM, role)

    answer = confirm(later, first.post.link())

    assert (answer.status_code, exists(later)) == (409, False)


def test_one_address_gets_only_a_few_mails(tmp_path):
    hub = a_hub(tmp_path, CONFIRM)
    answers = [sign_up(hub, f"ada-{number}", email="Ada@example.org") for number in range(5)]
    assert {answer.status_code for _, answer in answers} == {303}

    _, refused = sign_up(hub, "ada-5", email="ada@example.org")

    assert (refused.status_code, "Too many mails" in refused.text, len(hub.post.mails)) == (400, True, 5)
    assert sign_up(hub, "bob", email="bob@example.org")[1].status_code == 303


def test_sign_ups_of_another_hub_wait_for_an_admin_where_nobody_signs_up(tmp_path, monkeypatch):
    hub = build_hub(tmp_path, BASE.replace("sign_up = true\n", ""))
    stored = hub.hub.hasher.hash(PASSWORD)
    old = Archive(
        "old", sign_ups=(ArchivedSignUp("ada", stored), ArchivedSignUp("bob", stored, address="b@example.org"))
    )
    hub.hub.moving.carry_out(hub.hub.moving.plan(old, "", Choices()), "")
    assert not opens(hub)
    wait(hub, monkeypatch, days=300)
    boss = boss_of(hub)
    page = boss.get("/hub/admin").text
    assert "Waiting for an account" in page
    assert "b@example.org" in page
    assert boss.submit("/hub/admin/sign-ups/ada/approve").status_code == 303
    assert opens(hub)
    assert boss.submit("/hub/admin/sign-ups/bob/refuse").status_code == 303
    assert (exists(hub, "bob"), "Waiting for an account" in boss.get("/hub/admin").text) == (False, False)
