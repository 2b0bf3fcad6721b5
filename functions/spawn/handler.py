"""Does what the queue asks and follows launches; runs on SQS batches, on task events and, embedded, on ticks."""

import json
import logging
from collections.abc import Mapping
from typing import Any

from hubless.bootstrap import Hub
from hubless.domain.errors import CapacityUnavailableError
from hubless.domain.messages import Kind, Message

logger = logging.getLogger(__name__)

FOLLOW, CHECK = "Follow", "Check"  # the detail-types of ticks: what is under way, what is at rest


def handle(hub: Hub, event: Mapping[str, Any]) -> dict[str, Any]:
    """Handle one event and return the SQS partial batch response: the records to be delivered again."""
    if "Records" in event:
        failed = [record["messageId"] for record in event["Records"] if not _is_done(hub, record)]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
    if event.get("detail-type") == FOLLOW:
        return {"pending": hub.launching.follow_pending()}
    if event.get("detail-type") == CHECK:
        hub.launching.check_running()
        return {}
    logger.warning("an event of no known kind was ignored: %s", sorted(event)[:10])
    return {}


def encode(message: Message) -> str:
    """Return *message* as the body of a queue record."""
    return json.dumps({"kind": message.kind, "server_id": message.server_id, "launch_id": message.launch_id})


def decode(body: str) -> Message:
    """Return the message that `encode` wrote.

    Raises:
        ValueError, KeyError: when *body* is none of ours.
    """
    facts = json.loads(body)
    return Message(Kind(facts["kind"]), str(facts["server_id"]), str(facts["launch_id"]))


def _is_done(hub: Hub, record: Mapping[str, Any]) -> bool:
    """Carry one record out; one that failed does not hold up its batch."""
    try:
        hub.launching.carry_out(decode(record["body"]))
    except CapacityUnavailableError as full:
        logger.info("launch waits for capacity: %s", full)
        return False
    except Exception:
        logger.exception("record %s failed and will be delivered again", record.get("messageId"))
        return False
    return True
