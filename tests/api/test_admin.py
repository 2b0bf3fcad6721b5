"""The table of users, what is done to many of them, and the page of one."""

import csv
import io
import json
import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest

from functions.api.pages import admin_selected
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.home_usage import HomeUsage
from hubless.domain.lifecycle import State
from hubless.domain.loads import Load
from hubless.domain.metering import Metering
from hubless.domain.tokens import sha256
from hubless.domain.usage import Usage
from hubless.services import adding_people
from tests.api.hub import SETTINGS, An, build_hub
from tests.support.builders import NOW, a_server

PROFILES = '\n[[profiles]]\nname = "small"\n[[profiles]]\nname = "gpu"\ndisplay_name = "With a GPU"\n'


@pytest.fixture
def root(hub):
    hub.user("root", admin=True)
    return hub.browser("root")


@pytest.fixture
def people(hub):
    """Thirty users, of whom the first has a running server, and the second is in a group."""
    hub.hub.accounts.add_many([f"user-{number:02}" for number in range(30)])
    run(hub, "user-00")
    hub.user("user-01", groups=["physics"])


def run(hub, name, server="", **facts):
    owner = hub.user(name)
    made = a_server(server, name, **{"owner_id": owner.id, "state": State.READY, "launch_id": name} | facts)
    hub.hub.servers.create(made)
    return made


def names(answer):
    return re.findall(r'name="name" value="([^"]+)"', answer.text)


def link(answer, words):
    found = re.search(rf'href="([^"]+)"[^>]*>{words}', answer.text)
    return found and found[1].replace("&amp;", "&")


SELECTED = "/hub/admin/selected"


def post(browser, path=SELECTED, **fields):
    return browser.post(path, data={"_xsrf": browser.xsrf, **fields})


def through(browser, answer):
    """Follow redirects, and press the button of each page that has one; return the last page and all pages."""
    pages = []
    for _ in range(30):
        if answer.status_code == 303:
            answer = browser.get(answer.headers["location"])
        assert answer.status_code == 200
        pages.append(answer.text)
        form = re.search(r'<form method="post" action="([^"]+)" id="go-on".*?</form>', answer.text, re.DOTALL)
        if form is None:
            return pages
        fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form[0])
        answer = browser.post(form[1], data=as_form(fields))
    raise AssertionError("it does not end")


def as_form(pairs):
    made = {}
    for name, text in pairs:
        made.setdefault(name, []).append(text.replace("&amp;", "&").replace("&#34;", '"').replace("&#39;", "'"))
    return made


# --- the table ---


def test_the_table_has_pages_in_both_directions(root, people):
    first = root.get("/hub/admin?limit=25")
    assert names(first) == ["root", *(f"user-{number:02}" for number in range(24))]
    assert "31 users" in first.text
    second = root.get(link(first, "Next"))
    assert names(second) == [f"user-{number:02}" for number in range(24, 30)]
    assert link(second, "Next") is None
    assert names(root.get(link(second, "Previous"))) == names(first)


def test_the_table_is_ordered_by_its_headers(root, people):
    page = root.get("/hub/admin?limit=25")
    assert 'aria-sort="ascending"><a href="/hub/admin?sort=-name&amp;limit=25">Name' in page.text
    down = root.get("/hub/admin?limit=25&sort=-name")
    assert names(down)[:2] == ["user-29", "user-28"]
    assert 'aria-sort="descending"' in down.text
    assert names(root.get("/hub/admin?sort=state"))[0] == "user-00"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name_filter=ER-0", [f"user-{number:02}" for number in range(10)]),
        ("state=ready", ["user-00"]),
        ("state=failed", []),
        ("group=physics", ["user-01"]),
        ("role=admin", ["root"]),
        ("state=nonsense&idle=x&role=y&limit=z&sort=-w&name_filter=user-0&idle=0", [f"user-{n:02}" for n in range(10)]),
        ("idle=1", ["user-00"]),
        ("after=no-cursor&name_filter=user-00", ["user-00"]),
    ],
)
def test_the_table_is_filtered(root, people, query, expected):
    page = root.get(f"/hub/admin?{query}")
    assert (page.status_code, names(page)) == (200, expected)


def test_a_filter_stays_in_every_link(root, people):
    page = root.get("/hub/admin?name_filter=user&limit=25")
    assert "name_filter=user" in link(page, "Next")
    assert (
        'href="/hub/admin?name_filter=user&amp;sort=created&amp;limit=25"'
        in root.get("/hub/admin?name_filter=user&limit=25&columns=created").text
    )


def test_columns_are_chosen_and_kept(root, people):
    assert 'data-label="Groups"' in root.get("/hub/admin").text
    chosen = root.get("/hub/admin?columns=&columns=roles&columns=nonsense").text
    assert 'data-label="Roles"' in chosen
    assert 'data-label="Groups"' not in chosen
    assert 'data-label="Roles"' in root.get("/hub/admin").text
    none = root.get("/hub/admin?columns=").text
    assert 'data-label="Roles"' not in none


def test_the_table_shows_profiles_and_sizes_of_files(tmp_path):
    hub = build_hub(tmp_path, SETTINGS + PROFILES)
    hub.user("root", admin=True)
    alice = hub.user("alice")
    run(hub, "alice", profile="gpu", started_at=NOW)
    hub.hub.home_usage.put(HomeUsage(alice.id, 3 * 2**30, is_whole=True, measured_at=NOW))
    page = hub.browser("root").get("/hub/admin?columns=profile&columns=files&columns=started&profile=gpu").text
    assert "With a GPU</td>" in page
    assert "3 GiB <small" in page
    assert names_of_links(page) == ["alice"]


def names_of_links(page):
    return re.findall(r'<th scope="row"><a href="[^"]+">([^<]+)</a>', page)


def test_a_stop_in_the_table_leads_back_to_where_one_was(root, people):
    answer = post(root, "/hub/stop/user-00", next="/hub/admin?state=ready&sort=-name")
    assert answer.headers["location"] == "/hub/admin?state=ready&sort=-name"
    for elsewhere in ("https://evil.example/hub/admin", "//evil.example/hub/admin", "/hub/logout", ""):
        assert post(root, "/hub/stop/user-00", next=elsewhere).headers["location"] == "/hub/admin"


def test_the_table_shows_hours_and_cost_of_this_month_with_what_runs(hub, people, monkeypatch):
    now = hub.hub.clock.now().replace(day=15, hour=12, minute=0, second=0, microsecond=0)
    monkeypatch.setattr(type(hub.hub.clock), "now", lambda _: now)
    hub.user("root", admin=True)
    root = hub.browser("root")
    size = Metering(1000, 1024, 0, 2_000_000, "$", ())
    alice = hub.user("user-02")
    for number, began in enumerate((now, now - timedelta(days=70))):
        ended = began + timedelta(hours=1, minutes=30)
        hub.hub.usage.add(Usage(f"l{number}", "s1", alice.id, "small", began, ended, "stopped", size))
    running = a_server(owner="user-03", owner_id=hub.user("user-03").id, state=State.READY, launch_id="l3", task="t3")
    hub.hub.servers.create(replace(running, started_at=now - timedelta(minutes=6), metering=size))
    page = root.get("/hub/admin?columns=hours&columns=cost&name_filter=user-0").text
    cell = '"{}[^>]+>([^<]*)<'
    found = re.findall(f'users/([^"]+)">.*?{cell.format("Hours")}.*?{cell.format("Cost")}', page, re.DOTALL)
    shown = {name: (hours, cost) for name, hours, cost in found}
    assert shown["user-02"] == ("1.5", "3.00")
    assert shown["user-03"] == ("0.1", "0.20")
    assert shown["user-04"] == ("0.0", "")
    saved = post(root, act="export", name=["user-02"]).content.decode("utf-8-sig")
    (row,) = csv.DictReader(io.StringIO(saved))
    assert (row["hours_this_month"], row["cost_this_month"]) == ("1.500000", "3.000000")
    assert "Cost this month</a>" not in page  # no store has an index for this order


LOADED = "/hub/admin?columns=memory&columns=cpus&name_filter=user-0"


def load_cells(page):
    """Return what the table says of memory and processors, by user."""
    cells = {}
    for line in page.split('<tr>\n<td class="pick-row">')[1:]:
        (name,) = names_of_links(line)
        titles = ("Memory now", "CPU now")
        cells[name] = tuple(re.search(rf'data-label="{title}">(.*?)</td>', line)[1] for title in titles)
    return cells


def test_the_table_shows_what_the_servers_of_a_user_use_together(hub, root, people):
    now = hub.hub.clock.now()
    run(hub, "user-00", "second", launch_id="l2", id="s-second")
    run(hub, "user-02", state=State.STOPPED)
    hub.hub.loads.replace(
        {
            "user-00": Load(600 * 2**20, 0.25, now),
            "l2": Load(2**30, 1.5, now, memory_limit=2**31),
            "user-02": Load(2**30, 1.0, now),  # of the last launch, which is over
        }
    )
    shown = load_cells(root.get(LOADED).text)
    assert (shown["user-00"], shown["user-01"], shown["user-02"]) == (("1.59 GiB", "1.8"), ("", ""), ("", ""))
    saved = post(root, act="export", name=["user-00", "user-01"]).content.decode("utf-8-sig")
    rows = [(one["memory_bytes_now"], one["cpus_now"]) for one in csv.DictReader(io.StringIO(saved))]
    assert rows == [(str(1624 * 2**20), "1.750"), ("", "")]


def test_an_old_measurement_says_how_old_it_is(hub, root, people):
    now = hub.hub.clock.now()
    hub.hub.loads.replace({"user-00": Load(600 * 2**20, None, now - timedelta(minutes=5))})
    memory, cpus = load_cells(root.get(LOADED).text)["user-00"]
    assert memory.startswith("600 MiB <small")
    assert "data-relative" in memory
    assert cpus.startswith(" <small")
    assert "Memory and CPU measured" in root.get("/hub/admin/users/user-00").text


def test_the_page_of_a_user_and_their_home_say_what_a_server_uses(hub, root, people):
    run(hub, "user-01", state=State.STARTING)  # home asks the processes of one that is ready
    hub.hub.loads.replace({"user-01": Load(600 * 2**20, 0.25, hub.hub.clock.now(), memory_limit=2**30)})
    for page in (root.get("/hub/admin/users/user-01"), hub.browser("user-01").get("/hub/home")):
        assert "Memory now: 600 MiB of 1 GiB" in page.text
        assert "CPU now: 0.2" in page.text


def test_a_hub_that_measures_no_servers_offers_no_columns_for_it(hub, root, people, monkeypatch):
    monkeypatch.setattr(type(hub.hub), "loads", None)
    page = root.get(LOADED).text
    assert "Memory now" not in page
    assert "CPU now" not in page


# --- many users ---


def test_forms_of_the_table_know_its_filter(root, people):
    page = root.get("/hub/admin?name_filter=user-0").text
    for field in ("back", "next"):
        (address,) = set(re.findall(rf'name="{field}" value="([^"]*)"', page))
        assert dict(parse_qsl(urlsplit(address).query))["name_filter"] == "user-0"


def test_some_are_added_to_a_group_and_one_stays_where_one_was(hub, root, people):
    back = "/hub/admin?name_filter=user&limit=25"
    answer = post(root, act="add", to_group="physics", name=["user-01", "user-02", "user-03"], back=back)
    assert (answer.status_code, answer.headers["location"]) == (303, back)
    assert "3 users are in physics now" in root.get(back).text
    assert hub.hub.groups.find("physics").users == ("user-01", "user-02", "user-03")
    post(root, act="remove", to_group="physics", name=["user-01", "user-05"], back=back)
    assert hub.hub.groups.find("physics").users == ("user-02", "user-03")


def test_all_that_match_are_done_batch_by_batch(hub, root, people, monkeypatch):
    monkeypatch.setitem(admin_selected.BATCHES, "add", 4)
    hub.user("user-01", groups=["all"])
    answer = post(root, act="add", whom="all", to_group="all", name_filter="user-0", total="10", name=["ignored"])
    pages = through(root, answer)
    assert len(hub.hub.groups.find("all").users) == 10
    assert "4 of 10 users" in pages[0]
    assert "8 of 10 users" in pages[1]
    assert "10 users are in all now" in pages[2]


def test_a_batch_that_is_repeated_does_no_harm(hub, root, people, monkeypatch):
    monkeypatch.setitem(admin_selected.BATCHES, "stop", 1)
    run(hub, "user-05")
    run(hub, "user-06")
    answer = post(root, act="stop", whom="all", state="active")
    fields = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    first, again = (post(root, **fields).headers["location"] for _ in range(2))
    assert first == again
    through(root, post(root, **fields))
    assert {one.state for one in hub.hub.servers.in_states(State)} == {State.STOPPING}


def test_a_link_into_the_middle_of_an_act_begins_nothing_by_itself(hub, root, people, monkeypatch):
    monkeypatch.setitem(admin_selected.BATCHES, "delete", 1)
    asked = post(root, act="delete", name=["user-01", "user-02"]).headers["location"]
    link = f"{asked}&done=1&at=0"
    for act, words in (("delete", "Nobody can undo it"), ("add&to_group=tutors", "Group: tutors")):
        page = root.get(link.replace("act=delete", f"act={act}")).text
        assert "data-began" not in page
        assert "user-01, user-02" in page
        assert words in page

    after = post(root, f"{SELECTED}?sure=1", act="delete", name=["user-01", "user-02"]).headers["location"]
    assert "data-began" not in root.get(link).text  # the mark is of another state, and goes with any page
    assert "data-began" not in root.get(after).text

    after = post(root, f"{SELECTED}?sure=1", act="delete", name=["user-02", "user-03"]).headers["location"]
    assert "data-began" in root.get(after).text


def test_refusals_of_names_with_umlauts_fit_into_the_cookie():
    texts = admin_selected._texts([("ü" * 20, "Erklärt für die Größe der Übung")] * 100)
    assert len(json.dumps(texts)) < 2_500
    assert texts[-1][0] == "#"


def test_each_refusal_is_named_with_its_reason(hub, root, people):
    answer = post(root, act="delete", name=["user-02", "root", "nobody-at-all"])
    asked = root.get(answer.headers["location"]).text
    assert "Delete 3 users" in asked
    assert "user-02, root, nobody-at-all" in asked
    assert hub.hub.users.find("user-02") is not None  # nothing happens before the question
    *_, last = through(root, answer)
    assert "3 of 3 users" in last
    assert "2 refused" in last
    assert "<strong>root</strong>: You cannot delete yourself" in last
    assert "<strong>nobody-at-all</strong>: No such user" in last
    assert hub.hub.users.find("user-02") is None


def test_servers_of_many_start_and_what_runs_is_no_failure(hub, root, people):
    answer = post(root, act="start", name=["user-00", "user-01", "user-02"])
    assert answer.headers["location"] == "/hub/admin"
    assert "3 servers start" in root.get("/hub/admin").text
    states = {one.owner_id: one.state for one in hub.hub.servers.in_states(State)}
    assert sorted(states.values()) == [State.READY, State.REQUESTED, State.REQUESTED]


@pytest.fixture
def school(tmp_path):
    """A hub with passwords, and a helper who may make links for the class 10b alone."""
    helpers = '[[roles]]\nname = "helpers"\nscopes = ["admin-ui", "list:users", "admin:users!group=10b"]\n'
    hub = build_hub(tmp_path, f'[login]\nadmins = ["boss"]\n{helpers}users = ["helper"]\n[groups.10b]\n')
    hub.hub.accounts.add_many(["ada", "bob", "helper", "zoe"])
    hub.hub.groups.add_users(hub.hub.groups.find("10b").id, ["ada", "bob"])
    for name in ("boss", "helper"):
        hub.user(name)
        hub.hub.accounts.set_password(name, An.PASSWORD)
    return hub


def ask_for_links(browser, **fields):
    """Return the address of the page that asks before links are made."""
    answer = post(browser, act="links", **fields)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def links_of(page):
    return re.findall(r'<th scope="row">(\w+)</th>.*?<code>http://hub.test(/hub/set-password\?key=\w+)</code>', page)


def test_links_of_many_are_asked_for_and_then_shown(school):
    boss = school.browser("boss")
    place = ask_for_links(boss, name=["ada", "bob", "nobody"])
    asked = boss.get(place).text
    assert "Make 2 links" in asked
    assert "<strong>nobody</strong>: No such user" in asked
    assert boss.submit(place, days="14").headers["location"] == place
    shown = boss.get(place).text
    assert "2 links are made" in shown
    found = dict(links_of(shown))
    assert [*found] == ["ada", "bob"]
    link = school.hub.passwords.find_link(sha256(found["ada"].partition("=")[2]), NOW)
    assert link.expires_at - school.hub.clock.now() > timedelta(days=13)
    assert "ada" in school.browser().get(found["ada"]).text
    assert boss.get(f"{place}/links.csv").text.count("/hub/set-password?key=") == 2
    assert boss.get(f"{place}/print").text.count("<svg") >= 2


def test_a_form_for_links_that_comes_twice_makes_them_once(school):
    boss = school.browser("boss")
    place = ask_for_links(boss, name=["ada"])
    boss.submit(place, days="1")
    first = links_of(boss.get(place).text)
    boss.submit(place, days="30")
    assert links_of(boss.get(place).text) == first
    assert "ada" in school.browser().get(first[0][1]).text
    boss.submit(f"{place}/forget")
    assert "hidden. They stay valid" in boss.get("/hub/admin").text
    assert "ada" in school.browser().get(first[0][1]).text


def test_links_of_all_that_match_leave_out_whom_one_may_not_help(school):
    helper = school.browser("helper")
    place = ask_for_links(helper, whom="all")
    asked = helper.get(place).text
    assert "Make 2 links" in asked
    for name in ("boss", "helper", "zoe"):
        assert f"<strong>{name}</strong>: " in asked
    helper.submit(place)
    assert [name for name, _ in links_of(helper.get(place).text)] == ["ada", "bob"]
    assert school.hub.passwords.get(school.user("zoe").id) is None


def test_links_follow_the_rights_at_the_moment_they_are_made(school):
    helper = school.browser("helper")
    place = ask_for_links(helper, name=["ada"])
    school.hub.groups.remove_users(school.hub.groups.find("10b").id, ["ada"])
    refused = helper.submit(place)
    assert refused.status_code == 400
    assert "link for none of these users" in refused.text
    assert school.browser("boss").get(place).status_code == 404


def test_links_that_broke_off_are_made_by_the_next_try(school, monkeypatch):
    boss = school.browser("boss")
    place = ask_for_links(boss, name=["ada", "bob"])
    with monkeypatch.context() as broken:
        broken.setattr(type(school.hub.passwords), "add_link", unavailable)
        assert boss.submit(place).status_code == 503
    assert "Not all links are made yet" in boss.get(place).text
    boss.submit(place)
    assert [name for name, _ in links_of(boss.get(place).text)] == ["ada", "bob"]


def unavailable(*_):
    raise StoreUnavailableError


def test_nobody_gets_a_link_where_there_are_no_passwords(hub, root, people):
    refused = post(root, act="links", name=["user-01"])
    assert refused.status_code == 400
    assert "Nobody has a password" in refused.text


def test_links_are_for_so_many_users_at_once(school, monkeypatch):
    monkeypatch.setattr(adding_people, "MAX_PEOPLE", 2)
    monkeypatch.setattr(admin_selected, "MAX_PEOPLE", 2)
    refused = post(school.browser("boss"), act="links", whom="all")
    assert refused.status_code == 400
    assert "at most 2 users at once" in refused.text


def test_all_that_match_are_saved_as_csv(hub, root, people):
    hub.user("@sum")
    answer = post(root, act="export", whom="all", name_filter="s")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert len(rows) == 31
    assert rows[0]["name"] == "'@sum"  # no formula
    assert (rows[1]["name"], rows[1]["servers"]) == ("user-00", "main: ready")
    assert rows[2]["groups"] == "physics"
    assert post(root, act="export", name=["user-02"]).text.count("\n") == 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"act": "start"}, "Choose somebody first"),
        ({"act": "", "whom": "all"}, "Choose what to do"),
        ({"act": "format", "whom": "all"}, "Choose what to do"),
        ({"act": "add", "whom": "all"}, "Write the name of a group"),
        ({"act": "stop", "name": [f"user-{n}" for n in range(101)]}, "too many"),
        ({"act": "stop", "name": ["x" * 3000, "y" * 3001]}, "too many"),
    ],
)
def test_what_cannot_be_done_is_said_above_the_same_table(root, people, fields, words):
    answer = post(root, name_filter="user-0", **fields)
    assert answer.status_code == 400
    assert words in answer.text
    assert len(re.findall('scope="row"', answer.text)) == 10


def test_an_unknown_group_refuses_each(root, people):
    answer = post(root, act="add", to_group="nothing", name=["user-02"])
    assert "There is no group nothing" in root.get(answer.headers["location"]).text


def test_back_leads_to_the_table_alone(root, people):
    for elsewhere in ("https://evil.example/", "//evil.example", "/hub/logout", "/hub/administrator"):
        answer = post(root, act="stop", name=["user-00"], back=elsewhere)
        assert answer.headers["location"] == "/hub/admin"


def test_who_is_no_admin_does_nothing_to_many(hub, people):
    alice = hub.browser("alice")
    assert post(alice, act="stop", whom="all").status_code == 403
    assert alice.get("/hub/admin/selected?act=stop&whom=all").status_code == 403


def test_a_form_of_a_foreign_page_does_nothing(hub, root, people):
    assert root.post("/hub/admin/selected", data={"act": "stop", "whom": "all"}).status_code == 403


def test_an_admin_of_a_group_acts_within_it(tmp_path):
    scopes = '["admin-ui", "list:users!group=ours", "delete:servers!group=ours", "read:servers!group=ours"]'
    hub = build_hub(tmp_path, SETTINGS + f'\n[[roles]]\nname = "fenced"\nusers = ["anna"]\nscopes = {scopes}\n')
    hub.user("inside", groups=["ours"])
    for name in ("inside", "outside"):
        run(hub, name)
    hub.user("anna")
    anna = hub.browser("anna")
    assert names(anna.get("/hub/admin")) == ["inside"]
    *_, last = through(anna, post(anna, act="stop", name=["inside", "outside"]))
    assert "<strong>outside</strong>: No such user" in last
    through(anna, post(anna, act="stop", whom="all"))
    stopping = {one.owner_id for one in hub.hub.servers.in_states([State.STOPPING])}
    assert stopping == {hub.user("inside").id}
    *_, refused = through(anna, post(anna, act="delete", whom="all"))
    assert "1 refused" in refused
    assert hub.hub.users.find("inside") is not None
    assert anna.get("/hub/admin/users/outside").status_code == 404
    assert "set-password" not in anna.get("/hub/admin/users/inside").text


# --- one user ---


def test_the_page_of_a_user_shows_all_of_them(hub, root):
    alice = hub.user("alice", groups=["physics"])
    run(hub, "alice", started_at=NOW)
    run(hub, "alice", "old", state=State.FAILED, failure="The server exited with code 3", log_tail=("goodbye",))
    hub.hub.usage.add(Usage("l0", "s", alice.id, "small", NOW, NOW + timedelta(hours=1), "The disk was full"))
    hub.as_user("alice", note="backup")
    hub.hub.logins.open_session(alice, "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0")
    page = root.get("/hub/admin/users/alice").text
    for words in ("physics", "goodbye", "The disk was full", "Firefox on Linux", "backup", "homes/by-name/alice"):
        assert words in page, words


def test_groups_are_changed_on_the_page_of_a_user(hub, root):
    hub.user("alice", groups=["physics"])
    hub.user("bob", groups=["maths"])
    page = "/hub/admin/users/alice"
    assert root.submit(f"{page}/groups", group="maths", change="add").headers["location"] == page
    assert "alice is in maths now" in root.get(page).text
    root.submit(f"{page}/groups", group="physics", change="remove")
    assert hub.hub.users.find("alice").groups == ("maths",)
    assert root.submit(f"{page}/groups", group="nothing", change="add").status_code == 404


def test_deleting_and_admin_rights_ask_first(hub, root):
    hub.user("alice")
    page = "/hub/admin/users/alice"
    assert "Make alice an admin?" in root.get(f"{page}/admin").text
    root.submit(f"{page}/admin", admin="1")
    assert hub.hub.users.find("alice").admin
    assert "Take the admin rights of alice?" in root.get(f"{page}/admin").text
    assert root.submit(f"{page}/admin", admin="0").headers["location"] == page
    assert not hub.hub.users.find("alice").admin
    assert "Delete alice?" in root.get(f"{page}/delete").text
    assert root.submit(f"{page}/delete").headers["location"] == "/hub/admin"
    assert "alice is deleted" in root.get("/hub/admin").text
    assert root.get(page).status_code == 404


def test_a_stop_on_the_page_of_a_user_leads_back_to_it(hub, root):
    run(hub, "zoë o'neil@uni.example")
    page = "/hub/admin/users/zo%C3%AB%20o%27neil%40uni.example"
    shown = root.get(page)
    assert shown.status_code == 200
    back = re.search(r'name="next" value="([^"]+)"', shown.text)[1].replace("&#39;", "'")
    answer = root.submit("/hub/stop/zo%C3%AB%20o%27neil%40uni.example", next=back)
    assert unquote(answer.headers["location"]) == unquote(page)


def test_nobody_else_sees_the_page_of_a_user(hub):
    alice = hub.browser("alice")
    for path in ("alice", "alice/delete", "alice/admin"):
        assert alice.get(f"/hub/admin/users/{path}").status_code in {403, 404}
