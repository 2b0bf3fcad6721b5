"""The admin pages of roles and services."""

import re
from datetime import timedelta
from html import unescape

import pytest

from hubless.domain.audit import Act
from hubless.services.service_registry import SEEN_RESOLUTION
from tests.api.hub import SETTINGS, An, build_hub

CHECKER_TOKEN = "checker-service-token-0123456789"
PLACE = """
[[services]]
name = "grader"
token = "grader-service-token-0123456789"

[[roles]]
name = "graders"
description = "Reads what students hand in"
scopes = ["read:servers", "custom:grades"]
services = ["grader"]

[[roles]]
name = "students"
scopes = ["self", "access:services!service=checker"]
groups = ["class-a"]

[[roles]]
name = "overseer"
scopes = ["read:roles:groups!group=class-a", "list:services!service=checker"]
users = ["olga"]

[[roles]]
name = "head"
scopes = ["read:roles:users!group=class-b"]
users = ["hans"]

[[roles]]
name = "keeper"
scopes = ["admin:services!service=extra"]
users = ["kim"]

[[roles]]
name = "in-b"
scopes = ["read:hub"]
users = ["bella", "anton"]

[groups.class-a]

[groups.class-b]
users = ["bella"]

[custom_scopes."custom:grades"]
description = "Read and give grades."
"""


@pytest.fixture
def place(tmp_path):
    made = build_hub(tmp_path, SETTINGS + PLACE)
    for name in ("olga", "hans", "bella", "anton", "kim"):
        made.user(name, groups=["class-b"] if name == "bella" else [])
    made.user("root", admin=True)
    return made


def entry(page, name):
    """The text of one entry of the list."""
    found = re.search(
        rf"<li>\s*(?:<div[^>]*>\s*)*<h2>(?:<a[^>]*>)?{re.escape(name)}\b.*?(?=<h2>|</main>)", page, re.DOTALL
    )
    assert found, page
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", found[0])).split())


def named(page):
    return re.findall(r"<h2>(?:<a[^>]*>)?([\w-]+)", page)


class TestRoles:
    def test_are_shown_in_words_with_their_holders(self, place):
        page = place.browser("root").get("/hub/admin/roles").text

        graders = entry(page, "graders")
        assert "from the settings" in graders
        assert "Reads what students hand in" in graders
        assert "Services: grader" in graders
        assert "Read servers and the names of their owners. read:servers" in graders
        assert "Read and give grades. custom:grades" in graders
        assert "Groups: class-a" in entry(page, "students")
        assert "Users: anton, bella" in entry(page, "in-b")
        assert "usual" in entry(page, "user")
        assert "Every user has it" in entry(page, "user")

    def test_a_reader_of_one_groups_roles_sees_those_alone(self, place):
        page = place.browser("olga").get("/hub/admin/roles").text

        assert named(page) == ["students"]
        assert "grader" not in page

    def test_a_reader_of_a_groups_members_roles_sees_no_other_holder(self, place):
        page = place.browser("hans").get("/hub/admin/roles").text

        assert named(page) == ["in-b"]
        assert "bella" in page
        assert "anton" not in page

    def test_many_holders_are_cut(self, place, monkeypatch):
        monkeypatch.setattr("functions.api.pages.roles._MOST", 1)

        assert "Users: anton and 1 more" in entry(place.browser("root").get("/hub/admin/roles").text, "in-b")

    def test_are_closed_to_users_without_rights(self, place):
        assert place.browser("bella").get("/hub/admin/roles").status_code == 403


class TestServices:
    def test_are_shown_with_what_they_may_and_where_they_are(self, place):
        page = place.browser("root").get("/hub/admin/services").text

        assert named(page) == ["admin", "checker", "grader"]
        assert "May do everything" in entry(page, "admin")
        grader = entry(page, "grader")
        assert "The role “graders” allows it 2 things" in grader
        assert "Read servers and the names of their owners." in grader
        assert "OAuth" not in grader
        checker = entry(page, "checker")
        assert "Runs at http://127.0.0.1:18555" in checker
        assert "Open to the roles: admin, students" in checker
        assert "Its OAuth client is service-checker" in checker
        assert "It asks people before it uses their account." in checker
        assert 'href="/services/checker/"' in page

    def test_show_nobody_more_than_their_scopes(self, place):
        page = place.browser("olga").get("/hub/admin/services").text

        assert named(page) == ["checker"]
        assert "18555" not in page
        assert "OAuth" not in page
        assert "students" not in page
        assert place.browser("bella").get("/hub/admin/services").status_code == 403

    def test_an_added_one_is_removed_and_one_of_settings_is_not(self, place):
        admin, root = place.as_token(An.ADMIN_TOKEN), place.browser("root")
        admin.post("/services/extra", {"url": "http://127.0.0.1:9"})
        page = root.get("/hub/admin/services").text
        assert re.findall(r'action="([^"]*/remove)"', page) == ["/hub/admin/services/extra/remove"]

        assert place.browser("bella").submit("/hub/admin/services/extra/remove").status_code == 404
        assert root.submit("/hub/admin/services/grader/remove").status_code == 404
        assert place.browser("kim").submit("/hub/admin/services/extra/remove").status_code == 303
        auditing = place.hub.auditing
        newest = auditing.page(auditing.query(), limit=1).records[0]
        assert (newest.act, newest.by.name, newest.on) == (Act.SERVICE_REMOVED, "kim", "extra")

        assert admin.get("/services/extra").status_code == 404
        assert place.hub.services.get("grader") is not None
        assert root.submit("/hub/admin/services/extra/remove").status_code == 404


class TestWhenAServiceWasSeen:
    def seen(self, place):
        return entry(place.browser("root").get("/hub/admin/services").text, "checker")

    def test_its_token_shows_it(self, place):
        assert "Not seen yet" in self.seen(place)

        place.as_token(CHECKER_TOKEN).get("/user")

        assert "Last seen" in self.seen(place)

    def test_its_oauth_client_shows_it_only_with_the_right_secret(self, place):
        fields = {"client_id": "service-checker", "grant_type": "authorization_code", "code": "x"}
        for secret, said in (("wrong", "Not seen yet"), (CHECKER_TOKEN, "Last seen")):
            place.client.post("/hub/api/oauth2/token", data={**fields, "client_secret": secret})

            assert said in self.seen(place)

    def test_a_flood_of_requests_is_one_write_in_five_minutes(self, place, monkeypatch):
        noted, registry, now = [], place.hub.services, place.hub.clock.now()
        monkeypatch.setattr(registry.store, "touch", lambda name, at: noted.append((name, at)))
        for _ in range(5):
            place.as_token(CHECKER_TOKEN).get("/user")
        assert [name for name, _ in noted] == ["checker"]

        later = now + SEEN_RESOLUTION + timedelta(seconds=60)
        for at in (later, later, now):  # a clock that jumps back notes as well, and the store keeps the later moment
            registry.note_activity("checker", at)

        assert [at for _, at in noted[1:]] == [later, now]
