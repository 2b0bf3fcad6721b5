"""Checks of LMS before their users log in: the hub's own address, and what each LMS says of itself."""

from urllib.parse import urlsplit

from hubless.domain.errors import HublessError
from hubless.domain.origins import is_loopback
from hubless.settings import Settings


class LtiCheckError(HublessError):
    """Raised when people of an LMS could not log in; the message says why and what to do."""

    code = "lti-check"


def check(settings: Settings) -> None:
    """Check each platform of *settings*; ask nobody if there is none.

    Raises:
        LtiCheckError: naming the first that is broken.
    """
    if not settings.lti_platforms:
        return
    url = urlsplit(settings.url)
    if url.scheme != "https" and not is_loopback(url.netloc):
        raise LtiCheckError(
            f"LTI needs https, because browsers send no cookies back from an LMS otherwise, and the hub is at"
            f" {settings.url}. Set public_url in [hub] to its https address."
        )
    from hubless.bootstrap.lti import open_lms  # noqa: PLC0415 few hubs have an LMS

    lms = open_lms()
    for platform in settings.lti_platforms:
        if why := lms.check(platform):
            raise LtiCheckError(f"lti_platforms.{platform.name}: {why}")
