"""Adding people: what admins paste, its preview, the links that come of it, and what comes twice or breaks off."""

import csv
import html
import io
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.errors import StoreUnavailableError
from hubless.domain.pasted_people import MAX_PASTE
from hubless.domain.tokens import OwnerKind
from hubless.services.identity import Actor
from tests.api.hub import SETTINGS, build_hub
from tests.api.school import SCHOOL, WORDS, a_school, log_in

CLASS = """Name;Vorname;E-Mail;Klasse
Müller;Anna;anna@school.example;10b
Schmidt;Bert;bert@school.example;10b"""
PAGE = "/hub/admin/people"


@pytest.fixture
def hub(tmp_path):
    return a_school(tmp_path)


@pytest.fixture
def boss(hub):
    return log_in(hub, "boss")


def paste(browser, text=CLASS, **more):
    """Return the address of the preview."""
    browser.get(PAGE)
    answer = browser.submit(PAGE, people=text, **more)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def add(browser, place, **more):
    answer = browser.submit(place, do="add", **more)
    assert (answer.status_code, answer.headers["location"]) == (303, place)
    return browser.get(place)


def links(page):
    """Return the links of a page, by name."""
    text = re.search(r'<textarea id="all-links"[^>]*>\n(.*?)</textarea>', page.text, re.DOTALL)
    return dict(line.split("\t") for line in html.unescape(text[1]).splitlines()) if text else {}


def path_of(link):
    return link.removeprefix("http://hub.test")


def wait(hub, monkeypatch, **time):
    later = hub.hub.clock.now() + timedelta(**time)
    monkeypatch.setattr(type(hub.hub.clock), "now", lambda _: later)


def names_of(hub):
    return {user.name for user in hub.hub.accounts.all()} - {"boss", "helper", "tom"}


def faults(page):
    found = re.search(r'<ul class="list" id="faults">(.*?)</ul>', page.text, re.DOTALL)
    return [html.unescape(" ".join(one.split())) for one in re.findall(r"<li>(.*?)</li>", found[1], re.DOTALL)]


def box(page):
    found = re.search(r'<textarea name="people"[^>]*>\n(.*?)</textarea>', page.text, re.DOTALL)
    return html.unescape(found[1]) if found else None


def test_a_class_is_previewed_then_added_with_links(hub, boss):
    place = paste(boss, groups="physics")
    preview = boss.get(place)
    assert "anna.mueller" in preview.text
    assert "New groups: 10b" in preview.text
    assert box(preview) is None
    assert names_of(hub) == set()

    made = links(add(boss, place))

    assert set(made) == names_of(hub) == {"anna.mueller", "bert.schmidt"}
    anna = hub.hub.users.find("anna.mueller")
    assert anna.groups == ("10b", "physics")
    assert hub.hub.emails.of(anna).address == "anna@school.example"
    assert hub.hub.users.find("boss").admin
    assert not anna.admin
    guest, path = hub.browser(), path_of(made["anna.mueller"])
    assert "anna.mueller" in guest.get(path).text
    chosen = guest.submit(path, password=WORDS, again=WORDS)
    assert chosen.status_code in {302, 303}
    assert guest.get(path).status_code == 404
    assert log_in(hub, "anna.mueller")


def test_the_same_form_twice_adds_nobody_twice(hub, boss):
    place = paste(boss)
    first, second = add(boss, place), add(boss, place)
    assert links(first) == links(second)
    assert links(boss.get(place)) == links(first)
    assert names_of(hub) == {"anna.mueller", "bert.schmidt"}


def test_a_link_that_was_used_stays_used_when_the_form_comes_again(hub, boss):
    place = paste(boss)
    path = path_of(links(add(boss, place))["anna.mueller"])
    guest = hub.browser()
    guest.get(path)
    guest.submit(path, password=WORDS, again=WORDS)
    add(boss, place)
    assert guest.get(path).status_code == 404


def test_bad_lines_stay_with_their_fault_and_good_ones_go_on(hub, boss):
    place = paste(boss, "user;email\nanna;a@school.example\na/b;\ncarl;no address\ntom;")
    preview = boss.get(place)
    assert faults(preview) == [
        "Line 3: Invalid username: 'a/b' has a slash",
        "Line 4: This is no e-mail address of the form name@example.org",
    ]
    assert box(preview) == "a/b;\ncarl;no address"
    assert "is here already" in preview.text

    result = add(boss, place, people=box(preview))

    assert names_of(hub) == {"anna"}
    assert box(result) == "user;email\na/b;\ncarl;no address"
    assert set(links(result)) == {"anna"}


def test_mended_lines_are_shown_before_anybody_is_added(hub, boss):
    place = paste(boss, "user;email\nanna;\na/b;")
    add(boss, place, people="a.b;a@school.example\r\n")
    assert names_of(hub) == set()
    preview = boss.get(place)
    assert "a.b" in preview.text
    assert box(preview) is None
    add(boss, place)
    assert names_of(hub) == {"anna", "a.b"}


def test_a_chosen_column_is_read_before_anybody_is_added(hub, boss):
    place = paste(boss, "x1\tanna\nx2\tbert")
    assert "the hub guessed" in boss.get(place).text
    add(boss, place, column=["", "user"])
    assert names_of(hub) == set()
    assert set(links(add(boss, place, column=["", "user"]))) == {"anna", "bert"}


def test_a_look_adds_nobody(hub, boss):
    place = paste(boss)
    boss.submit(place, do="look")
    assert names_of(hub) == set()


def test_a_file_of_excel_is_read(hub, boss):
    boss.get(PAGE)
    file = {"file": ("class.csv", CLASS.encode("cp1252"), "text/csv")}
    answer = boss.post(PAGE, data={"_xsrf": boss.xsrf, "people": ""}, files=file)
    assert answer.status_code == 303
    assert set(links(add(boss, answer.headers["location"]))) == {"anna.mueller", "bert.schmidt"}


@pytest.mark.parametrize(
    ("text", "words"),
    [("", "Paste names"), (" \n ", "Paste names"), ("a,b\n" + "x\n" * 1100, "too long"), ('a\n"' + "x" * 2100, "Line")],
)
def test_what_cannot_be_read_stays_in_the_box(boss, text, words):
    boss.get(PAGE)
    answer = boss.submit(PAGE, people=text, groups="physics")
    assert answer.status_code == 400
    assert words in answer.text
    assert 'value="physics"' in answer.text
    assert box(answer) == text.strip("\r\n")


def test_a_paste_that_is_too_long_is_refused(boss):
    boss.get(PAGE)
    assert boss.submit(PAGE, people="x" * (MAX_PASTE + 1)).status_code == 400


def test_passwords_of_the_list_open_the_accounts(hub, boss):
    place = paste(boss, f"user,password\nanna,{WORDS}\nbert,\ncarl,short")
    preview = boss.get(place)
    assert "is added with the password" in preview.text
    assert faults(preview) == ["Line 4: Choose a password of at least 8 characters"]
    assert set(links(add(boss, place, people=box(preview)))) == {"bert"}
    assert log_in(hub, "anna")


def test_too_many_passwords_at_once_are_refused(boss):
    boss.get(PAGE)
    rows = "\n".join(f"u{number};{WORDS}" for number in range(101))
    answer = boss.submit(PAGE, people=f"user;password\n{rows}")
    assert "At most 100 passwords" in answer.text


def test_who_is_here_gets_a_group_and_a_link_only_if_asked(hub, boss):
    result = add(boss, paste(boss, "tom", groups="physics"))
    assert links(result) == {}
    assert "was here already" in result.text
    assert hub.hub.users.find("tom").groups == ("physics",)
    assert set(links(add(boss, paste(boss, "tom", links="all")))) == {"tom"}
    assert links(add(boss, paste(boss, "new", links="none"))) == {}


def test_links_end_after_the_chosen_days(hub, boss, monkeypatch):
    path = path_of(links(add(boss, paste(boss, "anna", days="14")))["anna"])
    guest = hub.browser()
    wait(hub, monkeypatch, days=13)
    assert guest.get(path).status_code == 200
    wait(hub, monkeypatch, days=1)
    assert guest.get(path).status_code == 404


def test_another_person_does_not_see_the_people_of_a_page(hub, boss):
    place = paste(boss)
    hub.user("root2", admin=True)
    hub.hub.accounts.set_password("root2", WORDS)
    other = log_in(hub, "root2")
    other.get("/hub/home")
    assert other.get(place).status_code == 404
    assert other.submit(place, do="add").status_code == 404
    assert names_of(hub) == {"root2"}


@pytest.mark.parametrize("path", ["", "/x", "/x/print", "/x/links.csv"])
def test_who_may_add_nobody_gets_no_page(hub, path):
    assert log_in(hub, "tom").get(PAGE + path).status_code == 403


def test_links_are_shown_for_an_hour_or_until_they_are_hidden(hub, boss, monkeypatch):
    place, other = paste(boss), paste(boss, "carl")
    add(boss, place), add(boss, other)
    assert boss.submit(f"{other}/forget").status_code == 303
    assert "1 person was added." in boss.get("/hub/admin").text
    assert boss.get(other).status_code == 404
    wait(hub, monkeypatch, minutes=59)
    assert links(boss.get(place))
    wait(hub, monkeypatch, minutes=2)
    assert boss.get(place).status_code == 404
    assert boss.get(f"{place}/links.csv").status_code == 404


def test_the_links_come_as_a_file_and_on_paper(hub, boss):
    place = paste(boss, "user;name\nanna;=Anna\nbert;Bert Meier")
    assert boss.get(f"{place}/print").status_code == 404
    made = links(add(boss, place))
    file = boss.get(f"{place}/links.csv")
    assert file.headers["content-disposition"] == 'attachment; filename="links.csv"'
    rows = list(csv.DictReader(io.StringIO(file.text.removeprefix("\ufeff"))))
    assert {row["username"]: row["link"] for row in rows} == made
    assert [row["name"] for row in rows] == ["'=Anna", "Bert Meier"]
    sheet = boss.get(f"{place}/print")
    assert sheet.text.count("<svg") - sheet.text.count('class="icon"') >= 2
    assert all(link in sheet.text for link in made.values())


@pytest.mark.parametrize(
    ("more", "asked_at", "base", "is_only_here"),
    [
        ("", "http://127.0.0.1:8000", "http://127.0.0.1:8000", True),
        ('host = "0.0.0.0"', "http://127.0.0.1:8000", "http://192.0.2.7:8000", False),
        ("", "http://192.0.2.9:8000", "http://192.0.2.9:8000", False),
        ('public_url = "https://hub.example.org"', "https://hub.example.org", "https://hub.example.org", False),
    ],
)
def test_links_carry_the_address_that_others_can_reach(tmp_path, more, asked_at, base, is_only_here):
    hub = a_school(tmp_path, SCHOOL.replace('"School"', f'"School"\n{more}'))
    hub.hub.network_addresses = lambda: ["192.0.2.7"]
    boss = log_in(hub, "boss", address=asked_at)
    page = add(boss, paste(boss, "anna"))
    assert links(page)["anna"].startswith(f"{base}/hub/set-password?key=")
    assert ("open on this computer alone" in page.text) == is_only_here


# --- crashes and concurrent requests ---


def test_after_a_failure_of_the_store_the_next_try_adds_the_rest(hub, boss, monkeypatch):
    place, given = paste(boss), []
    add_link = type(hub.hub.passwords).add_link

    def fail(store, link):
        if given:
            raise StoreUnavailableError
        given.append(link)
        add_link(store, link)

    with monkeypatch.context() as broken:
        broken.setattr(type(hub.hub.passwords), "add_link", fail)
        assert boss.submit(place, do="add").status_code == 503
    assert "Nobody is added twice" in boss.get(place).text
    ids = {user.id for user in hub.hub.accounts.all()}

    made = links(add(boss, place))

    assert {user.id for user in hub.hub.accounts.all()} == ids
    assert set(made) == {"anna.mueller", "bert.schmidt"}
    assert all(hub.browser().get(path_of(link)).status_code == 200 for link in made.values())


class Crash(BaseException):
    """What no code catches."""


def crash(*_arguments, **_more):
    raise Crash


@pytest.mark.parametrize(
    ("part", "method"),
    [("users", "create"), ("passwords", "add"), ("groups", "add_users"), ("passwords", "add_link")],
)
def test_a_crash_at_each_step_is_made_good_by_the_next_try(hub, boss, monkeypatch, part, method):
    place = paste(boss)
    batch, content = hub.hub.adding_people.open(place.rpartition("/")[2], actor_of(hub, "boss"))
    with monkeypatch.context() as broken:
        broken.setattr(type(getattr(hub.hub, part)), method, crash)
        with pytest.raises(Crash):
            hub.hub.adding_people.add(batch, content, actor_of(hub, "boss"))
    assert "People are being added" in boss.get(place).text
    add(boss, place)
    assert "People are being added" in boss.get(place).text
    wait(hub, monkeypatch, minutes=1)
    made = links(add(boss, place))
    assert set(made) == names_of(hub) == {"anna.mueller", "bert.schmidt"}
    assert hub.hub.users.find("anna.mueller").groups == ("10b",)
    assert all(hub.browser().get(path_of(link)).status_code == 200 for link in made.values())


def actor_of(hub, name):
    user = hub.hub.users.find(name)
    scopes = hub.hub.identities.of_user(user)
    return Actor(name, OwnerKind.USER, scopes, scopes, user)


def test_who_takes_a_name_meanwhile_gets_no_link_of_ours(hub, boss, monkeypatch):
    place = paste(boss)
    create = type(hub.hub.users).create

    def race(store, users):
        create(store, [hub.hub.accounts.new_user("anna.mueller")])
        return create(store, users)

    monkeypatch.setattr(type(hub.hub.users), "create", race)
    page = add(boss, place)
    assert set(links(page)) == {"bert.schmidt"}
    assert "somebody else has this name" in page.text
    assert hub.hub.users.find("anna.mueller").groups == ()


def test_of_two_tabs_that_add_at_once_one_does(hub, boss, monkeypatch):
    place = paste(boss)
    actor = actor_of(hub, "boss")
    batch, content = hub.hub.adding_people.open(place.rpartition("/")[2], actor)
    assert hub.hub.adding_people.add(batch, content, actor)
    monkeypatch.setattr(type(hub.hub.users), "create", crash)
    assert not hub.hub.adding_people.add(batch, content, actor)  # as it was read before the first one
    assert links(boss.get(place))


# --- people who may less than an admin ---


def test_a_helper_gives_only_what_a_helper_may(hub):
    helper = log_in(hub, "helper")
    text = "user;group\nanna;physics\nbert;lab\ncarl;new\nhelper2;\nboss;physics"
    place = paste(helper, text.replace("helper2", "boss2"), admin="1", links="all")
    preview = helper.get(place)
    assert faults(preview)[:2] == [
        "Line 3: You may not add people to the group 'lab'.",
        "Line 4: You may not add people to the group 'new'.",
    ]
    assert any("Line 6" in fault for fault in faults(preview))
    refused = helper.submit(place, do="add", people=box(preview))
    assert refused.status_code == 400
    assert "Only admins" in refused.text
    assert names_of(hub) == set()
    place = paste(helper, "anna", groups="physics")
    path = path_of(links(add(helper, place))["anna"])
    assert hub.browser().get(path).status_code == 200
    hub.hub.accounts.change(hub.hub.users.find("anna"), admin=True)
    assert hub.browser().get(path).status_code == 404


def test_a_name_that_settings_reserve_is_an_admins_to_give(tmp_path):
    hub = a_school(tmp_path, SCHOOL.replace('users = ["helper"]', 'users = ["helper", "chief"]'))
    preview = (helper := log_in(hub, "helper")).get(paste(helper, "chief\nanna"))
    assert len(faults(preview)) == 1
    assert "Only an admin can give this name" in faults(preview)[0]


# --- other kinds of hubs ---


def test_where_groups_follow_logins_none_are_given_by_hand(hub, boss):
    hub.hub.__dict__["adding_people"] = replace(hub.hub.adding_people, manages_groups=True)
    assert 'name="groups"' not in boss.get(PAGE).text
    answer = boss.submit(PAGE, people=CLASS)
    assert answer.status_code == 400
    assert "Groups follow logins on this hub" in answer.text


def test_a_hub_without_passwords_gives_no_links(tmp_path):
    hub = build_hub(tmp_path, SETTINGS)
    root = hub.browser("root")
    page = root.get(PAGE)
    assert 'name="links"' not in page.text
    result = add(root, paste(root, "user;password\nanna;1"))
    assert links(result) == {}
    assert hub.hub.passwords.get(hub.hub.users.find("anna").id) is None


# --- the API ---


def test_a_program_sees_a_preview_and_adds_people_with_links(hub):
    program = hub.as_user("boss")
    body = {"text": "user;class\nanna;10b\na/b;10b\ntom;", "groups": ["physics"]}
    seen = program.post("/people", body | {"dry_run": True}).json()
    assert [(one["line"], one["outcome"]) for one in seen["people"]] == [(2, "new"), (3, "fault"), (4, "known")]
    assert (seen["links"], seen["links_until"], names_of(hub)) == ([], None, set())
    made = program.post("/people", body).json()
    assert made["people"] == seen["people"]
    assert [one["name"] for one in made["links"]] == ["anna"]
    assert hub.browser().get(path_of(made["links"][0]["link"])).status_code == 200
    assert hub.hub.users.find("anna").groups == ("10b", "physics")
    again = program.post("/people", body).json()
    assert [one["outcome"] for one in again["people"]] == ["known", "fault", "known"]
    assert again["links"] == []


def test_a_program_may_do_no_more_by_a_list_than_by_hand(hub):
    helper = hub.as_user("helper")
    body = {"text": "anna", "groups": ["lab"]}
    assert "may not add people" in helper.post("/people", body).json()["people"][0]["fault"]
    assert helper.post("/people", {"text": "anna", "admin": True}).status_code == 400
    assert hub.as_user("tom").post("/people", {"text": "anna"}).status_code == 403
    assert hub.as_user("boss").post("/people", {"text": "a", "columns": ["x"]}).status_code == 400
    assert names_of(hub) == set()


def test_three_hundred_people_fit(hub, boss, caplog):
    rows = "\n".join(f"Vorname{n};Nachname{n};n{n}@school.example;10{'abc'[n % 3]}" for n in range(300))
    made = links(add(boss, paste(boss, f"Vorname;Nachname;E-Mail;Klasse\n{rows}")))
    assert len(made) == len(set(made.values())) == 300
    assert len(hub.hub.groups.find("10a").users) == 100
    secrets = [link.rpartition("=")[2] for link in made.values()]
    assert not any(secret in caplog.text for secret in secrets)
