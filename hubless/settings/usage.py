"""The section `[usage]`."""

from datetime import timedelta
from decimal import Decimal

from hubless.domain.tariffs import Tariff, micros
from hubless.domain.values import value
from hubless.settings.mail import ADDRESSES, MailSettings
from hubless.settings.profiles import PRICE
from hubless.settings.types import DURATION, LIMIT, NEVER, SettingsError, setting


@value
class UsageSettings:
    """What servers cost, and how long the hub knows which launch ran when."""

    price_per_cpu_hour: float | None = setting(
        "", PRICE, "What an hour of a CPU costs in `hub.currency`, for profiles without a price of their own"
    )
    price_per_gb_hour: float | None = setting("", PRICE, "What an hour of a GiB of memory costs, likewise")
    price_per_gpu_hour: float | None = setting("", PRICE, "What an hour of a GPU costs, likewise")
    keep_launches: timedelta | None = setting(
        "400d",
        LIMIT,
        "How long the hub keeps when each launch ran; `never` or empty for ever. Totals of days and months stay",
    )

    budget_notice: timedelta = setting(
        "10m", DURATION, "How long before the end of a budget the hub tells its people that it will stop their servers"
    )
    budget_mail_to: tuple[str, ...] = setting(
        [],
        ADDRESSES,
        "Who gets a mail when a budget of a group or of the hub is used to 80 %, and when it is used up; `[mail]` sends"
        " them",
    )

    @property
    def has_prices(self) -> bool:
        """Say whether a price is set."""
        return (self.price_per_cpu_hour, self.price_per_gb_hour, self.price_per_gpu_hour) != (None, None, None)

    @property
    def kept_for(self) -> timedelta | None:
        """Return how long launches are kept; None for ever."""
        return None if self.keep_launches == NEVER else self.keep_launches

    def tariff(self, currency: str) -> Tariff:
        """Return the prices, in *currency*."""
        return Tariff(
            _micros(self.price_per_cpu_hour),
            _micros(self.price_per_gb_hour),
            _micros(self.price_per_gpu_hour),
            currency,
        )


def checked_usage(given: UsageSettings, mail: MailSettings) -> UsageSettings:
    """Return *given*.

    Raises:
        SettingsError: when it names who gets mails, and the hub sends none.
    """
    if given.budget_mail_to and not mail.is_on:
        raise SettingsError("usage.budget_mail_to has an effect only if mail.kind is set: remove it, or set mail.kind")
    return given


def _micros(amount: float | None) -> int:
    return 0 if amount is None else micros(Decimal(str(amount)))
