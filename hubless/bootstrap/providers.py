"""The providers of logins that settings describe, each with the adapter of its protocol."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from hubless.domain.providers import Protocol, Provider

if TYPE_CHECKING:
    from hubless.ports.clock import Clock
    from hubless.ports.login_providers import LoginProvider


def login_providers_of(providers: Iterable[Provider], clock: "Clock") -> "Mapping[str, LoginProvider]":
    """Return the providers by name, in the order of the settings."""
    return {provider.name: _adapter_of(provider, clock) for provider in providers}


def _adapter_of(provider: Provider, clock: "Clock") -> "LoginProvider":
    from hubless.adapters.jose.fetching import Fetcher

    if provider.protocol is Protocol.GITHUB:
        from hubless.adapters.oidc.github_provider import GithubProvider

        return GithubProvider(provider, Fetcher(), clock)
    from hubless.adapters.oidc.openid_provider import OpenIdProvider

    return OpenIdProvider(provider, Fetcher(), clock)
