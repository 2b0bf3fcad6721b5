"""The stack `certificates` in us-east-1: CloudFront takes certificates and web ACLs from this region alone."""

from typing import Any

from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_route53 as route53
from aws_cdk import aws_wafv2 as waf
from constructs import Construct

from hubless.settings.stage import CERTIFICATES_REGION, Stage
from infra.stacks.base import HubStack

# Pages at which strangers guess, sign up or have mails sent, and what their paths may be followed by.
LOGIN_PAGES = (
    "/hub/login",
    "/hub/sign-up",
    "/hub/set-password",
    "/hub/forgot-password",
    "/hub/second-factor",
    "/hub/passkey/login",
)
BEGINNINGS = ("/hub/oauth_login", "/hub/lti/login")  # each stores something, and strangers may ask
TOKEN_API = "/hub/api/oauth2/token"  # noqa: S105 a path
TOKEN_FACTOR = 10  # servers of many users may ask from one address
PASSWORD_API = ("/hub/api/users/", "/tokens")  # begin and end of the path at which a password gives a token
WINDOW_SECONDS = 300


class CertificatesStack(HubStack):
    """A certificate if the stage has a hosted zone, and a web ACL if it has `waf`."""

    def __init__(self, scope: Construct, stage: Stage, **more: Any) -> None:
        super().__init__(
            scope,
            "certificates",
            stage,
            region=CERTIFICATES_REGION,
            description="hubless: what CloudFront takes from us-east-1",
            **more,
        )
        self.certificate = self._certificate() if stage.settings.zone_id else None
        self.acl = self._acl() if stage.settings.waf else None

    @staticmethod
    def is_needed(stage: Stage) -> bool:
        """Return whether the stage needs this stack."""
        return bool(stage.settings.zone_id) or stage.settings.waf

    def _certificate(self) -> acm.Certificate:
        given = self.stage.settings
        return acm.Certificate(
            self,
            "Certificate",
            domain_name=given.domain,
            subject_alternative_names=[f"*.{given.domain}"] if self.stage.has_subdomains else None,
            validation=acm.CertificateValidation.from_dns(zone_of(self, self.stage)),
        )

    def _acl(self) -> waf.CfnWebACL:
        """Return the web ACL: a rate limit of logins for each address, and one of requests for tokens."""
        rate = self.stage.settings.waf_rate
        return waf.CfnWebACL(
            self,
            "Logins",
            scope="CLOUDFRONT",
            default_action=waf.CfnWebACL.DefaultActionProperty(allow={}),
            visibility_config=self._seen("logins"),
            rules=[
                self._rule(0, "logins", rate, _is_a_login()),
                self._rule(1, "tokens", rate * TOKEN_FACTOR, _all(_is_post(), _has("STARTS_WITH", TOKEN_API))),
            ],
        )

    def _rule(
        self, priority: int, name: str, limit: int, counted: waf.CfnWebACL.StatementProperty
    ) -> waf.CfnWebACL.RuleProperty:
        """Return the rule that one address may send *limit* such requests in five minutes."""
        counts = waf.CfnWebACL.RateBasedStatementProperty(
            aggregate_key_type="IP",
            limit=limit,
            evaluation_window_sec=WINDOW_SECONDS,
            scope_down_statement=counted,
        )
        return waf.CfnWebACL.RuleProperty(
            name=name,
            priority=priority,
            statement=waf.CfnWebACL.StatementProperty(rate_based_statement=counts),
            action=waf.CfnWebACL.RuleActionProperty(
                block=waf.CfnWebACL.BlockActionProperty(
                    custom_response=waf.CfnWebACL.CustomResponseProperty(response_code=429)
                )
            ),
            visibility_config=self._seen(name),
        )

    def _seen(self, name: str) -> waf.CfnWebACL.VisibilityConfigProperty:
        return waf.CfnWebACL.VisibilityConfigProperty(
            cloud_watch_metrics_enabled=True, metric_name=f"{self.stage.hub}-{name}", sampled_requests_enabled=False
        )


def _has(where: str, text: str) -> waf.CfnWebACL.StatementProperty:
    """Return the statement that *text* stands in the path: STARTS_WITH or ENDS_WITH it."""
    return waf.CfnWebACL.StatementProperty(
        byte_match_statement=waf.CfnWebACL.ByteMatchStatementProperty(
            field_to_match=waf.CfnWebACL.FieldToMatchProperty(uri_path={}),
            positional_constraint=where,
            search_string=text,
            # The hub decodes paths, so the rule must too.
            text_transformations=[waf.CfnWebACL.TextTransformationProperty(priority=0, type="URL_DECODE")],
        )
    )


def _is_post() -> waf.CfnWebACL.StatementProperty:
    return waf.CfnWebACL.StatementProperty(
        byte_match_statement=waf.CfnWebACL.ByteMatchStatementProperty(
            field_to_match=waf.CfnWebACL.FieldToMatchProperty(method={}),
            positional_constraint="EXACTLY",
            search_string="POST",
            text_transformations=[waf.CfnWebACL.TextTransformationProperty(priority=0, type="NONE")],
        )
    )


def _all(*statements: waf.CfnWebACL.StatementProperty) -> waf.CfnWebACL.StatementProperty:
    return waf.CfnWebACL.StatementProperty(
        and_statement=waf.CfnWebACL.AndStatementProperty(statements=list(statements))
    )


def _any(*statements: waf.CfnWebACL.StatementProperty) -> waf.CfnWebACL.StatementProperty:
    return waf.CfnWebACL.StatementProperty(or_statement=waf.CfnWebACL.OrStatementProperty(statements=list(statements)))


def _is_a_login() -> waf.CfnWebACL.StatementProperty:
    """Return the statement that a request may carry a password, or begins a login elsewhere.

    Bodies cost more, so it reads none. Pages are only read: a class behind one address opens them all at once.
    """
    begin, end = PASSWORD_API
    asks_for_token = _all(_has("STARTS_WITH", begin), _has("ENDS_WITH", end))
    carries_password = _any(*(_has("STARTS_WITH", path) for path in LOGIN_PAGES), asks_for_token)
    return _any(_all(_is_post(), carries_password), *(_has("STARTS_WITH", path) for path in BEGINNINGS))


def zone_of(scope: Construct, stage: Stage) -> route53.IHostedZone:
    """Return the domain's hosted zone from the stage's settings, without a lookup."""
    given = stage.settings
    return route53.HostedZone.from_hosted_zone_attributes(
        scope, "Zone", hosted_zone_id=given.zone_id, zone_name=given.zone_name or given.domain
    )
