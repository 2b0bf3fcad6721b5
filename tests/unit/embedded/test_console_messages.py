"""What `hubless up` says of where the hub is."""

import pytest

from embedded import console_messages
from hubless.services.name_checks import NameChecks
from hubless.settings import parse
from tests.support.builders import a_user
from tests.support.world import World

OF_THIS_MACHINE = ["192.0.2.2", "198.51.100.7", "10.0.0.1", "172.17.0.1"]


def told(tmp_path, settings):
    return console_messages.ready(parse(settings, tmp_path), {}, lambda: OF_THIS_MACHINE)


def test_a_hub_for_the_whole_network_says_its_addresses(tmp_path):
    lines = told(tmp_path, 'hub.host = "0.0.0.0"\nhub.port = 8123').splitlines()
    assert "The hub is ready: http://127.0.0.1:8123" in lines
    assert (
        "In this network: http://192.0.2.2:8123 or http://198.51.100.7:8123 or http://10.0.0.1:8123"
        " (passwords cross it unencrypted)"
    ) in lines


@pytest.mark.parametrize("settings", ["", 'hub.host = "0.0.0.0"\nhub.public_url = "https://hub.example.org"'])
def test_any_other_hub_says_no_address_of_the_network(tmp_path, settings):
    assert "In this network" not in told(tmp_path, settings)


def test_a_machine_without_a_network_has_no_such_line(tmp_path):
    settings = parse('hub.host = "0.0.0.0"', tmp_path)
    assert "In this network" not in console_messages.ready(settings, {}, list)


def test_addresses_of_the_machine_itself_are_nobody_elses():
    assert not any(one.startswith(("127.", "169.254.")) for one in console_messages.network_addresses())


def test_the_status_counts_users_whom_no_login_finds():
    world = World()
    checks = NameChecks(world.accounts)
    assert console_messages.names(checks) == []
    world.users.create([a_user(" maria ")])
    (line,) = console_messages.names(checks)
    assert line.startswith("names     no login finds 1 of all users: hubless user check-names")
