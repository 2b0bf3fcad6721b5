"""The queue in SQS: standard queues, at least once and in any order.

Launches may have a queue of their own. They wait for turns, and what stands behind them in one queue waits too, though it needs
none: a server that has just spoken would stay unserved until all who pressed before are launched.

Lambda's event source mapping receives and deletes, by what the spawn function answers; so nothing here does.
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

# A message may be hidden for twelve hours in all (SQS's limit), of which a batch window and the function's own run, five and
# fifteen minutes at most, may be over.
LONGEST_HIDDEN = timedelta(hours=12) - timedelta(minutes=20)
_COUNTED = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_LATE = frozenset({"ReceiptHandleIsInvalid", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight"})
_GONE = "does not exist or is not available for visibility timeout change"  # said by a code that means other things too
_MISSING = "There is no such queue here: deploy it, or look at the settings' queue and region."
_BUSY = "It is asked for more than it gives at this moment; try again."
_REMEDIES: Mapping[str, str] = {
    "QueueDoesNotExist": _MISSING,
    "AWS.SimpleQueueService.NonExistentQueue": _MISSING,
    "AccessDenied": "The function's role may not do this: grant it the queue.",
    "AccessDeniedException": "The function's role may not do this: grant it the queue.",
    "KmsAccessDenied": "The function's role may not use the key that the queue is encrypted with: grant it the key.",
    "RequestThrottled": _BUSY,
    "ThrottlingException": _BUSY,
    "KmsThrottled": _BUSY,
}


class SqsQueue:
    """Takes messages."""

    def __init__(self, url: str, clients: Clients, *, launches_url: str = "") -> None:
        """Send to the queue at *url*, and launches to the one at *launches_url* where they have one."""
        self._url, self._clients = url, clients
        self._launches_url = launches_url or url
        self._urls = {_name(each): each for each in (self._launches_url, url)}

    def send(self, message: Message) -> None:
        url = self._launches_url if message.kind is MessageKind.LAUNCH else self._url
        with _translate_errors(url):
            self._clients.sqs.send_message(QueueUrl=url, MessageBody=json.dumps(messages.encode(message)))

    def release(self, receipt: str, after: timedelta, now: datetime) -> None:  # noqa: ARG002 SQS has a clock of its own
        """Do what the port says, in whole seconds, rounded up, and at most `LONGEST_HIDDEN`.

        *receipt* is SQS's own; before it may stand the name of the queue and a colon. One that another claim has followed may
        still be good to SQS. Then that claim ends sooner or later than it would have, and the message may be worked on twice,
        which it may at any time.
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
        """Return about how many messages there are, those that somebody works on and those that wait out a pause among them.

        Both are hidden alike: a class that waits for capacity is hidden nearly whole, and not done. SQS counts approximately,
        and up to a minute late.

        Raises:
            StoreUnavailableError: when a queue cannot be asked.
        """
        return sum(self._depth(url) for url in self._urls.values())

    def _depth(self, url: str) -> int:
        with _translate_errors(url):
            found = self._clients.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(_COUNTED))["Attributes"]
            return sum(int(found.get(name, 0)) for name in _COUNTED)


@contextmanager
def _translate_errors(url: str) -> Iterator[None]:
    """Turn what botocore raises into what the product knows."""
    try:
        yield
    except ClientError as error:
        code = _code_of(error)
        words = f"The queue {_name(url)} does not work ({code}). {_REMEDIES.get(code, '')}".rstrip()
        raise StoreUnavailableError(words) from error
    except BotoCoreError as error:
        raise StoreUnavailableError(f"The queue {_name(url)} cannot be reached ({type(error).__name__}).") from error


def _name(url: str) -> str:
    return url.rpartition("/")[2]


def _is_late(error: ClientError) -> bool:
    """Say whether the claim is over or the message done, so that there is nothing to release."""
    return _code_of(error) in _LATE or _GONE in str(error.response.get("Error", {}).get("Message", ""))


def _code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
