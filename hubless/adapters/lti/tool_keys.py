"""The hub's keys as an LTI tool, on joserfc."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from hubless.domain.lti_keys import ToolKey

_BITS = 2048
_ALGORITHM = "RS256"  # the one that LTI names (1EdTech Security Framework 5.1.2)


class JoseToolSigner:
    """Makes RSA keys and signs with them."""

    def generate(self, now: datetime) -> ToolKey:
        from joserfc.jwk import RSAKey  # noqa: PLC0415 few requests need a key

        key = RSAKey.generate_key(_BITS, private=True)
        return ToolKey(key.thumbprint(), now, dict(key.as_dict(private=True)))

    def sign(self, claims: Mapping[str, Any], key: ToolKey) -> str:
        from joserfc import jwt  # noqa: PLC0415 few requests sign
        from joserfc.jwk import RSAKey  # noqa: PLC0415 few requests sign

        header = {"alg": _ALGORITHM, "kid": key.id, "typ": "JWT"}
        return jwt.encode(header, dict(claims), RSAKey.import_key(dict(key.jwk)))

    def key_set(self, keys: Sequence[ToolKey]) -> dict[str, Any]:
        return {
            "keys": [
                {"kty": "RSA", "use": "sig", "alg": _ALGORITHM, "kid": key.id, "n": key.jwk["n"], "e": key.jwk["e"]}
                for key in keys
            ]
        }
