"""Ceremonies of passkeys, by py_webauthn."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hubless.domain.errors import InvalidRequestError
from hubless.ports.second_factors import NewPasskey, PasskeyAnswer, RelyingParty

MAX_CREDENTIAL_ID = 1023  # bytes (Web Authentication 7.1, step 25)
_TIMEOUT = 5 * 60 * 1000  # milliseconds in which a browser asks (Web Authentication 15.1)
_NOT_OURS = "The answer of the passkey is not valid. Try again"


class WebauthnCeremonies:
    """Demands what the library leaves to its callers: discoverable passkeys, and verified users."""

    def creation_options(
        self, party: RelyingParty, *, user_handle: bytes, user_name: str, challenge: bytes, known: tuple[str, ...]
    ) -> str:
        from webauthn import generate_registration_options, options_to_json  # noqa: PLC0415 90 ms, few requests
        from webauthn.helpers.structs import (  # noqa: PLC0415 see above
            AttestationConveyancePreference,
            AuthenticatorSelectionCriteria,
            ResidentKeyRequirement,
            UserVerificationRequirement,
        )

        options = generate_registration_options(
            rp_id=party.id,
            rp_name=party.name,
            user_id=user_handle,
            user_name=user_name,
            challenge=challenge,
            timeout=_TIMEOUT,
            attestation=AttestationConveyancePreference.NONE,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED,
                user_verification=UserVerificationRequirement.REQUIRED,
            ),
            exclude_credentials=_descriptors(known),
        )
        return options_to_json(options)

    def request_options(self, party: RelyingParty, challenge: bytes, allowed: tuple[str, ...] = ()) -> str:
        # Each login page has them, so they are made without the library, which takes 90 ms to load.
        return json.dumps(
            {
                "challenge": base64.urlsafe_b64encode(challenge).decode().rstrip("="),
                "timeout": _TIMEOUT,
                "rpId": party.id,
                "allowCredentials": [{"type": "public-key", "id": one} for one in allowed],
                "userVerification": "required",
            }
        )

    def read(self, answer: str) -> PasskeyAnswer:
        from webauthn.helpers import base64url_to_bytes, bytes_to_base64url  # noqa: PLC0415 see above

        try:
            sent: Any = json.loads(answer)
            response = sent["response"]
            said: Any = json.loads(base64url_to_bytes(response["clientDataJSON"]))
            raw_id = base64url_to_bytes(sent["rawId"])
            handle = response.get("userHandle")
            read = PasskeyAnswer(
                bytes_to_base64url(raw_id),
                base64url_to_bytes(said["challenge"]),
                None if handle is None else base64url_to_bytes(handle),
                answer,
            )
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as wrong:
            raise InvalidRequestError(_NOT_OURS) from wrong
        if not 0 < len(raw_id) <= MAX_CREDENTIAL_ID:
            raise InvalidRequestError(_NOT_OURS)
        # A page within a page of another site may ask for a passkey: its user does not see whose page it is.
        if said.get("crossOrigin") or said.get("topOrigin") is not None:
            raise InvalidRequestError(
                "A page within another page asked for the passkey. Open the hub in a tab of its own"
            )
        return read

    def registered(self, party: RelyingParty, answer: PasskeyAnswer) -> NewPasskey:
        from webauthn import verify_registration_response  # noqa: PLC0415 see above
        from webauthn.helpers import bytes_to_base64url  # noqa: PLC0415 see above

        with _refusals():
            verified = verify_registration_response(
                credential=answer.text,
                expected_challenge=answer.challenge,
                expected_rp_id=party.id,
                expected_origin=party.origin,
                require_user_verification=True,
            )
        made = bytes_to_base64url(verified.credential_id)
        if made != answer.credential_id:
            raise InvalidRequestError(_NOT_OURS)
        return NewPasskey(made, verified.credential_public_key, verified.sign_count)

    def used(self, party: RelyingParty, answer: PasskeyAnswer, *, public_key: bytes, sign_count: int) -> int:
        from webauthn import verify_authentication_response  # noqa: PLC0415 see above

        with _refusals():
            verified = verify_authentication_response(
                credential=answer.text,
                expected_challenge=answer.challenge,
                expected_rp_id=party.id,
                expected_origin=party.origin,
                credential_public_key=public_key,
                credential_current_sign_count=sign_count,
                require_user_verification=True,
            )
        return verified.new_sign_count


def _descriptors(ids: tuple[str, ...]) -> Any:
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415 see above
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor  # noqa: PLC0415 see above

    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(one)) for one in ids]


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what the library raises about an answer, which anybody can send, into one error of ours."""
    try:
        yield
    except Exception as error:  # of CBOR, ASN.1, JSON and the library: each means that the answer is wrong
        raise InvalidRequestError(_NOT_OURS) from error
