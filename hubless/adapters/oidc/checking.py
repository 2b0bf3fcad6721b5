"""What `hubless check` asks a provider, so that an operator sees a fault before people do."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final

from hubless.adapters.jose.fetching import Answer, Fetcher, FetchError, host_of
from hubless.adapters.jose.key_sets import keys_of
from hubless.adapters.oidc.metadata import Metadata, MetadataError, metadata_of
from hubless.adapters.oidc.token_requests import TokenEndpoint, client_assertion
from hubless.domain.errors import ProviderUnavailableError
from hubless.domain.providers import ClientAuthentication, Provider
from hubless.ports.clock import Clock
from hubless.ports.login_providers import ProviderCheck

MAX_SKEW: Final = timedelta(seconds=30)  # half of what a login tolerates
_OK = 200


def check_openid(provider: Provider, metadata_url: str, fetcher: Fetcher, clock: Clock) -> ProviderCheck:
    """Return what is wrong with an OpenID Connect provider: metadata, issuer, key set, client, clock."""
    try:
        answer = fetcher.request("GET", metadata_url, {"Accept": "application/json"})
    except FetchError as error:
        return ProviderCheck((f"{error} Check the issuer, and the way out of this machine.",))
    skew = _skew(answer, clock.now())
    faults = [_why_skewed(skew)] if skew is not None and abs(skew) > MAX_SKEW else []
    if answer.status != _OK:
        why = (
            f"{host_of(metadata_url)} answered {answer.status} to GET {metadata_url}. The issuer is wrong, or is no"
            " OpenID Connect provider."
        )
        return ProviderCheck((why, *faults), skew)
    try:
        metadata = metadata_of(answer.json(), provider.issuer)
    except (FetchError, MetadataError) as error:
        return ProviderCheck((str(error), *faults), skew)
    faults += [*_key_faults(metadata, fetcher), *_client_faults(provider, metadata, answer.json(), clock.now())]
    return ProviderCheck(tuple(faults), skew)


def check_github(provider: Provider, api: str, fetcher: Fetcher, clock: Clock) -> ProviderCheck:
    """Return what is wrong with GitHub: whether it is reached, and its clock."""
    try:
        answer = fetcher.request("GET", f"{api}/meta", {"Accept": "application/json"})
    except FetchError as error:
        return ProviderCheck((f"{error} Check the domain, and the way out of this machine.",))
    skew = _skew(answer, clock.now())
    faults = [_why_skewed(skew)] if skew is not None and abs(skew) > MAX_SKEW else []
    if answer.status != _OK:
        faults.append(f"{host_of(api)} answered {answer.status} to GET /meta: is {provider.issuer} a GitHub?")
    return ProviderCheck(tuple(faults), skew)


def _key_faults(metadata: Metadata, fetcher: Fetcher) -> list[str]:
    try:
        keys_of(fetcher.get_json(metadata.jwks_uri))
    except FetchError as error:
        return [f"The key set cannot be read. {error}"]
    except ValueError as error:
        return [f"The key set at {metadata.jwks_uri} is of no use: {error}."]
    return []


def _client_faults(provider: Provider, metadata: Metadata, given: Mapping[str, Any], now: datetime) -> list[str]:
    faults = []
    if metadata.algorithms and not set(metadata.algorithms) & set(provider.algorithms):
        faults.append(
            f"The provider signs with {', '.join(metadata.algorithms)} only, and the hub accepts"
            f" {', '.join(provider.algorithms)}. Choose one of these at the provider."
        )
    method = TokenEndpoint(provider, metadata.token_endpoint, Fetcher(), metadata.client_authentications).authentication
    if method.value not in metadata.client_authentications:
        faults.append(
            f"The hub would prove who it is by {method.value}, and the provider takes"
            f" {', '.join(metadata.client_authentications)}. Set client_auth."
        )
    if method is ClientAuthentication.PRIVATE_KEY:
        try:
            client_assertion(provider, metadata.token_endpoint, now)
        except ProviderUnavailableError as error:
            faults.append(str(error))
    offered = given.get("scopes_supported")
    unknown = [one for one in provider.scopes if isinstance(offered, list) and one not in offered]
    if unknown:
        faults.append(f"The provider does not offer the scope {' '.join(unknown)}. Set scopes to those that it does.")
    if provider.logout_at_provider and not metadata.end_session_endpoint:
        faults.append("The provider has no end_session_endpoint. Remove logout_at_provider.")
    return faults


def _skew(answer: Answer, now: datetime) -> timedelta | None:
    """Return how far the provider's clock is ahead, by the Date of its answer; None if it says nothing."""
    try:
        at = parsedate_to_datetime(answer.headers.get("date", ""))
    except (ValueError, OverflowError):
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)) - now


def _why_skewed(skew: timedelta) -> str:
    seconds, where = round(abs(skew).total_seconds()), "ahead of" if skew > timedelta() else "behind"
    return (
        f"The provider's clock is {seconds} seconds {where} this machine's. From 60 seconds on logins fail. Set this"
        " machine's clock (NTP)."
    )
