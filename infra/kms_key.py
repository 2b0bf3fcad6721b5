"""The stage's own KMS key: who may use it. Roles get their permissions from IAM, services of AWS from the key's policy.

Sources: the chapters on encryption of each service's documentation (CloudWatch Logs, vended logs to S3, CloudWatch
alarms to SNS, EventBridge to SQS, Fargate's ephemeral storage), read in November 2026.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms

from hubless.settings.stage import CERTIFICATES_REGION

# What DynamoDB, SQS and S3 ask KMS for in the name of a caller that reads and writes.
READ_WRITE = ("Decrypt", "DescribeKey", "Encrypt", "GenerateDataKey", "ReEncryptFrom", "ReEncryptTo")
_READ_WRITE_ALL = ("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*")


def key_policy(stack: Stack, hub: str) -> iam.PolicyDocument:
    """Return the policy of the key of *hub*: the account's IAM decides, and five services may use it for this hub."""
    account, ours = stack.account, {"aws:SourceAccount": stack.account}
    logs = f"arn:{stack.partition}:logs"
    document = iam.PolicyDocument()
    document.add_statements(
        iam.PolicyStatement(
            sid="AccountDecides", principals=[iam.AccountRootPrincipal()], actions=["kms:*"], resources=["*"]
        ),
        _service(
            "Logs",
            f"logs.{stack.region}.amazonaws.com",
            _READ_WRITE_ALL,
            {"ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"{logs}:{stack.region}:{account}:log-group:{hub}-*"}},
        ),
        _service(
            "LogDelivery",
            "delivery.logs.amazonaws.com",
            _READ_WRITE_ALL,
            {
                "StringEquals": ours,
                "ArnLike": {
                    # CloudFront's deliveries belong to us-east-1, wherever the bucket is.
                    "aws:SourceArn": [
                        f"{logs}:{region}:{account}:*" for region in dict.fromkeys((stack.region, CERTIFICATES_REGION))
                    ]
                },
            },
        ),
        _service("Alarms", "cloudwatch.amazonaws.com", ("kms:Decrypt", "kms:GenerateDataKey*"), {"StringEquals": ours}),
        _service("DeadEvents", "events.amazonaws.com", ("kms:Decrypt", "kms:GenerateDataKey*"), {"StringEquals": ours}),
        *_fargate(account, hub),
    )
    return document


def use_of_key(stack: Stack, key: kms.IKey | None, actions: Sequence[str], *services: str) -> list[iam.PolicyStatement]:
    """Return the permission for *actions* with *key*, through *services* only. Nothing if the stage has no key."""
    if key is None:
        return []
    return [
        iam.PolicyStatement(
            actions=[f"kms:{action}" for action in actions],
            resources=[key.key_arn],
            conditions={
                "StringEquals": {"kms:ViaService": [f"{one}.{stack.region}.amazonaws.com" for one in services]}
            },
        )
    ]


def grant_for_volume(stack: Stack, key: kms.IKey | None) -> list[iam.PolicyStatement]:
    """Return the permission that who starts an instance needs, so that EC2 can open its encrypted volume."""
    if key is None:
        return []
    return [
        *use_of_key(stack, key, ("Decrypt", "DescribeKey"), "ec2"),
        iam.PolicyStatement(
            actions=["kms:CreateGrant"],
            resources=[key.key_arn],
            conditions={
                "Bool": {"kms:GrantIsForAWSResource": "true"},
                "StringEquals": {"kms:ViaService": f"ec2.{stack.region}.amazonaws.com"},
            },
        ),
    ]


def _fargate(account: str, hub: str) -> Iterable[iam.PolicyStatement]:
    """Return what Fargate needs to encrypt the disks of servers and edges in the hub's cluster."""
    cluster = {
        "StringEquals": {"kms:EncryptionContext:aws:ecs:clusterAccount": account},
        "StringLike": {"kms:EncryptionContext:aws:ecs:clusterName": f"{hub}-cluster-*"},
    }
    yield _service("ServersDisks", "fargate.amazonaws.com", ("kms:GenerateDataKeyWithoutPlaintext",), cluster)
    yield _service(
        "ServersDisksGrants",
        "fargate.amazonaws.com",
        ("kms:CreateGrant",),
        cluster | {"ForAllValues:StringEquals": {"kms:GrantOperations": ["Decrypt"]}},
    )


def _service(
    sid: str, service: str, actions: Sequence[str], conditions: Mapping[str, Mapping[str, Any]]
) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=sid,
        principals=[iam.ServicePrincipal(service)],
        actions=list(actions),
        resources=["*"],  # in a key's policy: this key
        conditions=conditions,
    )
