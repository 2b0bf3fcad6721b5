"""The stack `state`: the table, the secrets, the bucket of launches and the bucket of access logs."""

from typing import Any

from aws_cdk import Duration, ReferenceStrength, RemovalPolicy
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from hubless.settings.stage import CERTIFICATES_REGION, OWN_KEY, Stage
from infra.kms_key import key_policy
from infra.nag_exceptions import acknowledge
from infra.stacks.base import HubStack

STRING, NUMBER = dynamodb.AttributeType.STRING, dynamodb.AttributeType.NUMBER
KEY_LENGTH, FRONT_LENGTH = 64, 48  # characters


class StateStack(HubStack):
    """The data of the hub. `cdk destroy` keeps it if the stage has `keep_data`."""

    def __init__(self, scope: Construct, stage: Stage, **more: Any) -> None:
        super().__init__(
            scope,
            "state",
            stage,
            is_protected=stage.settings.keep_data,
            description="hubless: what the hub remembers",
            **more,
        )
        self.key_id = ""  # Fargate takes no ARN
        self.key = self._key()
        self.table = self._table()
        self.secrets = self._secret("Secrets", "Keys and tokens of the hub, as JSON", key="key", length=KEY_LENGTH)
        self.front = self._secret(
            "Front",
            "What only CloudFront says to the API: now, and next while it is changed",
            key="now",
            length=FRONT_LENGTH,
        )
        self.logs = self._logs()
        self.launches = self._launches()
        self.add_output(
            "Secrets", self.secrets.secret_name, "Add the secrets here that hubless.toml reads from the environment"
        )
        self.add_output("Table", self.table.table_name, "The hub's state")

    def _key(self) -> kms.IKey | None:
        """Return the key of all that the stage stores. None: each service uses a key of AWS's.

        It is known by its ARN alone, so that no construct adds to its policy, which infra/kms_key.py has in full.
        """
        given = self.stage.settings.kms_key
        if not given:
            return None
        if given != OWN_KEY:
            self.key_id = given.rpartition("/")[2]
            return kms.Key.from_key_arn(self, "Key", given)
        made = kms.Key(
            self,
            "OwnKey",
            description=f"{self.stage.hub}: all that the hub stores",
            enable_key_rotation=True,
            policy=key_policy(self, self.stage.hub),
            removal_policy=self.data_removal_policy,
        )
        self.key_id = made.key_id
        self.add_output("Key", made.key_arn, "The key of what the hub stores")
        return kms.Key.from_key_arn(self, "Key", made.key_arn)

    def _table(self) -> dynamodb.Table:
        table = dynamodb.Table(
            self,
            "Table",
            partition_key=dynamodb.Attribute(name="pk", type=STRING),
            sort_key=dynamodb.Attribute(name="sk", type=STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            # DynamoDB's own key costs no calls of KMS.
            encryption=dynamodb.TableEncryption.CUSTOMER_MANAGED if self.key else dynamodb.TableEncryption.DEFAULT,
            encryption_key=self.key,
            point_in_time_recovery_specification=dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True
            ),
            time_to_live_attribute="ttl",
            deletion_protection=self.stage.settings.keep_data,
            removal_policy=self.data_removal_policy,
        )
        table.add_global_secondary_index(
            index_name="activity",
            partition_key=dynamodb.Attribute(name="activity", type=STRING),
            sort_key=dynamodb.Attribute(name="pk", type=STRING),
        )
        table.add_global_secondary_index(
            index_name="expiry",
            partition_key=dynamodb.Attribute(name="expiry", type=STRING),
            sort_key=dynamodb.Attribute(name="expires_at", type=NUMBER),
            projection_type=dynamodb.ProjectionType.KEYS_ONLY,
        )
        return table

    def _secret(self, name: str, meaning: str, *, key: str, length: int) -> secretsmanager.Secret:
        generated = secretsmanager.SecretStringGenerator(
            exclude_punctuation=True,
            password_length=length,
            generate_string_key=key,
            secret_string_template="{}",  # noqa: S106 what it is generated into
        )
        secret = secretsmanager.Secret(
            self,
            name,
            description=meaning,
            generate_secret_string=generated,
            encryption_key=self.key,
            removal_policy=self.data_removal_policy,
        )
        # Users of the secret split its name out of its ARN, which CloudFormation cannot do with a weak reference.
        secret.apply_cross_stack_reference_strength(ReferenceStrength.STRONG)
        acknowledge(
            secret,
            {"AwsSolutions-SMG4": "Operators rotate it: a new key ends the tokens of all launches (docs/deploy.md)"},
        )
        return secret

    def _bucket_encryption(self) -> dict[str, Any]:
        """Return how a bucket is encrypted. A bucket key makes few calls of KMS serve many objects."""
        if self.key is None:
            return {"encryption": s3.BucketEncryption.S3_MANAGED}
        return {
            "encryption": s3.BucketEncryption.KMS,
            "encryption_key": self.key,
            "bucket_key_enabled": True,
        }

    def _logs(self) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            "Logs",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            **self._bucket_encryption(),
            enforce_ssl=True,
            lifecycle_rules=[s3.LifecycleRule(expiration=Duration.days(self.stage.settings.log_days))],
            removal_policy=self.data_removal_policy,
            auto_delete_objects=not self.stage.settings.keep_data,
        )
        acknowledge(bucket, {"AwsSolutions-S1": "It is the bucket of access logs"})
        if self.stage.settings.access_logs:
            bucket.add_to_resource_policy(
                iam.PolicyStatement(
                    sid="CloudFrontsAccessLog",
                    principals=[iam.ServicePrincipal("delivery.logs.amazonaws.com")],
                    actions=["s3:PutObject"],
                    resources=[bucket.arn_for_objects(f"AWSLogs/{self.account}/*")],
                    conditions={
                        "StringEquals": {
                            "s3:x-amz-acl": "bucket-owner-full-control",
                            "aws:SourceAccount": self.account,
                        },
                        # The deliveries belong to us-east-1, wherever the bucket is.
                        "ArnLike": {
                            "aws:SourceArn": f"arn:{self.partition}:logs:{CERTIFICATES_REGION}:{self.account}:*"
                        },
                    },
                )
            )
        return bucket

    def _launches(self) -> s3.Bucket:
        """Return the bucket that holds the variables of a launch while it runs (ADR 10)."""
        bucket = s3.Bucket(
            self,
            "Launches",
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            **self._bucket_encryption(),
            enforce_ssl=True,
            # No versions, so that deleted secrets are gone. Objects in `definitions/` live longer.
            lifecycle_rules=[s3.LifecycleRule(prefix="launches/", expiration=Duration.days(1))],
            removal_policy=RemovalPolicy.DESTROY,
            auto_delete_objects=True,
        )
        acknowledge(
            bucket,
            {"AwsSolutions-S1": "Only the hub's functions and ECS read it; logs would cost more than they show"},
        )
        return bucket
