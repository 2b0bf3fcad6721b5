"""Logins by LTI 1.3: a login initiation of an LMS, and the signed message that the browser brings back."""

import hmac
import logging
from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from hubless.domain.errors import LtiRefusedError
from hubless.domain.lti_courses import Course
from hubless.domain.lti_messages import LtiMessage, read_message
from hubless.domain.lti_paths import MESSAGE_PATH
from hubless.domain.lti_platforms import LtiPlatform
from hubless.domain.tokens import sha256
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.lms import Lms
from hubless.ports.pending_logins import PendingLogin, PendingLoginStore
from hubless.services.identifiers import new_secret
from hubless.services.lti_courses import LtiCourses
from hubless.services.lti_people import PROVIDER, LtiPeople
from hubless.services.lti_platforms import LtiPlatforms

logger = logging.getLogger(__name__)
PENDING_FOR: Final = timedelta(minutes=10)
_USED = (
    "This login was used already, has expired, or began in another browser. Open the link in the LMS again. If that"
    " does not help, let the LMS open the hub in a new window: the browser blocks its cookies in frames."
)


@value
class Initiation:
    """What an LMS asks at the beginning (1EdTech Security Framework 5.1.1.1)."""

    issuer: str
    login_hint: str
    message_hint: str = ""
    client_id: str = ""
    deployment_id: str = ""


@value
class Begun:
    """A login that has begun: where the browser goes, and the two secrets that it must bring back."""

    address: str
    state: str
    browser: str


@value
class Received:
    """A message that is proved to be of its platform."""

    platform: LtiPlatform
    message: LtiMessage

    @property
    def provider(self) -> str:
        """Return the provider's name, as identities and sessions have it."""
        return PROVIDER + self.platform.name


@value
class LtiLogins:
    """Begins and completes logins. *url* is the hub's address for browsers."""

    platforms: LtiPlatforms
    lms: Lms
    pending: PendingLoginStore
    people: LtiPeople
    courses: LtiCourses
    clock: Clock
    url: str

    def begin(self, asked: Initiation) -> Begun:
        """Note the login, and return where the browser asks the LMS for its message.

        Raises:
            LtiRefusedError: when no platform of the hub fits; it says what to set.
        """
        platform = self.platforms.asked_by(asked.issuer, asked.client_id, asked.deployment_id)
        state, browser, nonce, now = new_secret(), new_secret(), new_secret(), self.clock.now()
        self.pending.add(
            PendingLogin(
                state_sha256=sha256(state),
                browser_sha256=sha256(browser),
                provider=PROVIDER + platform.name,
                nonce=nonce,
                created_at=now,
                expires_at=now + PENDING_FOR,
            )
        )
        query = {
            "scope": "openid",
            "response_type": "id_token",
            "response_mode": "form_post",
            "prompt": "none",
            "client_id": platform.client_id,
            "redirect_uri": self.url + MESSAGE_PATH,
            "login_hint": asked.login_hint,
            "state": state,
            "nonce": nonce,
        }
        if asked.message_hint:
            query["lti_message_hint"] = asked.message_hint
        mark = "&" if "?" in platform.authorization_url else "?"
        return Begun(f"{platform.authorization_url}{mark}{urlencode(query)}", state, browser)

    def receive(self, state: str, browser: str, id_token: str) -> Received:
        """Return the message in *id_token*. It may come once only, and in the browser in which it was asked for.

        Raises:
            LtiRefusedError: saying why it is refused, and what to set.
        """
        now = self.clock.now()
        pending = self.pending.take(sha256(state), now)
        if pending is None or not pending.provider.startswith(PROVIDER):
            raise LtiRefusedError(_USED)
        if not hmac.compare_digest(pending.browser_sha256, sha256(browser)):
            raise LtiRefusedError(_USED)
        platform = self.platforms.named(pending.provider.removeprefix(PROVIDER))
        claims = self.lms.claims_of(platform, id_token, nonce=pending.nonce, now=now)
        return Received(platform, read_message(claims, platform))

    def log_in(self, received: Received) -> tuple[User, Course | None]:
        """Return the user whom the message names, and the course, whose groups the user is now in.

        Raises:
            NotAllowedError: when the hub does not let the person in.
        """
        user = self.people.user_of(received.platform, received.message.person)
        course = self.courses.join(user, received.platform, received.message)
        logger.info("user %s logged in from the LTI platform %s", user.name, received.platform.name)
        return user, course
