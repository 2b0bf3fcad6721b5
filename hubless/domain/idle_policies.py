"""Which idle limits a server has: its owner's, its profile's or the hub's."""

from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta

from hubless.domain.idleness import IdlePolicy
from hubless.domain.profiles import Profile
from hubless.domain.values import value


@value
class IdlePolicies:
    """The limits of every level."""

    hub: IdlePolicy = field(default_factory=IdlePolicy)
    by_user: Mapping[str, IdlePolicy] = field(default_factory=dict, hash=False)
    profiles: Mapping[str, Profile] = field(default_factory=dict, hash=False)

    def report_interval(self, longest: timedelta) -> timedelta:
        """Return how often edges report activity, so that no server's limit passes unseen; at most *longest*."""
        limits = (self.hub, *self.by_user.values(), *(profile.idle_policy for profile in self.profiles.values()))
        return min(longest, *(one.look_interval for one in limits))

    def of(self, profile_name: str, owner_name: str) -> IdlePolicy:
        """Return the limits of a server: its owner's, where these are not set its profile's, otherwise the hub's."""
        profile = self.profiles.get(profile_name)
        limits = self.hub.overridden_by(profile.idle_policy) if profile else self.hub
        return limits.overridden_by(self.by_user.get(owner_name, IdlePolicy()))
