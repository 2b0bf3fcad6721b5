import pytest

from hubless.domain.client_addresses import LONGEST_ADDRESS, network_of, shown_address


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("192.0.2.1:4711", "192.0.2.1"),
        (" 192.0.2.1 ", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:DB8:1:2::", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2:ffff::1]:443", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("unknown", "unknown"),
        ("", ""),
        ("2001:db8::x", "2001:db8::x"),
        ("x" * 1000, "x" * LONGEST_ADDRESS),
    ],
)
def test_a_client_is_counted_by_what_it_cannot_change(address, network):
    assert network_of(address) == network


def test_neighbours_of_a_network_are_told_apart():
    assert network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:4711", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:DB8::1", "2001:db8::1"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("unknown", ""),
        ("", ""),
        ("192.0.2.7" + " " * 100, "192.0.2.7"),
        ("<script>", ""),
    ],
)
def test_an_address_is_shown_plainly(address, shown):
    assert shown_address(address) == shown
