"""A whole hub in AWS: functions in Lambda's runtime client, DynamoDB, SQS and SSM in MiniStack, the rest in doubles.

`ecs` doubles ECS, `front` CloudFront and `ec2` EC2.

What moves events between them in AWS does so here: the event source mappings of the queues, the rule for task events.
Both deliver at least once; what fails is delivered again. The schedule is the test's: `sweep`.

Facts: SQS-1, LAM-10.
"""

import json
import threading
from contextlib import ExitStack, contextmanager
from pathlib import Path

import boto3

from hubless.adapters.dynamodb.database import Database
from hubless.adapters.system_clock import SystemClock
from hubless.settings.cloud import CloudSettings, to_environment
from tests.doubles.ec2 import INSTANCE
from tests.doubles.ec2 import serve as serve_ec2
from tests.doubles.ecs.account import EXECUTION_ROLE, REGION, TASK_ROLE, Account
from tests.doubles.ecs.endpoint import serve
from tests.doubles.gateway import gateway
from tests.doubles.lambdas import FunctionError, deployed
from tests.support.dynamodb import ministack

SECRETS = "/hub/secrets"
RUN = Path(__file__).parents[2] / "functions/api/stream/bootstrap"
BATCH = 10
VISIBILITY = 60  # seconds


class Deployment:
    """What `deploy` made. *table* is the hub's; *account* what launches servers."""

    def __init__(self, folder, emulator, account, environment):
        self.folder, self.emulator, self.account, self.environment = folder, emulator, account, environment
        self.guard, self.leaving = threading.Lock(), threading.Event()
        self.functions = {}

    def database(self):
        return Database(self.environment["HUBLESS_TABLE"], region=REGION, endpoint=self.emulator)

    def client(self, service):
        return boto3.Session().client(service, region_name=REGION, endpoint_url=self.emulator)

    def sweep(self):
        """Do what the schedule does once a minute."""
        return self.functions["reaper"].invoke(
            {"detail-type": "Scheduled Event", "source": "aws.scheduler", "id": "tick"}
        )

    def log(self, function):
        """Return what a function has logged, each line read."""
        lines = (self.folder / f"{function}.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]

    # --- what AWS does by itself ---

    def map_queue(self, url, batch):
        """Hand batches of a queue to `spawn`, and delete what it does not name as failed."""
        sqs = self.client("sqs")
        while not self.leaving.is_set():
            found = sqs.receive_message(
                QueueUrl=url, MaxNumberOfMessages=batch, WaitTimeSeconds=1, AttributeNames=["ApproximateReceiveCount"]
            ).get("Messages", [])
            if found:
                failed = self._invoke("spawn", {"Records": [_record(one, url) for one in found]})
                for one in found:
                    if failed is not None and one["MessageId"] not in failed:
                        sqs.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])

    def deliver_events(self):
        """Hand each task event to `spawn`."""
        while not self.leaving.wait(0.1):
            with self.guard:
                news = self.account.take_news()
            for event in news:
                self._invoke("spawn", event)

    def _invoke(self, name, event):
        try:
            answer = self.functions[name].invoke(event)
        except FunctionError:
            return None
        return {one["itemIdentifier"] for one in answer.get("batchItemFailures", ())}


def _record(message, url):
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "awsRegion": REGION,
        "eventSourceARN": f"arn:aws:sqs:{REGION}:000000000000:{url.rpartition('/')[2]}",
    }


@contextmanager
def deploy(folder, *, url, settings_text, secrets, runtime, api_socket, ec2):
    """Deploy a hub that browsers and servers reach at *url*, with its API at *api_socket* and its edge in *ec2*."""
    with ExitStack() as stack:
        emulator = stack.enter_context(ministack(folder, "dynamodb,sqs,ssm"))
        account = Account(SystemClock())
        account.latency, account.runtime = (0.5, 1), runtime
        stack.callback(runtime.close)
        guard = threading.Lock()
        ecs = stack.enter_context(serve(account, guard=guard))
        machines = stack.enter_context(serve_ec2(ec2))
        (folder / "hubless.toml").write_text(settings_text)
        made = Deployment(folder, emulator, account, {})
        made.guard = guard
        made.environment = _environment(made, folder, url, ecs, machines)
        made.database().create()
        made.client("ssm").put_parameter(Name=SECRETS, Type="SecureString", Value=json.dumps(secrets))
        for name, environments in (("api", 3), ("spawn", 2), ("reaper", 1)):
            deployed_function = deployed(
                f"functions.{name}.handler.handler", made.environment, folder / f"{name}.log", environments
            )
            made.functions[name] = stack.enter_context(deployed_function)
        streams = made.environment | {"AWS_LAMBDA_EXEC_WRAPPER": str(RUN)}
        made.functions["stream"] = stack.enter_context(
            deployed("functions.api.stream.handler.handler", streams, folder / "stream.log", 2)
        )
        stack.enter_context(gateway(made.functions["api"], api_socket, made.functions["stream"]))
        queues = ((made.environment["HUBLESS_QUEUE"], BATCH), (made.environment["HUBLESS_LAUNCHES_QUEUE"], 1))
        workers = [threading.Thread(target=made.map_queue, args=mapped, daemon=True) for mapped in queues]
        workers.append(threading.Thread(target=made.deliver_events, daemon=True))
        for worker in workers:
            worker.start()
        try:
            yield made
        finally:
            made.leaving.set()
            for worker in workers:
                worker.join(10)


def _environment(made, folder, url, ecs, machines):
    sqs, hidden = made.client("sqs"), {"VisibilityTimeout": str(VISIBILITY)}
    queue, launches = (
        sqs.create_queue(QueueName=name, Attributes=hidden)["QueueUrl"] for name in ("hub", "hub-launches")
    )
    cloud = CloudSettings(
        url=url,
        hub="school",
        table="hub",
        queue=queue,
        launches_queue=launches,
        secrets=SECRETS,
        cluster="hub",
        image="jupyter/minimal:1",
        bucket="hub-launches",
        execution_role=EXECUTION_ROLE,
        task_role=TASK_ROLE,
        subnets=("subnet-a", "subnet-b"),
        security_groups=("sg-servers",),
        log_group="/hub/servers",
        log_level="info",
        economy_instance=INSTANCE,
    )
    endpoints = {f"AWS_ENDPOINT_URL_{name}": made.emulator for name in ("DYNAMODB", "SQS", "SSM")}
    endpoints |= {f"AWS_ENDPOINT_URL_{name}": ecs for name in ("ECS", "S3", "EFS")} | {"AWS_ENDPOINT_URL_EC2": machines}
    lambda_ = {
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "LAMBDA_TASK_ROOT": str(folder),
    }
    return to_environment(cloud) | endpoints | lambda_
