"""Signers of tokens, as providers are, with their keys made here; and what stands for the provider's web server."""

import base64
import json
import warnings
from functools import lru_cache
from typing import Any

from joserfc import jws
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from hubless.adapters.jose.fetching import FetchError


@lru_cache
def rsa_key(kid: str | None = "rsa-1", bits: int = 2048) -> RSAKey:
    with warnings.catch_warnings(action="ignore"):  # some tests need a short one
        return RSAKey.generate_key(bits, {"kid": kid} if kid else {})


@lru_cache
def ec_key(kid: str | None = "ec-1", curve: str = "P-256") -> ECKey:
    return ECKey.generate_key(curve, {"kid": kid} if kid else {})


@lru_cache
def ed_key(kid: str | None = "ed-1") -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": kid} if kid else {})


def key_set(*keys: Key, **facts: Any) -> dict[str, Any]:
    """Return what a provider publishes; *facts* are added to each key."""
    return {"keys": [{**key.as_dict(private=False), **facts} for key in keys]}


def signed(claims: Any, key: Key | None = None, algorithm: str = "RS256", **header: Any) -> str:
    """Return a token; a header that is None is left out."""
    key = key or rsa_key()
    whole = {"alg": algorithm, "typ": "JWT", "kid": key.kid, **header}
    registry = jws.JWSRegistry(algorithms=[algorithm], strict_check_header=False)
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return jws.serialize_compact({k: v for k, v in whole.items() if v is not None}, payload, key, registry=registry)


def signed_padded(claims: dict[str, Any], key: ECKey, **header: Any) -> str:
    """Return a token whose parts end in `=`, as AWS's load balancers sign it."""
    parts = [_padded(json.dumps(one).encode()) for one in ({"alg": "ES256", "kid": key.kid, **header}, claims)]
    algorithm = jws.JWSRegistry.algorithms["ES256"]
    return ".".join([*parts, _padded(algorithm.sign(".".join(parts).encode(), key))])


def part(given: Any) -> str:
    """Return *given* as one part of a token."""
    return _padded(json.dumps(given).encode()).rstrip("=")


def _padded(given: bytes) -> str:
    return base64.urlsafe_b64encode(given).decode()


class FakeFetcher:
    """Answers GETs from *answers*, by URL; what is an exception is raised. *asked* has all URLs."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers, self.asked = answers, list[str]()

    def get_json(self, url: str, headers: Any = None) -> Any:
        self.asked.append(url)
        answer = self.answers.get(url, FetchError(f"{url} is not there."))
        if isinstance(answer, Exception):
            raise answer
        return answer
