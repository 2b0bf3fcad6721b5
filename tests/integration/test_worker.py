"""What the worker of a hub on one machine does beside starting servers, in this process."""

import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import pytest

from embedded import ipc, name_check, worker
from embedded.name_check import check_names
from embedded.worker import Worker
from hubless.bootstrap import machine
from hubless.bootstrap.machine import MachineHub
from hubless.domain.lifecycle import State
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


def test_each_start_of_the_worker_looks_whether_to_check(hub: MachineHub, monkeypatch: pytest.MonkeyPatch) -> None:
    add(hub, " maria ")
    told = list[str]()
    monkeypatch.setattr("embedded.worker.on_signals", lambda *_: None)
    monkeypatch.setattr("embedded.worker.signal.signal", lambda *_: None)
    monkeypatch.setattr("embedded.worker.ipc.listen", lambda *_: None)
    monkeypatch.setattr("embedded.worker.Worker.run", lambda _worker: told.append("runs"))
    channel = SimpleNamespace(send_event=lambda event, **_facts: told.append(event))
    worker.run(channel, SimpleNamespace(epoch="", first=False), hub.settings)  # type: ignore[arg-type] a channel
    assert told == [ipc.READY, "runs"]
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
