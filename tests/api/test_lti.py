"""LTI 1.3 as an LMS and a browser see it: logins, courses, links that a teacher chooses, registration, grades."""

import re
from datetime import timedelta
from html import unescape
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from hubless.adapters.lti.lms import HttpLms
from hubless.services import login_beginnings
from tests.api.hub import An, build_hub
from tests.doubles.lms import CANVAS_TEACHER, CLAIM, DL, INSTRUCTOR, LEARNER, MOODLE_ADMIN, DoubleFetcher, LmsDouble
from tests.support.fakes import StoppedClock

URL = "https://hub.test"
SETTINGS = f"""
[hub]
public_url = "{URL}"

[login]
allow_all = true

[[services]]
name = "admin"
token = "{An.ADMIN_TOKEN}"
admin = true

[[services]]
name = "grader"
token = "grader-service-token-0123456789"

[[roles]]
name = "graders"
scopes = ["custom:lti:grades"]
services = ["grader"]

[[lti_platforms]]
name = "school"
issuer = "https://lms.example.org"
client_id = "10000000000042"
authorization_url = "https://lms.example.org/auth"
token_url = "https://lms.example.org/token"
key_set_url = "https://lms.example.org/keys"
"""


class World:
    """A hub, an LMS, and browsers that go from one to the other."""

    def __init__(self, folder, settings=SETTINGS):
        self.hub = build_hub(folder, settings)
        self.clock = StoppedClock(self.hub.hub.clock.now())
        self.hub.hub.__dict__["clock"] = self.clock
        lti = self.hub.hub.lti
        self.lms = LmsDouble(self.clock, hub_keys=lti.keys.key_set)
        lti.__dict__["lms"] = HttpLms(DoubleFetcher(self.lms), self.clock, lti.keys.sign)
        self.admin = self.hub.as_token(An.ADMIN_TOKEN)
        self.grader = self.hub.as_token("grader-service-token-0123456789")

    def browser(self):
        return self.hub.browser(address=URL)

    def begin(self, browser, method="POST", **more):
        facts = self.lms.initiation(**more)
        return (
            browser.post("/hub/lti/login", data=facts)
            if method == "POST"
            else browser.get("/hub/lti/login", params=facts)
        )

    def open(self, browser=None, **more):
        """Follow a link of the LMS, and return the browser with the hub's answer to the message."""
        browser = browser or self.browser()
        begun = self.begin(browser, **more)
        assert begun.status_code == 302, begun.text
        posted = self.lms.authorize(begun.headers["location"])
        return browser, browser.post("/hub/lti/launch", data=posted, headers={"Origin": self.lms.issuer})

    def enter(self, **more):
        """Follow a link of the LMS into the hub, and return the browser and where it goes."""
        browser, answer = self.open(**more)
        assert answer.status_code == 200, said(answer)
        return browser, unescape(re.search(r'content="0; url=([^"]+)"', answer.text)[1])

    def me(self, browser):
        return browser.get("/hub/api/user").json()


def said(answer):
    """Return the words of an error page."""
    found = re.search(r"<h1>(.*?)</h1>", answer.text, re.DOTALL)
    return unescape(found[1]) if found else answer.text


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


class TestLogins:
    @pytest.mark.parametrize("method", ["POST", "GET"])
    @pytest.mark.parametrize("kind", ["canvas", "moodle", "blackboard"])
    def test_a_student_follows_a_link_of_the_lms_into_the_hub(self, world, kind, method):
        world.lms.kind = kind
        browser, there = world.enter(method=method)
        assert there == "/hub/spawn"
        assert world.me(browser)["name"] == "ada"
        assert browser.get(there).status_code in {200, 302}

    def test_the_next_login_is_the_same_user_whatever_the_lms_says_of_the_name(self, world):
        world.enter()
        world.lms.person |= {"name": "A. King", "email": "king@school.example.org"}
        assert world.me(world.enter()[0])["name"] == "ada"
        assert world.hub.hub.users.find("king") is None

    def test_another_person_with_the_same_address_is_another_user(self, world):
        world.enter()
        world.lms.person["sub"] = "somebody-else"
        name = world.me(world.enter()[0])["name"]
        assert re.fullmatch(r"ada-[0-9a-f]{10}", name)

    def test_nobody_becomes_a_user_who_was_there_before(self, world):
        world.hub.user("ada")
        _, answer = world.open()
        assert answer.status_code == 403
        assert f"hubless user link ada --issuer {world.lms.issuer} --subject {world.lms.person['sub']}" in answer.text
        assert world.hub.hub.users.find("ada").groups == ()

    def test_an_admin_links_a_user_who_was_there_before(self, world):
        world.hub.user("ada")
        linked = {"issuer": world.lms.issuer, "subject": world.lms.person["sub"]}
        assert world.admin.post("/users/ada/identities", linked).status_code == 201
        assert world.me(world.enter()[0])["name"] == "ada"

    def test_a_blocked_person_gets_no_second_user(self, tmp_path):
        world = World(tmp_path)
        world.enter()
        world = World(tmp_path, SETTINGS.replace("allow_all = true", 'allow_all = true\nblocked_users = ["ada"]'))
        _, answer = world.open()
        assert answer.status_code == 403
        assert "blocked" in answer.text
        assert [user.name for user in world.hub.hub.accounts.all()] == ["ada"]

    def test_an_address_is_no_proof_of_an_admins_name(self, tmp_path):
        world = World(tmp_path, SETTINGS.replace("allow_all = true", 'allow_all = true\nadmins = ["ada"]'))
        _, answer = world.open()
        assert answer.status_code == 403

    def test_a_hub_that_lets_nobody_in_says_so(self, tmp_path):
        contact = '[hub]\ncontact = "it@school.example.org"'
        world = World(tmp_path, SETTINGS.replace("allow_all = true", "").replace("[hub]", contact))
        _, answer = world.open()
        assert answer.status_code == 403
        assert "To get access: it@school.example.org" in answer.text
        assert world.hub.hub.users.find("ada") is None

    def test_ten_tabs_that_open_at_once_all_come_home(self, world):
        browser = world.browser()
        begun = [world.begin(browser).headers["location"] for _ in range(10)]
        answers = [browser.post("/hub/lti/launch", data=world.lms.authorize(there)) for there in begun]
        assert [answer.status_code for answer in answers] == [200] * 10

    def test_a_message_is_good_once(self, world):
        browser = world.browser()
        posted = world.lms.authorize(world.begin(browser).headers["location"])
        kept = dict(browser.cookies)
        assert browser.post("/hub/lti/launch", data=posted).status_code == 200
        for name, value in kept.items():
            browser.cookies.set(name, value, domain="hub.test")
        again = browser.post("/hub/lti/launch", data=posted)
        assert again.status_code == 403
        assert "used already" in said(again)

    def test_a_message_is_good_only_in_the_browser_that_asked_for_it(self, world):
        one, other = world.browser(), world.browser()
        posted = world.lms.authorize(world.begin(one).headers["location"])
        refused = other.post("/hub/lti/launch", data=posted)
        assert refused.status_code == 403
        assert "New window" in said(refused)
        world.begin(other)
        (name,) = (name for name in one.cookies if "lti" in name)
        other.cookies.set(name, "x" * 32, domain="hub.test")
        assert "another browser" in said(other.post("/hub/lti/launch", data=posted))
        assert world.hub.hub.users.find("ada") is None

    def test_a_flood_of_initiations_from_one_network_is_told_to_wait(self, world, monkeypatch):
        monkeypatch.setattr(login_beginnings, "MAX_BEGINNINGS", 2)
        assert [world.begin(world.browser()).status_code for _ in range(3)] == [302, 302, 429]

    def test_a_login_waits_ten_minutes(self, world):
        browser = world.browser()
        location = world.begin(browser).headers["location"]
        world.clock.advance(timedelta(minutes=10))
        assert "expired" in said(browser.post("/hub/lti/launch", data=world.lms.authorize(location)))

    def test_the_cookie_of_a_login_comes_back_in_frames_and_goes_afterwards(self, world):
        browser = world.browser()
        begun = world.begin(browser)
        cookie = begun.headers["set-cookie"]
        for part in (
            "__Host-hubless-lti-",
            "Secure",
            "HttpOnly",
            "SameSite=None",
            "Partitioned",
            "Path=/",
            "Max-Age=600",
        ):
            assert part in cookie
        browser.post("/hub/lti/launch", data=world.lms.authorize(begun.headers["location"]))
        assert [name for name in browser.cookies if "lti" in name] == []

    def test_without_https_the_hub_says_what_to_set(self, tmp_path):
        world = World(tmp_path, SETTINGS.replace(f'public_url = "{URL}"', 'public_url = "http://hub.test"'))
        refused = world.hub.browser().post("/hub/lti/login", data=world.lms.initiation())
        assert refused.status_code == 403
        assert "public_url" in said(refused)

    @pytest.mark.parametrize(
        ("more", "words"),
        [
            ({"iss": None}, "without iss"),
            ({"login_hint": None}, "without login_hint"),
            ({"iss": "https://other.example.org"}, "[[lti_platforms]]"),
            ({"client_id": "another"}, "client_id = 'another'"),
            ({"login_hint": "x" * 20_000}, "more than"),
        ],
    )
    def test_an_initiation_that_does_not_fit_says_what_to_set(self, world, more, words):
        refused = world.begin(world.browser(), **more)
        assert refused.status_code == 403
        assert words in said(refused)
        assert "set-cookie" not in refused.headers or "lti" not in refused.headers["set-cookie"]

    @pytest.mark.parametrize(
        ("posted", "words"),
        [
            ({}, "redirect URI"),
            ({"state": "short"}, "redirect URI"),
            ({"error": "login_required", "state": "x"}, "login_required"),
        ],
    )
    def test_what_is_no_message_is_refused_in_words(self, world, posted, words):
        refused = world.browser().post("/hub/lti/launch", data=posted)
        assert refused.status_code == 403
        assert words in said(refused)

    def test_an_error_of_the_lms_is_shown(self, world):
        world.lms.kind = "canvas"
        browser = world.browser()
        location = world.begin(browser).headers["location"]
        world.lms.hints.clear()
        refused = browser.post("/hub/lti/launch", data=world.lms.authorize(location))
        assert "invalid_request_object: used" in said(refused)

    def test_a_message_that_proves_nothing_opens_nothing(self, world):
        world.lms.claims = {"aud": "another-tool"}
        browser, refused = world.open()
        assert refused.status_code == 403
        assert "proves nothing" in said(refused)
        assert browser.get("/hub/api/user").status_code == 403
        assert world.hub.hub.users.find("ada") is None

    def test_a_message_that_proves_nothing_is_refused_in_the_readers_language(self, world):
        world.lms.claims = {"aud": "another-tool"}
        browser = world.browser()
        browser.headers["Accept-Language"] = "de"
        location = world.begin(browser).headers["location"]
        refused = browser.post("/hub/lti/launch", data=world.lms.authorize(location))
        assert "Die Nachricht des LMS beweist nichts" in said(refused)

    def test_an_address_for_an_lms_alone_says_so(self, world):
        for path in ("/hub/lti/launch", "/hub/lti/deep-link"):
            assert world.browser().get(path).status_code == 404


FRAME = {"Sec-Fetch-Dest": "iframe"}


class TestFrames:
    def test_a_link_in_a_frame_opens_a_new_window_before_the_lms_is_asked(self, world):
        world.lms.kind = "canvas"
        browser = world.browser()
        answer = browser.post("/hub/lti/login", data=world.lms.initiation(), headers=FRAME)
        assert answer.status_code == 200
        assert "frame-ancestors *" in answer.headers["content-security-policy"]
        found = re.search(r'href="(/hub/lti/login\?[^"]+)" target="_blank" rel="noopener"', answer.text)
        begun = browser.get(unescape(found[1]))
        posted = world.lms.authorize(begun.headers["location"])
        assert browser.post("/hub/lti/launch", data=posted).status_code == 200

    def test_a_choice_of_links_stays_in_the_frame_where_cookies_come_back(self, world):
        browser = world.browser()
        facts = world.lms.initiation(target="/hub/lti/deep-link")
        tried = browser.post("/hub/lti/login", data=facts, headers=FRAME)
        assert tried.status_code == 303
        assert "Partitioned" in tried.headers["set-cookie"]
        begun = browser.get(tried.headers["location"], headers=FRAME)
        assert urlsplit(begun.headers["location"]).netloc == "lms.example.org"

    def test_where_cookies_do_not_come_back_the_choice_opens_a_new_window(self, world):
        browser = world.browser()
        facts = world.lms.initiation(target="/hub/lti/deep-link")
        tried = browser.post("/hub/lti/login", data=facts, headers=FRAME)
        browser.cookies.clear()
        answer = browser.get(tried.headers["location"], headers=FRAME)
        assert answer.status_code == 200
        assert "keeps no cookies" in answer.text
        assert "cookies_tried" not in re.search(r'href="(/hub/lti/login[^"]+)"', answer.text)[1]

    def test_refusals_can_be_read_in_a_frame_and_other_pages_not(self, world):
        refused = world.browser().post("/hub/lti/launch", data={})
        assert "frame-ancestors *" in refused.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in world.browser().get("/hub/login").headers["content-security-policy"]


class TestWhereLinksLead:
    @pytest.mark.parametrize(
        ("claims", "there"),
        [
            (
                {f"{CLAIM}custom": {"next": "/hub/user-redirect/lab/tree/a.ipynb"}},
                "/hub/user-redirect/lab/tree/a.ipynb",
            ),
            (
                {f"{CLAIM}target_link_uri": f"{URL}/hub/user-redirect/git-pull?repo=x"},
                "/hub/user-redirect/git-pull?repo=x",
            ),
            ({f"{CLAIM}target_link_uri": f"{URL}/hub/lti/launch?next=%2Fhub%2Fhome"}, "/hub/home"),
            ({f"{CLAIM}custom": {"next": "$ResourceLink.next"}}, "/hub/spawn"),
            ({f"{CLAIM}custom": {"next": "https://evil.example.org/"}}, "/hub/spawn"),
            ({f"{CLAIM}custom": {"next": "//evil.example.org/"}}, "/hub/spawn"),
            ({f"{CLAIM}custom": {"next": "/\\evil.example.org/"}}, "/hub/spawn"),
            ({f"{CLAIM}target_link_uri": "https://evil.example.org/x"}, "/hub/spawn"),
            ({f"{CLAIM}target_link_uri": f"{URL}.evil.example.org/x"}, "/hub/spawn"),
            ({f"{CLAIM}target_link_uri": f"{URL}//evil.example.org/x"}, "/hub/spawn"),
            ({f"{CLAIM}target_link_uri": f"{URL}/hub/lti/launch?next=https://evil.example.org"}, "/hub/spawn"),
            ({f"{CLAIM}target_link_uri": None}, "/hub/spawn"),
        ],
    )
    def test_a_link_leads_to_a_path_of_this_hub_alone(self, world, claims, there):
        world.lms.claims = claims
        assert world.enter()[1] == there


class TestCourses:
    def groups(self, world, name="ada"):
        return world.hub.hub.users.find(name).groups

    def test_a_student_is_in_the_group_of_the_course(self, world):
        world.enter()
        (group,) = self.groups(world)
        assert group.startswith("bio-101-")
        assert world.admin.get(f"/lti/courses/{group}").json() == {
            "group": group,
            "teachers_group": f"{group}-teachers",
            "title": "Biology",
            "platform": "school",
            "context_id": "101",
            "has_roster": True,
            "has_grades": True,
            "last_login": world.admin.get("/lti/courses").json()[0]["last_login"],
        }

    def test_a_teacher_is_in_both_groups_and_leaves_one_when_a_learner(self, world):
        world.lms.roles = CANVAS_TEACHER
        world.enter()
        assert len(self.groups(world)) == 2
        world.lms.roles = MOODLE_ADMIN
        world.enter()
        assert len(self.groups(world)) == 1

    def test_each_course_has_its_group_and_a_new_label_changes_none(self, world):
        world.enter()
        world.lms.context = {"id": "102", "label": "BIO 101", "title": "Biology"}
        world.enter()
        first = self.groups(world)
        assert len(set(first)) == 2
        world.lms.context = {"id": "102", "label": "CHEM", "title": "Chemistry"}
        world.enter()
        assert self.groups(world) == first
        titles = {course["title"] for course in world.admin.get("/lti/courses").json()}
        assert titles == {"Biology", "Chemistry"}

    def test_a_group_that_an_admin_removed_comes_back_with_the_next_login(self, world):
        world.enter()
        (group,) = self.groups(world)
        world.admin.delete(f"/groups/{group}")
        world.enter()
        assert self.groups(world) == (group,)

    def test_without_course_groups_nothing_is_kept_of_courses(self, tmp_path):
        world = World(tmp_path, SETTINGS.rstrip() + "\ncourse_groups = false\n")
        world.enter()
        assert self.groups(world) == ()
        assert world.admin.get("/lti/courses").json() == []

    def test_a_roster_fills_the_groups_and_those_who_left_leave(self, world):
        world.lms.roles = [INSTRUCTOR]
        world.enter()
        group = next(name for name in self.groups(world) if not name.endswith("-teachers"))
        world.hub.user("tutor", groups=[group])
        world.lms.page_size = 2
        world.lms.members = [
            {"user_id": world.lms.person["sub"], "roles": [INSTRUCTOR], "email": "ada@school.example.org"},
            {"user_id": "s-1", "roles": [LEARNER], "email": "bob@school.example.org", "name": "Bob"},
            {"user_id": "s-2", "roles": ["Learner"], "email": "cy@school.example.org", "status": "Active"},
            {"user_id": "s-3", "roles": [LEARNER], "email": "dan@school.example.org", "status": "Inactive"},
            {"roles": [LEARNER]},
        ]
        filled = world.admin.post(f"/lti/courses/{group}/roster", {})
        assert filled.json() == {"people": 3, "joined": 2, "left": 0, "refused": 0, "is_whole": True}
        assert world.hub.hub.groups.find(group).users == ("ada", "bob", "cy", "tutor")
        assert world.hub.hub.groups.find(f"{group}-teachers").users == ("ada",)
        world.lms.members[1]["status"] = "Inactive"
        filled = world.admin.post(f"/lti/courses/{group}/roster", {})
        assert (filled.json()["joined"], filled.json()["left"]) == (0, 1)
        assert world.hub.hub.groups.find(group).users == ("ada", "cy", "tutor")

    def test_who_is_in_a_roster_is_the_same_user_at_the_first_login(self, world):
        world.lms.roles = [INSTRUCTOR]
        world.enter()
        group = next(name for name in self.groups(world) if not name.endswith("-teachers"))
        world.lms.members = [{"user_id": "s-1", "roles": [LEARNER], "email": "bob@school.example.org"}]
        world.admin.post(f"/lti/courses/{group}/roster", {})
        world.lms.person = {"sub": "s-1", "email": "robert@school.example.org"}
        assert world.me(world.enter()[0])["name"] == "bob"

    def test_a_teachers_login_fills_the_groups_and_not_each_time(self, tmp_path):
        world = World(tmp_path, SETTINGS.rstrip() + "\nroster = true\n")
        world.lms.members = [{"user_id": "s-1", "roles": [LEARNER], "email": "bob@school.example.org"}]
        world.enter()
        assert world.hub.hub.users.find("bob") is None
        world.lms.roles = [INSTRUCTOR]
        world.enter()
        world.enter()
        assert len(self.groups(world, "bob")) == 1
        assert [url for _, url in world.lms.requests].count("https://lms.example.org/members?limit=50") == 1

    def test_an_lms_that_lists_nobody_keeps_no_teacher_out(self, tmp_path):
        world = World(tmp_path, SETTINGS.rstrip() + "\nroster = true\n")
        world.lms.roles, world.lms.down = [INSTRUCTOR], {"/members"}
        world.enter()
        assert len(self.groups(world)) == 2

    def test_an_lms_that_does_not_answer_is_named(self, world):
        world.enter()
        (group,) = self.groups(world)
        world.lms.down = {"/members"}
        refused = world.admin.post(f"/lti/courses/{group}/roster", {})
        assert refused.status_code == 502
        assert "lms.example.org gave no answer" in refused.json()["message"]

    def test_a_course_without_a_roster_says_so(self, world):
        world.lms.claims = {"https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice": None}
        world.enter()
        (group,) = self.groups(world)
        refused = world.admin.post(f"/lti/courses/{group}/roster", {})
        assert refused.status_code == 400
        assert "names and roles" in refused.json()["message"]

    def test_courses_are_seen_by_those_who_see_their_groups(self, world):
        world.enter()
        (group,) = self.groups(world)
        assert world.admin.get("/lti/courses/none").status_code == 404
        nobody = world.hub.as_user("bob")
        assert nobody.get("/lti/courses").status_code == 403
        assert nobody.get(f"/lti/courses/{group}").status_code == 403
        assert nobody.post(f"/lti/courses/{group}/roster", {}).status_code == 403


class TestGrades:
    @pytest.fixture
    def group(self, world):
        world.enter()
        return world.hub.hub.users.find("ada").groups[0]

    @pytest.fixture
    def item(self, world, group):
        made = world.grader.post(f"/lti/courses/{group}/line-items", {"label": "Week 1", "score_maximum": 10})
        assert made.status_code == 201
        return made.json()

    def score(self, item, **more):
        return {"line_item": item["id"], "user": "ada", "score_given": 8.5, "score_maximum": 10, **more}

    def test_a_grader_gives_a_grade(self, world, group, item):
        assert (item["label"], item["scoreMaximum"]) == ("Week 1", 10)
        assert world.grader.get(f"/lti/courses/{group}/line-items").json() == [item]
        given = world.grader.post(f"/lti/courses/{group}/scores", self.score(item, comment="Good"))
        assert given.status_code == 204
        assert world.lms.scores == [
            (
                item["id"],
                {
                    "userId": world.lms.person["sub"],
                    "activityProgress": "Completed",
                    "gradingProgress": "FullyGraded",
                    "timestamp": world.lms.scores[0][1]["timestamp"],
                    "scoreGiven": 8.5,
                    "scoreMaximum": 10,
                    "comment": "Good",
                },
            )
        ]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", world.lms.scores[0][1]["timestamp"])
        found = world.grader.get(f"/lti/courses/{group}/results", params={"line_item": item["id"]})
        assert found.json() == [{"userId": "1", "resultScore": 0.5}]

    def test_without_the_scope_nobody_gives_grades_not_even_an_admin(self, world, group, item):
        for asker in (world.admin, world.hub.as_user("ada"), world.hub.anybody):
            assert asker.post(f"/lti/courses/{group}/scores", self.score(item)).status_code == 403
            assert asker.get(f"/lti/courses/{group}/line-items").status_code == 403
        assert world.lms.scores == []

    def test_a_scope_for_one_course_is_for_no_other(self, tmp_path):
        narrow = SETTINGS.replace('["custom:lti:grades"]', '["custom:lti:grades!group=other"]')
        world = World(tmp_path, narrow)
        world.enter()
        group = world.hub.hub.users.find("ada").groups[0]
        assert world.grader.get(f"/lti/courses/{group}/line-items").status_code == 404

    @pytest.mark.parametrize(
        "address",
        [
            "https://evil.example.org/items/1/lineitem",
            "https://lms.example.org/other/1",
            "https://lms.example.org/items",
            "https://lms.example.org/items/../token",
            "https://lms.example.org/items/%2e%2e/token",
            "http://lms.example.org/items/1/lineitem",
            "https://lms.example.org.evil.org/items/1",
        ],
    )
    def test_the_token_of_the_lms_goes_to_line_items_of_the_course_alone(self, world, group, item, address):
        before = len(world.lms.requests)
        refused = world.grader.post(f"/lti/courses/{group}/scores", self.score({"id": address}))
        assert refused.status_code == 400
        assert "no line item of" in refused.json()["message"]
        assert len(world.lms.requests) == before

    def test_who_is_not_in_the_course_gets_no_grade(self, world, group, item):
        world.hub.user("tutor", groups=[group])
        for name, words in (("bob", "is not in"), ("tutor", "has never logged in from the LMS")):
            world.hub.user(name)
            refused = world.grader.post(f"/lti/courses/{group}/scores", self.score(item, user=name))
            assert refused.status_code == 400
            assert words in refused.json()["message"]

    @pytest.mark.parametrize(
        "body",
        [
            {"score_given": -1},
            {"score_maximum": 0},
            {"score_given": None},
            {"activity_progress": "Done"},
            {"comment": "x" * 20_000},
            {"more": 1},
        ],
    )
    def test_a_score_that_breaks_a_rule_is_refused(self, world, group, item, body):
        assert world.grader.post(f"/lti/courses/{group}/scores", self.score(item, **body)).status_code == 400
        assert world.lms.scores == []

    def test_an_lms_that_takes_no_score_is_named(self, world, group, item):
        world.lms.items.clear()
        refused = world.grader.post(f"/lti/courses/{group}/scores", self.score(item))
        assert refused.status_code == 502
        assert "answered 404 to POST" in refused.json()["message"]

    def test_a_course_without_grades_says_so(self, world, group):
        course = world.hub.hub.lti_store.course_of_group(group)
        from dataclasses import replace

        world.hub.hub.lti_store.save_course(course, replace(course, line_items_url="", revision=course.revision + 1))
        refused = world.grader.get(f"/lti/courses/{group}/line-items")
        assert refused.status_code == 400
        assert "offers no grades" in refused.json()["message"]


class TestChoosingLinks:
    def chooser(self, world):
        world.lms.roles = [INSTRUCTOR]
        world.lms.asks_for_a_link()
        browser, page = world.open(target="/hub/lti/deep-link")
        assert page.status_code == 200
        return browser, page

    def choose(self, world, **fields):
        browser, page = self.chooser(world)
        ticket = unescape(re.search(r'name="ticket" value="([^"]+)"', page.text)[1])
        return browser.post("/hub/lti/deep-link", data={"ticket": ticket, **fields})

    def links(self, world, answer):
        token = re.search(r'name="JWT" value="([^"]+)"', answer.text)[1]
        keys = KeySet.import_key_set(world.browser().get("/hub/lti/jwks").json())
        return jwt.decode(token, keys, algorithms=["RS256"]).claims

    def test_a_teacher_chooses_a_notebook(self, world):
        answer = self.choose(world, kind="path", path="week 1/first.ipynb", title="")
        assert 'action="https://lms.example.org/return"' in answer.text
        assert "form-action https://lms.example.org" in answer.headers["content-security-policy"]
        claims = self.links(world, answer)
        assert claims[f"{DL}data"] == "opaque"
        (link,) = claims[f"{DL}content_items"]
        assert link["title"] == "first.ipynb"
        assert link["custom"] == {"next": "/hub/user-redirect/lab/tree/week%201/first.ipynb"}
        world.lms.claims = {f"{CLAIM}custom": link["custom"]}
        assert world.enter()[1] == "/hub/user-redirect/lab/tree/week%201/first.ipynb"

    def test_a_teacher_chooses_a_repository(self, world):
        fields = {"kind": "repository", "repository": "https://git.example.org/u/course.git", "path": "a.ipynb"}
        (link,) = self.links(world, self.choose(world, **fields, branch="main"))[f"{DL}content_items"]
        path, _, query = link["custom"]["next"].partition("?")
        assert path == "/hub/user-redirect/git-pull"
        assert parse_qs(query) == {
            "repo": ["https://git.example.org/u/course.git"],
            "branch": ["main"],
            "urlpath": ["lab/tree/course/a.ipynb"],
        }

    @pytest.mark.parametrize(
        "fields",
        [
            {"kind": "path", "path": "//evil.example.org"},
            {"kind": "path", "path": "/\\evil.example.org"},
            {"kind": "repository", "repository": "javascript:alert(1)"},
            {"kind": "repository"},
            {"kind": "path", "path": "x" * 3000},
        ],
    )
    def test_what_leads_elsewhere_is_refused_and_the_form_kept(self, world, fields):
        answer = self.choose(world, title="My title", **fields)
        assert answer.status_code == 200
        assert 'role="alert"' in answer.text
        assert "JWT" not in answer.text
        assert "My title" in answer.text

    def test_choosing_needs_no_account_and_makes_none(self, world):
        self.chooser(world)
        assert world.hub.hub.users.find("ada") is None

    def test_a_form_that_is_not_ours_or_old_is_refused(self, world):
        assert world.browser().post("/hub/lti/deep-link", data={"ticket": "x"}).status_code == 403
        assert world.browser().post("/hub/lti/deep-link", data={}).status_code == 403

    def test_what_takes_no_links_is_refused(self, world):
        world.lms.asks_for_a_link()
        world.lms.claims[f"{DL}deep_linking_settings"]["accept_types"] = ["file"]
        assert "something else than a link" in said(world.open(target="/hub/lti/deep-link")[1])


class TestRegistration:
    def link(self, world):
        made = world.admin.post("/lti/registrations", {})
        assert made.status_code == 201
        return made.json()["url"]

    def register(self, world, link):
        key = parse_qs(urlsplit(link).query)["key"][0]
        facts = {"openid_configuration": "https://lms2.example.org/openid-configuration", "registration_token": "t"}
        page = world.browser().get("/hub/lti/register", params={"key": key, **facts})
        assert page.status_code == 200
        assert "lms2.example.org" in page.text
        return world.browser().post("/hub/lti/register", data={"key": key, **facts})

    @pytest.fixture
    def world(self, tmp_path):
        world = World(tmp_path, SETTINGS.partition("[[lti_platforms]]")[0])
        world.lms.issuer = "https://lms2.example.org"
        return world

    def test_an_lms_registers_itself_with_a_link_and_its_users_log_in(self, world):
        done = self.register(world, self.link(world))
        assert done.status_code == 303
        assert world.browser().get(done.headers["location"]).status_code == 200
        (platform,) = world.admin.get("/lti/platforms").json()
        assert (platform["issuer"], platform["from_settings"]) == ("https://lms2.example.org", False)
        assert world.me(world.enter()[0])["name"] == "ada"
        assert world.admin.delete(f"/lti/platforms/{platform['name']}").status_code == 204
        assert world.admin.delete(f"/lti/platforms/{platform['name']}").status_code == 404
        assert world.begin(world.browser()).status_code == 403

    def test_a_link_is_good_once_and_for_a_day(self, world):
        link = self.link(world)
        self.register(world, link)
        assert "used already" in said(self.register(world, link))
        for key in ("", "x", "y" * 1000):
            for answer in (
                world.browser().get("/hub/lti/register", params={"key": key}),
                world.browser().post("/hub/lti/register", data={"key": key}),
            ):
                assert answer.status_code == 403
        assert len(world.lms.registered) == 1

    def test_a_failed_registration_says_why(self, world):
        world.lms.configuration = {"issuer": "https://somebody-else.net"}
        refused = self.register(world, self.link(world))
        assert refused.status_code == 400
        assert "another host" in said(refused)
        assert world.admin.get("/lti/platforms").json() == []

    def test_only_admins_make_links(self, world):
        assert world.hub.as_user("bob").post("/lti/registrations", {}).status_code == 403
        assert world.hub.as_user("bob").get("/lti/platforms").status_code == 403


class TestTheTool:
    def test_keys_and_configuration_are_public(self, world):
        keys = world.browser().get("/hub/lti/jwks")
        assert [set(key) for key in keys.json()["keys"]] == [{"kty", "use", "alg", "kid", "n", "e"}]
        assert "max-age=3600" in keys.headers["cache-control"]
        config = world.browser().get("/hub/lti/config").json()
        assert config["oidc_initiation_url"] == f"{URL}/hub/lti/login"
        assert config["public_jwk_url"] == f"{URL}/hub/lti/jwks"
