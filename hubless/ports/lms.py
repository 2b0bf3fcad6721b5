"""An LMS, as the hub asks it: its signed messages, its registration, and its services."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, Protocol

from hubless.domain.lti_platforms import LtiPlatform
from hubless.domain.values import value


@value
class Member:
    """A member of a course, as the names and roles service lists it."""

    claims: Mapping[str, Any]
    is_active: bool = True


class Lms(Protocol):
    """Asks LMS. What they answer is bounded and of the right shape, and nothing more is promised of it."""

    def claims_of(self, platform: LtiPlatform, id_token: str, *, nonce: str, now: datetime) -> dict[str, Any]:
        """Return the claims of a message that *platform* signed for this hub and this *nonce*.

        Raises:
            LtiRefusedError: saying what is wrong with it, and what to set.
        """
        ...

    def check(self, platform: LtiPlatform) -> str | None:
        """Return what is wrong with *platform*, as far as the LMS shows it: its keys and issuer; None for nothing."""
        ...

    def members(self, platform: LtiPlatform, url: str) -> Iterator[Member]:
        """Yield the members of a course, page by page (Names and Role Provisioning Services 2.0).

        Raises:
            LtiServiceError: when the LMS does not answer as it should; some may have been yielded before.
        """
        ...

    def line_items(self, platform: LtiPlatform, url: str) -> list[dict[str, Any]]:
        """Return the line items of a course (Assignment and Grade Services 2.0).

        Raises:
            LtiServiceError: when the LMS does not answer as it should.
        """
        ...

    def create_line_item(self, platform: LtiPlatform, url: str, item: Mapping[str, Any]) -> dict[str, Any]:
        """Add a line item to a course, and return it with the id that it got.

        Raises:
            LtiServiceError: when the LMS does not answer as it should.
        """
        ...

    def put_score(self, platform: LtiPlatform, line_item: str, score: Mapping[str, Any]) -> None:
        """Give a person a score at the line item of this address.

        Raises:
            LtiServiceError: when the LMS does not take it.
        """
        ...

    def results(self, platform: LtiPlatform, line_item: str) -> list[dict[str, Any]]:
        """Return the results at the line item of this address.

        Raises:
            LtiServiceError: when the LMS does not answer as it should.
        """
        ...

    def configuration(self, url: str) -> dict[str, Any]:
        """Return the OpenID configuration with which an LMS registers tools (Dynamic Registration 1.0).

        Raises:
            LtiServiceError: when it is not there.
        """
        ...

    def register(self, url: str, token: str, tool: Mapping[str, Any]) -> dict[str, Any]:
        """Register the hub with an LMS as *tool* says, and return what the LMS made of it.

        Raises:
            LtiServiceError: when the LMS refuses.
        """
        ...
