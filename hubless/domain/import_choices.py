"""What the caller of an import chose."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime

from hubless.domain.profiles import Profile
from hubless.domain.values import value


@value
class Choices:
    """What the caller of an import chose, and what the hub's settings say."""

    renames: Mapping[str, str] = field(default_factory=dict, hash=False)
    since: datetime | None = None
    delete: bool = False
    keeps_auth_state: bool = False
    services: frozenset[str] = frozenset()  # of the settings
    profiles: Mapping[str, Profile] = field(default_factory=dict, hash=False)  # that servers here have
    taken: frozenset[str] = frozenset()  # client ids, and hashes of tokens, of the settings' services
    joined: frozenset[str] = frozenset()  # users of the source who are the users of these names here
    joins_all: bool = False  # so are all others, except admins
    users_of_settings: frozenset[str] = frozenset()
    # By name here: the digest of the hash from which a login made the stored one, of the same password.
    rehashed: Mapping[str, str] = field(default_factory=dict, hash=False)
    budgets: frozenset[str] = frozenset()  # names of those of the settings
    schedules: frozenset[str] = frozenset()  # likewise
