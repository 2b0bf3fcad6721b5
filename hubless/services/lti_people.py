"""People of an LMS, who are known by issuer and subject, and the users of the hub that they are."""

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
        of anybody else is refused, because it may be the same person's, whose login an admin then links.

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
        except NotAllowedError as refused:
            holder = self._holder_of(person.wished_name)
            known = [linked.id for linked in self.identities.of_user(holder.id)] if holder is not None else []
            if holder is None or identity.external in known:
                raise
            if platform.issuer not in [one.issuer for one in known]:
                raise NotAllowedError(_words(holder, platform, person), contact=refused.contact) from refused
            suffix = f"-{person_hash(platform.issuer, person.subject)}"
            return self.logins.log_in(replace(identity, name=person.wished_name[: MAX_USER_NAME - 20] + suffix))

    def _holder_of(self, name: str) -> User | None:
        """Return the user of the name, or of one that looks like it."""
        holder = self.users.holders([name]).get(name)
        return self.users.find(holder) if holder is not None else None


def _words(holder: User, platform: LtiPlatform, person: Person) -> str:
    """Say how a person gets to a user who was there before; a browser cannot link an LMS, which begins each login."""
    return (
        f"The name {holder.name} belongs to a user of this hub. If that is you, ask for a link of your login: `hubless"
        f" user link {holder.name} --issuer {platform.issuer} --subject {person.subject}`."
    )
