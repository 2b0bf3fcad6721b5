"""Why a rule of cdk-nag does not hold somewhere: written where the resource is. The tests run cdk-nag; a deployment does not."""

from collections.abc import Mapping

from aws_cdk import Acknowledgment, Validations
from constructs import IConstruct


def reasoned(scope: IConstruct, reasons: Mapping[str, str]) -> None:
    """Note the *reasons*, by rule, why rules do not hold for what is within *scope*."""
    Validations.of(scope).acknowledge(*(Acknowledgment(id=rule, reason=reason) for rule, reason in reasons.items()))
