"""What verifies the proofs of workloads, as settings describe them."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from hubless.domain.workloads import WorkloadKind, WorkloadRule
from hubless.settings import Settings
from hubless.settings.types import SettingsError
from hubless.settings.workloads import WorkloadIssuer

if TYPE_CHECKING:
    from hubless.adapters.jose.fetching import Fetcher
    from hubless.adapters.jose.key_sets import KeySource
    from hubless.ports.clock import Clock
    from hubless.ports.workloads import WorkloadVerifier


def rules_of(settings: Settings) -> tuple[WorkloadRule, ...]:
    """Return the rules; one that names no audience has the hub's address."""
    return tuple(replace(rule, audience=rule.audience or settings.url) for rule in settings.workloads.rules)


def verifier_of(settings: Settings, clock: "Clock", fetcher: "Fetcher | None" = None) -> "WorkloadVerifier":
    """Return what verifies the proofs that the rules are about.

    Raises:
        SettingsError: when settings hold a key set that is of no use.
    """
    from hubless.adapters.jose.fetching import Fetcher
    from hubless.adapters.workloads.aws_callers import AwsCallerVerifier
    from hubless.adapters.workloads.signed_tokens import Issuer, SignedTokenVerifier
    from hubless.adapters.workloads.verifier import EveryWorkloadVerifier

    rules, asking = rules_of(settings), fetcher or Fetcher()
    issuers = {
        issuer: Issuer(issuer, keys, tuple({rule.audience for rule in rules if rule.issuer == issuer}))
        for issuer, keys in keys_by_issuer(settings, asking, clock).items()
    }
    aws = tuple({rule.audience for rule in rules if rule.kind is WorkloadKind.AWS})
    return EveryWorkloadVerifier(
        SignedTokenVerifier(issuers, clock) if issuers else None,
        AwsCallerVerifier(aws, asking, clock) if aws else None,
    )


def keys_by_issuer(settings: Settings, fetcher: "Fetcher", clock: "Clock") -> "dict[str, KeySource]":
    """Return where the keys of each issuer come from.

    Raises:
        SettingsError: when settings hold a key set that is of no use.
    """
    return {one.issuer: _keys_of(one, fetcher, clock) for one in settings.workloads.issuers}


def _keys_of(issuer: WorkloadIssuer, fetcher: "Fetcher", clock: "Clock") -> "KeySource":
    from hubless.adapters.jose.key_sets import DiscoveredKeys, FetchedKeys, GivenKeys

    if issuer.keys:
        try:
            return GivenKeys(json.loads(issuer.keys))
        except ValueError as useless:
            raise SettingsError(f"workloads: the keys of {issuer.issuer} are of no use: {useless}") from None
    if issuer.keys_url:
        return FetchedKeys(issuer.keys_url, fetcher, clock)
    return DiscoveredKeys(issuer.issuer, fetcher, clock)
