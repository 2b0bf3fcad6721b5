"""External identities: who a person is at a provider, and which user of the hub that is.

A person is known by issuer and subject (OpenID Connect Core 5.7). A name or an address of e-mail may go over to
somebody else; these two never do.
"""

from datetime import datetime, timedelta

from hubless.domain.bounds import MAX_ISSUER, MAX_LABEL, MAX_PROVIDER_NAME, MAX_SUBJECT
from hubless.domain.errors import InvalidRequestError
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value

AWAITED_FOR = timedelta(days=180)  # how long an import lets a user wait; then an admin links the identity


@value
class ExternalId:
    """A person at a provider. Two are the same person only if both texts are the same, character by character."""

    issuer: str
    subject: str


@value
class LinkedIdentity:
    """An external identity with which a user logs in. *label* is for people only, such as an address of e-mail.

    *by_admin* says whether an admin let this person in: by linking the identity, or by adding the user to whom the
    first login led. Lists of allowed users and groups do not count then.
    """

    id: ExternalId
    user_id: str
    provider: str  # the name in settings
    label: str
    linked_at: datetime
    by_admin: bool = False


@value
class AwaitedLogin:
    """The first login at a provider that an imported user awaits: the identity is not known, so the name counts once.

    The name proves no more than it proved to the other hub. So it counts at one issuer, until an instant, and never for
    admins or for users with another way in.
    """

    provider: str  # the name in settings
    issuer: str
    name: str  # the user's when it was imported; who was renamed since is not meant
    until: datetime

    def is_met_by(self, name: str, provider: str, issuer: str, now: datetime) -> bool:
        """Say whether a login at *now* is the awaited one."""
        return (name, provider, issuer) == (self.name, self.provider, self.issuer) and now < self.until


def check_awaited_login(awaited: AwaitedLogin) -> AwaitedLogin:
    """Return *awaited* if a provider can have this name and this issuer.

    Raises:
        InvalidRequestError: when one of them is empty, too long, or has a control character.
    """
    check_external_id(ExternalId(awaited.issuer, awaited.name))
    if not 0 < len(awaited.provider) <= MAX_PROVIDER_NAME or not awaited.provider.isprintable():
        raise InvalidRequestError(
            _(
                "The name of a provider must have 1 to %(max_provider_name)s characters",
                max_provider_name=MAX_PROVIDER_NAME,
            )
        )
    return awaited


def check_external_id(identity: ExternalId) -> ExternalId:
    """Return *identity* if it can be somebody's.

    Raises:
        InvalidRequestError: when a part of it is empty, too long, or has a control character.
    """
    for part, text, longest in (("issuer", identity.issuer, MAX_ISSUER), ("subject", identity.subject, MAX_SUBJECT)):
        if not 0 < len(text) <= longest:
            raise InvalidRequestError(
                _("The %(part)s of an identity must have 1 to %(longest)s characters", part=part, longest=longest)
            )
        if not text.isprintable():
            raise InvalidRequestError(
                _("The %(part)s of an identity has a character that cannot be printed", part=part)
            )
    return identity


def provider_name(text: str) -> str:
    """Return *text* as the name of a provider is stored: cut to its bound."""
    return text[:MAX_PROVIDER_NAME]


def label(text: str) -> str:
    """Return *text* as a label is stored: cut to its bound, without what cannot be printed."""
    return "".join(c for c in text[:MAX_LABEL] if c.isprintable())
