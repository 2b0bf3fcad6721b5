"""Asks the providers of logins what a login will need, so that an operator sees a fault before people do."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from embedded.preflight import PreflightError
from hubless.domain.providers import callback_path
from hubless.settings import Settings

if TYPE_CHECKING:
    from hubless.ports.login_providers import LoginProvider


def check_providers(
    settings: Settings, providers: "Mapping[str, LoginProvider]", tell: Callable[[str], None], *, has_stages: bool
) -> None:
    """Check each provider, and tell the redirect URI that must be registered with it.

    Raises:
        PreflightError: with all faults of all providers.
    """
    faults = []
    if providers and not settings.hub.public_url and not has_stages:
        tell(
            "hub.public_url is not set: providers send browsers back to this machine alone, and most accept only"
            " https addresses of others."
        )
    for name, provider in providers.items():
        path = callback_path(tuple(providers), name)
        elsewhere = f" (in AWS: {path} at the stage's address)" if has_stages else ""
        tell(f"Provider {name}: register the redirect URI {settings.url}{path}{elsewhere}")
        faults += [f"Provider {name}: {fault}" for fault in provider.check().faults]
    if faults:
        raise PreflightError("\n".join(faults))
