"""Which passwords users may choose. Passwords from before a stricter policy stay valid."""

from collections.abc import Iterable
from dataclasses import field

from hubless.domain.bounds import MAX_PASSWORD
from hubless.domain.errors import InvalidRequestError
from hubless.domain.passwords import MINIMUM_PASSWORD, StrengthPolicy
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value
from hubless.ports.passwords import StrengthMeter


@value
class PasswordPolicy:
    """Checks each new password, whoever sets it. Without a meter only its length counts."""

    meter: StrengthMeter | None = None
    strength: StrengthPolicy = field(default_factory=StrengthPolicy)
    hub_name: str = ""

    def check(self, password: str, *, admin: bool, known: Iterable[str] = ()) -> None:
        """Refuse a password that is too short, too long or too easy to guess.

        Args:
            password: what somebody chose.
            admin: whether it opens an admin's account.
            known: what guessers try first, such as the user's name and e-mail address.

        Raises:
            InvalidRequestError: saying why the password is refused and what to choose.
        """
        if len(password) < MINIMUM_PASSWORD:
            raise InvalidRequestError(
                _("Choose a password of at least %(minimum_password)s characters", minimum_password=MINIMUM_PASSWORD)
            )
        if len(password) > MAX_PASSWORD:
            raise InvalidRequestError(
                _("Choose a password of at most %(max_password)s characters", max_password=MAX_PASSWORD)
            )
        if "\0" in password:
            raise InvalidRequestError("Choose a password without the character NUL")
        if self.meter is None:
            return
        texts = [text for text in (self.hub_name, *known) if text]
        refused = self.strength.refusal_of(self.meter.measure(password, texts), admin=admin)
        if refused is not None:
            raise InvalidRequestError(refused)
