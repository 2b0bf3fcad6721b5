"""Another process holds the store's write lock: reads go on, and writes are told to come again."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context

import pytest

from functions.api import write_gate
from tests.support.concurrency import eventually


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    monkeypatch.setattr(write_gate, "WAIT_SECONDS", 0.1)


@contextmanager
def held(hub):
    """Hold the write lock as another process would."""
    other = sqlite3.connect(hub.hub.settings.database, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield other
    finally:
        if other.in_transaction:
            other.execute("ROLLBACK")
        other.close()


@contextmanager
def serving(hub):
    """Let writes wait as briefly as in the process that serves."""
    with hub.transport.app.state.write_gate.brief():
        yield


def test_reads_go_on_and_note_no_activity(hub, admin, alice):
    browser = hub.browser("bob")
    before = hub.hub.users.find("alice").last_activity_at
    with serving(hub), held(hub):
        assert alice.get("/user").status_code == 200
        assert admin.get("/users").status_code == 200
        assert browser.get("/hub/home").status_code == 200
        assert browser.get("/hub/token").status_code == 200
    assert hub.hub.users.find("alice").last_activity_at == before


def test_a_write_is_refused_with_when_to_come_again(hub, admin):
    with serving(hub), held(hub):
        refused = admin.post("/users/alice")
        assert refused.status_code == 503
        assert refused.headers["Retry-After"] == "2"
        assert refused.json()["message"].startswith("The hub's store is busy with another change")
    assert admin.post("/users/alice").status_code == 201


def test_a_page_says_it_in_words(hub):
    browser = hub.browser("alice")
    with serving(hub), held(hub):
        refused = browser.submit("/hub/home/new-server", server_name="lab")
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "2"
    assert "store is busy with another change" in refused.text


def test_a_write_that_waits_is_made_once_the_lock_is_free(hub, admin, monkeypatch):
    monkeypatch.setattr(write_gate, "WAIT_SECONDS", 30)
    with serving(hub), held(hub) as other, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(copy_context().run, admin.post, "/users/alice")
        gate = hub.transport.app.state.write_gate
        eventually(lambda: gate._waiting or waiting.done())
        assert not waiting.done()
        other.execute("ROLLBACK")
        assert waiting.result(timeout=30).status_code == 201


def test_a_login_is_told_to_come_again(hub):
    browser = hub.browser()
    with serving(hub), held(hub):
        assert browser.log_in("alice").status_code == 503
    assert browser.log_in("alice").status_code == 302
