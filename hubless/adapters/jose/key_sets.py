"""The public keys that others sign with: fetched key sets (RFC 7517), and sets that the settings hold."""

import re
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, Protocol

from hubless.adapters.jose.fetching import Fetcher, FetchError, host_of
from hubless.ports.clock import Clock

if TYPE_CHECKING:
    from joserfc.jwk import Key

FRESH_FOR: Final = timedelta(hours=1)
# How long keys still count while the provider is not reached. It bounds how long a withdrawn key works.
STALE_FOR: Final = timedelta(days=1)
EXTRA_FETCHES: Final = 5  # in `EXTRA_WINDOW`, however many tokens with unknown keys or bad signatures come
PEM_FETCHES: Final = 30  # of keys with an address each, in `EXTRA_WINDOW`
EXTRA_WINDOW: Final = timedelta(minutes=1)
MAX_KEYS: Final = 100  # in one set
_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 8192  # NIST SP 800-131A; longer keys only cost the hub processor time
_KEY_ID = re.compile(r"[A-Za-z0-9-]{1,64}")  # as a part of an address
_OK, _NO_SUCH_KEY = 200, frozenset({403, 404})  # S3 answers 403 where there is nothing
_PRIVATE = "d"  # RFC 7518 6: this member makes a private key


class KeySource(Protocol):
    """Where the keys of one signer come from."""

    def find(self, kid: str | None, *, again: bool = False) -> "tuple[Key, ...]":
        """Return the keys with this id, and those without any; all keys if *kid* is None.

        Args:
            kid: the header's `kid`.
            again: whether a signature was bad under the known keys, so that they may have been replaced in place.

        Raises:
            FetchError: when the keys are not there to be had.
        """
        ...


class GivenKeys:
    """The keys of a set that does not change, such as one in the settings.

    Raises:
        ValueError: when none of its keys is fit for signatures.
    """

    def __init__(self, key_set: Mapping[str, Any]) -> None:
        self._keys = keys_of(key_set)

    def find(self, kid: str | None, *, again: bool = False) -> "tuple[Key, ...]":  # noqa: ARG002 they do not change
        return _with_id(self._keys, kid)


class FetchedKeys:
    """The keys at *url*, kept for an hour, and fetched again when a token needs another; threads may share one."""

    def __init__(self, url: str, fetcher: Fetcher, clock: Clock) -> None:
        self.url = url
        self._fetcher, self._clock = fetcher, clock
        self._lock = Lock()  # many logins at once wait for one fetch
        self._keys: tuple[Key, ...] = ()
        self._fetched_at: datetime | None = None
        self._failure: FetchError | None = None
        self._tried_at: deque[datetime] = deque(maxlen=EXTRA_FETCHES)

    def find(self, kid: str | None, *, again: bool = False) -> "tuple[Key, ...]":
        seen = self._fetched_at
        with self._lock:
            now = self._clock.now()
            found = _with_id(self._keys, kid)
            is_replaced = self._fetched_at != seen  # another thread has fetched them meanwhile
            wants_more = not found or (again and not is_replaced)
            if (wants_more or not _within(self._fetched_at, now, FRESH_FOR)) and self._may_fetch(now):
                self._fetch(now)
                found = _with_id(self._keys, kid)
            if not _within(self._fetched_at, now, STALE_FOR):
                raise self._failure or FetchError(f"The keys at {host_of(self.url)} are not there.")
            return found

    def _may_fetch(self, now: datetime) -> bool:
        while self._tried_at and not _within(self._tried_at[0], now, EXTRA_WINDOW):
            self._tried_at.popleft()
        return len(self._tried_at) < EXTRA_FETCHES

    def _fetch(self, now: datetime) -> None:
        """Replace the keys, or note why not."""
        self._tried_at.append(now)
        try:
            self._keys = keys_of(self._key_set())
        except FetchError as error:
            self._failure = error
        except ValueError as error:
            self._failure = FetchError(f"The key set of {host_of(self.url)} is of no use: {error}")
        else:
            self._fetched_at, self._failure = now, None

    def _key_set(self) -> Any:
        """Return the key set's JSON, or raise FetchError."""
        return self._fetcher.get_json(self.url)


class DiscoveredKeys(FetchedKeys):
    """The keys of an issuer, whose metadata say where they are (OpenID Connect Discovery 1.0)."""

    def __init__(self, issuer: str, fetcher: Fetcher, clock: Clock) -> None:
        super().__init__(f"{issuer.rstrip('/')}/.well-known/openid-configuration", fetcher, clock)
        self._issuer = issuer

    def _key_set(self) -> Any:
        metadata = self._fetcher.get_json(self.url)
        if not isinstance(metadata, dict) or metadata.get("issuer") != self._issuer:
            raise FetchError(f"The metadata at {host_of(self.url)} are of another issuer than {self._issuer}.")
        if not isinstance(metadata.get("jwks_uri"), str):
            raise FetchError(f"The metadata at {host_of(self.url)} do not say where the keys are (jwks_uri).")
        return self._fetcher.get_json(metadata["jwks_uri"])


class PemKeys:
    """Public keys as PEM texts, each at an address of its own below *url*: those of AWS's load balancers.

    Such a key never changes, so it is kept for a day; threads may share one.
    """

    def __init__(self, url: str, fetcher: Fetcher, clock: Clock) -> None:
        self.url = url.rstrip("/")
        self._fetcher, self._clock = fetcher, clock
        self._lock = Lock()
        self._kept: dict[str, tuple[Key, datetime]] = {}
        self._tried_at: deque[datetime] = deque(maxlen=PEM_FETCHES)

    def find(self, kid: str | None, *, again: bool = False) -> "tuple[Key, ...]":  # noqa: ARG002 they do not change
        if kid is None or not _KEY_ID.fullmatch(kid):
            return ()
        with self._lock:
            now = self._clock.now()
            kept = self._kept.get(kid)
            if kept is not None and _within(kept[1], now, STALE_FOR):
                return (kept[0],)
            while self._tried_at and not _within(self._tried_at[0], now, EXTRA_WINDOW):
                self._tried_at.popleft()
            if len(self._tried_at) == PEM_FETCHES:
                return ()
            self._tried_at.append(now)
            key = self._fetched(kid)
            if key is None:
                return ()
            while len(self._kept) >= MAX_KEYS:
                self._kept.pop(next(iter(self._kept)))
            self._kept[kid] = (key, now)
            return (key,)

    def _fetched(self, kid: str) -> "Key | None":
        from joserfc.errors import JoseError  # noqa: PLC0415 few requests check signatures
        from joserfc.jwk import ECKey  # noqa: PLC0415 few requests check signatures

        answer = self._fetcher.request("GET", f"{self.url}/{kid}")
        if answer.status in _NO_SUCH_KEY:
            return None
        if answer.status != _OK:
            raise FetchError(f"{host_of(self.url)} answered {answer.status} to a request for a key.")
        try:
            key = ECKey.import_key(answer.body, {"kid": kid})
        except (JoseError, ValueError, TypeError):
            raise FetchError(f"{host_of(self.url)} answered no key to a request for one.") from None
        return None if key.is_private else key


def keys_of(key_set: Any) -> "tuple[Key, ...]":
    """Return the public keys for signatures in *key_set*, the JSON of RFC 7517; others drop out.

    Keys that others may have (symmetric or private ones) and short keys prove nothing: they drop out too.

    Raises:
        ValueError: when it is no key set, has more than `MAX_KEYS`, or no such key is left.
    """
    given = key_set.get("keys") if isinstance(key_set, Mapping) else None
    if not isinstance(given, list) or len(given) > MAX_KEYS:
        raise ValueError(f'it must have at most {MAX_KEYS} "keys" as a list')
    found = tuple(key for one in given if (key := _key_of(one)) is not None)
    if not found:
        raise ValueError("it has no public key for signatures that is long enough")
    return found


def _key_of(given: Any) -> "Key | None":
    from joserfc.errors import JoseError  # noqa: PLC0415 few requests check signatures
    from joserfc.jwk import JWKRegistry, OctKey  # noqa: PLC0415 few requests check signatures
    from joserfc.util import base64_to_int  # noqa: PLC0415 few requests check signatures

    if not isinstance(given, dict) or _PRIVATE in given or given.get("use", "sig") != "sig":
        return None
    try:
        # joserfc takes short keys with a warning.
        bits = base64_to_int(str(given.get("n"))[:_MAX_RSA_BITS]).bit_length() if given.get("kty") == "RSA" else 0
        if bits and not _MIN_RSA_BITS <= bits <= _MAX_RSA_BITS:
            return None
        key = JWKRegistry.import_key({name: text for name, text in given.items() if name != "key_ops"})
    except (JoseError, ValueError, TypeError, ArithmeticError):
        return None
    return None if isinstance(key, OctKey) else key


def _with_id(keys: "Iterable[Key]", kid: str | None) -> "tuple[Key, ...]":
    return tuple(key for key in keys if kid is None or key.kid is None or key.kid == kid)


def _within(since: datetime | None, now: datetime, limit: timedelta) -> bool:
    """Say whether *since* is at most *limit* ago. It is not if the clock was set back before it."""
    return since is not None and timedelta(0) <= now - since < limit
