"""What a hub's settings make of isolation."""

import os
from pathlib import Path

import pytest

from embedded import data_folder
from embedded.ipc import with_overrides
from hubless.adapters.processes.isolation import ACCOUNTS, NONE, SANDBOX
from hubless.adapters.processes.launch_folder import LaunchFolder, Note
from hubless.bootstrap import isolation, machine
from hubless.domain.errors import IsolationError, LaunchFailedError
from hubless.settings import Settings, parse
from tests.support.builders import a_user


def settings_of(folder: Path, text: str = "") -> Settings:
    data_folder.prepare(parse("", folder / "data"))
    file = folder / "hubless.toml"
    file.write_text(text)
    return parse(text, folder / "data", {"PATH": os.defpath}, source=str(file))


def test_all_that_is_the_hubs_is_hidden_from_sandboxes(tmp_path: Path) -> None:
    elsewhere = tmp_path / "homes"
    settings = settings_of(tmp_path, f'[servers]\nhomes = "{elsewhere}"')
    settings = with_overrides(settings, run_folder=str(tmp_path / "run"))

    hidden = isolation.kinds_of(settings)[SANDBOX]()._view.hidden  # type: ignore[attr-defined]

    assert {settings.data, elsewhere, tmp_path / "hubless.toml", tmp_path / "run"} <= set(hidden)


def test_a_folder_to_show_that_is_not_there_ends_the_start(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, f'[servers]\nsandbox_read = ["{tmp_path}/course"]')

    with pytest.raises(IsolationError, match="course, which is not there"):
        isolation.choose(settings)


def test_the_sandbox_is_what_a_hub_chooses_here(tmp_path: Path) -> None:
    assert isolation.choose(settings_of(tmp_path)).isolation.name == SANDBOX


def test_other_kinds_close_the_folder_that_accounts_open(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    for folder in (settings.data, settings.homes):
        folder.chmod(0o711)

    isolation.choose(settings)

    assert [folder.stat().st_mode & 0o777 for folder in (settings.data, settings.homes)] == [0o700, 0o700]


def test_running_servers_of_accounts_keep_the_way_to_their_homes(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    for folder in (settings.data, settings.homes):
        folder.chmod(0o711)
    launch = LaunchFolder(settings.launches / "l1")
    launch.make()
    launch.write_note(Note(1, str(settings.homes / "u-1"), 0, ACCOUNTS))
    lock = launch.try_lock()
    assert lock is not None

    isolation.choose(settings)

    assert [folder.stat().st_mode & 0o777 for folder in (settings.data, settings.homes)] == [0o711, 0o711]
    os.close(lock)
    isolation.choose(settings)
    assert [folder.stat().st_mode & 0o777 for folder in (settings.data, settings.homes)] == [0o700, 0o700]


def test_without_isolation_only_a_hub_that_names_it_serves_everybody(tmp_path: Path) -> None:
    alone = machine.build(with_overrides(settings_of(tmp_path), isolation=NONE))
    alone.users.create([a_user("alice")])
    alone.isolation.account("alice", "u-alice")
    with pytest.raises(LaunchFailedError, match="only its first user"):
        alone.isolation.account("bob", "u-bob")

    named = machine.build(with_overrides(settings_of(tmp_path, '[servers]\nisolation = "none"'), isolation=NONE))

    assert named.isolation.account("bob", "u-2").name == "bob"
