"""Lambda's entry: the schedule."""
# ruff: noqa: E402 the first line comes before what it is for

import gc

gc.disable()  # nothing that is loaded now is garbage: to look for some is a tenth of a cold start; `entry` turns it on again

import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

from functions.reaper.sweep import handle
from hubless.bootstrap.cloud import entry
from hubless.bootstrap.hub import Hub, apply_settings
from hubless.domain.errors import HublessError

logger = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def _apply_settings_once(hub: Hub) -> None:
    """Make the admins and groups that settings name; new settings come with a deploy, and that with new environments."""
    apply_settings(hub)


def _sweep(hub: Hub, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    try:
        _apply_settings_once(hub)
    except (
        HublessError
    ) as why:  # another run may be at it; either way it is tried again, and servers are not to wait for it
        logger.warning("what settings name could not be made: %s", why)
    return handle(hub, event, time_left=timedelta(milliseconds=context.get_remaining_time_in_millis()))


handler = entry(_sweep, "reaper", lambda hub: hub.reaping)
