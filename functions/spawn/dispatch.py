"""Dispatches messages, task events and ticks to the launching service; ticks come from the embedded worker only."""

import json
import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from hubless.bootstrap.hub import Hub
from hubless.domain import messages
from hubless.domain.errors import RetryLaterError, StoreUnavailableError
from hubless.domain.messages import MessageKind

logger = logging.getLogger(__name__)

LONGEST_PAUSE = timedelta(minutes=1)  # the longest back-off of a message that fails again and again

RECONCILE_PENDING, RECONCILE_RUNNING = (
    "Follow",
    "Check",
)  # detail-types of ticks


def handle(hub: Hub, event: Mapping[str, Any]) -> dict[str, Any]:
    """Handle *event* and return the SQS partial batch response: the records that SQS should deliver again."""
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
    """Handle one record and say whether it succeeded; otherwise release it, so that SQS delivers it again later."""
    try:
        _carry_out(hub, record["body"])
    except RetryLaterError as later:
        logger.info("record %s will be delivered again: %s", record.get("messageId"), later)
        pause = later.after
    except Exception:
        logger.exception("record %s failed; it will be delivered again", record.get("messageId"))
        pause = _pause_after(int(record["attributes"]["ApproximateReceiveCount"]))
    else:
        return True
    try:
        hub.queue.release(_receipt_of(record), pause, hub.clock.now())
    except StoreUnavailableError as away:  # SQS delivers it again anyway when its visibility time-out ends
        logger.warning("cannot release record %s: %s", record.get("messageId"), away)
    return False


def _receipt_of(record: Mapping[str, Any]) -> str:
    """Return the receipt of a record, with the name of its queue if the record has one."""
    _, _, queue = record.get("eventSourceARN", "").rpartition(":")
    return f"{queue}:{record['receiptHandle']}" if queue else str(record["receiptHandle"])


def _carry_out(hub: Hub, body: str) -> None:
    """Handle the body of a record: a message of the hub, or a task event that came through the queue."""
    facts = json.loads(body)
    if "detail-type" in facts:
        _observe(hub, facts)
    else:
        message = messages.decode(facts)
        if message.kind is MessageKind.RESET_PASSWORD:
            hub.password_resets.send(message.text)
        elif message.kind is MessageKind.BUDGET_ALERT:
            hub.budget_mails.send(message.text)
        elif message.kind is MessageKind.LETTER_MAIL:
            hub.letter_mails.send(message.text)
        else:
            hub.launching.on_message(message)


def _observe(hub: Hub, event: Mapping[str, Any]) -> None:
    told = hub.read_event(event)
    if told is None:
        logger.warning("ignored an event of an unknown kind with these keys: %s", sorted(event)[:10])
    else:
        hub.launching.on_task_event(told)


def _pause_after(tries: int) -> timedelta:
    return min(timedelta(seconds=2 ** min(tries, 10)), LONGEST_PAUSE)
