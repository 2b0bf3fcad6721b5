"""What the worker of a hub on one machine does beside starting servers, in this process."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from embedded import ipc, name_check, worker
from embedded.name_check import check_names
from embedded.worker import Worker
from functions.spawn.dispatch import RECONCILE_PENDING, RECONCILE_RUNNING
from hubless.bootstrap import machine
from hubless.bootstrap.machine import MachineHub
from hubless.domain.lifecycle import State
from hubless.domain.messages import Message, MessageKind
from hubless.domain.users import User
from hubless.services.name_checks import RULE
from hubless.settings import load
from tests.support.builders import a_server, a_user
from tests.support.concurrency import eventually


@pytest.fixture
def hub(tmp_path: Path) -> MachineHub:
    data = tmp_path / "data"
    data.mkdir()
    (data / "secret").write_bytes(b"s" * 32)
    (tmp_path / "hubless.toml").touch()
    made = machine.build(load(tmp_path / "hubless.toml", data, {"PATH": "/usr/bin"}))
    assert isinstance(made, MachineHub)
    return made


@pytest.fixture
def started(hub: MachineHub, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Return a function that starts the worker, which ends at once, and returns what it told and did."""
    told = list[str]()
    monkeypatch.setattr("embedded.worker.on_signals", lambda *_: None)
    monkeypatch.setattr("embedded.worker.signal.signal", lambda *_: None)
    monkeypatch.setattr("embedded.worker.ipc.listen", lambda *_: None)
    monkeypatch.setattr("embedded.worker.Worker.run", lambda _worker: told.append("runs"))
    channel = SimpleNamespace(send_event=lambda event, **_facts: told.append(event))

    def start() -> list[str]:
        worker.run(channel, SimpleNamespace(epoch="", first=False), hub.settings)  # type: ignore[arg-type] a channel
        return told

    return start


# --- messages ---


def test_a_worker_goes_on_at_once_where_a_killed_one_was(hub: MachineHub, started: Callable[[], list[str]]) -> None:
    message = Message(MessageKind.LAUNCH, "s1", "l1")
    hub.queue.send(message)
    hub.queue.receive(1, worker.VISIBLE_AFTER, hub.clock.now())
    started()
    assert [got.message for got in hub.queue.receive(1, worker.VISIBLE_AFTER, hub.clock.now())] == [message]


# --- what servers use ---


def test_the_worker_measures_what_servers_use_again_and_again(
    hub: MachineHub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("embedded.worker.LOADS_SECONDS", 0.01)
    file = hub.settings.loads_file
    file.with_suffix(".new").mkdir()  # so the disk seems to fail
    measuring = Worker(hub, hub.settings)
    thread = Thread(target=measuring._measure_loads)
    thread.start()
    try:
        eventually(lambda: "cannot measure what servers use" in caplog.text)
        file.with_suffix(".new").rmdir()
        eventually(file.exists)
        file.unlink()
        eventually(file.exists)
    finally:
        measuring.leave()
        thread.join(10)
    assert not thread.is_alive()
    assert "Traceback" not in caplog.text


# --- running servers ---


def test_a_calm_worker_looks_sooner_when_a_server_may_be_frozen(
    hub: MachineHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    calm, now, may_be_frozen = Worker(hub, hub.settings), [1000.0], [False]
    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(hub.launcher, "sees_freezes", lambda: may_be_frozen[0])
    calm._step()

    def looks_after(seconds: float) -> bool:
        now[0] += seconds
        return calm._must_check_running()

    assert not looks_after(worker.RECONCILE_SOON_SECONDS)
    may_be_frozen[0] = True
    assert looks_after(0)
    calm._step()
    assert not looks_after(worker.RECONCILE_FROZEN_SECONDS - 1)
    assert looks_after(1)
    calm._step()
    may_be_frozen[0] = False
    assert not looks_after(worker.RECONCILE_RUNNING_SECONDS - 1)
    assert looks_after(1)


def test_in_an_hour_of_calm_only_sweeps_look_at_servers(hub: MachineHub, monkeypatch: pytest.MonkeyPatch) -> None:
    calm, now, looks = Worker(hub, hub.settings), [1000.0], list[str]()

    def note(_hub: object, event: dict[str, str]) -> dict[str, int]:
        looks.append(event["detail-type"])
        return {"pending": 0}

    def note_sweep(*_: object) -> None:
        looks.append("sweep")
        calm.leave()

    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr("embedded.worker.spawn.handle", note)
    monkeypatch.setattr("embedded.worker.reaper.handle", note_sweep)
    monkeypatch.setattr(hub.resource_limits, "remove_forgotten", lambda: looks.append("cgroups"))
    for second in range(3600):
        now[0] += 1
        if second % hub.settings.culling.sweep_every.total_seconds() == 0:
            calm._leaving.clear()
            calm._sweep()
        calm._step()
    assert Counter(looks) == {"sweep": 120, "cgroups": 120, RECONCILE_PENDING: 1, RECONCILE_RUNNING: 1}


# --- homes ---


def test_homes_are_looked_at_sooner_after_a_server_moved(hub: MachineHub, monkeypatch: pytest.MonkeyPatch) -> None:
    looks, measuring = list[bool](), Worker(hub, hub.settings)
    monkeypatch.setattr(worker, "MEASURE_SOON_SECONDS", 0.0)
    monkeypatch.setattr(
        type(hub.home_measuring), "steps", lambda _service, *, everybody: iter(looks.append(everybody) or ())
    )
    thread = Thread(target=measuring._measure_homes)
    thread.start()
    try:
        eventually(lambda: looks == [True])
        measuring._note_moves()
        eventually(lambda: looks == [True, False])
    finally:
        measuring.leave()
        thread.join(10)
    assert not thread.is_alive()


# --- names ---


def add(hub: MachineHub, *names: str, admin: bool = False) -> list[User]:
    """Add users as an old version may have done."""
    users = [replace(a_user(f"n-{name}"), name=name, admin=admin) for name in names]
    assert hub.users.create(users) == users
    return users


def names(hub: MachineHub) -> set[str]:
    return {user.name for user in hub.accounts.all()}


def renamings(hub: MachineHub) -> Iterable[tuple[str, str]]:
    return [(one.on, one.about["to"]) for one in hub.auditing.page(hub.auditing.query(), limit=10).records]


def test_a_start_renames_whom_no_login_finds_once(hub: MachineHub, caplog: pytest.LogCaptureFixture) -> None:
    add(hub, " maria ", "ada")
    check_names(hub)
    assert names(hub) == {"maria", "ada"}
    assert set(renamings(hub)) == {(" maria ", "maria"), ("maria", "maria")}
    assert [one for one in caplog.records if one.levelno >= logging.WARNING] == []
    add(hub, " eve ")
    check_names(hub)
    assert " eve " in names(hub)
    assert hub.checked_names.rule() == RULE


def test_a_new_rule_is_applied_at_the_next_start(hub: MachineHub, monkeypatch: pytest.MonkeyPatch) -> None:
    check_names(hub)
    add(hub, " eve ")
    monkeypatch.setattr(name_check, "RULE", RULE + 1)
    check_names(hub)
    assert names(hub) == {"eve"}
    hub.checked_names.note(RULE)  # an older hub
    assert hub.checked_names.rule() == RULE + 1


def test_a_start_names_whom_it_does_not_rename(hub: MachineHub, caplog: pytest.LogCaptureFixture) -> None:
    add(hub, " ada ", "ada")
    add(hub, " boss ", admin=True)
    (busy,) = add(hub, " maria ")
    hub.servers.create(replace(a_server(state=State.READY), owner_id=busy.id))
    check_names(hub)
    assert names(hub) == {" ada ", "ada", " boss ", " maria "}
    for said in ("another user has the name", "an operator must rename an admin", "Stop the servers", "(3 now)"):
        assert said in caplog.text


def test_each_start_of_the_worker_looks_whether_to_check(hub: MachineHub, started: Callable[[], list[str]]) -> None:
    add(hub, " maria ")
    assert started() == [ipc.READY, "runs"]
    assert names(hub) == {"maria"}


def test_a_start_that_cannot_rename_many_names_some(hub: MachineHub, caplog: pytest.LogCaptureFixture) -> None:
    add(hub, *(f" u{number} " for number in range(30)), *(f"u{number}" for number in range(30)))
    check_names(hub)
    assert caplog.text.count("Nobody can log in as") == 20
    assert "(30 now)" in caplog.text


def test_a_start_that_crashed_goes_on_at_the_next(hub: MachineHub, monkeypatch: pytest.MonkeyPatch) -> None:
    add(hub, " ada ", " eve ")
    mended = []

    def crash(_checks: object, lost: object) -> str:
        if mended:
            raise KeyboardInterrupt
        mended.append(lost)
        return mend(_checks, lost)

    mend = type(hub.name_checks).mend
    with monkeypatch.context() as patched:
        patched.setattr(type(hub.name_checks), "mend", crash)
        with pytest.raises(KeyboardInterrupt):
            check_names(hub)
    assert hub.checked_names.rule() == 0
    check_names(hub)
    assert names(hub) == {"ada", "eve"}
