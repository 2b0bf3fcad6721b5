"""The stack `account`: what AWS refuses to new accounts, tried before anything is made that stays."""

from typing import Any

from aws_cdk import aws_cloudfront as cloudfront
from constructs import Construct

from hubless.settings.stage import Stage
from infra.nag_exceptions import acknowledge
from infra.stacks.base import HubStack

NEVER_ASKED = "example.com"  # the distribution is disabled


class AccountStack(HubStack):
    """A disabled distribution, free of charge.

    Until AWS has verified an account, CloudFront refuses every distribution. No call tells whether it would.
    """

    def __init__(self, scope: Construct, stage: Stage, **more: Any) -> None:
        super().__init__(scope, "account", stage, description="hubless: tries what a new account may not do", **more)
        config = cloudfront.CfnDistribution
        tried = cloudfront.CfnDistribution(
            self,
            "Tried",
            distribution_config=config.DistributionConfigProperty(
                enabled=False,
                comment=f"{stage.hub}: disabled, shows that this account may have distributions",
                price_class="PriceClass_100",
                origins=[
                    config.OriginProperty(
                        id="none",
                        domain_name=NEVER_ASKED,
                        custom_origin_config=config.CustomOriginConfigProperty(
                            origin_protocol_policy="https-only", origin_ssl_protocols=["TLSv1.2"]
                        ),
                    )
                ],
                default_cache_behavior=config.DefaultCacheBehaviorProperty(
                    target_origin_id="none",
                    viewer_protocol_policy="https-only",
                    cache_policy_id=cloudfront.CachePolicy.CACHING_DISABLED.cache_policy_id,
                ),
            ),
        )
        nobody = "The distribution is disabled: it answers nobody"
        acknowledge(tried, {f"AwsSolutions-CFR{rule}": nobody for rule in (1, 2, 3, 4)})
