"""What supervisor and children say to each other."""

import socket
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from embedded import ipc
from embedded.ipc import Channel, ChildConfig


@pytest.fixture
def ends() -> Iterator[tuple[Channel, Channel]]:
    ours, theirs = map(Channel, socket.socketpair())
    yield ours, theirs
    ours.close()
    theirs.close()


def an_order(**facts: object) -> ChildConfig:
    received = {
        "data": "/srv/hub",
        "settings_text": "",
        "settings_source": "hubless.toml",
        "host": "::",
        "port": 9,
        "workers": 2,
    }
    return ChildConfig(**received | {"stop_on_exit": True} | facts)  # type: ignore[arg-type]


def test_at_a_closed_end_nobody_waits(ends: tuple[Channel, Channel]) -> None:
    ours, _ = ends

    ours.close()

    assert ours.is_closed
    assert ours.receive() is None


def test_messages_arrive_as_they_were_sent(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends

    ours.send(asdict(an_order()))

    received = theirs.receive()
    assert received is not None
    assert ChildConfig(**received) == an_order()


def test_messages_received_together_are_separated(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends

    theirs.send_event("ready", facts={"a": 1})
    theirs.send_event("failed", why="rain")

    assert [message["event"] for message in ours.receive_now()] == ["ready", "failed"]
    assert ours.receive_now() == []


def test_messages_before_the_end_are_received(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    theirs.send_event("failed", why="rain")

    theirs.close()

    assert ours.receive_now() == [{"event": "failed", "why": "rain"}]
    assert ours.is_closed


def test_sending_to_a_closed_channel_is_no_error(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends

    theirs.close()

    ours.send_event("stop-servers")


def test_a_listener_gets_every_event_and_then_none(ends: tuple[Channel, Channel]) -> None:
    ours, theirs = ends
    events: list[str | None] = []
    is_over = threading.Event()

    def hear(word: str | None) -> None:
        events.append(word)
        if word is None:
            is_over.set()

    ipc.listen(theirs, hear)
    ours.send_event("stop-servers")
    ours.close()

    assert is_over.wait(10)
    assert events == ["stop-servers", None]


def test_the_command_line_overrides_the_file() -> None:
    settings = an_order(settings_text='[hub]\nport = 8000\nname = "ours"').settings()

    assert (settings.hub.host, settings.hub.port, settings.hub.workers) == ("::", 9, 2)
    assert settings.hub.name == "ours"
    assert settings.servers.stop_on_exit
    assert settings.data == Path("/srv/hub")


def test_the_chosen_isolation_reaches_every_process() -> None:
    settings = an_order(isolation="accounts", run_folder="/run/hub").settings()

    assert (settings.chosen_isolation, settings.run_folder) == ("accounts", Path("/run/hub"))


def test_settings_that_the_command_line_does_not_name_stay() -> None:
    settings = an_order().settings()

    assert ipc.with_overrides(settings) == settings
