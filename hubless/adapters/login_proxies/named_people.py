"""A bare name in a header, such as `X-Forwarded-User`: it counts beside a secret that only the proxy knows.

The edge takes both headers from trusted proxies alone, and removes them from all other requests.
"""

import hmac

from hubless.domain.bounds import MAX_TYPED_NAME
from hubless.domain.errors import LoginRefusedError
from hubless.domain.external_identities import ExternalId
from hubless.domain.login_proxies import LoginProxy
from hubless.domain.names import normalise_user_name
from hubless.domain.translatable import gettext as _
from hubless.ports.authenticator import Identity


class NamedPersonVerifier:
    """Verifies the names that *proxy* sends."""

    def __init__(self, proxy: LoginProxy) -> None:
        self.proxy = proxy

    def verify(self, assertion: str, secret: str) -> Identity:
        """Return the person, as `AssertionVerifier` promises."""
        if not hmac.compare_digest(secret.encode(errors="replace"), self.proxy.secret.encode()):
            raise LoginRefusedError(
                _("The proxy %(proxy)s did not send its secret beside the name.", proxy=self.proxy.name)
            )
        # Proxies join headers that come twice with a comma: then somebody else may have sent one of the names.
        if not assertion.isprintable() or "," in assertion or not 0 < len(assertion) <= MAX_TYPED_NAME:
            raise LoginRefusedError(
                _("The proxy %(proxy)s sent no name that a person can have.", proxy=self.proxy.name)
            )
        name = normalise_user_name(assertion)
        external = ExternalId(f"proxy:{self.proxy.name}", name)
        return Identity(
            name=name,
            external=external,
            provider=self.proxy.name,
            label=name,
            match_existing=self.proxy.match_existing,
        )
