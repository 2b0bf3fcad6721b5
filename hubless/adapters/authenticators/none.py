"""No passwords at all: people log in at providers only."""

from hubless.domain.values import value
from hubless.ports.authenticator import Candidate, Identity, Refused


@value
class NoAuthenticator:
    """Refuses every password."""

    name: str = "none"

    def authenticate(self, candidate: Candidate, password: str) -> Identity | Refused:  # noqa: ARG002 the port has them
        """Refuse, whatever was sent."""
        return Refused("This hub takes no passwords. Log in as the login page offers.")
