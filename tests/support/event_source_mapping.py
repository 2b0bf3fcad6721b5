"""Lambda's side of a queue in moto: what it hands to a function, and what it deletes."""

import math

from hubless.adapters.aws import Clients
from hubless.adapters.sqs.queue import SqsQueue
from tests.support.aws_clients import quick_session
from tests.support.dynamodb import REGION


class Sqs:
    """A queue. *clients* are the hub's; those that receive and delete are Lambda's own."""

    def __init__(self):
        self.clients, self._lambdas = (Clients(REGION, quick_session(), attempts=1) for _ in range(2))
        self.url = self._lambdas.sqs.create_queue(QueueName="launches")["QueueUrl"]
        self.queue = SqsQueue(self.url, self.clients)

    def receive(self):
        """Return up to ten records as Lambda hands them to a function; each stays until it is deleted."""
        if not any(message.visible for message in self.messages()):
            return []
        answer = self._lambdas.sqs.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=30,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        return [
            {
                "messageId": one["MessageId"],
                "receiptHandle": one["ReceiptHandle"],
                "body": one["Body"],
                "attributes": one["Attributes"],
            }
            for one in answer.get("Messages", [])
        ]

    def delete(self, record):
        self._lambdas.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=record["receiptHandle"])

    def hide_claimed(self):
        """Keep received messages from coming again by themselves: SQS goes by the real clock, tests by their own."""
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

    def close(self):
        self._lambdas.sqs.delete_queue(QueueUrl=self.url)
