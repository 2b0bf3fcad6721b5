"""Why a rule of cdk-nag does not hold somewhere: written where the resource is, and checked by the tests' run of cdk-nag.

A reason is metadata of the resource; a deployment needs no cdk-nag.
"""

from collections.abc import Mapping

from aws_cdk import CfnResource
from constructs import IConstruct


def reasoned(scope: IConstruct, reasons: Mapping[str, str]) -> None:
    """Note the *reasons*, by rule, why rules do not hold for the resources within *scope*.

    A rule may be followed by the finding in brackets, where it finds several things.
    """
    for resource in _resources(scope):
        metadata = dict(resource.cfn_options.metadata or {})
        nag = dict(metadata.get("cdk_nag") or {})
        known = list(nag.get("rules_to_suppress") or ())
        for rule, reason in reasons.items():
            name, _, finding = rule.partition("[")
            known.append({"id": name, "reason": reason} | ({"applies_to": [finding.removesuffix("]")]} if finding else {}))
        resource.add_metadata("cdk_nag", {**nag, "rules_to_suppress": known})


def _resources(scope: IConstruct) -> list[CfnResource]:
    return [node for node in scope.node.find_all() if CfnResource.is_cfn_resource(node)]


