"""An account of AWS, a hub in it and the CDK, as far as a trial meets them. Nothing here is kinder than AWS.

Sleeping moves the clock. What AWS refuses in a state is refused here: EC2 starts no instance that is stopping,
CloudFormation deletes no cluster with tasks, no bucket with objects and no network with CloudFront's group.
"""

import http.client
import io
import json
import re
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

from websockets.exceptions import ConnectionClosedError

from hubless.settings.cloud import to_environment
from hubless.settings.stage import CERTIFICATES_REGION, load_stage
from operations.aws import AwsCallError
from operations.deployed_stage import STACKS
from operations.network import Network
from operations.trial import stage_files
from operations.trial.cdk import CdkError
from operations.trial.context import Trial
from operations.trial.records import State
from operations.trial.spend import Spend, rates_of
from tests.unit.test_cloud_settings import CLOUD

ACCOUNT, REGION, HUB = "123456789012", "eu-central-1", "hubless-trial"
URL = "https://d111111abcdef8.cloudfront.net"
OPERATOR = f'[stages.trial]\nregion = "{REGION}"\nimage = "jupyter/minimal:1"\n'
INSTANCE, VPC = "i-0123456789abcdef0", "vpc-0123456789abcdef0"
ANYWHERE = {"get_caller_identity", "get_resources", "describe_parameters", "describe_stacks"}  # asked in us-east-1 too
STOPPING, BOOTING, LAUNCHING = 60.0, 30.0, 40.0  # seconds
SLEEPER_SECONDS = 220.0  # until the start of a server that never answers has failed
KEEPALIVE, SWEEP = 8.0, 60.0


class Time:
    """A clock that only waiting moves. *events* are instants with what happens then."""

    def __init__(self):
        self.now, self.events = 0.0, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        due = [event for event in self.events if event[0] <= self.now]
        for event in due:
            self.events.remove(event)
            event[1]()


def not_there(code="ValidationError"):
    return AwsCallError(f"it answered {code}", error_code=code)


class Account:
    """Everything that a trial can make, by the names of AWS's calls."""

    region = REGION

    def __init__(self, time):
        self.time = time
        self.stacks = {}  # part → status
        self.log_groups, self.tasks, self.definitions = set(), {}, {}
        self.objects = {}  # bucket → keys
        self.groups, self.interfaces = set(), set()
        self.users_roles = set()  # made by the hub, with `task_roles`
        self.repositories = {"trial/base"}  # one that was there before
        self.refused = {}  # operation → error
        self.calls = []
        self._instance, self._instance_at = "none", 0.0

    def is_empty(self):
        return not (
            self.stacks
            or self.log_groups
            or self.tasks
            or self.definitions
            or self.groups
            or self.objects
            or self.users_roles
        )

    @property
    def instance(self):
        """Return the state of the edge's instance at this moment."""
        takes = {"stopping": (STOPPING, "stopped"), "pending": (BOOTING, "running")}
        if self._instance in takes and self.time.now - self._instance_at >= takes[self._instance][0]:
            self._instance = takes[self._instance][1]
        return self._instance

    @instance.setter
    def instance(self, state):
        self._instance, self._instance_at = state, self.time.now

    def call(self, service, operation, /, *, region="", **given):
        self.calls.append(operation)
        if operation in self.refused:
            raise self.refused[operation]
        if service == "cloudformation" and "StackName" in given:
            part = given["StackName"].removeprefix(f"{HUB}-")
            elsewhere = CERTIFICATES_REGION if part in {"access", "certificates"} else REGION
            if region not in {"", elsewhere} or (not region and elsewhere != REGION):
                raise not_there()
        elif region not in {"", REGION} and operation not in ANYWHERE:
            raise AssertionError(f"{operation} in {region}")
        return getattr(self, f"_{operation}")(**given)

    def paginate(self, service, operation, key, /, *, region="", **given):
        return self.call(service, operation, region=region, **given)[key]

    # --- CloudFormation, Lambda ---

    def _describe_stacks(self, StackName=""):
        if not StackName:
            names = ({"StackName": f"{HUB}-{part}", "StackStatus": status} for part, status in self.stacks.items())
            return {"Stacks": list(names)}
        part = StackName.removeprefix(f"{HUB}-")
        if part not in self.stacks:
            raise not_there()
        outputs = [{"OutputKey": "Reserved", "OutputValue": "reaper 2, spawn 50"}] if part == "control" else []
        return {"Stacks": [{"StackName": StackName, "StackStatus": self.stacks[part], "Outputs": outputs}]}

    def _describe_stack_events(self, StackName):
        part = StackName.removeprefix(f"{HUB}-")
        begun, stack = datetime(2026, 11, 27, 12, tzinfo=UTC), f"arn:{StackName}"
        of_stack = {"StackId": stack, "PhysicalResourceId": stack, "LogicalResourceId": StackName}
        first = of_stack | {"ResourceStatus": "CREATE_IN_PROGRESS", "Timestamp": begun}
        last = of_stack | {"ResourceStatus": self.stacks[part], "Timestamp": begun + timedelta(seconds=90)}
        one = {"StackId": stack, "PhysicalResourceId": "one", "LogicalResourceId": "One", "ResourceType": "AWS::X::Y"}
        failed = one | {"ResourceStatus": "CREATE_FAILED", "ResourceStatusReason": "it is in use", "Timestamp": begun}
        after = failed | {"ResourceStatusReason": "Resource creation cancelled"}
        return {"StackEvents": [last, *([after, failed] if "FAILED" in self.stacks[part] else []), first]}

    def _list_stack_resources(self, StackName):
        part = StackName.removeprefix(f"{HUB}-")
        if part not in self.stacks:
            raise not_there()
        made = {
            "cluster": [("AWS::EC2::VPC", "Vpc", VPC), ("AWS::ECS::Cluster", "Cluster", f"{HUB}-cluster-C")],
            "control": [("AWS::Lambda::Function", "ApiFunction1", f"{HUB}-control-ApiFunction1")],
            "state": [("AWS::S3::Bucket", "Logs1", f"{HUB}-state-logs1")],
        }.get(part, [])
        names = ("ResourceType", "LogicalResourceId", "PhysicalResourceId")
        return {
            "StackResourceSummaries": [
                dict(zip(names, one, strict=True)) | {"ResourceStatus": "CREATE_COMPLETE"} for one in made
            ]
        }

    def _get_function_configuration(self, FunctionName):
        if "control" not in self.stacks:
            raise not_there("ResourceNotFoundException")
        own = replace(CLOUD, url=URL, hub=HUB, cluster=f"{HUB}-cluster-C", economy_instance=INSTANCE)
        return {"Environment": {"Variables": to_environment(own)}}

    # --- ECS ---

    def _get_caller_identity(self):
        return {"Account": ACCOUNT, "Arn": f"arn:aws:iam::{ACCOUNT}:user/ada"}

    def _list_tasks(self, cluster, startedBy="", desiredStatus="RUNNING"):
        if "cluster" not in self.stacks:
            raise not_there("ClusterNotFoundException")
        return {"taskArns": [arn for arn, status in self.tasks.items() if (status == "RUNNING") is bool(startedBy)]}

    def _describe_tasks(self, cluster, tasks):
        now = datetime(2026, 11, 27, 12, tzinfo=UTC)
        return {
            "tasks": [
                {
                    "taskArn": arn,
                    "startedBy": f"hubless/{HUB}",
                    "lastStatus": self.tasks[arn],
                    "createdAt": now,
                    "startedAt": now + timedelta(seconds=LAUNCHING),
                }
                for arn in tasks
            ]
        }

    def _stop_task(self, cluster, task, reason):
        del self.tasks[task]

    def _list_task_definition_families(self, familyPrefix, status):
        return {"families": sorted(self.definitions)}

    def _list_task_definitions(self, familyPrefix, status):
        return {"taskDefinitionArns": [f"arn:aws:ecs:{REGION}:{ACCOUNT}:task-definition/{familyPrefix}:1"]}

    def _deregister_task_definition(self, taskDefinition):
        del self.definitions[taskDefinition.rpartition("/")[2].removesuffix(":1")]

    def _list_clusters(self):
        arns = [f"arn:aws:ecs:{REGION}:{ACCOUNT}:cluster/{HUB}-cluster-C"] if "cluster" in self.stacks else []
        return {"clusterArns": arns}

    def _describe_repositories(self):
        return {"repositories": [{"repositoryName": name} for name in sorted(self.repositories)]}

    def _delete_repository(self, repositoryName, force):
        assert force, "ECR deletes no repository that has images"
        self.repositories.remove(repositoryName)

    # --- EC2 ---

    def _stop_instances(self, InstanceIds):
        if self.instance == "pending":
            raise not_there("IncorrectInstanceState")
        if self.instance == "running":
            self.instance = "stopping"

    def start_instance(self):
        """Do what the hub does when somebody needs the edge: EC2 refuses it while the instance stops."""
        if self.instance == "stopped":
            self.instance = "pending"

    def _describe_instances(self, InstanceIds=(), Filters=()):
        state = {"InstanceId": INSTANCE, "State": {"Name": self.instance}}
        return {"Reservations": [{"Instances": [state]}] if self.instance != "none" else []}

    def _describe_volumes(self, Filters):
        return {"Volumes": []}

    def _describe_vpcs(self, Filters):
        return {"Vpcs": [{"VpcId": VPC}] if "cluster" in self.stacks else []}

    def _describe_network_interfaces(self, Filters):
        return {"NetworkInterfaces": [{"NetworkInterfaceId": one} for one in sorted(self.interfaces)]}

    def _describe_security_groups(self, Filters):
        assert {"Name": "vpc-id", "Values": [VPC]} in Filters
        return {"SecurityGroups": [{"GroupId": one} for one in sorted(self.groups)]}

    def _delete_security_group(self, GroupId):
        self.groups.remove(GroupId)

    # --- the rest ---

    def _describe_log_groups(self, logGroupNamePrefix):
        return {"logGroups": [{"logGroupName": n} for n in sorted(self.log_groups) if n.startswith(logGroupNamePrefix)]}

    def _delete_log_group(self, logGroupName):
        if logGroupName not in self.log_groups:
            raise not_there("ResourceNotFoundException")
        self.log_groups.remove(logGroupName)

    def _list_objects_v2(self, Bucket):
        return {"Contents": [{"Key": key} for key in self.objects.get(Bucket, ())]}

    def _delete_objects(self, Bucket, Delete):
        gone = {one["Key"] for one in Delete["Objects"]}
        self.objects[Bucket] = [key for key in self.objects[Bucket] if key not in gone]

    def _list_buckets(self):
        return {"Buckets": [{"Name": name} for name in self.objects]}

    def _list_tables(self):
        return {"TableNames": [f"{HUB}-state-Table1", f"{HUB}-2-state-Table1"] if "state" in self.stacks else []}

    def _describe_file_systems(self):
        return {"FileSystems": [{"FileSystemId": "fs-0123456789abcdef0", "Tags": [{"Key": "Name", "Value": "other"}]}]}

    def _list_secrets(self, IncludePlannedDeletion):
        return {"SecretList": []}

    def _describe_parameters(self, ParameterFilters):
        return {"Parameters": []}

    def _list_queues(self, QueueNamePrefix):
        return {"QueueUrls": []}

    def _list_functions(self):
        return {"Functions": []}

    def _list_distributions(self, **marker):
        if not marker:
            return {"DistributionList": {"Items": [{"Id": "E1", "Comment": f"{HUB}-2: a hub"}], "NextMarker": "E1"}}
        made = {"account": f"{HUB}: disabled", "web": f"{HUB} 1"}
        items = [{"Id": f"E{part}", "Comment": text} for part, text in made.items() if part in self.stacks]
        return {"DistributionList": {"Items": items} if items else {}}  # AWS leaves an empty list out

    def _list_vpc_origins(self, **marker):
        names = {"vo_0123456789": f"{HUB}-edge", "vo_1123456789": "hublesstrialwebOriginVpcOrigin1A2B3C4D"}
        items = [{"Id": key, "Name": name} for key, name in names.items() if "web" in self.stacks]
        return {"VpcOriginList": {"Items": [{"Id": "vo_1", "Name": f"{HUB}-2-edge"}, *items]}}

    def _describe_addresses(self, Filters):
        found = [{"AllocationId": "eipalloc-0123456789", "PublicIp": "203.0.113.7"}] if "cluster" in self.stacks else []
        return {"Addresses": found}

    def _describe_alarms(self, AlarmNamePrefix):
        return {"MetricAlarms": []}

    def _list_roles(self, PathPrefix="/"):
        others = [("/", "OrganizationAccountAccessRole"), (f"/hubless/{HUB}-2/{REGION}/", "u-another-stages")]
        named = [*others, *((f"/hubless/{HUB}/{REGION}/", name) for name in sorted(self.users_roles))]
        return {"Roles": [{"Path": path, "RoleName": name} for path, name in named if path.startswith(PathPrefix)]}

    def _delete_role(self, RoleName):
        self.users_roles.remove(RoleName)

    def _get_resources(self, TagFilters):
        return {"ResourceTagMappingList": []}


class Cdk:
    """The CDK over an account. *blocked* is how often AWS's own things keep a stack from being deleted."""

    def __init__(self, account, *, blocks=True):
        self.account, self.blocks = account, blocks
        self.settings = ""
        self.fails = {}  # verb → a message

    def deploy(self, settings, wait):
        account = self.account
        for part in (one for one in STACKS if one != "certificates"):  # without a zone
            wait(10)
            if "deploy" in self.fails and part == "web":
                account.stacks[part] = "ROLLBACK_FAILED"
                raise CdkError(self.fails["deploy"])
            account.stacks.setdefault(part, "CREATE_COMPLETE")
            if part == "state":
                account.objects.setdefault(f"{HUB}-state-logs1", [])
            if part == "web" and account.instance == "none":
                account.instance = "stopped"
                account.groups |= {"sg-cloudfront"} if self.blocks else set()
            account.log_groups.add(f"/aws/lambda/{HUB}-{part}-Custom1")
        self.settings = settings.read_text()

    def destroy(self, settings, wait):
        account, left = self.account, []
        self.destroyed_at = account.time.now
        for part in reversed(STACKS):
            wait(30)
            why = self._why_not(part)
            if part in account.stacks and why:
                account.stacks[part] = "DELETE_FAILED"
                left.append(why)
            elif account.stacks.pop(part, None) and part == "web":
                account.instance = "none"
            elif part == "state":
                account.objects.clear()
        if left:
            raise CdkError("; ".join(left))

    def _why_not(self, part):
        account = self.account
        if "destroy" in self.fails:
            return self.fails["destroy"]
        if part == "cluster" and account.tasks:
            return "ClusterContainsTasks"
        if part == "cluster" and account.groups:
            return "DependencyViolation"
        if part == "cluster" and account.users_roles:
            return "DeleteConflict"  # they have the permissions boundary of the stack
        if part == "state" and any(account.objects.values()):
            return "BucketNotEmpty"
        return ""


class Hub:
    """The hub behind CloudFront, asked by HTTP and WebSocket. Its sweep starts the edge once a minute."""

    def __init__(self, account, cdk):
        self.account, self.cdk, self.time = account, cdk, account.time
        self.users, self.passwords, self.links = {}, {}, {}
        self.servers = {}  # name → (profile, since)
        self.memory = {}
        self.lost, self.throttled = set(), set()  # users whose servers fail, or are not accepted
        self.stream_seconds = 300.0
        self.post_wakes = True
        self.resolves_at = 0.0
        self.caches_errors, self.cached = False, set()  # as CloudFront does by default

    # --- what the operator's hub over the table does ---

    def find(self, name):
        return self.users.get(name)

    def add(self, name, *, admin):
        self.users[name] = SimpleNamespace(name=name, admin=admin)

    def password_link(self, name):
        self.links = {f"key-{name}": name}
        return f"/hub/set-password?key=key-{name}"

    # --- HTTP ---

    def answer(self, method, target, headers, body):
        """Return status, headers and body, or raise OSError if nobody answers."""
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        if "control" not in self.account.stacks or self.time.now < self.resolves_at:
            raise OSError("Name or service not known")
        if path.startswith("/user/"):
            return self._server(method, path, headers)
        for pattern, handle in self.ROUTES:
            if found := re.fullmatch(pattern, path):
                return handle(self, method, found, query, headers, body)
        return 404, {}, b"{}"

    def _password(self, method, found, query, headers, body):
        user = self.links.get(query.get("key", [""])[0])
        if user is None:
            return 404, {}, b""
        if method == "GET":
            return 200, {"set-cookie": "_xsrf=x1; Path=/hub/; Secure"}, b"form"
        form = parse_qs(body.decode())
        if form.get("_xsrf") != ["x1"] or form["password"] != form["again"]:
            return 403, {}, b""
        self.passwords[user], self.links = form["password"][0], {}
        return 302, {"location": "/hub/home", "set-cookie": "session=s1; Path=/hub/; Secure"}, b""

    def _login(self, method, found, query, headers, body):
        if method == "GET":
            name = re.search(r'name = "([^"]*)"', self.cdk.settings)[1]
            return 200, {"set-cookie": "_xsrf=x2; Path=/hub/; Secure"}, name.encode()
        form = {name: texts[0] for name, texts in parse_qs(body.decode()).items()}
        if form.get("_xsrf") != "x2" or self.passwords.get(form["username"]) != form["password"]:
            return 403, {}, b""
        return 302, {"location": "/hub/spawn", "set-cookie": "session=s1; Path=/hub/; Secure"}, b""

    def _tokens(self, method, found, query, headers, body):
        if "session=s1" not in headers.get("Cookie", "") or headers.get("X-XSRFToken") != "x2":
            return 403, {}, b'{"message": "XSRF"}'
        return 201, {}, b'{"token": "a-token"}'

    def _user(self, method, found, query, headers, body):
        name = found[1]
        if not self._knows(headers):
            return 403, {}, b"{}"
        if method == "DELETE":
            if name in self.servers:
                return 400, {}, b'{"message": "its server runs"}'
            return (204, {}, b"") if self.users.pop(name, None) else (404, {}, b"{}")
        if name not in self.users:
            return 404, {}, b"{}"
        model = {"ready": self._is_ready(name), "stopped": self._has_failed(name), "url": f"/user/{name}/"}
        shows_stopped = query.get("include_stopped_servers") == ["true"]
        is_shown = name in self.servers and (shows_stopped or not self._has_failed(name))
        return 200, {}, json.dumps({"servers": {"": model} if is_shown else {}}).encode()

    def _users(self, method, found, query, headers, body):
        for name in json.loads(body)["usernames"]:
            self.users[name] = SimpleNamespace(name=name, admin=False)
        return 201, {}, b"[]"

    def _server_of(self, method, found, query, headers, body):  # noqa: PLR0911 each answer of the API
        name = found[1]
        if not self._knows(headers):
            return 403, {}, b"{}"
        if name not in self.users:
            return 404, {}, b"{}"
        if method == "DELETE":
            if name not in self.servers:
                return 404 if name not in self.users else 204, {}, b""
            del self.servers[name]
            self.account.tasks.pop(f"task-{name}", None)
            return 202, {}, b""
        if name in self.servers:
            return 400, {}, b'{"message": "it runs already"}'
        if name in self.throttled:
            return 429, {}, b'{"message": "too many"}'
        self.servers[name] = json.loads(body)["profile"], self.time.now
        self.account.tasks[f"task-{name}"] = "RUNNING"
        family = f"{HUB}-{name.encode().hex():0<32.32}-{0:032x}"
        self.account.definitions[family] = True
        if "task_roles = true" in self.cdk.settings:
            self.account.users_roles.add(f"u-{name}")
        self.account.start_instance()
        return 202, {}, b""

    def _progress(self, method, found, query, headers, body):
        return 200, {"content-type": "text/event-stream"}, self._events(found[1])

    def _events(self, name):
        begun = self.time.now
        yield b'data: {"message": "Launching the server"}\n'
        while self.time.now - begun < self.stream_seconds:
            if self._has_failed(name):
                yield b'data: {"failed": true, "message": "Spawn failed"}\n'
                return
            if self._is_ready(name):
                yield b'data: {"ready": true, "message": "Server ready"}\n'
                return
            self.time.sleep(KEEPALIVE)
            self.account.start_instance()
            yield b"\n"

    def _authorize(self, method, found, query, headers, body):
        if "session=s1" not in headers.get("Cookie", ""):
            return 302, {"location": "/hub/login"}, b""
        return 302, {"location": f"/user/{query['name'][0]}/oauth_callback?code=1"}, b""

    ROUTES = (
        (r"/hub/api/oauth2/authorize", _authorize),
        (r"/hub/set-password", _password),
        (r"/hub/login", _login),
        (r"/hub/api/users/([^/]+)/tokens", _tokens),
        (r"/hub/api/users/([^/]+)/server", _server_of),
        (r"/hub/api/users/([^/]+)/server/progress", _progress),
        (r"/hub/api/users/([^/]+)", _user),
        (r"/hub/api/users", _users),
        (r"/hub/api/", lambda hub, *_: (200, {}, b"{}")),
        (r"/hub/api/user", lambda hub, *_: (200, {}, b"{}")),
    )

    def _knows(self, headers):
        return headers.get("Authorization") == "token a-token"

    def _has_failed(self, name):
        profile, since = self.servers.get(name, ("", 0.0))
        if profile == stage_files.SLEEPER:
            return self.time.now - since > SLEEPER_SECONDS
        return name in self.lost and name in self.servers

    def _is_ready(self, name):
        profile, since = self.servers.get(name, ("", self.time.now))
        is_up = self.account.instance == "running" and self.time.now - since >= LAUNCHING
        return is_up and profile == stage_files.PROFILE and name not in self.lost

    # --- servers, behind the edge ---

    def is_reached(self):
        """Return whether the edge leads to servers. A sweep starts it if a server needs it."""
        if self.time.now % SWEEP < 1 and self.servers and self.post_wakes:
            self.account.start_instance()
        return self.account.instance == "running"

    def _server(self, method, path, headers):  # noqa: PLR0911 each answer of a server
        name = path.split("/")[2]
        if not self.is_reached():
            if method != "GET":
                return 502, {"x-cache": "Error from cloudfront"}, b""
            self.account.start_instance()
            return 503, {"retry-after": "10"}, b""
        if name not in self.servers:
            return 404, {}, b""
        if path in self.cached:
            return 403, {"x-cache": "Error from cloudfront"}, b""
        if path.endswith("/oauth_callback"):
            return 302, {"location": f"/user/{name}/", "set-cookie": f"server=1; Path=/user/{name}/; Secure"}, b""
        if "Authorization" not in headers and "server=1" not in headers.get("Cookie", ""):
            if "/api/" not in path:
                return 302, {"location": f"/hub/api/oauth2/authorize?name={name}"}, b""
            self.cached |= {path} if self.caches_errors else set()
            return 403, {}, b""
        if path.endswith("/kernels"):
            return 201, {}, b'{"id": "k1"}'
        return (204 if method in {"DELETE", "POST"} else 200), {}, b"{}"


class Wire(Network):
    """Carries requests to a `Hub` without a socket."""

    def __init__(self, hub):
        self._hub = hub

    def connection(self, url, timeout_seconds=45):
        return _Connection(self._hub, urlsplit(url).hostname)

    @contextmanager
    def websocket(self, url, headers, timeout_seconds):
        if not self._hub.is_reached():
            raise OSError("server rejected WebSocket connection: HTTP 502")
        yield _Socket(self._hub)


class _Connection:
    def __init__(self, hub, host):
        self._hub, self.host = hub, host

    def request(self, method, target, body=None, headers=()):
        self._answer = self._hub.answer(method, target, dict(headers), body or b"")

    def getresponse(self):
        status, headers, body = self._answer
        return _Response(status, headers, body)

    def close(self):
        pass


class _Response:
    def __init__(self, status, headers, body):
        self.status, self._headers, self._body = status, headers, body

    def read(self):
        return self._body if isinstance(self._body, bytes) else b"".join(self._body)

    def __iter__(self):
        return iter([self._body] if isinstance(self._body, bytes) else self._body)

    def getheaders(self):
        return list(self._headers.items())

    def info(self):
        lines = "".join(f"{name}: {text}\r\n" for name, text in self._headers.items())
        return http.client.parse_headers(io.BytesIO(f"{lines}\r\n".encode()))


class _Socket:
    """A kernel that knows one variable. It closes when the edge is gone."""

    def __init__(self, hub):
        self._hub, self._asked = hub, {}

    def send(self, text):
        if not self._hub.is_reached():
            raise ConnectionClosedError(None, None)
        self._asked = json.loads(text)

    def recv(self, timeout):
        code = self._asked["content"]["code"]
        scope = self._hub.memory
        *before, last = code.split("\n")
        exec("\n".join(before), {}, scope)
        try:
            data = {"text/plain": repr(eval(last, {}, scope))}
        except NameError as error:
            content = {"ename": "NameError", "evalue": str(error)}
            return json.dumps({"parent_header": self._asked["header"], "msg_type": "error", "content": content})
        told = {"parent_header": self._asked["header"], "msg_type": "execute_result", "content": {"data": data}}
        return json.dumps(told)


class World:
    """An empty account, and trials in it."""

    def __init__(self, folder):
        self.folder, self.time, self.lines = folder, Time(), []
        self.account = Account(self.time)
        self.cdk = Cdk(self.account)
        self.hub = Hub(self.account, self.cdk)
        (folder / "hubless.toml").write_text(OPERATOR)
        self.operator = load_stage(folder / "hubless.toml")

    def state(self):
        return State("trial", REGION, ACCOUNT, "a1b2c3", "2026-11-27T12:00:00+00:00")

    def trial(self, state, *, limit="5", **more):
        """Return a run of the command."""
        first, second = stage_files.write(self.operator, self.folder / "hubless.toml", ACCOUNT, self.folder)
        stage = load_stage(first)
        trial = Trial(
            stage=stage,
            first=first,
            second=second,
            state=state,
            aws=self.account,
            deployer=self.cdk,
            network=Wire(self.hub),
            spend=Spend(rates_of(stage.settings), Decimal(limit), self.time, Decimal(state.spent_usd)),
            say=self.lines.append,
            clock=self.time,
            sleep=self.time.sleep,
            **{"starts": 5, "unsupported": {"preflight": "it has tests of its own"}, **more},
        )
        trial.__dict__["hub"] = SimpleNamespace(accounts=self.hub, users=self.hub)
        return trial
