"""Cold starts of each function as it is packaged, in Lambda's runtime client under AWS's emulator.

Prints INIT (what Lambda does before the first request), beside the bare import of the third-party modules that the
function loads, and the first request itself.

They are bundled as they are deployed (`infra.bundling`), for this machine and this Python. The emulator is the binary
in the wheel of aws-sam-cli; state is in MiniStack, ECS is the tests' double. Run it on a machine that does nothing
else.
"""

import json
import os
import platform
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager
from pathlib import Path

TOP = Path(__file__).parents[1]
sys.path.insert(0, str(TOP))

from hubless.adapters.dynamodb.database import Database  # noqa: E402
from hubless.adapters.system_clock import SystemClock  # noqa: E402
from hubless.settings.cloud import CloudSettings, to_environment  # noqa: E402
from infra.bundling import bundle, size_without_botocore  # noqa: E402
from tests.doubles.ecs.account import EXECUTION_ROLE, REGION, TASK_ROLE, Account  # noqa: E402
from tests.doubles.ecs.endpoint import serve  # noqa: E402
from tests.doubles.gateway import event_of  # noqa: E402
from tests.support.dynamodb import ministack  # noqa: E402

GOAL = 1.25
ROUNDS = int(os.environ.get("ROUNDS", "9"))
FUNCTIONS = ("api", "spawn", "reaper")
FOLLOW = json.dumps({"kind": "follow", "server_id": "s1", "launch_id": "l1"})
EVENTS = {
    "api": event_of("GET", "/hub/api/user", [("authorization", "token 0123456789abcdef0123456789abcdef")], b""),
    "spawn": {
        "Records": [
            {"messageId": "m", "receiptHandle": "r", "body": FOLLOW, "attributes": {"ApproximateReceiveCount": "1"}}
        ]
    },
    "reaper": {"detail-type": "Scheduled Event", "source": "aws.scheduler"},
}
BARE = """
{imports}
client = None
def handler(event, context):
    global client
    client = client or boto3.client("dynamodb", region_name="{region}")
    client.get_item(TableName="hub", Key={{"pk": {{"S": "a"}}, "sk": {{"S": "b"}}}}, ConsistentRead=True)
    return {{"statusCode": 200}}
"""
# What a fresh interpreter has loaded from a package after its handler was imported, in the order of loading.
LOADED = """
import sys, importlib
before = set(sys.modules)
importlib.import_module(sys.argv[1])
own = ("hubless", "functions")
for name, module in list(sys.modules.items()):
    file = getattr(module, "__file__", None) or ""
    is_foreign = name.partition(".")[0] not in own and not name.startswith("_")
    if name not in before and file.startswith(sys.argv[2]) and is_foreign:
        print(name)
"""


def uv(*args, **how):
    tool = TOP / ".venv-uv/bin/uv"
    return subprocess.run(
        [tool if tool.exists() else "uv", *args], check=True, cwd=TOP, capture_output=True, text=True, **how
    ).stdout


def package(name, folder):
    """Make a function's bundle as it is deployed, for this machine."""
    here = {
        "architecture": {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()],
        "python": "{}.{}".format(*sys.version_info),
    }
    shutil.copytree(bundle(name, into=folder.parent / "bundles", **here), folder)


def bare(name, folder, environment):
    """Build what only imports what the function *name* loads of others, in that order, and asks the table once."""
    env = environment | {"PYTHONPATH": str(folder)}
    told = subprocess.run(
        [python(), "-c", LOADED, f"functions.{name}.handler", str(folder)],
        env=env,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    modules = told.split()
    (folder / "bare.py").write_text(BARE.format(imports="\n".join(f"import {one}" for one in modules), region=REGION))
    compiled(folder)
    return modules


def compiled(folder):
    subprocess.run([python(), "-m", "compileall", "-q", "-j", "2", str(folder)], check=False, stdout=subprocess.DEVNULL)


def python():
    return str(Path(sys.base_prefix) / "bin" / "python3")


def emulator(folder):
    """Return AWS's runtime interface emulator."""
    uv("pip", "install", "--target", str(folder), "--no-deps", "--python", sys.executable, "-q", "aws-sam-cli")
    machine = {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()]
    found = folder / f"samcli/local/rapid/aws-lambda-rie-{machine}"
    found.chmod(0o755)
    return found


@contextmanager
def state():
    """Give the environment of a hub whose table, queue and account are there."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        address = stack.enter_context(ministack(folder, "dynamodb,sqs,ssm"))
        ecs = stack.enter_context(serve(Account(SystemClock())))
        Database("hub", region=REGION, endpoint=address).create(expires=False)
        import boto3

        sqs = boto3.client("sqs", region_name=REGION, endpoint_url=address)
        ssm = boto3.client("ssm", region_name=REGION, endpoint_url=address)
        ssm.put_parameter(Name="/hub/secrets", Type="SecureString", Value=json.dumps({"key": "k" * 40}))
        cloud = CloudSettings(
            url="https://hub.example.org",
            hub="school",
            table="hub",
            queue=sqs.create_queue(QueueName="hub")["QueueUrl"],
            secrets="/hub/secrets",
            cluster="hub",
            image="jupyter/minimal:1",
            bucket="hub-launches",
            execution_role=EXECUTION_ROLE,
            task_role=TASK_ROLE,
            subnets=("subnet-a",),
            security_groups=("sg-servers",),
            log_group="/hub/servers",
        )
        endpoints = {f"AWS_ENDPOINT_URL_{name}": address for name in ("DYNAMODB", "SQS", "SSM")}
        endpoints |= {f"AWS_ENDPOINT_URL_{name}": ecs for name in ("ECS", "S3", "EFS")}
        own = {
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "PATH": os.environ["PATH"],
        }
        yield to_environment(cloud) | endpoints | own


def cold_start(programs, folder, handler, event, environment):
    """Start an environment, ask twice, and return milliseconds: of INIT, of the first request, of the second."""
    (rie, runtime), ports = programs, [free_port(), free_port()]
    env = environment | {
        "PYTHONPATH": f"{folder}:{runtime}",
        "LAMBDA_TASK_ROOT": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [
        rie,
        "--runtime-interface-emulator-address",
        f"127.0.0.1:{ports[0]}",
        "--runtime-api-address",
        f"127.0.0.1:{ports[1]}",
        python(),
        "-m",
        "awslambdaric",
        handler,
    ]
    log = Path(folder).with_suffix(".log")
    with log.open("wb") as out, subprocess.Popen(command, env=env, stdout=out, stderr=out, cwd=folder) as process:
        wait_for(ports[0])
        try:
            for _ in range(2):
                answer = ask(ports[0], event)
                assert "errorMessage" not in answer, answer
        finally:
            process.terminate()
            process.wait(10)
    said = log.read_text()
    init = float(re.search(r"INIT REPORT\(durationMs: ([\d.]+)", said)[1])
    first, second = (float(ms) for ms in re.findall(r"INVOKE RTDONE\(.*?duration: ([\d.]+)ms", said)[:2])
    return init, first, second


def ask(port, event):
    url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"
    with urllib.request.urlopen(urllib.request.Request(url, json.dumps(event).encode()), timeout=60) as answer:
        return answer.read().decode()


def wait_for(port):
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def main():
    with state() as environment, tempfile.TemporaryDirectory() as temporary:
        top = Path(temporary)
        rie, runtime = emulator(top / "sam"), top / "runtime"
        uv("pip", "install", "--target", str(runtime), "--python", sys.executable, "-q", "awslambdaric")
        compiled(runtime)
        print(
            f"Python {platform.python_version()}, {ROUNDS} cold starts each, medians in ms; "
            f"goal: INIT at most {GOAL}x\n"
        )
        print("| function | MB beyond botocore | INIT | bare import | ratio | first request | bare | second request |")
        print("| --- | --- | --- | --- | --- | --- | --- | --- |")
        for name in FUNCTIONS:
            folder = top / name
            package(name, folder)
            size = size_without_botocore(folder) / 1e6
            bare(name, folder, environment)
            ours, theirs = [], []
            for _ in range(ROUNDS):  # in turns, so that whatever slows the machine slows both
                ours.append(
                    cold_start((rie, runtime), folder, f"functions.{name}.handler.handler", EVENTS[name], environment)
                )
                theirs.append(cold_start((rie, runtime), folder, "bare.handler", EVENTS[name], environment))
            init, first, second = (statistics.median(figures) for figures in zip(*ours, strict=True))
            bare_init, bare_first, _ = (statistics.median(figures) for figures in zip(*theirs, strict=True))
            ratio = init / bare_init
            print(
                f"| {name} | {size:.1f} | {init:.0f} | {bare_init:.0f} "
                f"| {ratio:.2f}{'' if ratio <= GOAL else ' (missed)'} |"
                f" {first:.0f} | {bare_first:.0f} | {second:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
