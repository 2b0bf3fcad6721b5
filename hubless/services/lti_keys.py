"""The hub's keys as an LTI tool: made at the first use, kept sealed in the store, and replaced on request."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from hubless.domain.errors import StoreConflictError
from hubless.domain.lti_keys import ToolKey, rotated, signing_key
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.lti import LtiStore, SealedKeys
from hubless.ports.lti_signing import KeySealer, ToolSigner


@value
class LtiKeys:
    """Signs what the hub sends to an LMS. All processes of a hub share the keys."""

    store: LtiStore
    signer: ToolSigner
    sealer: KeySealer
    clock: Clock

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return *claims* as a signed token."""
        return self.signer.sign(claims, signing_key(self._all(), self.clock.now()))

    def key_set(self) -> dict[str, Any]:
        """Return the public keys, with which an LMS checks what the hub signs."""
        return self.signer.key_set(self._all())

    def rotate(self, *, discard: bool = False) -> ToolKey:
        """Make and return a new key, which signs from tomorrow on; until then it is only published.

        Args:
            discard: whether the old keys end at once, because they are lost or others have them. The new one then signs
                at once, and an LMS may refuse it until it reads the key set again.

        Raises:
            StoreConflictError: when another request replaced the keys meanwhile.
            StoreUnavailableError: when the hub cannot open the old keys, and they are not discarded.
        """
        before, now = self.store.keys(), self.clock.now()
        known = self.sealer.open(before.sealed) if before is not None and not discard else ()
        new = self.signer.generate(now)
        revision = before.revision + 1 if before is not None else 1
        self.store.replace_keys(before, SealedKeys(self.sealer.seal(rotated(known, new, now)), revision))
        return new

    def _all(self) -> tuple[ToolKey, ...]:
        if (kept := self.store.keys()) is None:
            with suppress(StoreConflictError):  # another process has made the first key meanwhile
                self.rotate()
            kept = self.store.keys()
            assert kept is not None  # noqa: S101 nobody removes keys
        return self.sealer.open(kept.sealed)
