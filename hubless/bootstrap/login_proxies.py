"""What verifies the word of login proxies, as settings describe them."""

import json
from typing import TYPE_CHECKING

from hubless.domain.login_proxies import LoginProxy, ProxyKind
from hubless.settings import Settings
from hubless.settings.types import SettingsError

if TYPE_CHECKING:
    from hubless.adapters.jose.fetching import Fetcher
    from hubless.adapters.jose.key_sets import KeySource
    from hubless.ports.clock import Clock
    from hubless.ports.login_proxies import AssertionVerifier


def verifiers_of(
    settings: Settings, clock: "Clock", fetcher: "Fetcher | None" = None
) -> "tuple[AssertionVerifier, ...]":
    """Return a verifier for each proxy.

    Raises:
        SettingsError: when settings hold a key set that is of no use.
    """
    from hubless.adapters.jose.fetching import Fetcher
    from hubless.adapters.login_proxies.named_people import NamedPersonVerifier
    from hubless.adapters.login_proxies.signed_assertions import SignedAssertionVerifier

    asking = fetcher or Fetcher()
    return tuple(
        NamedPersonVerifier(proxy)
        if proxy.kind is ProxyKind.HEADER
        else SignedAssertionVerifier(proxy, _keys_of(proxy, asking, clock), clock)
        for proxy in settings.login_proxies
    )


def keys_by_proxy(settings: Settings, fetcher: "Fetcher", clock: "Clock") -> "dict[str, KeySource]":
    """Return where the keys of each proxy with a key set come from.

    Raises:
        SettingsError: when settings hold a key set that is of no use.
    """
    one_by_one = {ProxyKind.ALB, ProxyKind.HEADER}  # a load balancer's keys have an address each, a name has no key
    return {
        proxy.name: _keys_of(proxy, fetcher, clock) for proxy in settings.login_proxies if proxy.kind not in one_by_one
    }


def _keys_of(proxy: LoginProxy, fetcher: "Fetcher", clock: "Clock") -> "KeySource":
    from hubless.adapters.jose.key_sets import FetchedKeys, GivenKeys, PemKeys

    if proxy.kind is ProxyKind.ALB:
        return PemKeys(proxy.keys_url, fetcher, clock)
    if proxy.keys:
        try:
            return GivenKeys(json.loads(proxy.keys))
        except ValueError as useless:
            raise SettingsError(f"login_proxies.{proxy.name}.keys is of no use: {useless}") from None
    return FetchedKeys(proxy.keys_url, fetcher, clock)
