"""Does what the queue asks and follows launches; runs on SQS batches, on task events and, embedded, on ticks."""

import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hubless.bootstrap.hub import Hub
from hubless.domain import messages
from hubless.domain.errors import RetryLaterError, StoreUnavailableError

logger = logging.getLogger(__name__)

LONGEST_PAUSE = timedelta(minutes=1)  # between two tries of what fails again and again

RECONCILE_PENDING, RECONCILE_RUNNING = (
    "Follow",
    "Check",
)  # the detail-types of ticks: what is under way, what is at rest


def handle(hub: Hub, event: Mapping[str, Any]) -> dict[str, Any]:
    """Handle one event and return the SQS partial batch response: the records to be delivered again."""
    if "Records" in event:
        failed = [record["messageId"] for record in event["Records"] if not _is_done(hub, record)]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}
    if event.get("detail-type") == RECONCILE_PENDING:
        return {"pending": hub.launching.reconcile_pending()}
    if event.get("detail-type") == RECONCILE_RUNNING:
        hub.launching.reconcile_running()
        return {}
    _observe(hub, event)
    return {}


def _is_done(hub: Hub, record: Mapping[str, Any]) -> bool:
    """Carry one record out; one that failed does not hold up its batch, and comes again after a pause."""
    try:
        _carry_out(hub, record["body"])
    except RetryLaterError as later:
        logger.info("a message waits: %s", later)
        pause = later.after
    except Exception:
        logger.exception("record %s failed and will be delivered again", record.get("messageId"))
        pause = _pause_after(int(record["attributes"]["ApproximateReceiveCount"]))
    else:
        return True
    try:
        hub.queue.release(_receipt_of(record), pause, hub.clock.now())
    except StoreUnavailableError as away:  # it comes again all the same, when its claim ends
        logger.warning("record %s could not be put back: %s", record.get("messageId"), away)
    return False


def _receipt_of(record: Mapping[str, Any]) -> str:
    """Return by what the queue knows the claim: which of the queues it came from, where the record says so, is part of it."""
    _, _, queue = record.get("eventSourceARN", "").rpartition(":")
    return f"{queue}:{record['receiptHandle']}" if queue else str(record["receiptHandle"])


def _carry_out(hub: Hub, body: str) -> None:
    """Do what *body* asks: one of our messages, or an event that came by the queue."""
    facts = json.loads(body)
    if "detail-type" in facts:
        _observe(hub, facts)
    else:
        hub.launching.on_message(messages.decode(facts))


def _observe(hub: Hub, event: Mapping[str, Any]) -> None:
    told = hub.read_event(event)
    if told is None:
        logger.warning("an event of no known kind was ignored: %s", sorted(event)[:10])
    else:
        hub.launching.on_task_event(told)


def _pause_after(tries: int) -> timedelta:
    return min(timedelta(seconds=2 ** min(tries, 10)), LONGEST_PAUSE)
