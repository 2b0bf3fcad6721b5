"""Lambda's entry: SQS batches, and the task events of ECS. What is imported here and no sooner is the function's cold start."""

from functions.spawn.work import handle
from hubless.bootstrap.cloud import entry

handler = entry(lambda hub, event, _context: handle(hub, event), "spawn", lambda hub: hub.launching)
