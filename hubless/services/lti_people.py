"""People of an LMS, who are known by issuer and subject, and the users of the hub that they are."""

from contextlib import suppress
from dataclasses import replace
from typing import Final

from hubless.domain.bounds import MAX_USER_NAME
from hubless.domain.errors import NotAllowedError
from hubless.domain.external_identities import ExternalId
from hubless.domain.lti_messages import Person, person_hash
from hubless.domain.lti_platforms import LtiPlatform
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.authenticator import Identity
from hubless.ports.external_identities import IdentityStore
from hubless.ports.users import UserStore
from hubless.services.logins import Logins

PROVIDER: Final = "lti:"  # before a platform's name, so that no provider of another kind has it


@value
class LtiPeople:
    """Finds the user of a person, and adds one at the first login."""

    logins: Logins
    users: UserStore
    identities: IdentityStore

    def user_of(self, platform: LtiPlatform, person: Person) -> User:
        """Return the user who is this person.

        A name that another person of the same LMS has gets a suffix: addresses of two domains may begin alike. A name
        of anybody else is refused, because it may be the same person's, who then links the login.

        Raises:
            NotAllowedError: when the hub does not let the person in.
        """
        identity = Identity(
            person.wished_name,
            external=ExternalId(platform.issuer, person.subject),
            provider=PROVIDER + platform.name,
            label=person.full_name or person.wished_name,
            match_existing=platform.match_existing,
        )
        try:
            return self.logins.log_in(identity)
        except NotAllowedError:
            if not self._is_of_another_person(platform, person.wished_name):
                raise
            suffix = f"-{person_hash(platform.issuer, person.subject)}"
            with suppress(NotAllowedError):  # the words about the name itself help more
                return self.logins.log_in(replace(identity, name=person.wished_name[: MAX_USER_NAME - 20] + suffix))
            raise

    def _is_of_another_person(self, platform: LtiPlatform, name: str) -> bool:
        """Say whether the name, or one that looks like it, is of another person of this LMS."""
        holder = self.users.holders([name]).get(name)
        user = self.users.find(holder) if holder is not None else None
        if user is None:
            return False
        return any(linked.id.issuer == platform.issuer for linked in self.identities.of_user(user.id))
