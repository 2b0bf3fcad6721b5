"""An authenticator in software: it makes passkeys (ES256, no attestation) and answers as browsers send it."""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PRESENT, VERIFIED, BACKUP_ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40


def encoded(data):
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text):
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Authenticator:
    """Holds passkeys. *origin* is that of the page that asks; keyword arguments make answers wrong."""

    def __init__(self, origin, *, counts=True):
        self.origin, self.counts = origin, counts
        self.keys = {}  # by credential id: the private key, the user handle and the count

    def create(self, options, **wrong):
        """Return the answer to the options of a registration."""
        asked = json.loads(options) if isinstance(options, str) else options
        key, credential_id = (
            ec.generate_private_key(ec.SECP256R1()),
            wrong.pop("credential_id", secrets.token_bytes(16)),
        )
        self.keys[encoded(credential_id)] = [key, asked["user"]["id"], 0]
        numbers = key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32), -3: numbers.y.to_bytes(32)}
        attested = bytes(16) + len(credential_id).to_bytes(2) + credential_id + cbor2.dumps(public)
        data = self._data(asked["rp"]["id"], ATTESTED, 0, wrong) + attested
        attestation = {"fmt": "none", "attStmt": {}, "authData": data}
        return self._answer(
            credential_id,
            {
                "clientDataJSON": self._said("webauthn.create", asked["challenge"], wrong),
                "attestationObject": encoded(cbor2.dumps(attestation)),
            },
        )

    def get(self, options, *, credential_id=None, **wrong):
        """Return the answer to the options of a login, with the newest passkey unless another is named."""
        asked = json.loads(options) if isinstance(options, str) else options
        credential_id = credential_id or list(self.keys)[-1]
        held = self.keys[credential_id]
        held[2] = wrong.pop("count", held[2] + 1 if self.counts else 0)
        data = self._data(asked["rpId"], 0, held[2], wrong)
        said = self._said("webauthn.get", asked["challenge"], wrong)
        signed = data + hashlib.sha256(decoded(said)).digest()
        key = wrong.get("key", held[0])
        return self._answer(
            decoded(credential_id),
            {
                "clientDataJSON": said,
                "authenticatorData": encoded(data),
                "signature": encoded(key.sign(signed, ec.ECDSA(hashes.SHA256()))),
                "userHandle": wrong.get("user_handle", held[1]),
            },
        )

    def _said(self, kind, challenge, wrong):
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return encoded(json.dumps(said | wrong.get("said", {})).encode())

    @staticmethod
    def _data(rp_id, more, count, wrong):
        flags = wrong.get("flags", PRESENT | VERIFIED | BACKUP_ELIGIBLE | BACKED_UP) | more
        rp_id = wrong.get("rp_id", rp_id)
        return hashlib.sha256(rp_id.encode()).digest() + bytes([flags]) + count.to_bytes(4)

    @staticmethod
    def _answer(credential_id, response):
        named = encoded(credential_id)
        return json.dumps({"id": named, "rawId": named, "type": "public-key", "response": response})
