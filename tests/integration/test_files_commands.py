"""`hubless files` from a shell, without a hub that runs."""

import tarfile
from pathlib import Path
from threading import Thread

import pytest
from click.testing import CliRunner, Result

from embedded import files_commands
from embedded.cli import main
from embedded.worker import Worker
from hubless.bootstrap import machine
from hubless.bootstrap.machine import MachineHub
from hubless.settings import load
from tests.contract.test_home_folders import Isolation
from tests.support.concurrency import eventually


class Shell:
    """A shell on a machine with a hub, of whose users maria was removed."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.settings = folder / "hubless.toml"
        self.settings.touch()
        self.run("user", "add", "maria")
        self.run("user", "add", "anna")
        self.hub = self.opened()
        self.maria, self.anna = (self.hub.accounts.find(name).id for name in ("maria", "anna"))
        for one in (self.maria, self.anna):
            (self.data / "homes" / one).mkdir()
            (self.data / "homes" / one / "notes.txt").write_text("notes")
        self.removed = self.run("user", "remove", "maria")

    def opened(self) -> MachineHub:
        hub = machine.build(load(self.settings, self.data, {"PATH": "/usr/bin"}))
        assert isinstance(hub, MachineHub)
        return hub

    def run(self, *words: str, typed: str | None = None) -> Result:
        where = ["--data", str(self.data), "--settings", str(self.settings)]
        return CliRunner().invoke(main, [*words, *where], input=typed)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_removed_users_files_are_listed(shell: Shell) -> None:
    assert shell.removed.output == "Removed maria. The files stay: see `hubless files list`.\n"
    line = shell.run("files", "list").output
    assert line.startswith("maria ")
    assert shell.maria in line
    assert "less than 1 MiB" in line
    assert "anna" not in line
    assert (shell.data / "homes/by-name/anna/notes.txt").exists()


def test_files_are_archived_and_then_deleted(shell: Shell, tmp_path: Path) -> None:
    target = tmp_path / "archive.tar.gz"
    assert shell.run("files", "archive", "maria", "--output", str(target)).output == f"{target} has 1 files of maria.\n"
    with tarfile.open(target) as tar:
        assert tar.getnames() == ["maria", "maria/notes.txt"]
    assert shell.run("files", "archive", "maria", "--output", str(target)).exit_code == 1
    assert shell.run("files", "delete", "maria", typed="n\n").exit_code == 1
    assert (shell.data / "homes" / shell.maria).exists()
    assert "deleted" in shell.run("files", "delete", "maria", typed="y\n").output
    assert not (shell.data / "homes" / shell.maria).exists()
    assert shell.run("files", "list").output == "There are no files of removed users.\n"
    acts = shell.run("audit").output
    assert "files-archived" in acts
    assert "files-deleted" in acts


def test_files_are_deleted_unasked_with_yes(shell: Shell) -> None:
    assert shell.run("files", "delete", shell.maria, "--yes").exit_code == 0
    assert not (shell.data / "homes" / shell.maria).exists()


def test_files_are_given_to_somebody(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MachineHub, "isolation", Isolation(shell.data / "homes"))
    assert "does not exist" in shell.run("files", "give", "maria", "maria").output
    assert shell.run("files", "give", "maria", "Anna").output.startswith("anna has the files now")
    assert (shell.data / "homes/by-name/anna/files-of-maria/notes.txt").read_text() == "notes"
    assert "files-given" in shell.run("audit", "--on", "anna").output


def test_files_that_cannot_be_given_say_why(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    (shell.data / "homes" / shell.anna).rename(shell.data / "elsewhere")
    (shell.data / "homes" / shell.anna).write_text("no folder")
    monkeypatch.setattr(MachineHub, "isolation", Isolation(shell.data / "homes"))
    answer = shell.run("files", "give", "maria", "anna")
    assert answer.exit_code == 1
    assert "An admin must look at that folder" in answer.output
    assert "An admin must look at that folder" in shell.run("files", "list").output


def test_a_hub_that_runs_does_what_a_shell_wants(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shell waits for the hub, and the hub's worker keeps homes by itself."""
    worker = Worker(shell.hub, shell.hub.settings)
    monkeypatch.setattr("embedded.worker.TASKS_SECONDS", 0.01)
    monkeypatch.setattr("embedded.data_folder.running_hub", lambda _data: {"pid": 1})
    monkeypatch.setattr(files_commands, "_WAIT_SECONDS", 0.01)
    thread = Thread(target=worker._keep_homes)
    thread.start()
    try:
        eventually(lambda: (shell.data / "homes/by-name/anna").exists())
        eventually(lambda: shell.hub.home_keeping.find("maria").size is not None)
        assert shell.run("files", "delete", "maria", "--yes").exit_code == 0
        assert not (shell.data / "homes" / shell.maria).exists()
    finally:
        worker.leave()
        thread.join()
