"""Checks before a hub starts: whether the keys of login proxies and of workloads' issuers are there."""

from typing import TYPE_CHECKING

from hubless.adapters.jose.fetching import Fetcher, FetchError
from hubless.bootstrap.login_proxies import keys_by_proxy
from hubless.bootstrap.workloads import keys_by_issuer
from hubless.domain.errors import HublessError
from hubless.settings import Settings

if TYPE_CHECKING:
    from hubless.adapters.jose.key_sets import KeySource
    from hubless.ports.clock import Clock


class KeyCheckError(HublessError):
    """Raised when keys are not there; the message says whose, and why."""

    code = "keys"


def check_keys(settings: Settings, clock: "Clock", fetcher: Fetcher | None = None) -> None:
    """Fetch all keys once.

    Raises:
        KeyCheckError: when some are not there.
        SettingsError: when settings hold a key set that is of no use.
    """
    asking = fetcher or Fetcher()
    sources = {f"login_proxies.{name}": keys for name, keys in keys_by_proxy(settings, asking, clock).items()}
    sources |= {f"workloads of {issuer}": keys for issuer, keys in keys_by_issuer(settings, asking, clock).items()}
    faults = [f"{where}: {fault}" for where, keys in sources.items() if (fault := _fault_of(keys))]
    if faults:
        raise KeyCheckError(" ".join(faults))


def _fault_of(keys: "KeySource") -> str | None:
    try:
        keys.find(None)
    except FetchError as missing:
        return str(missing)
    return None
