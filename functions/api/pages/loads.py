"""What pages say of what servers use now."""

from datetime import datetime, timedelta
from typing import Any

from functions.api.pages.home_notices import bytes_in_words
from functions.api.serializers import instant
from hubless.domain.lifecycle import ACTIVE, Server
from hubless.domain.limits import size
from hubless.domain.loads import Load
from hubless.ports.loads import Loads

_FRESH = timedelta(minutes=2)  # the age of a measurement that pages show without its age


def load_of(loads: Loads | None, server: Server | None) -> Load | None:
    """Return what a server uses; None if it does not run, or nobody has measured it."""
    if loads is None or server is None or server.launch_id is None or server.state not in ACTIVE:
        return None
    return loads.get_many([server.launch_id]).get(server.launch_id)


def load_view(load: Load | None, now: datetime) -> dict[str, Any] | None:
    """Return a measurement in words, such as `512 MiB`; with its age only if a reader should know that."""
    if load is None:
        return None
    return {
        "memory": bytes_in_words(load.memory, is_whole=True),
        "limit": size(load.memory_limit) if load.memory_limit else "",
        "cpus": "" if load.cpus is None else f"{load.cpus:.1f}",
        "measured": instant(load.measured_at) if now - load.measured_at > _FRESH else None,
    }
