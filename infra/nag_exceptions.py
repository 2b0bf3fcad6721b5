"""Why a rule of cdk-nag does not hold somewhere: written where the resource is. The tests run cdk-nag; a deployment does not."""

from collections.abc import Mapping

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct

WILDCARDS_METADATA = "hubless:wildcards"


def acknowledge(scope: IConstruct, reasons: Mapping[str, str]) -> None:
    """Note the *reasons*, by rule (or by rule and finding), why rules do not hold for what is within *scope*."""
    Validations.of(scope).acknowledge(*(Acknowledgment(id=rule, reason=reason) for rule, reason in reasons.items()))


def acknowledge_wildcards(scope: IConstruct, reasons: Mapping[str, str]) -> None:
    """Note why rights within *scope* name what they do by a pattern: for each a regular expression of cdk-nag's finding.

    cdk-nag knows its findings by their exact texts, in which names of exports stand that only a synth makes.
    """
    scope.node.add_metadata(WILDCARDS_METADATA, dict(reasons))
