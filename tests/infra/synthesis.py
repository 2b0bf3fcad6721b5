"""Synthesize stages for tests, and read templates with short names in place of intrinsic functions."""

import json
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from aws_cdk import App, Validations
from cdk_nag import AwsSolutionsChecks

from hubless.settings.stage import load_stage
from infra.constructs.function import Target
from infra.deployment import add_stacks
from infra.nag_exceptions import WILDCARDS_METADATA

TOP = Path(__file__).parents[2]
STAGES = """
[stages.prod]
region = "eu-central-1"
domain = "hub.example.org"
zone_id = "Z0123456789"
zone_name = "example.org"
alarm_email = "ops@example.org"
monthly_budget = 500
waf = true
streams_at_once = 50
kms_key = "own"
access_logs = true

[stages.fleet]
region = "eu-west-1"
edge = "fleet"
websocket_timeout = "1h"
connections_per_address = 9000
vpc_id = "vpc-0a1b2c3d4e5f67890"
zones = ["eu-west-1a", "eu-west-1b"]
public_subnets = ["subnet-0a1b2c3d4e5f67891", "subnet-0a1b2c3d4e5f67892"]
private_subnets = ["subnet-0a1b2c3d4e5f67893", "subnet-0a1b2c3d4e5f67894"]
image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/courses/physics:7"
snap_start = true
task_roles = true
kms_key = "arn:aws:kms:eu-west-1:123456789012:key/0a1b2c3d-4e5f-6789-abcd-ef0123456789"

[stages.alb]
region = "us-east-1"
edge = "alb"
keep_data = false
homes = false
flow_logs = "all"
image = "quay.io/jupyter/minimal-notebook:2026-11-01"
egress = "nat"
domain = "jupyter.example.edu"
certificate = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d"
subdomains = false
"""
# Whose users' hosts lead to the edge without CloudFront.
DIRECT_STAGES = """
[stages.direct]
region = "eu-central-1"
edge = "fleet"
domain = "hub.example.org"
zone_id = "Z0123456789"
zone_name = "example.org"
direct_hosts = true
image = "quay.io/jupyter/minimal-notebook:2026-11-01"

[stages.rules]
region = "us-west-2"
edge = "alb"
domain = "jupyter.example.edu"
certificate = "arn:aws:acm:us-east-1:123456789012:certificate/0a1b2c3d"
direct_certificate = "arn:aws:acm:us-west-2:123456789012:certificate/0a1b2c3d"
direct_hosts = true
egress = "nat"
keep_data = false
homes = false
image = "quay.io/jupyter/minimal-notebook:2026-11-01"
"""
_OUTPUT = re.compile(
    r"(?:Publish|Exports)Output(?:Ref|FnGetAtt)([A-Za-z0-9]+?)(?:[0-9A-F]{8})?(Arn|GroupId|RootResourceId|QueueName|LoadBalancerFullName)?[0-9A-F]{8}"
)


@dataclass(frozen=True)
class Synthesis:
    """A stage: templates by stack, findings of cdk-nag, and reasons for wildcards by construct path."""

    folder: Path
    templates: dict[str, dict]
    findings: list[tuple[str, str]]  # rule (with its finding), path
    reasons: dict[str, dict[str, str]]

    def all(self, kind, part=None):
        """Return the properties of each resource of a *kind*, by logical id."""
        return {
            name: plain(one.get("Properties", {}))
            for which, template in self.templates.items()
            if part in (None, which)
            for name, one in template["Resources"].items()
            if one["Type"] == kind
        }

    def one(self, kind, part=None):
        """Return the properties of the only resource of a *kind*."""
        (only,) = self.all(kind, part).values()
        return only

    def named(self, kind, beginning):
        """Return the properties of the resource of a *kind* whose logical id has this prefix."""
        (only,) = [found for name, found in self.all(kind).items() if name.startswith(beginning)]
        return only


@lru_cache
def synthesized(stage, settings, folder, bundles, with_nag=True):
    """Synthesize a stage once, with cdk-nag. Bundles are built below *bundles*."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "hubless.toml"
    file.write_text(settings + STAGES + DIRECT_STAGES)
    out = folder / stage
    app = App(outdir=str(out), context=json.loads((TOP / "cdk.json").read_text())["context"])
    if with_nag:
        Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    add_stacks(
        app,
        load_stage(file, stage),
        settings_file=file if settings else None,
        bundles=Path(bundles),
        target=Target(is_compiled=False),  # templates say the same, and machines without Python 3.13 run the tests too
    )
    try:
        app.synth()
    except RuntimeError:
        if not (out / "validation-report.json").exists():  # cdk-nag raises for findings, which the report holds
            raise
    return read_back(out)


def linted(synthesis, region):
    """Return what cfn-lint says of a stage's stacks in *region*."""
    from cfnlint.config import ConfigMixIn
    from cfnlint.decode.decode import decode_str
    from cfnlint.runner import run_template_by_data

    config = ConfigMixIn(ignore_checks=["W3005"], regions=[region])  # the CDK writes redundant dependencies
    said = []
    for part, template in synthesis.templates.items():
        decoded, errors = decode_str(json.dumps(template))
        matches = errors or run_template_by_data(decoded, config, _rules_of_cfn_lint())
        said += [f"{part}: {match}" for match in matches]
    return said


@cache
def _rules_of_cfn_lint():
    """Return cfn-lint's rules: loading them takes longer than looking at most stacks."""
    from cfnlint.config import ConfigMixIn
    from cfnlint.runner import Runner

    return Runner(ConfigMixIn()).rules


def read_back(out):
    templates = {
        file.name.split(".")[0].split("-")[-1]: json.loads(file.read_text())
        for file in sorted(out.glob("*.template.json"))
    }
    reasons = {}
    for file in out.glob("*.metadata.json"):
        for path, entries in json.loads(file.read_text()).items():
            for entry in entries:
                if entry["type"] == WILDCARDS_METADATA:
                    reasons.setdefault(path.lstrip("/"), {}).update(entry["data"])
    report = out / "validation-report.json"
    plugins = json.loads(report.read_text())["pluginReports"] if report.exists() else []
    findings = [
        (violation["ruleName"], where["constructPath"])
        for plugin in plugins
        for violation in plugin["violations"]
        for where in violation["violatingConstructs"]
    ]
    return Synthesis(out, templates, findings, reasons)


def plain(value):  # noqa: PLR0911 one for each function of CloudFormation's
    """Return *value* with a short text for each intrinsic function.

    `state.Table.Arn` stands for a resource of another stack, `Queue.Arn` for one of the same.
    """
    if isinstance(value, list):
        return [plain(one) for one in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        ((name, given),) = value.items()
        if name == "Ref":
            return f"<{_short(given)}>"
        if name == "Fn::GetAtt":
            return f"<{_short(given[0])}.{given[1]}>"
        if name == "Fn::ImportValue":
            return f"<{_told(*given.split(':'))}>"
        if name == "Fn::GetStackOutput":
            return f"<{_told(given['StackName'], given['OutputName'])}>"
        if name == "Fn::Join":
            return _joined(given[0], given[1])
        if name == "Fn::Base64":
            return plain(given)
        if name == "Fn::Sub" and isinstance(given, str):
            return re.sub(r"\$\{([\w:]+)\}", r"<\1>", given)
        if name == "Fn::Sub":
            return re.sub(r"\$\{(\w+)\}", lambda found: str(plain(given[1].get(found[1], f"<{found[1]}>"))), given[0])
        if name == "Fn::Select" and isinstance(given[1], dict):
            return plain(given[1].get("Fn::Split", ["", given[1]])[1])
    return {key: plain(one) for key, one in value.items()}


def _joined(between, parts):
    if not isinstance(parts, list):
        return plain(parts)
    texts = [str(plain(part)) for part in parts]
    # The CDK splits the name of a secret out of its ARN like this.
    return texts[0] if between == "-" and len(set(texts)) == 1 else between.join(texts)


def _short(logical):
    return re.sub(r"[0-9A-F]{8}$", "", logical)


def _told(stack, output):
    found = _OUTPUT.fullmatch(output)
    return f"{stack.rpartition('-')[2]}.{found[1]}" + (f".{found[2]}" if found[2] else "")


def rights_of(synthesis, role, part="control"):
    """Return the statements of a role as actions, resources and conditions."""
    statements = []
    for name, found in synthesis.all("AWS::IAM::Role", part).items():
        if _short(name) == role:
            statements += [one for policy in found.get("Policies", ()) for one in policy["PolicyDocument"]["Statement"]]
            assert not found.get("ManagedPolicyArns"), f"{role} has policies of AWS's"
    for found in synthesis.all("AWS::IAM::Policy", part).values():
        if f"<{role}>" in found["Roles"]:
            statements += found["PolicyDocument"]["Statement"]
    return sorted(
        {(_texts(one["Action"]), _texts(one["Resource"]), _condition(one.get("Condition"))) for one in statements}
    )


def _texts(given):
    return " ".join(sorted(given)) if isinstance(given, list) else given


def _condition(given):
    return (
        ""
        if not given
        else "; ".join(f"{key} {_texts(value)}" for test in given.values() for key, value in test.items())
    )
