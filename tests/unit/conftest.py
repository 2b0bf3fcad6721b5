"""Pure tests: no test opens a network socket. What needs one belongs in another suite (tests/README.md)."""

import pytest
from pytest_socket import disable_socket


@pytest.fixture(autouse=True)
def no_network():
    """Refuse network sockets; pytest-socket takes this back after each test. Event loops need unix sockets."""
    disable_socket(allow_unix_socket=True)
