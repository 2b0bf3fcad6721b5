"""A failure in words: what the owner reads, what an admin reads, and what programs get as before."""

from dataclasses import replace

import pytest

from hubless.domain.lifecycle import State
from tests.api.hub import SETTINGS, An, build_hub
from tests.support.builders import NOW, a_server

LOG = ("Traceback (most recent call last):", "OSError: [Errno 28] No space left on device: '/home/alice/.local'")


def fail(hub, reason="The server exited with code 1", log=LOG, **facts):
    alice = hub.user("alice")
    server = a_server(owner_id=alice.id, state=State.FAILED, launch_id="l1", failure=reason, log_tail=log)
    hub.hub.servers.create(replace(server, **facts))


def page(hub, path, *, name="alice", language="en", status=200):
    browser = hub.browser(name)
    browser.headers["Accept-Language"] = language
    answer = browser.get(path)
    assert answer.status_code == status
    return answer.text.replace("&#39;", "'")


@pytest.mark.parametrize(("path", "status"), [("/hub/home", 200), ("/hub/spawn-pending/alice", 500)])
def test_an_owner_reads_the_cause_and_what_to_do(hub, path, status):
    fail(hub)
    shown = page(hub, path, status=status)
    assert "There is no space left for your files." in shown
    assert "Ask an admin to free space" in shown
    assert "exited with code 1" in shown
    assert LOG[-1] in shown
    assert "ENOSPC" not in shown


def test_a_cause_is_told_in_the_readers_language(hub):
    fail(hub)
    assert "Für deine Dateien ist kein Platz mehr." in page(hub, "/hub/home", language="de")
    assert "No queda espacio para tus archivos." in page(hub, "/hub/home", language="es")


def test_an_admin_reads_the_technical_word(hub):
    fail(hub)
    listed = page(hub, "/hub/admin", name="root")
    assert "A disk or a quota is full (ENOSPC, EDQUOT)" in listed
    shown = page(hub, "/hub/admin/users/alice", name="root")
    assert "A disk or a quota is full (ENOSPC, EDQUOT)" in shown
    assert LOG[-1] in shown
    assert "For admins: A disk or a quota" in page(hub, "/hub/spawn-pending/alice", name="root", status=500)


def test_who_may_not_start_a_server_does_not_read_its_log(tmp_path):
    watchers = (
        '\n[[roles]]\nname = "watchers"\nscopes = ["admin-ui", "list:users", "read:servers"]\nusers = ["wanda"]\n'
    )
    hub = build_hub(tmp_path, SETTINGS + watchers)
    fail(hub)
    hub.user("wanda")
    for path in ("/hub/admin", "/hub/admin/users/alice"):
        shown = page(hub, path, name="wanda")
        assert "Failed" in shown
        assert LOG[-1] not in shown
        assert "ENOSPC" not in shown


def test_an_unknown_failure_is_not_explained(hub):
    fail(hub, reason="The server exited with code 3", log=("goodbye",))
    shown = page(hub, "/hub/home")
    assert "The server did not start." in shown
    assert "exited with code 3" in shown
    assert "goodbye" in shown


def test_a_server_that_ran_stopped_unexpectedly(hub):
    fail(hub, reason="The server ended", log=(), started_at=NOW)
    assert "Your server stopped unexpectedly" in page(hub, "/hub/spawn-pending/alice", status=500)


def test_programs_get_the_reason_as_before(hub):
    fail(hub)
    told = hub.as_token(An.ADMIN_TOKEN).get("/users/alice/server/progress").text
    assert "Spawn failed: The server exited with code 1" in told
    assert "no space left for your files" not in told.lower()
