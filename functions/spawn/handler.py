"""Lambda's entry: SQS batches, and the task events of ECS. What is imported here and no sooner is the function's cold start."""
# ruff: noqa: E402 the first line comes before what it is for

import gc

gc.disable()  # nothing that is loaded now is garbage: to look for some is a tenth of a cold start; `entry` turns it on again

from functions.spawn.dispatch import handle
from hubless.bootstrap.cloud import entry

handler = entry(lambda hub, event, _context: handle(hub, event), "spawn", lambda hub: hub.launching)
