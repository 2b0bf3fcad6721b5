"""What a hub's processes do with its settings when they start at once."""

from pathlib import Path

import pytest

from hubless.bootstrap import machine
from hubless.bootstrap.settings_at_start import apply_settings
from hubless.settings import parse

SETTINGS = """
[login]
admins = ["root"]
[groups.physics]
users = ["ada"]
"""


def test_a_group_that_another_process_creates_in_between_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = machine.build(parse(SETTINGS, tmp_path))
    created = hub.groups.find("physics")
    with monkeypatch.context() as patch:
        patch.setattr(type(hub.groups), "find", lambda *_: None)  # as it was when this process looked
        apply_settings(hub)
    assert hub.groups.find("physics") == created
    assert created is not None
    assert created.users == ("ada",)
