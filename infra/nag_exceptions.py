"""Exceptions from rules of cdk-nag, each next to its resource with a reason. Tests run cdk-nag, deployments do not."""

from collections.abc import Mapping

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct

WILDCARDS_METADATA = "hubless:wildcards"


def acknowledge(scope: IConstruct, reasons: Mapping[str, str]) -> None:
    """Acknowledge findings within *scope*. *reasons* are by rule, or by rule and finding."""
    Validations.of(scope).acknowledge(*(Acknowledgment(id=rule, reason=reason) for rule, reason in reasons.items()))


def acknowledge_wildcards(scope: IConstruct, reasons: Mapping[str, str]) -> None:
    """Acknowledge wildcards in IAM policies within *scope*. *reasons* are by regular expressions of findings.

    cdk-nag identifies a finding by its exact text, which holds names of exports that exist only after a synth.
    """
    scope.node.add_metadata(WILDCARDS_METADATA, dict(reasons))
