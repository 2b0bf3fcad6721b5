"""Verifies the signed tokens that platforms give to their workloads: GitHub Actions, Kubernetes, other issuers."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from hubless.adapters.jose.fetching import FetchError
from hubless.adapters.jose.key_sets import KeySource
from hubless.adapters.jose.tokens import LEEWAY, TokenRefusedError, unverified_claims_of, validate
from hubless.domain.errors import LoginRefusedError, ProviderUnavailableError
from hubless.domain.tokens import sha256
from hubless.domain.values import value
from hubless.domain.workloads import Workload
from hubless.ports.clock import Clock

MAX_SHOWN = 200  # characters of an issuer, in a message
MAX_SUBJECT = 1024  # characters
# A token that its platform made for the workload itself, a day ago or longer, is a leaked one: GitHub's live for 5
# minutes, those of Kubernetes for an hour, or for a day if a pod asks for that.
MAX_AGE = timedelta(days=1)


@value
class Issuer:
    """An issuer, its keys, and the audiences that rules name."""

    issuer: str
    keys: KeySource
    audiences: tuple[str, ...]


class SignedTokenVerifier:
    """Verifies the tokens of *issuers*, by their issuer."""

    def __init__(self, issuers: Mapping[str, Issuer], clock: Clock) -> None:
        self._issuers, self._clock = issuers, clock

    def verify(self, proof: str, _proof_type: str) -> Workload:
        """Verify a token, as `WorkloadVerifier` promises."""
        try:
            said = unverified_claims_of(proof).get("iss")
            issuer = self._issuers.get(said) if isinstance(said, str) else None
            if issuer is None:
                shown = repr(said)[:MAX_SHOWN] if isinstance(said, str) else "nobody"
                raise LoginRefusedError(f"No rule of this hub is about tokens of {shown}.")
            claims = validate(
                proof,
                keys=issuer.keys,
                issuer=issuer.issuer,
                audience=issuer.audiences,
                now=self._clock.now(),
                essential=("exp", "iat", "sub"),
                max_age=MAX_AGE,
            )
        except TokenRefusedError as refused:
            raise LoginRefusedError(str(refused)) from None
        except FetchError as failed:
            raise ProviderUnavailableError(str(failed)) from failed
        subject, token_id, audience = claims["sub"], claims.get("jti"), claims["aud"]
        if not isinstance(subject, str) or len(subject) > MAX_SUBJECT:
            raise LoginRefusedError(f"The token's sub is no text of at most {MAX_SUBJECT} characters.")
        return Workload(
            issuer=issuer.issuer,
            subject=subject,
            audiences=(audience,) if isinstance(audience, str) else tuple(filter(_is_text, audience)),
            claims=claims,
            proof_id=sha256(f"{issuer.issuer} {token_id}") if isinstance(token_id, str) and token_id else "",
            valid_until=_end_of(claims["exp"]),
        )


def _end_of(expires_at: float) -> datetime:
    try:
        return datetime.fromtimestamp(expires_at, UTC) + LEEWAY
    except OverflowError:
        raise LoginRefusedError(
            "The token is valid until the end of all years. Ask for one with a short life."
        ) from None


def _is_text(one: object) -> bool:
    return isinstance(one, str)
