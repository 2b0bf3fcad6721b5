"""The services of LTI, each created at its first use: few requests come from an LMS."""

from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hubless.bootstrap.hub import Hub
    from hubless.ports.lms import Lms
    from hubless.services.lti_courses import LtiCourses
    from hubless.services.lti_grades import LtiGrades
    from hubless.services.lti_keys import LtiKeys
    from hubless.services.lti_links import LtiLinks
    from hubless.services.lti_logins import LtiLogins
    from hubless.services.lti_people import LtiPeople
    from hubless.services.lti_platforms import LtiPlatforms


class Lti:
    """What the hub is as an LTI tool."""

    def __init__(self, hub: "Hub") -> None:
        self._hub = hub

    @cached_property
    def keys(self) -> "LtiKeys":
        from hubless.adapters.lti.sealing import FernetKeySealer
        from hubless.adapters.lti.tool_keys import JoseToolSigner
        from hubless.services.lti_keys import LtiKeys

        hub = self._hub
        return LtiKeys(hub.lti_store, JoseToolSigner(), FernetKeySealer(lambda: hub.key), hub.clock)

    @cached_property
    def lms(self) -> "Lms":
        from hubless.adapters.jose.fetching import Fetcher
        from hubless.adapters.lti.lms import HttpLms

        return HttpLms(Fetcher(), self._hub.clock, self.keys.sign)

    @cached_property
    def platforms(self) -> "LtiPlatforms":
        from hubless.services.lti_platforms import LtiPlatforms

        hub, settings = self._hub, self._hub.settings
        return LtiPlatforms(settings.lti_platforms, hub.lti_store, self.lms, settings.url, settings.hub.name)

    @cached_property
    def people(self) -> "LtiPeople":
        from hubless.services.lti_people import LtiPeople

        return LtiPeople(self._hub.logins, self._hub.users, self._hub.external_identities)

    @cached_property
    def courses(self) -> "LtiCourses":
        from hubless.services.lti_courses import LtiCourses

        hub = self._hub
        return LtiCourses(
            hub.lti_store,
            self.platforms,
            self.lms,
            self.people,
            hub.users,
            hub.groups,
            hub.external_identities,
            hub.leases,
            hub.clock,
        )

    @cached_property
    def grades(self) -> "LtiGrades":
        from hubless.services.lti_grades import LtiGrades

        return LtiGrades(self.platforms, self.lms, self._hub.external_identities, self._hub.clock)

    @cached_property
    def logins(self) -> "LtiLogins":
        from hubless.services.lti_logins import LtiLogins

        hub = self._hub
        return LtiLogins(
            self.platforms, self.lms, hub.pending_logins, self.people, self.courses, hub.clock, hub.settings.url
        )

    @cached_property
    def links(self) -> "LtiLinks":
        from hubless.services.lti_links import LtiLinks

        return LtiLinks(self.platforms, self.keys, self._hub.clock, self._hub.settings.url)


def open_lms() -> "Lms":
    """Return what asks LMS in the name of nobody, for checks."""
    from hubless.adapters.jose.fetching import Fetcher
    from hubless.adapters.lti.lms import HttpLms
    from hubless.adapters.system_clock import SystemClock

    return HttpLms(Fetcher(), SystemClock(), lambda _claims: "")
