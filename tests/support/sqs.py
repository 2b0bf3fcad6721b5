"""SQS for tests: queues in moto, with a clock that tests set, and in MiniStack, where it passes."""

import functools
import itertools
import json
import time
from contextlib import contextmanager

import pytest

from hubless.adapters.aws import Clients
from hubless.adapters.sqs.queue import SqsQueue
from hubless.domain import messages
from hubless.ports.queue import Received
from tests.support.builders import NOW
from tests.support.dynamodb import REGION

_numbers = itertools.count(1)
_clients = functools.cache(lambda url: Clients(REGION, endpoint_url=url))  # making one takes longer than a test


class Reader:
    """A queue, and one who reads it as Lambda's event source mapping does."""

    def __init__(self, clients, sleep):
        self._sqs, self._sleep = clients.sqs, sleep
        self.url = self._sqs.create_queue(QueueName=f"hub-{next(_numbers)}")["QueueUrl"]
        self.queue = SqsQueue(self.url, clients)

    def claim(self, limit=10, seconds=60):
        """Return what is to be read now, hidden from others for so long."""
        found = self._sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=limit,
            VisibilityTimeout=seconds,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        ).get("Messages", [])
        return [
            Received(
                one["ReceiptHandle"],
                messages.decode(json.loads(one["Body"])),
                int(one["Attributes"]["ApproximateReceiveCount"]),
            )
            for one in found
        ]

    def release(self, receipt, after):
        self.queue.release(receipt, after, NOW)

    def delete(self, receipt):
        self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=receipt)

    def wait(self, seconds):
        self._sleep(seconds)

    def close(self):
        self._sqs.delete_queue(QueueUrl=self.url)


@contextmanager
def in_moto():
    """Give a reader of a new queue; moto is there already, but for this its clock stands still."""
    from moto.core.utils import unix_time_millis
    from moto.sqs import models

    with pytest.MonkeyPatch.context() as patch:
        passed = [unix_time_millis()]
        patch.setattr(models, "unix_time_millis", lambda *_: passed[0])

        def sleep(seconds):
            passed[0] += 1000 * seconds

        reader = Reader(_clients(None), sleep)
        yield reader
        reader.close()


@contextmanager
def in_ministack(url):
    """Give a reader of a new queue."""
    reader = Reader(_clients(url), time.sleep)
    yield reader
    reader.close()
