"""SQS for tests: a queue in moto, and Lambda's side of it."""

import json
import math
from contextlib import contextmanager
from datetime import timedelta

from botocore.exceptions import BotoCoreError, ClientError

from hubless.adapters.aws import Clients
from hubless.domain import messages
from hubless.domain.errors import StoreUnavailableError
from tests.dynamodb import REGION


class BareQueue:
    """Sends to SQS and releases there, and no more."""

    def __init__(self, url, clients):
        self.url, self.clients = url, clients

    def send(self, message):
        with in_words():
            self.clients.sqs.send_message(QueueUrl=self.url, MessageBody=json.dumps(messages.encode(message)))

    def release(self, receipt, after, now):
        seconds = int(max(after, timedelta()).total_seconds())
        with in_words():
            self.clients.sqs.change_message_visibility(QueueUrl=self.url, ReceiptHandle=receipt, VisibilityTimeout=seconds)


@contextmanager
def in_words():
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise StoreUnavailableError("The queue does not work") from error


class Sqs:
    """A queue. *clients* are the hub's; those that receive and delete are Lambda's own."""

    def __init__(self):
        self.clients, self._lambdas = (Clients(REGION, attempts=1) for _ in range(2))
        self.url = self._lambdas.sqs.create_queue(QueueName="launches")["QueueUrl"]
        self.queue = BareQueue(self.url, self.clients)

    def receive(self):
        """Return up to ten records as Lambda hands them to a function; each stays until it is deleted."""
        if not any(message.visible for message in self.messages()):
            return []
        answer = self._lambdas.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, VisibilityTimeout=30, MessageSystemAttributeNames=["ApproximateReceiveCount"]
        )
        return [
            {"messageId": one["MessageId"], "receiptHandle": one["ReceiptHandle"], "body": one["Body"], "attributes": one["Attributes"]}
            for one in answer.get("Messages", [])
        ]

    def delete(self, record):
        self._lambdas.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=record["receiptHandle"])

    def hide_claimed(self):
        """Have what was handed out not come again by itself: SQS goes by the machine's clock, and tests by their own."""
        for message in self.messages():
            if message.visible_at:
                message.visible_at = math.inf

    def show(self):
        """Have all that is claimed handed out again."""
        for message in self.messages():
            message.visible_at = 0

    def messages(self):
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.sqs.models import sqs_backends

        (queue,) = sqs_backends[DEFAULT_ACCOUNT_ID][REGION].queues.values()
        return queue._messages

    def clear(self):
        self.messages().clear()
