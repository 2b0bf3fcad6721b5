"""What a sweep costs in the cloud: it grows only with what runs. These counts hold docs/dynamodb.md to its words."""

import re
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from hubless.domain.lifecycle import State
from hubless.domain.profiles import Profile
from hubless.domain.routes import Route
from hubless.ports.launcher import Launch
from tests.support.builders import a_server, a_session, a_token, a_user
from tests.support.cloud_hub import CloudHub

DOCUMENT = Path(__file__).parents[2] / "docs" / "dynamodb.md"


@pytest.fixture
def hub(places):
    return CloudHub(*places, lag=0, describe_lag=0, longest_pause=timedelta(hours=1))


def running(hub, count):
    """Add servers that run, each of a user of its own."""
    hub.account.limits.clear()
    hub.account.places.tokens = hub.account.places.burst = count
    for number in range(count):
        user = a_user(f"runs{number}")
        launch = Launch(
            f"l{number}",
            f"s{number}",
            user.id,
            user.name,
            "",
            f"/user/{user.name}/",
            Profile("default"),
            {},
            {"T": "x"},
        )
        task = hub.launcher.launch(launch)
        hub.users.create([user])
        hub.servers.create(
            a_server(
                "",
                user.name,
                id=f"s{number}",
                launch_id=f"l{number}",
                task=task,
                state=State.READY,
                address=f"10.0.0.{number}:8888",
            )
        )
        hub.routes.put(Route(f"/user/{user.name}/", f"10.0.0.{number}:8888", f"l{number}"))
    hub.clock.advance(timedelta(seconds=120))


def cost(hub):
    """Return how often a sweep asks each service."""
    calls = Counter()

    def count(model, **_):
        calls[model.service_model.service_name] += 1

    for client in hub.aws():
        client.meta.events.register("before-call", count)
    done = hub.sweep_once()
    for client in hub.aws():
        client.meta.events.unregister("before-call", count)
    assert not done["is_incomplete"]
    return dict(calls)


def documented():
    found = re.findall(
        r"^\| a sweep of (\d+) running servers \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|",
        DOCUMENT.read_text(),
        re.MULTILINE,
    )
    assert found, "docs/dynamodb.md does not say what a sweep costs"
    return [(int(servers), tuple(map(int, calls))) for servers, *calls in found]


def test_a_sweeps_cost_does_not_grow_with_users_tokens_or_stopped_servers(hub):
    running(hub, 2)
    cost(hub)  # the first of a process looks at task definitions too
    before = cost(hub)
    hub.users.create([a_user(f"n{number:03}") for number in range(300)])
    for number in range(60):
        owner = f"n{number:03}"
        hub.tokens.create(a_token(f"t{number}", owner))
        hub.sessions.create(a_session(f"c{number}", owner))
        hub.servers.create(a_server("", owner))

    assert cost(hub) == before


@pytest.mark.parametrize(("servers", "calls"), documented())
def test_a_sweep_costs_what_is_documented(hub, servers, calls):
    running(hub, servers)
    cost(hub)

    assert cost(hub) == dict(zip(("dynamodb", "ecs", "s3", "sqs"), calls, strict=True))
