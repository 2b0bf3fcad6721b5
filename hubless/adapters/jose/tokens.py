"""Validation of signed tokens (RFC 7519) as RFC 8725 asks: nothing is taken for granted that was not checked.

joserfc verifies signatures and nothing else; all rules about claims are here.
"""

import hmac
import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from hubless.adapters.jose.key_sets import KeySource

if TYPE_CHECKING:
    from joserfc.jwk import Key

# Of those of RFC 7518 and RFC 8037: no `none`, and no HS256, under which a public key would be the secret.
ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512"),
    *("EdDSA", "Ed25519"),
)
LEEWAY: Final = timedelta(seconds=60)
MAX_TOKEN: Final = 65_536  # characters; a person's groups may be many
MAX_HEADER: Final = 8_192  # characters; certificates may be in it
_MAX_TRIED = 4  # keys, for a token that does not name one
_PARTS = 3
# What a key of each type signs with.
_TYPES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


class TokenRefusedError(Exception):
    """Raised when a token does not prove what it says. The message is a sentence that says why; it has no secret."""


def validate(
    token: str,
    *,
    keys: KeySource,
    algorithms: Collection[str] = ALGORITHMS,
    issuer: str | None,
    audience: str | Collection[str] | None,
    now: datetime,
    leeway: timedelta = LEEWAY,
    essential: Collection[str] = ("exp", "iat"),
    nonce: str | None = None,
    authorized_party: str | None = None,
    max_age: timedelta | None = None,
    types: Collection[str] | None = None,
    padded: bool = False,
) -> dict[str, Any]:
    """Return the claims of *token* if everything about it is right.

    Args:
        token: in compact form.
        keys: of the signer.
        algorithms: those that the signer may use; only those in `ALGORITHMS` count.
        issuer: what `iss` must be exactly; None leaves it to the caller.
        audience: what `aud` must have, or one of several; None leaves it to the caller.
        now: the time.
        leeway: how far the signer's clock may be from ours.
        essential: claims that must be there, beside `iss` and `aud` if they are checked.
        nonce: what `nonce` must be exactly.
        authorized_party: the client's id, which `azp` must be, if it is there or *audience* is one of several (OpenID
            Connect Core 3.1.3.7).
        max_age: how long ago `iat` may be.
        types: what the header's `typ` may be, without `application/` and in lower case; None for any.
        padded: whether the parts end in `=`, against RFC 7515, as those of AWS's load balancers do.

    Raises:
        TokenRefusedError: saying what is wrong.
        FetchError: when the signer's keys are not there to be had.
    """
    header, claims = _verified(token, keys, frozenset(algorithms) & frozenset(ALGORITHMS), padded=padded)
    _check_type(header, types)
    _check_presence(claims, [*essential, *["iss"] * (issuer is not None), *["aud"] * (audience is not None)])
    _check_times(claims, now, leeway, max_age)
    if issuer is not None and claims["iss"] != issuer:
        raise TokenRefusedError("The token is of another issuer than expected.")
    _check_audience(claims, audience, authorized_party)
    if nonce is not None and not _is_same(claims.get("nonce"), nonce):
        raise TokenRefusedError("The token was made for another login: its nonce is a different one.")
    return claims


def header_of(token: str, *, padded: bool = False) -> dict[str, Any]:
    """Return the header of *token*, which nobody has verified.

    Raises:
        TokenRefusedError: when it is no token in compact form.
    """
    return _json_of(_parts_of(token)[0], "header", padded=padded)


def unverified_claims_of(token: str, *, padded: bool = False) -> dict[str, Any]:
    """Return the claims of *token*, which nobody has verified: good for choosing the signer to verify it by.

    Raises:
        TokenRefusedError: when it is no token in compact form.
    """
    return _json_of(_parts_of(token)[1], "body", padded=padded)


def _parts_of(token: str) -> list[str]:
    if len(token) > MAX_TOKEN:
        raise TokenRefusedError(f"The token has more than {MAX_TOKEN} characters.")
    parts = token.split(".")
    if len(parts) != _PARTS or not all(parts) or len(parts[0]) > MAX_HEADER or not token.isascii():
        raise TokenRefusedError("This is no signed token: it needs a header, a body and a signature.")
    return parts


def _json_of(part: str, name: str, *, padded: bool) -> dict[str, Any]:
    try:
        found = json.loads(_decoded(part, padded=padded))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise TokenRefusedError(f"The token's {name} is no JSON object.")
    return found


def _decoded(part: str, *, padded: bool) -> bytes:
    from joserfc.util import urlsafe_b64decode  # noqa: PLC0415 few requests check signatures

    return urlsafe_b64decode((part.rstrip("=") if padded else part).encode())


def _verified(
    token: str, keys: KeySource, algorithms: Collection[str], *, padded: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of *token*, whose signature is good."""
    parts = _parts_of(token)
    header = _json_of(parts[0], "header", padded=padded)
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise TokenRefusedError(f"The token is signed with {_shown(algorithm)}, which is not accepted.")
    if "crit" in header or "b64" in header:
        raise TokenRefusedError("The token's header asks for extensions, and none are accepted.")
    if kid is not None and not isinstance(kid, str):
        raise TokenRefusedError("The token's header names its key by something that is no text.")
    claims = _json_of(parts[1], "body", padded=padded)
    known = keys.find(kid)
    if not known:
        raise TokenRefusedError("The token is signed with a key that its issuer does not publish.")
    for again in False, True:
        found = keys.find(kid, again=True) if again else known
        if _is_signed(parts, header, _fitting(found, algorithm), padded=padded):
            return header, claims
    raise TokenRefusedError("The token's signature is wrong.")


def _fitting(keys: "Collection[Key]", algorithm: str) -> "list[Key]":
    """Return the keys that may sign with *algorithm*; at most a few are ever tried."""
    wanted = _TYPES[algorithm[:2]]
    fitting = [key for key in keys if key.key_type == wanted and key.alg in {None, algorithm}]
    return fitting[:_MAX_TRIED]


def _is_signed(parts: list[str], header: dict[str, Any], keys: "Collection[Key]", *, padded: bool) -> bool:
    from joserfc.errors import JoseError  # noqa: PLC0415 few requests check signatures
    from joserfc.jws import CompactSignature, JWSRegistry, validate_compact  # noqa: PLC0415 few requests check signatures

    algorithm = "Ed25519" if header["alg"] == "EdDSA" else header["alg"]  # RFC 9864; Ed448 is not in `ALGORITHMS`
    registry = JWSRegistry(algorithms=[algorithm])
    signature = CompactSignature({"alg": algorithm}, b"")
    signature.segments = {
        "header": parts[0].encode(),
        "payload": parts[1].encode(),
        "signature": (parts[2].rstrip("=") if padded else parts[2]).encode(),
    }
    for key in keys:
        try:
            if validate_compact(signature, key, registry=registry):
                return True
        except (JoseError, ValueError, TypeError):
            continue  # a key of another curve, say
    return False


def _check_type(header: Mapping[str, Any], types: Collection[str] | None) -> None:
    if types is None:
        return
    given = header.get("typ")
    if not isinstance(given, str) or given.lower().removeprefix("application/") not in types:
        raise TokenRefusedError(f"The token's type is {_shown(given)}, which is not accepted here.")


def _check_presence(claims: Mapping[str, Any], essential: Collection[str]) -> None:
    missing = sorted({name for name in essential if claims.get(name) in (None, "", [])})
    if missing:
        raise TokenRefusedError(f"The token lacks {', '.join(missing)}.")


def _check_times(claims: Mapping[str, Any], now: datetime, leeway: timedelta, max_age: timedelta | None) -> None:
    expires_at, issued_at, begins_at = (_instant(claims, name) for name in ("exp", "iat", "nbf"))
    if expires_at is not None and now - leeway >= expires_at:
        raise TokenRefusedError("The token has expired. Check both clocks if it is new.")
    if issued_at is not None and issued_at > now + leeway:
        raise TokenRefusedError("The token is from the future. Check both clocks.")
    if begins_at is not None and begins_at > now + leeway:
        raise TokenRefusedError("The token is not valid yet. Check both clocks.")
    if max_age is not None and (issued_at is None or now - issued_at > max_age + leeway):
        raise TokenRefusedError("The token is too old.")


def _instant(claims: Mapping[str, Any], name: str) -> datetime | None:
    """Return the time in a claim; RFC 7519 allows fractions of seconds."""
    given = claims.get(name)
    if given is None:
        return None
    try:
        if isinstance(given, int | float) and not isinstance(given, bool):
            return datetime.fromtimestamp(given, UTC)
    except (ValueError, OverflowError, OSError):
        pass  # it is no number, or millions of years away
    raise TokenRefusedError(f"The token's {name} is no time.")


def _check_audience(
    claims: Mapping[str, Any], audience: str | Collection[str] | None, authorized_party: str | None
) -> None:
    given = claims.get("aud")
    meant = [given] if isinstance(given, str) else given if isinstance(given, list) else []
    if audience is not None:
        accepted = {audience} if isinstance(audience, str) else set(audience)
        if not any(isinstance(one, str) and one in accepted for one in meant):
            raise TokenRefusedError("The token is meant for somebody else: its audience is a different one.")
    if authorized_party is None:
        return
    party = claims.get("azp")
    if (len(meant) > 1 and party is None) or (party is not None and party != authorized_party):
        raise TokenRefusedError("The token was given to another client: its azp is a different one.")


def _is_same(given: Any, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode())


def _shown(given: Any) -> str:
    """Return a short text of what a token says, for a message."""
    return repr(given)[:40] if isinstance(given, str) else "nothing that is a text"
