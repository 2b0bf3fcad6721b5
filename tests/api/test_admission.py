"""Who may enter: the page of a refusal, and what a block ends."""

# ruff: noqa: RUF001 letters that look alike

import pytest

from tests.api.hub import SETTINGS, An, build_hub
from tests.api.test_logins import log_in

CONTACT = '[hub]\ncontact = "mail <help@example.org>"\n'
BLOCKING = CONTACT + SETTINGS.replace("[login]", '[login]\nblocked_users = ["eve"]', 1)


@pytest.fixture
def blocking(tmp_path):
    return build_hub(tmp_path, BLOCKING)


@pytest.mark.parametrize("name", ["eve", "Eve", "еve"])
def test_a_blocked_user_reads_whom_to_ask(blocking, name):
    browser = blocking.browser()
    answer = log_in(browser, name, An.PASSWORD)
    assert answer.status_code == 403
    assert "is blocked on this hub." in answer.text
    assert "To get access: mail &lt;help@example.org&gt;" in answer.text
    assert blocking.hub.users.find("eve") is None
    assert browser.get("/hub/home").status_code == 302


def test_a_block_is_told_to_nobody_without_the_password(blocking):
    answer = log_in(blocking.browser(), "eve", "a wrong password")
    assert answer.status_code == 403
    assert "blocked" not in answer.text
    assert "Invalid username or password" in answer.text


def test_others_log_in_beside_a_blocked_user(blocking):
    assert log_in(blocking.browser(), "steve", An.PASSWORD).status_code == 302


def test_a_block_ends_sessions_and_tokens_that_are_open(tmp_path):
    before = build_hub(tmp_path, SETTINGS)
    browser, token = before.browser("eve"), before.as_user("eve")
    assert browser.get("/hub/home").status_code == 200
    assert token.get("/user").status_code == 200

    after = build_hub(tmp_path, BLOCKING)
    later = after.browser()
    later.cookies.update(browser.cookies)
    assert later.get("/hub/home").status_code == 302
    assert after.as_token(token.secret).get("/user").status_code == 403
    assert after.as_user("ada").get("/user").status_code == 200


def test_groups_that_follow_logins_cannot_be_changed_by_hand(tmp_path):
    hub = build_hub(tmp_path, SETTINGS.replace("[login]", "[login]\nmanaged_groups = true", 1))
    hub.user("ada")
    admin = hub.as_token(An.ADMIN_TOKEN)
    answers = [
        admin.post("/groups", {"groups": ["a"]}),
        admin.post("/groups/a", {}),
        admin.delete("/groups/sharers"),
        admin.post("/groups/sharers/users", {"users": ["ada"]}),
        admin.delete("/groups/sharers/users", {"users": ["ada"]}),
    ]
    assert {(a.status_code, a.json()["message"]) for a in answers} == {(400, "Group management via API is disabled")}
    assert admin.put("/groups/sharers/properties", {"room": 7}).status_code == 200
    assert admin.get("/groups/sharers").json()["users"] == []


OWN = CONTACT + '[login]\nkind = "password"\nsign_up = true\nblocked_users = ["eve"]\n'


def test_a_blocked_user_of_a_link_reads_whom_to_ask(tmp_path):
    blocking = build_hub(tmp_path, OWN)
    hub = blocking.hub
    blocking.user("eve")
    link = hub.accounts.password_link("eve")
    browser = blocking.browser()
    browser.get(link)

    answer = browser.submit(link, password="a kettle of violets", again="a kettle of violets")

    assert answer.status_code == 403
    assert "To get access: mail &lt;help@example.org&gt;" in answer.text
    assert hub.sessions.of_user(hub.users.find("eve").id) == []


def test_a_person_who_signs_up_under_a_blocked_name_reads_whom_to_ask(tmp_path):
    browser = build_hub(tmp_path, OWN).browser()
    browser.get("/hub/sign-up")
    answer = browser.submit("/hub/sign-up", username="eve", password="a kettle of violets", again="a kettle of violets")
    assert answer.status_code == 403
    assert "To get access: mail &lt;help@example.org&gt;" in answer.text
