"""Login proxies: what verifies the word of a proxy that logs people in."""

from typing import Protocol

from hubless.domain.login_proxies import LoginProxy
from hubless.ports.authenticator import Identity


class AssertionVerifier(Protocol):
    """Verifies what one proxy says. A call may wait for the proxy's keys, so it belongs in a thread."""

    @property
    def proxy(self) -> LoginProxy:
        """Return the proxy as settings describe it."""
        ...

    def verify(self, assertion: str, secret: str) -> Identity:
        """Return the person, with an external id.

        Args:
            assertion: the value of the proxy's header.
            secret: the value of its secret header; "" if it has none.

        Raises:
            LoginRefusedError: when it proves nothing, or settings refuse such a person; the message says why.
            ProviderUnavailableError: when the proxy's keys cannot be had.
        """
        ...
