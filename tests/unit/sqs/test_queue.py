"""What SQS is asked, and what its refusals mean."""

from datetime import timedelta

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from hubless.adapters.aws import Clients
from hubless.adapters.sqs.queue import SqsQueue
from hubless.domain.errors import StoreUnavailableError
from hubless.domain.messages import Message, MessageKind
from tests.support.builders import NOW

URL = "https://sqs.eu-central-1.amazonaws.com/123456789012/hub"
LAUNCHES = URL + "-launches"
MESSAGE = Message(MessageKind.LAUNCH, "s1", "l1")
BODY = '{"kind": "launch", "server_id": "s1", "launch_id": "l1"}'
GONE = (
    "Value AQEB for parameter ReceiptHandle is invalid. "
    "Reason: Message does not exist or is not available for visibility timeout change."
)


@pytest.fixture(scope="module")
def clients():
    session = boto3.Session("AKIDEXAMPLE", "an example")
    return Clients("eu-central-1", session, attempts=1)


@pytest.fixture
def queue(clients):
    return SqsQueue(URL, clients)


@pytest.fixture
def asked(clients):
    with Stubber(clients.sqs) as stub:
        yield stub
        stub.assert_no_pending_responses()


def hidden_for(seconds):
    return {"QueueUrl": URL, "ReceiptHandle": "r1", "VisibilityTimeout": seconds}


def refuse(asked, operation, code, message="", status=400):
    asked.add_client_error(operation, code, message, status)


def test_a_message_is_sent_as_the_function_reads_it(queue, asked):
    asked.add_response("send_message", {"MessageId": "m1"}, {"QueueUrl": URL, "MessageBody": BODY})

    queue.send(MESSAGE)


def test_launches_have_a_queue_of_their_own_where_there_is_one(clients, asked):
    queue = SqsQueue(URL, clients, launches_url=LAUNCHES)
    other = '{"kind": "follow", "server_id": "s1", "launch_id": "l1"}'
    asked.add_response("send_message", {"MessageId": "m1"}, {"QueueUrl": LAUNCHES, "MessageBody": BODY})
    asked.add_response("send_message", {"MessageId": "m2"}, {"QueueUrl": URL, "MessageBody": other})

    queue.send(MESSAGE)
    queue.send(Message(MessageKind.ACTIVITY, "s1", "l1"))


@pytest.mark.parametrize(
    ("receipt", "url", "handle"),
    [
        ("hub-launches:AQEB/x+y==", LAUNCHES, "AQEB/x+y=="),
        ("hub:AQEB/x+y==", URL, "AQEB/x+y=="),
        ("AQEB/x+y==", URL, "AQEB/x+y=="),
        ("of:another:kind", URL, "of:another:kind"),
    ],
)
def test_a_message_goes_back_to_the_queue_that_its_receipt_names(clients, asked, receipt, url, handle):
    asked.add_response(
        "change_message_visibility", {}, {"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": 7}
    )

    SqsQueue(URL, clients, launches_url=LAUNCHES).release(receipt, timedelta(seconds=7), NOW)


def test_the_depth_is_that_of_both_queues(clients, asked):
    for number in ("2000", "40"):
        asked.add_response("get_queue_attributes", {"Attributes": {"ApproximateNumberOfMessages": number}})

    assert SqsQueue(URL, clients, launches_url=LAUNCHES).depth() == 2040


@pytest.mark.parametrize(
    ("after", "seconds"),
    [
        (timedelta(seconds=7), 7),
        (timedelta(seconds=7, microseconds=1), 8),
        (timedelta(milliseconds=20), 1),
        (timedelta(), 0),
        (-timedelta(seconds=5), 0),
        (timedelta(days=2), 42_000),
    ],
)
def test_a_delay_is_whole_seconds_not_too_short_and_within_sqs_limits(queue, asked, after, seconds):
    asked.add_response("change_message_visibility", {}, hidden_for(seconds))

    queue.release("r1", after, NOW)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("ReceiptHandleIsInvalid", "The input receipt handle is invalid."),
        ("AWS.SimpleQueueService.MessageNotInflight", ""),
        ("MessageNotInflight", ""),
        ("InvalidParameterValue", GONE),
    ],
)
def test_a_claim_that_is_over_or_a_message_that_is_done_needs_no_release(queue, asked, code, message):
    refuse(asked, "change_message_visibility", code, message)

    queue.release("r1", timedelta(seconds=7), NOW)


def test_another_invalid_value_is_no_claim_that_is_over(queue, asked):
    refuse(
        asked,
        "change_message_visibility",
        "InvalidParameterValue",
        "Value 99 for parameter VisibilityTimeout is invalid.",
    )

    with pytest.raises(
        StoreUnavailableError, match=r"SQS refused a request for the queue hub \(InvalidParameterValue\)\.$"
    ):
        queue.release("r1", timedelta(seconds=7), NOW)


def test_the_depth_counts_whatever_is_not_done(queue, asked):
    names = [
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    ]
    numbers = dict(zip(names, ("2000", "40", "3"), strict=True))
    asked.add_response("get_queue_attributes", {"Attributes": numbers}, {"QueueUrl": URL, "AttributeNames": names})

    assert queue.depth() == 2043


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("AWS.SimpleQueueService.NonExistentQueue", "The queue does not exist: deploy it, or check"),
        ("QueueDoesNotExist", "The queue does not exist"),
        ("AccessDenied", "The function's role lacks the right"),
        ("KmsAccessDenied", "grant it the key"),
        ("RequestThrottled", "try again"),
        ("InternalError", r"\(InternalError\)"),
    ],
)
@pytest.mark.parametrize(
    "call",
    [
        ("send_message", lambda queue: queue.send(MESSAGE)),
        ("change_message_visibility", lambda queue: queue.release("r1", timedelta(), NOW)),
        ("get_queue_attributes", lambda queue: queue.depth()),
    ],
)
def test_a_refusal_says_in_words_what_is_wrong_and_how_to_mend_it(queue, asked, call, code, remedy):
    operation, act = call
    refuse(asked, operation, code, status=500 if code == "InternalError" else 400)

    with pytest.raises(StoreUnavailableError, match=remedy) as refused:
        act(queue)

    assert "the queue hub " in str(refused.value)
    assert refused.value.__cause__.response["Error"]["Code"] == code


def test_a_network_that_does_not_answer_is_said_so(queue, clients):
    def unreachable(**_):
        raise EndpointConnectionError(endpoint_url=URL)

    clients.sqs.meta.events.register("before-send", unreachable)
    try:
        with pytest.raises(StoreUnavailableError, match=r"Cannot reach the queue hub \(EndpointConnectionError\)"):
            queue.send(MESSAGE)
    finally:
        clients.sqs.meta.events.unregister("before-send", unreachable)
