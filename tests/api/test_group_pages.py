"""The pages of groups: for admins, and for people with rights over one group."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest

from hubless.domain.errors import NotFoundError
from hubless.services.announcements import Wish
from tests.api.hub import SETTINGS, An, build_hub
from tests.support.builders import a_course

PLACE = """
[[roles]]
name = "teacher-of-physics"
scopes = ["groups!group=physics", "list:users!group=physics"]
users = ["tina"]

[[roles]]
name = "starter"
scopes = ["groups!group=physics", "servers!group=physics"]
users = ["sam"]

[[roles]]
name = "founder"
scopes = ["admin:groups!group=chess"]
users = ["fay"]

[[roles]]
name = "warden"
scopes = ["admin:groups!group=staff"]
users = ["will"]

[[roles]]
name = "reader"
scopes = ["read:groups!group=physics", "list:groups!group=physics"]
users = ["rita"]

[[roles]]
name = "operators"
scopes = ["read:hub"]
groups = ["staff"]

[[profiles]]
name = "small"
display_name = "Small"

[[profiles]]
name = "large"
display_name = "Large"
groups = ["physics"]

[[budgets]]
name = "term"
group = "physics"
hours = 40
servers = 3

[[budgets]]
name = "each"
group = "physics"
each_user = true
hours = 9

[[budgets]]
name = "others"
group = "sharers"
hours = 77

[groups.physics]
properties = { room = "B 12" }

[groups.staff]
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A hub with the settings above; each test has groups and people of its own, apart from `physics` and `staff`."""
    made = build_hub(tmp_path_factory.mktemp("hub"), SETTINGS + PLACE)
    for name in ("alice", "bob", "carol", "tina", "sam", "fay", "rita", "will"):
        made.user(name)
    made.user("root", admin=True)
    yield made
    made.close()


@pytest.fixture
def chess(hub):
    """A group for one test."""
    hub.as_token(An.ADMIN_TOKEN).post("/groups/chess", {"users": ["alice", "bob"], "properties": {"room": "A 1"}})
    yield "/hub/admin/groups/chess"
    hub.as_token(An.ADMIN_TOKEN).delete("/groups/chess")


def members(hub, group="chess"):
    return hub.hub.groups.find(group).users


def box(page):
    return unescape(re.search(r'<textarea name="members"[^>]*>(.*?)</textarea>', page.text, re.DOTALL)[1]).split()


def version(page):
    return re.search(r'name="version" value="(\w+)"', page.text)[1]


class TestTheList:
    def test_says_what_a_group_has(self, root, chess):
        page = root.get("/hub/admin/groups").text

        assert re.findall(r'<h2><a href="/hub/admin/groups/(\w+)">', page) == ["chess", "physics", "sharers", "staff"]
        assert "2 members" in page
        assert "Server types: Large" in page
        assert "Roles: operators" in page
        assert '<a href="/hub/admin/groups" aria-current="page">' in page

    def test_finds_a_part_of_a_name_without_case(self, root):
        page = root.get("/hub/admin/groups?q=PHY").text

        assert re.findall(r"<h2><a [^>]*>(\w+)", page) == ["physics"]
        assert "No group has “nothing&lt;”" in root.get("/hub/admin/groups?q=nothing%3C").text

    def test_comes_page_by_page(self, hub, root, monkeypatch):
        monkeypatch.setattr("functions.api.pages.groups._ROWS", 2)
        first = root.get("/hub/admin/groups?q=s").text
        address = unescape(re.search(r'href="([^"]*)" rel="next"', first)[1])

        second = root.get(address).text

        assert address == "/hub/admin/groups?q=s&after=sharers"
        assert re.findall(r"<h2><a [^>]*>(\w+)", first + second) == ["physics", "sharers", "staff"]
        assert 'rel="next"' not in second
        assert 'href="/hub/admin/groups?q=s">Back to the beginning' in second

    def test_is_closed_to_users_without_rights_over_groups(self, hub):
        assert hub.browser("alice").get("/hub/admin/groups").status_code == 403
        assert hub.browser("alice").submit("/hub/admin/groups", name="mine").status_code == 403
        assert "/hub/admin" not in hub.browser("alice").get("/hub/home").text


class TestWhatAGroupGets:
    def test_is_said_with_its_limits(self, root):
        page = " ".join(root.get("/hub/admin/groups/physics").text.split())

        assert "They may choose the server type “Large”." in page
        assert "Together they may use 40 hours in a month; so far it is 0.0." in page
        assert "Together they may have 3 servers at once; now it is 0." in page
        assert "Each of them may use 9 hours in a month." in page
        assert "77 hours" not in page  # a budget of others
        assert "The budget “term” limits nobody any more." in root.get("/hub/admin/groups/physics/delete").text


class TestCreating:
    def test_leads_to_the_new_group(self, hub, root):
        answer = root.submit("/hub/admin/groups", name=" Bio & more ")

        assert (answer.status_code, answer.headers["location"]) == (303, "/hub/admin/groups/Bio%20%26%20more")
        page = root.get(answer.headers["location"]).text
        assert "The group is ready" in page
        assert "This group has no members yet." in page
        hub.hub.groups.delete(hub.hub.groups.find("Bio & more").id)

    @pytest.mark.parametrize(
        ("name", "status", "why"),
        [("physics", 409, "already exists"), ("a/b", 400, "slash"), ("", 400, "empty"), ("x" * 256, 400, "longer")],
    )
    def test_keeps_a_refused_name_and_says_why(self, root, name, status, why):
        page = root.submit("/hub/admin/groups", name=name)

        assert page.status_code == status
        assert why in page.text
        assert f'value="{name}"' in page.text

    def test_of_one_name_only_with_a_right_for_that_name(self, hub):
        fay = hub.browser("fay")

        assert fay.submit("/hub/admin/groups", name="other").status_code == 403
        assert fay.submit("/hub/admin/groups", name="chess").status_code == 303
        hub.hub.groups.delete(hub.hub.groups.find("chess").id)


class TestMembers:
    def test_are_added_as_people_paste_them(self, hub, root, chess):
        answer = root.submit(f"{chess}/members", do="add", members="Carol; tina,\n\n alice\tsam ")

        assert (answer.status_code, answer.headers["location"]) == (303, chess)
        assert members(hub) == ("alice", "bob", "carol", "sam", "tina")
        assert "All 4 people are in the group." in root.get(chess).text

    def test_bad_names_stay_in_the_box_and_the_good_ones_go_on(self, hub, root, chess):
        page = root.submit(f"{chess}/members", do="add", members="carol\nnobody\n<b>\n" + "x" * 2000)

        assert page.status_code == 400
        assert members(hub) == ("alice", "bob", "carol")
        assert box(page) == ["nobody", "<b>", "x" * 2000]
        assert "1 person is in the group now" in page.text
        assert "There is no user &#39;nobody&#39;" in page.text
        assert "3 members" in page.text

    def test_too_many_at_once_are_refused_and_kept(self, hub, root, chess):
        page = root.submit(f"{chess}/members", do="add", members="\n".join(f"n{n}" for n in range(501)))

        assert page.status_code == 400
        assert "at most 500 names" in page.text
        assert len(box(page)) == 501
        assert members(hub) == ("alice", "bob")

    @pytest.mark.parametrize("typed", ["", " ;,\n"])
    def test_an_empty_box_adds_nobody(self, hub, root, chess, typed):
        assert root.submit(f"{chess}/members", do="add", members=typed).status_code == 400
        assert members(hub) == ("alice", "bob")

    def test_who_is_removed_meanwhile_stays_in_the_box(self, hub, root, chess, monkeypatch):
        store, add = hub.hub.groups, hub.hub.groups.add_users

        def without_carol(group_id, names):
            if "carol" in names:
                raise NotFoundError("User", "carol")
            add(group_id, names)

        monkeypatch.setattr(store, "add_users", without_carol)
        page = root.submit(f"{chess}/members", do="add", members="carol\ntina")

        assert box(page) == ["carol"]
        assert members(hub) == ("alice", "bob", "tina")

    def test_a_group_that_is_removed_meanwhile_is_named(self, hub, root, chess, monkeypatch):
        def gone(group_id, _names):
            raise NotFoundError("Group", group_id)

        monkeypatch.setattr(hub.hub.groups, "add_users", gone)

        assert root.submit(f"{chess}/members", do="add", members="carol").status_code == 404

    def test_the_chosen_ones_leave_and_one_stays_at_the_page(self, hub, root, chess):
        fields = {"do": "remove", "user": ["alice", "nobody"], "q": "a b", "after": "u1"}
        answer = root.submit(f"{chess}/members", **fields)

        assert (answer.status_code, answer.headers["location"]) == (303, f"{chess}?q=a+b&after=u1")
        assert members(hub) == ("bob",)
        assert root.submit(f"{chess}/members", do="remove").status_code == 400
        assert root.submit(f"{chess}/members", do="dance").status_code == 400

    def test_come_page_by_page_and_are_found(self, hub, root, chess, monkeypatch):
        hub.hub.groups.add_users(hub.hub.groups.find("chess").id, ["carol"])
        whole = root.get(chess).text
        monkeypatch.setattr("functions.api.pages.group._ROWS", 2)

        first = root.get(chess).text
        second = root.get(unescape(re.search(r'href="([^"]*)" rel="next"', first)[1]).partition("#")[0]).text
        found = root.get(f"{chess}?q=ARO").text

        def shown(page):
            return re.findall(r'name="user" value="(\w+)"', page)

        assert shown(whole) == ["alice", "bob", "carol"]
        assert 'type="search"' not in whole
        assert shown(first) + shown(second) == ["alice", "bob", "carol"]
        assert shown(found) == ["carol"]
        assert "No member has “zz”" in root.get(f"{chess}?q=zz").text


class TestProperties:
    def test_are_replaced(self, hub, root, chess):
        page = root.get(chess)
        assert unescape(re.search(r"<textarea name=\"properties\"[^>]*>(.*?)</textarea>", page.text, re.DOTALL)[1]) == (
            '{\n  "room": "A 1"\n}'
        )

        fields = {"properties": '{"räume": ["A 1", 2], "no": null}', "version": version(page)}
        assert root.submit(f"{chess}/properties", **fields).status_code == 303

        assert hub.hub.groups.find("chess").properties == {"räume": ["A 1", 2], "no": None}

    @pytest.mark.parametrize(
        "typed",
        ["{", "[]", "7", '{"a": NaN}', '{"a": 1e999}', "[" * 5000, json.dumps({"a": "x" * 65_536}), '{"a": "\\ud800"}'],
    )
    def test_that_are_wrong_stay_as_typed(self, hub, root, chess, typed):
        page = root.submit(f"{chess}/properties", properties=typed, version=version(root.get(chess)))

        assert page.status_code == 400
        assert typed in unescape(page.text)
        assert hub.hub.groups.find("chess").properties == {"room": "A 1"}

    def test_of_somebody_else_are_not_overwritten(self, hub, root, chess):
        seen = version(root.get(chess))
        hub.hub.groups.set_properties(hub.hub.groups.find("chess").id, {"room": "C 3"})

        page = root.submit(f"{chess}/properties", properties="{}", version=seen)

        assert page.status_code == 409
        assert "Somebody else has changed the properties" in page.text
        assert hub.hub.groups.find("chess").properties == {"room": "C 3"}

    def test_are_written_only_as_they_were_read(self, hub, root, chess, monkeypatch):
        monkeypatch.setattr(hub.hub.groups, "change_properties", lambda *_: False)

        assert root.submit(f"{chess}/properties", properties="{}", version=version(root.get(chess))).status_code == 409


class TestDeleting:
    def test_asks_first_and_says_what_goes(self, hub, root, alice_shares):
        page = root.get("/hub/admin/groups/physics/delete").text

        assert "Delete the group “physics”?" in page
        assert "1 server is shared with the group." in page
        assert "server type “Large”" in page
        assert "The settings name this group" in page
        assert "role “operators”" in root.get("/hub/admin/groups/staff/delete").text
        assert hub.hub.groups.find("physics") is not None

    def test_leaves_the_members(self, hub, root, chess):
        answer = root.submit(f"{chess}/delete")

        assert (answer.status_code, answer.headers["location"]) == (303, "/hub/admin/groups")
        assert "The group chess is deleted." in root.get("/hub/admin/groups").text
        assert root.get(chess).status_code == 404
        assert hub.hub.users.find("alice").groups == ()
        assert root.submit(f"{chess}/delete").status_code == 404

    @pytest.mark.parametrize("by", ["page", "program"])
    def test_takes_along_what_was_made_for_the_group(self, hub, root, chess, by):
        ends_at = hub.hub.clock.now() + timedelta(days=1)
        wishes = [Wish("Hi", ends_at, groups=groups) for groups in (("chess",), ("chess", "physics"))]
        announced = [hub.hub.announcements.make("root", wish) for wish in wishes]
        body = {"days": ["monday"], "begins": "09:00", "ends": "10:00", "timezone": "UTC", "groups": ["chess"]}
        program = hub.as_token(An.ADMIN_TOKEN)
        assert program.put("/schedules/chess", body).status_code == 201
        asked = root.get(f"{chess}/delete").text
        for words in ("1 announcement for it is removed.", "1 schedule for it is removed.", "other groups too stay"):
            assert words in asked

        if by == "page":
            assert root.submit(f"{chess}/delete").status_code == 303
        else:
            assert program.delete("/groups/chess").status_code == 204

        (left,) = hub.hub.announcements.all()
        assert (left.id, left.groups) == (announced[1].id, ("physics",))
        assert program.get("/schedules/chess").status_code == 404
        hub.hub.announcements.remove(left)

    def test_by_somebody_without_the_right_is_refused(self, hub):
        tina = hub.browser("tina")

        assert tina.get("/hub/admin/groups/physics/delete").status_code == 403
        assert tina.submit("/hub/admin/groups/physics/delete").status_code == 403
        assert "/delete" not in tina.get("/hub/admin/groups/physics").text


@pytest.fixture
def alice_shares(hub):
    """A server of alice that is shared with the group `physics`."""
    api = hub.as_token(An.ADMIN_TOKEN)
    api.put("/users/alice/servers/lab", {})
    api.post("/shares/alice/lab", {"group": "physics"})
    yield
    api.delete("/shares/alice/lab")


class TestATeacher:
    """Somebody with rights over one group does the work there, and sees no other."""

    def test_finds_their_group_adds_a_class_and_takes_one_out(self, hub):
        tina = hub.browser("tina")
        home = tina.get("/hub/home").text
        assert '<a href="/hub/admin/groups">Admin</a>' in home

        groups = tina.get("/hub/admin/groups").text
        assert re.findall(r"<h2><a [^>]*>(\w+)", groups) == ["physics"]
        assert "Create a group" not in groups
        page = tina.submit("/hub/admin/groups/physics/members", do="add", members="alice\nbob\nxaver")
        assert box(page) == ["xaver"]
        tina.submit("/hub/admin/groups/physics/members", do="remove", user="bob")

        assert members(hub, "physics") == ("alice",)
        api = hub.as_user("tina")
        assert [user["name"] for user in api.get("/users").json()] == ["alice"]
        tina.submit("/hub/admin/groups/physics/members", do="remove", user="alice")

    @pytest.mark.parametrize("group", ["staff", "chess", "nothing"])
    def test_other_groups_are_as_if_they_did_not_exist(self, hub, chess, group):
        tina, path = hub.browser("tina"), f"/hub/admin/groups/{group}"

        answers = [
            tina.get(path),
            tina.submit(f"{path}/members", do="add", members="bob"),
            tina.submit(f"{path}/properties", properties="{}"),
            tina.submit(f"{path}/delete"),
        ]

        assert [answer.status_code for answer in answers] == [404] * 4
        assert "No such group, or not within your reach" in answers[0].text
        assert hub.hub.groups.find("chess").users == ("alice", "bob")

    def test_gets_no_rights_over_people_by_adding_them(self, hub):
        sam = hub.browser("sam")

        page = sam.submit("/hub/admin/groups/physics/members", do="add", members="sam\nalice")

        assert page.status_code == 400
        assert box(page) == ["alice"]
        assert "You would get more rights over alice" in unescape(page.text)
        assert members(hub, "physics") == ("sam",)
        sam.submit("/hub/admin/groups/physics/members", do="remove", user="sam")

    def test_takes_from_nobody_what_the_group_gives_and_they_lack(self, hub):
        will, staff = hub.browser("will"), hub.hub.groups.find("staff")
        hub.hub.groups.add_users(staff.id, ["alice"])

        taken = will.submit("/hub/admin/groups/staff/members", do="remove", user="alice")
        deleted = will.submit("/hub/admin/groups/staff/delete")

        for answer in (taken, deleted):
            assert answer.status_code == 403
            assert "only an admin takes alice out" in unescape(answer.text)
        assert members(hub, "staff") == ("alice",)
        hub.hub.groups.remove_users(staff.id, ["alice"])

    def test_who_only_reads_changes_nothing(self, hub):
        rita = hub.browser("rita")
        page = rita.get("/hub/admin/groups/physics").text

        assert "<textarea" not in page
        assert "B 12" in page
        assert rita.submit("/hub/admin/groups/physics/members", do="add", members="bob").status_code == 403
        assert rita.submit("/hub/admin/groups/physics/properties", properties="{}").status_code == 403
        assert members(hub, "physics") == ()


class TestGroupsOfAProvider:
    @pytest.fixture
    def following(self, hub, monkeypatch, chess):
        monkeypatch.setitem(hub.hub.__dict__, "group_editing", replace(hub.hub.group_editing, follows_logins=True))
        return chess

    def test_say_so_and_are_not_changed_by_hand(self, hub, root, following):
        page = root.get(following).text

        assert "what the provider says at each login" in page
        assert 'name="user"' not in page
        assert 'name="members"' not in page
        assert "/delete" not in page
        assert "Create a group" not in root.get("/hub/admin/groups").text
        for path, fields in {
            "/members": {"do": "add", "members": "carol"},
            "/members?": {"do": "remove", "user": "alice"},
            "/delete": {},
        }.items():
            assert root.submit(f"{following}{path}", **fields).status_code == 400
        assert root.submit("/hub/admin/groups", name="new").status_code == 400
        assert members(hub) == ("alice", "bob")

    def test_keep_properties_that_admins_write(self, hub, root, following):
        fields = {"properties": '{"a": 1}', "version": version(root.get(following))}

        assert root.submit(f"{following}/properties", **fields).status_code == 303


class TestGroupsOfACourse:
    def test_say_that_a_login_brings_people_back(self, hub, root, chess, monkeypatch):
        course = a_course()
        monkeypatch.setattr(
            type(hub.hub.lti_store), "course_of_group", lambda _self, name: course if name == "chess" else None
        )

        assert "Who opens the course there joins the group again." in root.get(chess).text
        assert "the next login from there makes it again" in root.get(f"{chess}/delete").text
