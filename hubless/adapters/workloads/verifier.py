"""Chooses how to verify a workload's proof."""

from hubless.domain.errors import LoginRefusedError
from hubless.domain.workloads import Workload
from hubless.ports.workloads import AWS_SIGV4, ID_TOKEN, JWT, WorkloadVerifier


class EveryWorkloadVerifier:
    """Verifies proofs of every type that rules are about; None for a type about which there is no rule."""

    def __init__(self, tokens: WorkloadVerifier | None, aws: WorkloadVerifier | None) -> None:
        self._verifiers = {JWT: tokens, ID_TOKEN: tokens, AWS_SIGV4: aws}

    def verify(self, proof: str, proof_type: str) -> Workload:
        """Verify the proof, as `WorkloadVerifier` promises."""
        verifier = self._verifiers.get(proof_type)
        if verifier is None:
            raise LoginRefusedError("No rule of this hub is about proofs of this type.")
        return verifier.verify(proof, proof_type)
