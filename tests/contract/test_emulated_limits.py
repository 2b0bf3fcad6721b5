"""What the emulators of DynamoDB and SQS refuse, as AWS does (docs/aws-facts.md).

Moto refuses neither long client tokens nor batches of 26 writes; MiniStack does. Only moto bounds what one BatchGetItem
returns. MiniStack neither bounds how long a message is hidden nor how many parameters of SSM one call reads.
"""

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.contract.conftest import ADAPTERS
from tests.support.dynamodb import REGION

TABLE = "hubless"
EMULATORS = [name for name in ADAPTERS if name.startswith("dynamodb")]


@pytest.fixture(params=EMULATORS)
def client(request):
    stores = ADAPTERS[request.param](request)
    yield stores.database.client
    stores.close()


@pytest.fixture
def ministack_client(request):
    stores = ADAPTERS["dynamodb-ministack"](request)
    yield stores.database.client
    stores.close()


def key(number, *, partition=1, sort=1):
    return {"pk": {"S": f"{number}".rjust(partition, "p")}, "sk": {"S": "s" * sort}}


def put(number):
    return {"Put": {"TableName": TABLE, "Item": key(number)}}


def refusal(call, **arguments):
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"]


def test_a_transaction_of_101_items_is_refused(client):
    assert refusal(client.transact_write_items, TransactItems=[put(n) for n in range(101)]) == "ValidationException"


def test_a_transaction_with_an_item_twice_is_refused(client):
    twice = [put(1), {"Delete": {"TableName": TABLE, "Key": key(1)}}]

    assert refusal(client.transact_write_items, TransactItems=twice) == "ValidationException"


def test_a_client_token_of_37_characters_is_refused(ministack_client):
    call = ministack_client.transact_write_items

    assert refusal(call, ClientRequestToken="x" * 37, TransactItems=[put(1)]) == "ValidationException"


def test_a_read_of_101_items_is_refused(client):
    keys = {"Keys": [key(n) for n in range(101)]}

    assert refusal(client.batch_get_item, RequestItems={TABLE: keys}) == "ValidationException"


def test_a_batch_of_26_writes_is_refused(ministack_client):
    writes = [{"PutRequest": {"Item": key(n)}} for n in range(26)]

    assert refusal(ministack_client.batch_write_item, RequestItems={TABLE: writes}) == "ValidationException"


@pytest.mark.parametrize(
    "item",
    [key(1) | {"note": {"S": "n" * 400 * 1024}}, key(1, partition=2049), key(1, sort=1025)],
    ids=["item of 400 KB", "partition key", "sort key"],
)
def test_what_is_too_large_is_refused(client, item):
    assert refusal(client.put_item, TableName=TABLE, Item=item) == "ValidationException"


def test_the_longest_keys_are_taken(ministack_client):
    ministack_client.put_item(TableName=TABLE, Item=key(1, partition=2048, sort=1024))


def test_a_failed_condition_returns_the_item_if_asked(client):
    client.put_item(TableName=TABLE, Item=key(1))

    with pytest.raises(client.exceptions.ConditionalCheckFailedException) as failed:
        client.put_item(
            TableName=TABLE,
            Item=key(1),
            ConditionExpression="attribute_not_exists(pk)",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )

    assert failed.value.response["Item"] == key(1)


def test_a_query_ends_after_a_megabyte(client):
    for number in range(4):
        client.put_item(
            TableName=TABLE, Item={"pk": {"S": "p"}, "sk": {"S": f"{number}"}, "note": {"S": "n" * 300_000}}
        )

    page = client.query(
        TableName=TABLE, KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": {"S": "p"}}
    )

    assert page["Count"] < 4
    assert "LastEvaluatedKey" in page


def test_a_read_of_more_than_16_megabytes_is_partial(in_moto):
    client = in_moto.client
    in_moto.create(expires=False)
    try:
        for number in range(60):
            client.put_item(TableName=TABLE, Item=key(number) | {"note": {"S": "n" * 300_000}})
        answer = client.batch_get_item(RequestItems={TABLE: {"Keys": [key(n) for n in range(60)]}})
    finally:
        in_moto.drop()

    assert len(answer["Responses"][TABLE]) < 60
    assert answer["UnprocessedKeys"][TABLE]["Keys"]


def test_a_queue_that_redelivers_1001_times_is_refused(ministack_url):
    sqs = boto3.client("sqs", region_name=REGION, endpoint_url=ministack_url)
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def policy(times):
        return {"RedrivePolicy": f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": {times}}}'}

    sqs.create_queue(QueueName="thousand", Attributes=policy(1_000))
    assert refusal(sqs.create_queue, QueueName="more", Attributes=policy(1_001)) == "InvalidAttributeValue"
