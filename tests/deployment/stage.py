"""A stage in MiniStack, put there by the real `cdk deploy`."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import boto3
from aws_cdk import App

from hubless.settings.stage import load_stage
from infra.constructs.function import Target
from infra.deployment import add_stacks
from tests.deployment.template_adaptation import REFERENCES, SUBSTITUTE, adapt

TOP = Path(__file__).parents[2]
CDK = TOP / ".venv-cdk/node_modules/.bin/cdk"
ACCOUNT, REGION, NAME = "123456789012", "eu-central-1", "test"
HUB = f"hubless-{NAME}"
ARCHITECTURES = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
HERE = Target(ARCHITECTURES[platform.machine()], f"{sys.version_info.major}.{sys.version_info.minor}")
CREDENTIALS = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "test"}


class Stage:
    """One stage. *bundles* is a folder that other runs may have left something in."""

    def __init__(self, emulator, folder, bundles):
        self.emulator, self.folder, self._bundles = emulator, folder, bundles
        self._session = boto3.Session(*CREDENTIALS.values())
        self._clients = {}

    def client(self, service):
        if service not in self._clients:
            self._clients[service] = self._session.client(service, region_name=REGION, endpoint_url=self.emulator)
        return self._clients[service]

    def close(self):
        for client in self._clients.values():
            client.close()

    # --- deploying ---

    def bootstrap(self):
        """Do what is done once for an account."""
        self._cdk("bootstrap", f"aws://{ACCOUNT}/{REGION}")

    def synthesize(self, settings, out, instance):
        """Write what `cdk` deploys of a hub with these settings."""
        file = self.folder / "hubless.toml"
        file.write_text(settings)
        context = json.loads((TOP / "cdk.json").read_text())["context"]
        app = App(outdir=str(out), context=context | {"aws:cdk:disable-asset-staging": True})  # bundles need no copies
        add_stacks(app, load_stage(file, NAME), settings_file=file, bundles=self._bundles, target=HERE)
        app.synth()
        adapt(out, instance)

    def deploy(self, out):
        """Run `cdk deploy`."""
        self._cdk("deploy", "--all", "--app", str(out), "--require-approval", "never", "--concurrency", "4")

    def destroy(self, out):
        """Run `cdk destroy`."""
        self._cdk("destroy", "--all", "--app", str(out), "--force")

    def _cdk(self, *words):
        assert CDK.exists(), "The CDK's command is not here: `make .venv-cdk/.ready` installs it"
        own = {"AWS_ENDPOINT_URL": self.emulator, "AWS_REGION": REGION, "HOME": str(self.folder), "CI": "1"}
        own |= {
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1",
            "NODE_NO_WARNINGS": "1",
        }
        flags = ("--no-notices", "--no-version-reporting", "--ci")
        command = [CDK, *words, *flags]
        received = subprocess.run(
            command,
            env={"PATH": os.environ["PATH"]} | CREDENTIALS | own,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert received.returncode == 0, (received.stdout + received.stderr)[-6000:]

    # --- what was deployed ---

    def outputs(self, part):
        (stack,) = self.client("cloudformation").describe_stacks(StackName=f"{HUB}-{part}")["Stacks"]
        return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}

    def resources(self, part):
        """Return the physical name of each resource of a stack, by its type and logical id."""
        listed = self.client("cloudformation").describe_stack_resources(StackName=f"{HUB}-{part}")["StackResources"]
        return {(one["ResourceType"], one["LogicalResourceId"]): one["PhysicalResourceId"] for one in listed}

    def named(self, part, kind, beginning):
        """Return the physical name of the only resource of a type whose logical id begins so."""
        (found,) = [
            name
            for (which, logical), name in self.resources(part).items()
            if which == kind and logical.startswith(beginning)
        ]
        return found

    def function(self, name):
        return self.named("control", "AWS::Lambda::Function", f"{name.capitalize()}Function")

    def variables(self, name="api"):
        """Return the variables of a function, as the stack made them."""
        return self.client("lambda").get_function_configuration(FunctionName=self.function(name), Qualifier="live")[
            "Environment"
        ]["Variables"]

    def invoke(self, name, event):
        """Invoke a function by its alias."""
        answer = self.client("lambda").invoke(
            FunctionName=self.function(name), Qualifier="live", Payload=json.dumps(event)
        )
        received = json.loads(answer["Payload"].read() or "null")
        assert "FunctionError" not in answer, received
        return received

    def tell_secrets(self, more):
        """Do what an operator does: add *more* to the hub's secrets. And let SSM read what Secrets Manager holds."""
        manager, parameters = self.client("secretsmanager"), self.client("ssm")
        received = self.variables()
        for variable in ("HUBLESS_SECRETS", "HUBLESS_FRONT"):
            secret = received[variable].removeprefix(SUBSTITUTE)
            assert not secret.startswith(REFERENCES)
            text = manager.get_secret_value(SecretId=secret)["SecretString"]
            if variable == "HUBLESS_SECRETS":
                text = json.dumps(json.loads(text) | more)
                manager.put_secret_value(SecretId=secret, SecretString=text)
            parameters.put_parameter(Name=received[variable], Type="SecureString", Value=text, Overwrite=True)

    def said_by_front(self):
        """Return what CloudFront is to say to the API, and nobody else can."""
        distribution = self.named("web", "AWS::CloudFront::Distribution", "Distribution")
        made = self.client("cloudfront").get_distribution_config(Id=distribution)["DistributionConfig"]["Origins"][
            "Items"
        ]
        (api,) = [origin for origin in made if origin["Id"] == "api"]
        return {one["HeaderName"]: one["HeaderValue"] for one in api["CustomHeaders"]["Items"]}
