"""What a trial meets in MiniStack: the CDK with adapted templates, and one address in front of API and edge."""

import http.client
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import httpx

from hubless.settings.stage import load_stage
from operations.aws import Aws
from operations.deployed_stage import HUB_TAG
from operations.network import Network
from operations.trial import stage_files
from operations.trial.context import Trial
from operations.trial.spend import Spend, rates_of
from tests.deployment.aws_doubles import Front, Instance, events_of, listening, schedule, settle
from tests.deployment.conftest import an_instance, boots
from tests.deployment.stage import HUB, REGION
from tests.doubles.front import Api, front
from tests.support.free_port import free_port

SWEEP_SECONDS, POLL_SECONDS = 3, 0.5
UNSUPPORTED = {  # docs/emulator.md
    "preflight": "MiniStack has no quotas, and tests/integration/test_preflight_collect.py has",
    "progress": "MiniStack's executor has no streams, and tests/integration/test_streaming.py has",
    "VPC origins": "MiniStack has none",
    "buckets": "those of launches are in a double, which lists none",
    "file systems": "they are in a double, which lists none",
    "clusters": "they are in a double, which lists none",
}


class AtOneAddress(Network):
    """Connects to *port* of this machine, whatever the address is."""

    def __init__(self, port):
        self._port = port

    def connection(self, url, timeout_seconds=45):
        host = httpx.URL(url).host
        made = http.client.HTTPConnection(host, timeout=timeout_seconds)
        made.sock = self._socket(timeout_seconds)
        return made

    def websocket(self, url, headers, timeout_seconds):
        from websockets.sync.client import connect

        where = httpx.URL(url)
        address = f"ws://{where.host}{where.raw_path.decode()}"
        line = self._socket(timeout_seconds)
        return connect(address, sock=line, additional_headers=headers, open_timeout=timeout_seconds)

    def _socket(self, timeout_seconds):
        return socket.create_connection(("127.0.0.1", self._port), timeout=timeout_seconds)


class EmulatedCdk:
    """Deploys into MiniStack, and plays what AWS does around a stage from the first deployment to its removal."""

    def __init__(self, emulated, port):
        self._emulated, self._stage, self._port = emulated, emulated.stage, port
        self._around, self._instance = ExitStack(), ""
        self.deployed, self.fails = [], []

    def deploy(self, settings, wait):
        with ThreadPoolExecutor(1) as pool:
            deployment = pool.submit(self._deploy, settings)
            while not deployment.done():
                wait(POLL_SECONDS)
        deployment.result()

    def _deploy(self, settings):
        is_first = not self.deployed
        if is_first:
            self._instance = an_instance(self._stage.client("ec2"))
            tag = {"Key": HUB_TAG, "Value": HUB}
            self._stage.client("ec2").create_tags(Resources=[self._instance], Tags=[tag])
        out = self._stage.folder / f"out-{len(self.deployed)}"
        self._stage.synthesize(settings.read_text(), out, self._instance)
        self._stage.deploy(out)
        self.deployed.append(out)
        if is_first:
            self._play()

    def _play(self):
        stage, emulated, play = self._stage, self._emulated, self._around.enter_context
        stage.tell_secrets({})
        settle(emulated.account, stage.variables())
        play(events_of(emulated.account, emulated.guard, stage))
        play(schedule(stage, SWEEP_SECONDS))
        edge, machine = free_port(), Instance(stage, self._instance)
        self._around.callback(boots(machine, edge, stage.folder / "edge", stage).close)
        said, url = stage.said_by_front(), stage.outputs("web")["Url"]
        emulator = httpx.URL(stage.emulator)
        name = stage.named("web", "AWS::ApiGatewayV2::Api", "Api")
        api = Api(emulator.port, f"{name}.execute-api.127.0.0.1:{emulator.port}", said)
        play(front(self._port, edge, api))
        client = play(httpx.Client(base_url=url, transport=Front(stage, said), timeout=40))
        emulated.account.runtime.hub, emulated.account.runtime.address_of_hub = url, play(listening(client))

    def destroy(self, settings, wait):
        wait(0)
        self.close()
        if self.deployed:
            self._stage.destroy(self.deployed[-1])
        if self._instance:  # the stack would end it
            self._stage.client("ec2").terminate_instances(InstanceIds=[self._instance])

    def close(self):
        self._around.close()


def trial_of(emulated, state, folder, clock, sleep, **more):
    """Return a trial of the stage in MiniStack."""
    operator = folder / "operator.toml"
    operator.write_text(f'[stages.{state.stage}]\nregion = "{REGION}"\nimage = "jupyter/minimal:1"\nedge = "economy"\n')
    stage = load_stage(operator)
    first, second = stage_files.write(stage, operator, state.account, folder)
    port = free_port()
    deployed = load_stage(first)
    lines = []
    trial = Trial(
        stage=deployed,
        first=first,
        second=second,
        state=state,
        aws=Aws(REGION),
        deployer=EmulatedCdk(emulated, port),
        network=AtOneAddress(port),
        spend=Spend(rates_of(deployed.settings), 5, clock, 0),
        say=lines.append,
        clock=clock,
        sleep=sleep,
        unsupported=UNSUPPORTED,
        **more,
    )
    return trial, lines
