"""The Lambda handler of spawn: SQS batches and ECS task events. The imports here are the function's cold start."""
# ruff: noqa: E402 the garbage collector is off before the other imports

import gc

gc.disable()  # loaded modules are no garbage, and collecting takes a tenth of a cold start; `entry` enables it again

from functions.spawn.dispatch import handle
from hubless.bootstrap.cloud import entry

handler = entry(lambda hub, event, _context: handle(hub, event), "spawn", lambda hub: hub.launching)
