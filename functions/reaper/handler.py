"""The Lambda handler of reaper: scheduled events."""
# ruff: noqa: E402 the garbage collector is off before the other imports

import gc

gc.disable()  # loaded modules are no garbage, and collecting takes a tenth of a cold start; `entry` enables it again

import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

from functions.reaper.sweep import handle
from hubless.bootstrap.cloud import entry
from hubless.bootstrap.hub import Hub
from hubless.bootstrap.settings_at_start import apply_settings, note_settings
from hubless.domain.errors import HublessError

logger = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def _apply_settings_once(hub: Hub) -> None:
    """Create admins and groups of settings, once per environment: new settings come with new environments."""
    apply_settings(hub)
    note_settings(hub)


def _sweep(hub: Hub, event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    try:
        _apply_settings_once(hub)
    except HublessError as why:  # the next run retries; servers must not wait for it
        logger.warning("cannot create the admins and groups of settings: %s", why)
    return handle(hub, event, time_left=timedelta(milliseconds=context.get_remaining_time_in_millis()))


handler = entry(_sweep, "reaper", lambda hub: hub.reaping)
