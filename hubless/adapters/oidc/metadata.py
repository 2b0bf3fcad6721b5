"""A provider's metadata (OpenID Connect Discovery 1.0): fetched, compared with the settings, and kept for an hour."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Final

from hubless.adapters.jose.fetching import Fetcher, FetchError, check_url, host_of
from hubless.domain.values import value
from hubless.ports.clock import Clock

FRESH_FOR: Final = timedelta(hours=1)
STALE_FOR: Final = timedelta(days=1)  # while the provider is not reached
RETRY_AFTER: Final = timedelta(seconds=10)  # after a failure, however many log in meanwhile
WELL_KNOWN: Final = "/.well-known/openid-configuration"


class MetadataError(Exception):
    """Raised when metadata are of no use; the message is a sentence that says why."""


@value
class Metadata:
    """What of a provider's metadata a login needs."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str = ""
    end_session_endpoint: str = ""
    algorithms: tuple[str, ...] = ()  # of ID tokens; empty if they do not say
    client_authentications: tuple[str, ...] = ("client_secret_basic",)  # Discovery 3: this one if they do not say
    names_issuer: bool = False  # whether each authorization response has `iss` (RFC 9207 3)


class MetadataSource:
    """Has the metadata of one issuer; threads may share it."""

    def __init__(self, issuer: str, fetcher: Fetcher, clock: Clock) -> None:
        self._issuer, self._fetcher, self._clock = issuer, fetcher, clock
        self._lock = Lock()  # many logins at once wait for one fetch
        self._found: Metadata | None = None
        self._found_at: datetime | None = None
        self._failure: FetchError | MetadataError | None = None
        self._failed_at: datetime | None = None

    def get(self) -> Metadata:
        """Return the metadata.

        Raises:
            FetchError: when the provider is not reached.
            MetadataError: when they are of no use.
        """
        with self._lock:
            now = self._clock.now()
            if not _within(self._found_at, now, FRESH_FOR) and not _within(self._failed_at, now, RETRY_AFTER):
                self._fetch(now)
            if self._found is None or not _within(self._found_at, now, STALE_FOR):
                raise self._failure or MetadataError("There are no metadata.")
            return self._found

    def _fetch(self, now: datetime) -> None:
        try:
            found = metadata_of(self._fetcher.get_json(self.url), self._issuer)
        except (FetchError, MetadataError) as error:
            self._failure, self._failed_at = error, now
        else:
            self._found, self._found_at, self._failed_at = found, now, None

    @property
    def url(self) -> str:
        """Return the address of the metadata."""
        return self._issuer.rstrip("/") + WELL_KNOWN


def metadata_of(given: Any, issuer: str) -> Metadata:
    """Return the metadata in the JSON *given*, which must be of *issuer*.

    The issuer must be exactly the same: otherwise one provider could speak for another (Discovery 4.3).

    Raises:
        MetadataError: when something that a login needs is missing or wrong.
    """
    if not isinstance(given, Mapping):
        raise MetadataError("The metadata are no JSON object.")
    if given.get("issuer") != issuer:
        raise MetadataError(
            f"The metadata are of the issuer {str(given.get('issuer'))[:200]!r}, but the settings name {issuer!r}. They"
            " must be the same, to the last slash."
        )
    needed = {name: _address(given, name) for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    for name, address in needed.items():
        if not address:
            raise MetadataError(f"The metadata of {host_of(issuer)} have no {name}.")
    return Metadata(
        issuer=issuer,
        **needed,
        userinfo_endpoint=_address(given, "userinfo_endpoint"),
        end_session_endpoint=_address(given, "end_session_endpoint"),
        algorithms=_texts(given, "id_token_signing_alg_values_supported"),
        client_authentications=_texts(given, "token_endpoint_auth_methods_supported") or ("client_secret_basic",),
        names_issuer=given.get("authorization_response_iss_parameter_supported") is True,
    )


def _address(given: Mapping[str, Any], name: str) -> str:
    found = given.get(name)
    if found is None:
        return ""
    try:
        return check_url(found if isinstance(found, str) else "")
    except FetchError:
        raise MetadataError(f"The metadata's {name} is no address that begins with https://.") from None


def _texts(given: Mapping[str, Any], name: str) -> tuple[str, ...]:
    found = given.get(name)
    return tuple(one for one in found if isinstance(one, str)) if isinstance(found, list) else ()


def _within(since: datetime | None, now: datetime, limit: timedelta) -> bool:
    """Say whether *since* is at most *limit* ago. It is not if the clock was set back before it."""
    return since is not None and timedelta(0) <= now - since < limit
