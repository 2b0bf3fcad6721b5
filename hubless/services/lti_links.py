"""Answers to deep linking requests: the link that a teacher chose, as the LMS adds it to its course."""

from datetime import timedelta
from typing import Final

from hubless.domain.lti_messages import CLAIM, DEEP_LINKING, VERSION
from hubless.domain.lti_paths import MESSAGE_PATH
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.services.identifiers import new_secret
from hubless.services.lti_keys import LtiKeys
from hubless.services.lti_platforms import LtiPlatforms

LIFETIME: Final = timedelta(minutes=5)


@value
class LtiLinks:
    """Signs links for an LMS. *url* is the hub's address for browsers."""

    platforms: LtiPlatforms
    keys: LtiKeys
    clock: Clock
    url: str

    def answer(self, platform_name: str, deployment_id: str, data: str, path: str, title: str) -> str:
        """Return the signed answer (Deep Linking 2.0 4.5): one link, which opens *path* of this hub.

        Args:
            platform_name: the platform that asked.
            deployment_id: its deployment.
            data: what it sent, which must come back.
            path: what the link opens.
            title: the link's title in the LMS.

        Raises:
            NotFoundError: when the platform was removed meanwhile.
        """
        platform, now = self.platforms.named(platform_name), self.clock.now()
        link = {"type": "ltiResourceLink", "title": title, "url": self.url + MESSAGE_PATH, "custom": {"next": path}}
        claims = {
            "iss": platform.client_id,
            "aud": platform.issuer,
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
            "nonce": new_secret(),
            CLAIM + "deployment_id": deployment_id,
            CLAIM + "message_type": "LtiDeepLinkingResponse",
            CLAIM + "version": VERSION,
            DEEP_LINKING + "content_items": [link],
        }
        return self.keys.sign({**claims, DEEP_LINKING + "data": data} if data else claims)
