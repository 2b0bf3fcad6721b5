"""Join links: what admins make for a class, and who signs up with them."""

import html
import re
from datetime import timedelta

import pytest

from hubless.domain.audit import AuditQuery
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.join_links import join_code, typed_code
from tests.api.hub import SETTINGS, build_hub
from tests.api.school import SCHOOL, WORDS, a_school, log_in

OWN = SCHOOL.replace('"groups!group=physics"', '"groups!group=physics", "groups!group=lab"')
OPEN = OWN.replace('kind = "password"', 'kind = "password"\nsign_up = true')
PAGE = "/hub/admin/join-links"


@pytest.fixture
def hub(tmp_path):
    return a_school(tmp_path, OWN)


@pytest.fixture
def boss(hub):
    return log_in(hub, "boss")


def make(browser, **fields):
    """Return the page of a new link."""
    browser.get(PAGE)
    answer = browser.submit(PAGE, **{"group": "physics", "places": "2", "days": "7"} | fields)
    assert answer.status_code == 303, answer.text
    return browser.get(answer.headers["location"])


def code_of(page):
    return re.search(r'class="join-code">([^<]+)<', page.text)[1]


def path_of(page):
    url = html.unescape(re.search(r'id="join-url"[^>]* value="([^"]+)"', page.text)[1])
    return url.removeprefix("http://hub.test")


def sign_up(hub, page, name="ada", **more):
    guest = hub.browser()
    form = guest.get(path_of(page))
    typed = re.search(r'name="code"[^>]* value="([^"]*)"', form.text)
    code = {"code": typed[1]} if typed else {}
    fields = {"username": name, "password": WORDS, "again": WORDS} | code | more
    return guest, guest.submit("/hub/sign-up", **fields)


def exists(hub, name="ada"):
    return hub.hub.users.find(name) is not None


@pytest.mark.parametrize("settings", [OWN, OPEN])
def test_who_opens_the_link_signs_up_and_joins_the_group(tmp_path, settings):
    hub = a_school(tmp_path, settings)
    page = make(log_in(hub, "boss"))
    assert "<svg" in page.text
    guest, answer = sign_up(hub, page)
    assert answer.status_code == 302
    assert guest.get("/hub/api/user").json()["groups"] == ["physics"]


def test_a_hub_without_sign_up_opens_for_the_code_alone(hub, boss):
    guest = hub.browser()
    assert guest.get("/hub/sign-up").status_code == 404
    page = make(boss)
    assert "sign-up" not in guest.get("/hub/login").text
    for code in ("", "wrong", code_of(page)[:-1]):
        assert sign_up(hub, page, code=code)[1].status_code == 400
    assert not exists(hub)


def test_the_code_can_be_typed_as_people_read_it(hub, boss):
    page = make(boss)
    typed = f" {code_of(page).upper().replace('-', ' ')} "
    assert sign_up(hub, page, code=typed)[1].status_code == 302


def test_a_class_gets_no_more_places_than_the_link_has(hub, boss):
    page = make(boss)
    assert [sign_up(hub, page, name)[1].status_code for name in ("one", "two", "three")] == [302, 302, 400]
    assert not exists(hub, "three")
    assert "2 of 2 places taken" in boss.get(PAGE).text


def test_a_refused_sign_up_takes_no_place(hub, boss):
    page = make(boss, places="1")
    for fields in ({"name": "boss"}, {"password": "short", "again": "short"}, {"again": "x"}):
        assert sign_up(hub, page, **fields)[1].status_code == 400
    assert sign_up(hub, page)[1].status_code == 302


def test_a_sign_up_that_fails_late_gives_its_place_back(hub, boss, monkeypatch):
    page = make(boss, places="1")

    def fail(*_):
        raise StoreUnavailableError

    with monkeypatch.context() as broken:
        broken.setattr(type(hub.hub.users), "create", fail)
        assert sign_up(hub, page)[1].status_code == 503
    assert sign_up(hub, page)[1].status_code == 302


def test_a_link_that_was_ended_or_is_too_old_lets_nobody_in(hub, boss, monkeypatch):
    first, second = make(boss), make(boss)
    end = re.search(rf'action="({PAGE}/[^"]+/end)"', boss.get(PAGE).text)[1]  # of the newest
    assert boss.submit(end).status_code == 303
    assert "has ended" in boss.get(PAGE).text
    assert boss.submit(end).status_code == 404
    assert sign_up(hub, first, "one", code=code_of(second))[1].status_code == 400
    later = hub.hub.clock.now() + timedelta(days=7)
    monkeypatch.setattr(type(hub.hub.clock), "now", lambda _: later)
    assert hub.browser().get(path_of(first)).status_code == 404
    assert not exists(hub, "one")


def test_with_approval_an_admin_lets_each_one_in(hub, boss):
    page = make(boss, approval="1")
    answer = sign_up(hub, page)[1]
    assert (answer.status_code, answer.headers["location"]) == (303, "/hub/sign-up/waiting?for=admin")
    assert not exists(hub)
    assert boss.submit("/hub/admin/sign-ups/ada/approve").status_code == 303
    assert hub.hub.users.find("ada").groups == ("physics",)


def test_who_lets_somebody_in_must_be_allowed_what_the_group_may(hub, boss):
    for name, group in (("ada", "lab"), ("eve", "physics")):
        sign_up(hub, make(boss, approval="1", group=group), name)
    helper, program = log_in(hub, "helper"), hub.as_user("helper")
    refused = helper.submit("/hub/admin/sign-ups/ada/approve")
    assert (refused.status_code, "only an admin adds" in html.unescape(refused.text)) == (400, True)
    assert program.post("/sign-ups/ada/approve").status_code == 403
    assert not exists(hub)
    assert helper.submit("/hub/admin/sign-ups/eve/approve").status_code == 303
    assert exists(hub, "eve")
    assert boss.submit("/hub/admin/sign-ups/ada/approve").status_code == 303
    assert hub.hub.users.find("ada").groups == ("lab",)


@pytest.mark.parametrize("places", ["0", "1001", "x", "-1", "", "²", "1" * 5000])
def test_a_link_needs_a_number_of_places(boss, places):
    boss.get(PAGE)
    answer = boss.submit(PAGE, group="physics", places=places)
    assert answer.status_code == 400
    assert "1 to 1000 places" in answer.text
    assert 'value="physics"' in answer.text


@pytest.mark.parametrize(
    ("group", "words"), [("a/b", "has a slash"), ("lab", "only an admin adds"), ("new", "may not add people")]
)
def test_a_helper_makes_links_for_what_a_helper_may(hub, group, words):
    helper = log_in(hub, "helper")
    helper.get(PAGE)
    answer = helper.submit(PAGE, group=group, places="2")
    assert answer.status_code in {400, 403}
    assert words in html.unescape(answer.text)
    assert hub.hub.join_links.all() == []
    assert code_of(make(helper))


def test_links_are_for_admins_and_for_hubs_with_passwords(tmp_path, hub, boss):
    make(boss)
    assert log_in(hub, "tom").get(PAGE).status_code == 403
    assert hub.browser().get(PAGE).status_code == 302
    shared = build_hub(tmp_path / "shared", SETTINGS)
    assert shared.browser("root").get(PAGE).status_code == 404


def test_who_makes_and_ends_a_link_is_recorded(hub, boss):
    make(boss)
    end = re.search(rf'action="({PAGE}/[^"]+/end)"', boss.get(PAGE).text)[1]
    boss.submit(end)
    now = hub.hub.clock.now()
    found = hub.hub.audit_log.page(AuditQuery(now - timedelta(hours=1), now + timedelta(hours=1)), limit=9).records
    assert [(one.act, one.by.name, one.about.get("group")) for one in found if "join-link" in one.act] == [
        ("join-link-ended", "boss", "physics"),
        ("join-link-made", "boss", "physics"),
    ]


def test_there_are_only_so_many_links(hub, boss):
    for _ in range(100):
        hub.hub.join_links.make(Boss, group="", lifetime=timedelta(days=1), places=1, needs_approval=False)
    boss.get(PAGE)
    answer = boss.submit(PAGE, places="2")
    assert "End some first" in answer.text


class Boss:
    name = "boss"


def test_the_hub_stores_no_code(hub, boss):
    page = make(boss)
    code = code_of(page)
    assert re.fullmatch(r"(?:[0-9a-hjkmnp-tv-z]{4}-){2}[0-9a-hjkmnp-tv-z]{4}", code)
    (link,) = hub.hub.join_links.all()
    assert code == join_code(hub.hub.key, link.id)
    files = hub.hub.settings.database.parent.glob(f"{hub.hub.settings.database.name}*")
    content = b"".join(file.read_bytes() for file in files)
    assert link.sha256.encode() in content
    assert code.encode() not in content
    assert typed_code(code) == code


def test_programs_make_list_and_end_links(hub):
    program = hub.as_user("boss")
    answer = program.post("/join-links", {"group": "physics", "places": 2, "days": 1, "needs_approval": True})
    assert answer.status_code == 201
    made = answer.json()
    assert made["url"] == f"http://hub.test/hub/sign-up?code={made['code']}"
    assert (made["group"], made["places"], made["used"], made["made_by"]) == ("physics", 2, 0, "boss")
    assert hub.browser().get(made["url"].removeprefix("http://hub.test")).status_code == 200
    assert program.get("/join-links").json() == {"join_links": [made]}
    assert program.delete(f"/join-links/{made['id']}").status_code == 204
    assert program.delete(f"/join-links/{made['id']}").status_code == 404
    assert program.get("/join-links").json() == {"join_links": []}
    assert [act for act in recorded(hub) if "join-link" in act] == ["join-link-ended", "join-link-made"]


def recorded(hub):
    now = hub.hub.clock.now()
    query = AuditQuery(now - timedelta(hours=1), now + timedelta(hours=1))
    return [one.act.value for one in hub.hub.audit_log.page(query, limit=9).records]


@pytest.mark.parametrize("body", [{"places": 0}, {"places": 1001}, {"days": 366}, {"group": "x" * 256}, {"seats": 3}])
def test_programs_are_told_what_is_wrong_with_a_link(hub, body):
    answer = hub.as_user("boss").post("/join-links", body)
    assert (answer.status_code, *body) == (400, *(key for key in body if key in answer.json()["message"]))


def test_programs_may_do_no_more_with_links_than_people(tmp_path, hub):
    helper = hub.as_user("helper")
    assert helper.post("/join-links", {"group": "physics"}).status_code == 201
    assert helper.post("/join-links", {"group": "lab"}).status_code == 403
    for call in (hub.as_user("tom").get, hub.as_user("tom").post):
        assert call("/join-links").status_code == 403
    shared = build_hub(tmp_path / "shared", SETTINGS)
    shared.user("root", admin=True)
    assert shared.as_user("root").get("/join-links").status_code == 404


def test_nobody_reads_a_code_that_gives_more_than_they_may(hub, boss):
    code, known = code_of(make(boss, group="lab")), code_of(make(boss))
    link = next(one for one in hub.hub.join_links.all() if one.group == "lab")
    person, program = log_in(hub, "helper"), hub.as_user("helper")
    listed = person.get(PAGE).text
    assert (known in listed, code in listed) == (True, False)
    assert person.get(f"{PAGE}/{link.id}").status_code == 404
    assert person.submit(f"{PAGE}/{link.id}/end").status_code == 404
    assert [one["group"] for one in program.get("/join-links").json()["join_links"]] == ["physics"]
    assert program.delete(f"/join-links/{link.id}").status_code == 404
    assert code in boss.get(PAGE).text


def test_the_page_of_a_group_shows_its_links_and_leads_to_its_members(hub, boss):
    code = code_of(make(boss))
    hub.hub.groups.add_users(hub.hub.groups.find("physics").id, ["tom"])
    page = boss.get("/hub/admin/groups/physics").text
    place = re.search(rf'join link <a href="([^"]+)">{code}</a>', page)[1]
    assert code in boss.get(place).text
    assert "0 of 2 places taken" in page
    assert boss.get(re.search(r'href="(/hub/admin/users/tom)"', page)[1]).status_code == 200
    assert code not in boss.get("/hub/admin/groups/lab").text
