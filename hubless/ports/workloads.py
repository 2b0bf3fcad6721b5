"""Verifiers of workloads: they tell from a proof which program sent it."""

from typing import Final, Protocol

from hubless.domain.workloads import Workload

JWT: Final = "urn:ietf:params:oauth:token-type:jwt"  # RFC 8693 3
ID_TOKEN: Final = "urn:ietf:params:oauth:token-type:id_token"  # noqa: S105 a type, RFC 8693 3
AWS_SIGV4: Final = "urn:hubless:params:oauth:token-type:aws-sigv4"


class WorkloadVerifier(Protocol):
    """Verifies proofs. A call may wait for the platform, so it belongs in a thread."""

    def verify(self, proof: str, proof_type: str) -> Workload:
        """Return the workload that *proof* is about; whether it was shown before is the caller's to check.

        Args:
            proof: a signed token, or, as `AWS_SIGV4`, the signed headers of a request (docs/login-workloads.md).
            proof_type: `JWT`, `ID_TOKEN` or `AWS_SIGV4`.

        Raises:
            LoginRefusedError: when it proves nothing; the message says why.
            ProviderUnavailableError: when the platform's keys or its answer cannot be had.
        """
        ...
