"""The queue in SQS: standard queues, which deliver at least once and in any order.

Launches may have a queue of their own, because they wait for slots. In a common queue, the activity report of a new
server would wait behind them, and its user with it.

This adapter only sends and releases. Lambda's event source mapping receives messages, and deletes those that the spawn
function does not return as failed.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from hubless.adapters.aws import Clients
from hubless.domain import messages
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.messages import Message, MessageKind

# SQS hides a message for twelve hours in all. A batch window (five minutes) and the run of the function (fifteen) may
# have used a part of them.
LONGEST_HIDDEN = timedelta(hours=12) - timedelta(minutes=20)
_COUNTED = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_LATE = frozenset({"ReceiptHandleIsInvalid", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"})
_GONE = "does not exist or is not available for visibility timeout change"  # with a code of several meanings
_MISSING = "The queue does not exist: deploy it, or check HUBLESS_QUEUE and the region."
_BUSY = "AWS throttles requests; try again."
_REMEDIES: Mapping[str, str] = {
    "QueueDoesNotExist": _MISSING,
    "AWS.SimpleQueueService.NonExistentQueue": _MISSING,
    "AccessDenied": "The function's role lacks the right: grant it access to the queue.",
    "AccessDeniedException": "The function's role lacks the right: grant it access to the queue.",
    "KmsAccessDenied": "The function's role cannot use the KMS key of the queue: grant it the key.",
    "RequestThrottled": _BUSY,
    "ThrottlingException": _BUSY,
    "KmsThrottled": _BUSY,
}


class SqsQueue:
    """Sends messages to SQS, and releases them."""

    def __init__(self, url: str, clients: Clients, *, launches_url: str = "") -> None:
        """Send to the queue at *url*; send launches to *launches_url* if it is given."""
        self._url, self._clients = url, clients
        self._launches_url = launches_url or url
        self._urls = {_name(each): each for each in (self._launches_url, url)}

    def send(self, message: Message) -> None:
        url = self._launches_url if message.kind is MessageKind.LAUNCH else self._url
        with _translate_errors(url):
            self._clients.sqs.send_message(QueueUrl=url, MessageBody=json.dumps(messages.encode(message)))

    def release(self, receipt: str, after: timedelta, now: datetime) -> None:  # noqa: ARG002 SQS has a clock of its own
        """Hide the message for *after*: whole seconds, rounded up, at most `LONGEST_HIDDEN`.

        *receipt* is SQS's own, optionally with the name of the queue and a colon before it. SQS may accept an old
        receipt. It then changes the time of a newer claim, and the message may be processed twice, which is allowed at
        any time.
        """
        name, _, handle = receipt.partition(":")
        url, handle = (self._urls[name], handle) if name in self._urls else (self._url, receipt)
        seconds = math.ceil(min(max(after, timedelta()), LONGEST_HIDDEN).total_seconds())
        with _translate_errors(url):
            try:
                self._clients.sqs.change_message_visibility(
                    QueueUrl=url, ReceiptHandle=handle, VisibilityTimeout=seconds
                )
            except ClientError as error:
                if not _is_late(error):
                    raise

    def depth(self) -> int:
        """Return about how many messages there are, including those in progress and those that back off.

        SQS hides both kinds: of a class that waits for capacity nearly all messages are hidden. SQS counts
        approximately, and up to a minute late.

        Raises:
            StoreUnavailableError: if SQS does not answer.
        """
        return sum(self._depth(url) for url in self._urls.values())

    def _depth(self, url: str) -> int:
        with _translate_errors(url):
            found = self._clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTED))["Attributes"]
            return sum(int(found.get(name, 0)) for name in _COUNTED)


@contextmanager
def _translate_errors(url: str) -> Iterator[None]:
    """Raise the domain's errors instead of botocore's."""
    try:
        yield
    except ClientError as error:
        code = _code_of(error)
        words = f"SQS refused a request for the queue {_name(url)} ({code}). {_REMEDIES.get(code, '')}".rstrip()
        raise StoreUnavailableError(words) from error
    except BotoCoreError as error:
        raise StoreUnavailableError(f"Cannot reach the queue {_name(url)} ({type(error).__name__}).") from error


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _is_late(error: ClientError) -> bool:
    """Say whether the claim has ended or the message is deleted, so that there is nothing to release."""
    return _code_of(error) in _LATE or _GONE in str(error.response.get("Error", {}).get("Message", ""))


def _code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
