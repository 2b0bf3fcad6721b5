import pytest

from hubless.domain.hub_addresses import HubAddress, address_for_others


def address(asked_at, *, public_url="", host="127.0.0.1", network=("192.0.2.7", "198.51.100.7")):
    return address_for_others(public_url, asked_at, host=host, network=lambda: network)


@pytest.mark.parametrize("asked_at", ["http://127.0.0.1:8000/", "http://hub.example"])
def test_the_public_address_counts_wherever_somebody_asks(asked_at):
    assert address(asked_at, public_url="https://hub.example.org") == HubAddress("https://hub.example.org")


@pytest.mark.parametrize("asked_at", ["http://192.0.2.9:8000", "https://hub.example", "http://[2001:db8::1]:8000"])
def test_who_asks_from_elsewhere_knows_an_address(asked_at):
    assert address(f"{asked_at}/") == HubAddress(asked_at)


HERE = ["http://127.0.0.1:8000", "http://localhost:8000", "http://hub.localhost:8000", "http://[::1]:8000"]


@pytest.mark.parametrize("asked_at", HERE)
@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_a_hub_for_the_network_is_named_by_its_machines_address(asked_at, host):
    assert address(asked_at, host=host) == HubAddress("http://192.0.2.7:8000")


@pytest.mark.parametrize("asked_at", HERE)
def test_a_hub_for_its_machine_says_so(asked_at):
    assert address(asked_at) == HubAddress(asked_at, is_only_here=True)
    assert address(asked_at, host="0.0.0.0", network=()).is_only_here
