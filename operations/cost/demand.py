"""The demand that a bill is for, from the command line and, for options not given there, from a stage."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from hubless.domain.profiles import Profile
from hubless.settings.stage import OWN_KEY, StageSettings
from operations.cost.amounts import Demand
from operations.errors import OperationsError
from operations.spare_needs import needs_of

_GIB = 1024**3


def demand_of(
    users: int, given: Mapping[str, Any], stage: StageSettings | None = None, profiles: Sequence[Profile] = ()
) -> Demand:
    """Return the demand of *users*. An option that is None comes from *stage*, or from the defaults without one.

    Raises:
        OperationsError: if no edge of that kind is reached without CloudFront, or Fargate has no size for a profile.
    """
    facts = (_of_stage(stage) | _of_spares(profiles, stage) if stage else {}) | {
        _NAMES.get(name, name): value for name, value in given.items() if value is not None
    }
    if "spot" in facts:
        facts["spot"] = Decimal(facts["spot"]) / 100
    if "architecture" in facts:
        facts["is_arm"] = facts.pop("architecture") == "arm"
    demand = Demand(users=users, **facts)
    if demand.direct and demand.edge == "economy":
        raise OperationsError(
            "An edge of economy is reached by CloudFront alone: --direct-hosts needs --edge fleet or alb"
        )
    return demand


_NAMES = {"vcpu": "vcpus", "memory": "memory_gb", "direct_hosts": "direct"}


def _of_spares(profiles: Sequence[Profile], stage: StageSettings) -> dict[str, Any]:
    needs = needs_of(profiles, stage)
    return {
        "spare_hours": needs.hours,
        "spare_vcpu_hours": needs.vcpu_hours,
        "spare_gb_hours": needs.gb_hours,
    }


def _of_stage(stage: StageSettings) -> dict[str, Any]:
    return {
        "edge": stage.edge,
        "instance_type": stage.instance_type,
        "fleet": stage.fleet_least,
        "vcpus": Decimal(str(stage.cpus)),
        "memory_gb": Decimal(stage.memory) / _GIB,
        "architecture": "arm" if stage.architecture == "ARM64" else "x86",
        "spot": 0 if stage.capacity == "fargate" else 100,
        "home_gb": Decimal(1) if stage.homes else Decimal(0),
        "backs_up_homes": stage.homes and stage.keep_data,
        "has_zone": bool(stage.zone_id),
        "logs_flows": not stage.vpc_id,
        "polls_less": not stage.image,
        "watches_server_logs": stage.server_logs and bool(stage.image),
        "keys": int(stage.kms_key == OWN_KEY),  # another key is billed wherever it belongs
        "waf": stage.waf,
        "snap_start": stage.snap_start,
        "egress": stage.egress,
        "direct": stage.direct_hosts,
    }
