"""Add all stacks of a stage to the app."""

from dataclasses import dataclass
from pathlib import Path

from constructs import Construct

from hubless.settings.cloud import check_for_deployment
from hubless.settings.profiles import WITH_HOMES, require_no_spares
from hubless.settings.stage import Stage
from infra.bundling import bundle, check_interpreter
from infra.constructs.edge import LONGEST_REPORT_INTERVAL
from infra.constructs.function import Target
from infra.stacks.access_logs import AccessLogsStack
from infra.stacks.account import AccountStack
from infra.stacks.certificates import CertificatesStack
from infra.stacks.cluster import ClusterStack
from infra.stacks.control import Code, ControlStack
from infra.stacks.monitoring import MonitoringStack
from infra.stacks.state import StateStack
from infra.stacks.web import WebStack

EDGE_TARGET = Target("arm64", "3.11")  # the Python of Amazon Linux 2023 with the longest support


@dataclass(frozen=True)
class Deployment:
    """The stacks of a stage."""

    state: StateStack
    cluster: ClusterStack
    web: WebStack
    control: ControlStack
    watch: MonitoringStack


def add_stacks(
    scope: Construct, stage: Stage, *, settings_file: Path | None, bundles: Path, target: Target | None = None
) -> Deployment:
    """Add the stacks of *stage* to *scope*. Bundle the code below *bundles* for *target*.

    Raises:
        SettingsError: if the hub's settings, which are deployed with the functions, are wrong or hold a secret.
        BundlingError: if the code cannot be bundled, or cannot be compiled as *target* wants.
    """
    settings = check_for_deployment(settings_file)
    if stage.settings.homes:
        require_no_spares(settings.profiles, WITH_HOMES)
    runs_on = target or Target()
    if runs_on.is_compiled:
        check_interpreter(runs_on.python)
    api, spawn, reaper = (
        bundle(
            name,
            architecture=runs_on.architecture,
            python=runs_on.python,
            settings_file=settings_file,
            into=bundles,
            compiled=runs_on.is_compiled,
        )
        for name in ("api", "spawn", "reaper")
    )
    edge = None
    if stage.settings.edge == "economy":
        edge = bundle("edge", architecture=EDGE_TARGET.architecture, python=EDGE_TARGET.python, into=bundles)
    images = tuple(profile.image for profile in settings.profiles if profile.image)
    account = AccountStack(scope, stage)
    certificates = None
    if CertificatesStack.is_needed(stage):
        certificates = CertificatesStack(scope, stage, cross_region_references=True)
        certificates.add_dependency(account)
    # CloudFront's access log is in us-east-1, and needs the names of bucket and distribution.
    state = StateStack(scope, stage, cross_region_references=stage.settings.access_logs)
    state.add_dependency(account, "An account that may have no distribution must not keep a table")
    cluster = ClusterStack(scope, stage, state=state, images=images)
    web = WebStack(
        scope,
        stage,
        state=state,
        cluster=cluster,
        certificates=certificates,
        edge_code=edge,
        report_interval=settings.idle_policies.report_interval(LONGEST_REPORT_INTERVAL),
        cross_region_references=True,
    )
    control = ControlStack(
        scope,
        stage,
        state=state,
        cluster=cluster,
        web=web,
        code=Code(api=api, spawn=spawn, reaper=reaper, target=runs_on),
        mail=settings.mail,
        has_spares=any(profile.warmth.count for profile in settings.profiles),
    )
    if stage.settings.access_logs:
        AccessLogsStack(scope, stage, state=state, web=web, cross_region_references=True)
    watch = MonitoringStack(scope, stage, state=state, cluster=cluster, control=control, web=web)
    return Deployment(state, cluster, web, control, watch)
