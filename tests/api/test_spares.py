"""The route that waiting tasks ask: where none wait, and what another's token gets."""

from dataclasses import replace

import pytest

from hubless.domain.lifecycle import State, launched
from hubless.domain.spares import Spare, waiting
from hubless.domain.tokens import launch_secret, spare_secret
from hubless.services.spares import SpareQuestions, Spares
from tests.api.hub import An
from tests.support.fakes import ScriptedLauncher, SparesInMemory

SPARE, OTHER = "w01m86ch3m06ef57vt33hntqema", "w01m86ch3m06ef57vt33hntqemb"


@pytest.fixture
def warm(hub, monkeypatch):
    """A hub in whose cloud two tasks wait."""
    real = hub.hub
    spares = Spares(SparesInMemory(real.servers), ScriptedLauncher(), real.clock, lambda: real.key, real.api_url)
    for spare_id in (SPARE, OTHER):
        spares.store.add(Spare(spare_id, "default", "kind", real.clock.now(), f"{spare_id}/task"))
    monkeypatch.setattr(type(real), "spares", spares)
    real.spare_questions = SpareQuestions(spares, real.servers, real.launching.launch_of)
    return hub


def ask(hub, spare_id=SPARE, secret=None, kind="token"):
    own = spare_secret(hub.hub.key, spare_id) if secret is None else secret
    return hub.client.post(f"/hub/api/spares/{spare_id}/launch", headers={"Authorization": f"{kind} {own}".encode()})


def test_where_no_task_waits_there_is_no_spare(hub):
    assert ask(hub).status_code == 404


def test_a_waiting_task_is_told_to_wait_and_counts_as_waiting(warm):
    answer = ask(warm)

    assert (answer.status_code, answer.content) == (204, b"")
    assert [spare.can_be_claimed for spare in warm.hub.spares.store.all()] == [True, False]


def test_a_claimed_task_gets_the_launch_and_the_other_does_not(warm):
    hub, alice = warm.hub, warm.user("alice")
    ask(warm)
    server = hub.spawning.start(alice, "")
    after = launched(server, task=f"{SPARE}/task", now=hub.clock.now(), deadlines=hub.deadlines, spare_id=SPARE)
    assert hub.spares.claim(hub.spares.store.find(SPARE), server, after)

    answer = ask(warm)

    given = answer.json()["environment"]
    assert given["JUPYTERHUB_API_TOKEN"] == launch_secret(hub.key, server.launch_id)
    assert given["JUPYTERHUB_SERVICE_PREFIX"] == "/user/alice/"
    assert answer.headers["cache-control"] == "no-store"
    assert ask(warm, OTHER).status_code == 204
    token = {"Authorization": f"token {given['JUPYTERHUB_API_TOKEN']}"}
    assert warm.client.get("/hub/api/user", headers=token).json()["name"] == "alice"

    hub.servers.write(after, replace(after, state=State.STOPPING, revision=after.revision + 1))
    assert ask(warm).status_code == 404


@pytest.mark.parametrize("secret", ["", "wrong", "ü", An.ADMIN_TOKEN, "x" * 60_000])
def test_another_token_gets_nothing_however_mighty(warm, secret):
    refused = ask(warm, secret=secret)
    assert (refused.status_code, refused.json()["message"]) == (403, "Missing or invalid credentials.")
    assert ask(warm, secret=spare_secret(warm.hub.key, OTHER)).status_code == 403
    assert ask(warm, kind="basic").status_code == 403
    assert ask(warm, spare_id="w1", secret=spare_secret(warm.hub.key, "w1")).status_code == 403


def test_the_secret_of_a_spare_is_no_token_of_the_hub(warm):
    token = {"Authorization": f"token {spare_secret(warm.hub.key, SPARE)}"}
    assert warm.client.get("/hub/api/user", headers=token).status_code == 403


def test_a_spare_that_was_given_up_is_told_to_end(warm):
    store = warm.hub.spares.store
    spare = store.find(SPARE)
    assert warm.hub.spares.give_up(spare)
    assert ask(warm).status_code == 404
    assert not store.replace(spare, waiting(spare, warm.hub.clock.now()))
