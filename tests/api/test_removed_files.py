"""The admin page of removed users' files."""

import re
from datetime import timedelta
from html import unescape

import pytest

from hubless.domain.audit import Act, AuditQuery
from hubless.domain.orphaned_homes import HomeTask
from tests.api.hub import An, build_hub

PAGE = "/hub/admin/files"


@pytest.fixture
def hub(tmp_path):
    made = build_hub(tmp_path)
    made.user("root", admin=True)
    for name in ("maria", "anna"):
        folder = made.hub.settings.homes / made.user(name).id
        folder.mkdir(parents=True)
        (folder / "notes.txt").write_text(name)
    return made


@pytest.fixture
def maria(hub):
    """The id of a removed user."""
    user_id = hub.user("maria").id
    assert hub.as_token(An.ADMIN_TOKEN).delete("/users/maria").status_code == 204
    return user_id


def works(hub):
    for _ in hub.hub.home_keeping.work():
        pass


def words(answer):
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def acts(hub):
    now = hub.hub.clock.now()
    found = hub.hub.audit_log.page(AuditQuery(now - timedelta(hours=1), now + timedelta(hours=1)), limit=9).records
    return [(one.act, one.on, dict(one.about)) for one in found if one.act in {Act.FILES_GIVEN, Act.FILES_DELETED}]


def test_files_of_removed_users_are_listed(hub, root, maria):
    assert 'href="/hub/admin/files"' in root.get("/hub/admin").text
    page = root.get(PAGE).text
    assert "<h2>maria</h2>" in page
    assert f"homes/{maria}" in page
    assert "anna" not in page


def test_a_hub_whose_users_are_all_there_has_none(root):
    assert "There are none." in root.get(PAGE).text


def test_files_are_given_to_somebody(hub, root, maria):
    assert "Give the files of maria to somebody" in root.get(f"{PAGE}/{maria}/give").text
    assert root.submit(f"{PAGE}/{maria}/give", user=" Anna ").headers["location"] == PAGE
    assert "Being moved" in root.get(PAGE).text
    works(hub)
    page = root.get(PAGE).text
    assert "There are none." in page
    assert 'http-equiv="refresh"' not in page
    given = hub.hub.settings.homes / hub.user("anna").id / "files-of-maria" / "notes.txt"
    assert given.read_text() == "maria"
    assert acts(hub) == [(Act.FILES_GIVEN, "anna", {"from": "maria"})]


def test_files_are_not_given_to_nobody(hub, root, maria):
    answer = root.submit(f"{PAGE}/{maria}/give", user="nobdy")
    assert answer.status_code == 404
    assert 'value="nobdy"' in answer.text
    assert hub.hub.home_keeping.find("maria").task is HomeTask.NONE
    assert acts(hub) == []


def test_files_are_deleted_after_a_question(hub, root, maria):
    asked = root.get(f"{PAGE}/{maria}/delete")
    assert "Delete the files of maria?" in asked.text
    assert (hub.hub.settings.homes / maria).exists()
    assert root.submit(f"{PAGE}/{maria}/delete").headers["location"] == PAGE
    assert "The files of maria are being deleted." in root.get(PAGE).text
    works(hub)
    assert not (hub.hub.settings.homes / maria).exists()
    assert acts(hub) == [(Act.FILES_DELETED, "maria", {})]


def test_what_is_being_deleted_is_not_given_too(hub, root, maria):
    root.submit(f"{PAGE}/{maria}/delete")
    page = root.get(PAGE).text
    assert "/give" not in page
    assert 'http-equiv="refresh"' in page
    assert root.submit(f"{PAGE}/{maria}/give", user="anna").status_code == 400
    root.submit(f"{PAGE}/{maria}/delete")
    assert "Nothing is deleted: These files are being moved or deleted already" in words(root.get(PAGE))
    assert acts(hub) == [(Act.FILES_DELETED, "maria", {})]


def test_a_failure_is_shown(hub, root, maria):
    hub.hub.home_keeping.store.fail(maria, "The disk is read-only.")
    assert "The disk is read-only." in root.get(PAGE).text


def test_only_admins_decide_about_files(hub, maria):
    someone = hub.browser("anna")
    for path in (PAGE, f"{PAGE}/{maria}/give", f"{PAGE}/{maria}/delete"):
        assert someone.get(path).status_code == 403
    for path in (f"{PAGE}/{maria}/give", f"{PAGE}/{maria}/delete"):
        assert someone.submit(path, user="anna").status_code == 403
    assert hub.hub.home_keeping.find("maria").task is HomeTask.NONE


def test_files_of_somebody_who_is_here_are_not_found(hub, root, maria):
    for wrong in (hub.user("anna").id, "..%2F..", "x"):
        assert root.get(f"{PAGE}/{wrong}/delete").status_code == 404


def test_the_list_is_cut(hub, root, maria, monkeypatch):
    monkeypatch.setattr("functions.api.pages.removed_files._SHOWN", 1)
    hub.as_token(An.ADMIN_TOKEN).delete("/users/anna")
    assert "1 more: hubless files list shows it." in words(root.get(PAGE))
