"""Tasks on Fargate: started, running, stopped, listed late and reported by events."""

import json
import re
import signal
from collections import defaultdict
from copy import deepcopy
from datetime import datetime, timedelta

from tests.doubles.ecs.definitions import ACCOUNT, check_environment_file, check_tags, page
from tests.doubles.ecs.errors import AwsError, client, invalid

LATENCY = (20, 90)  # seconds to RUNNING
ATTACHED, PULLED = 0.2, 0.9  # of them until the network interface is there, and until the image is
EXIT_SECONDS = 1  # that a container takes to end when it is asked
AWAY_SECONDS = 12  # from the container's end to STOPPED
REMEMBERED = timedelta(hours=1)  # after the end
TOKEN_IS_VALID = timedelta(hours=24)
KNOWN = {
    "cluster",
    "taskDefinition",
    "count",
    "clientToken",
    "startedBy",
    "capacityProviderStrategy",
    "launchType",
    "platformVersion",
    "networkConfiguration",
    "enableExecuteCommand",
    "enableECSManagedTags",
    "tags",
    "overrides",
    "group",
}
KNOWN_OVERRIDES = {"name", "command", "environment", "environmentFiles"}
ESSENTIAL = "Essential container in task exited"
NO_CAPACITY = "Capacity is unavailable at this time. Please try again later or in a different availability zone"
DOWNLOAD_FAILED = "ResourceInitializationError: failed to download env files"


class TaskCalls:
    """RunTask, ListTasks, DescribeTasks and StopTask, and what happens to tasks by itself."""

    # --- RunTask ---

    def run_task(self, given):
        assert given.keys() <= KNOWN, f"the double does not know {given.keys() - KNOWN}"
        providers = self._cluster(given)
        self._check_words(given)
        definition = self._runnable(given["taskDefinition"])
        self._check_network(given)
        provider = self._provider(given, providers)
        self._check_overrides(given.get("overrides", {}), definition)
        if (known := self._known_by_token(given)) is not None:
            return {"tasks": [self._shown(known, tags=True)], "failures": []}
        if (failure := self._refused(provider)) is not None:
            return {"tasks": [], "failures": [failure]}
        task = self._made(given, definition, provider)
        if token := given.get("clientToken"):
            self.client_tokens[token] = (self.now(), _canonical(given), task["taskArn"])
        return {"tasks": [self._shown(task, tags=True)], "failures": []}

    def _cluster(self, given):
        name = given.get("cluster", "default").rpartition("/")[2]
        if name not in self.clusters:
            raise AwsError("ClusterNotFoundException", "Cluster not found.")
        return self.clusters[name]

    def _check_words(self, given):
        if not re.fullmatch(r"[!-~]{0,64}", given.get("clientToken", "")):
            raise invalid("clientToken must have at most 64 characters of ASCII 33 to 126.")
        if not re.fullmatch(r"[A-Za-z0-9/_-]{0,128}", given.get("startedBy", "")):
            raise invalid("startedBy must have at most 128 letters, numbers, hyphens, slashes and underscores.")
        if not 1 <= given.get("count", 1) <= 10:
            raise invalid("Count must be between 1 and 10")
        assert given.get("count", 1) == 1, "the double starts one task a call"
        check_tags(given.get("tags", []))
        if given.get("platformVersion", "LATEST") not in {"LATEST", "1.3.0", "1.4.0"}:
            raise AwsError("PlatformUnknownException", "The specified platform does not exist.")

    def _runnable(self, name):
        definition = self.definition_of(name, "TaskDefinition not found.")
        if definition["status"] != "ACTIVE":
            raise client("TaskDefinition is inactive")
        for role in filter(None, (definition.get("executionRoleArn"), definition.get("taskRoleArn"))):
            if role not in self.roles:
                raise client("ECS was unable to assume the role that was provided for this task.")
        return definition

    def _check_network(self, given):
        vpc = given.get("networkConfiguration", {}).get("awsvpcConfiguration")
        if vpc is None:
            raise invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
        if not vpc["subnets"] or len(vpc["subnets"]) > 16:
            raise invalid("subnets must have 1 to 16 entries.")
        if len(vpc.get("securityGroups", [])) > 5:
            raise invalid("securityGroups can have at most 5 items.")
        for wanted, there, kind, name in (
            (vpc["subnets"], self.subnets, "InvalidSubnetID.NotFound", "subnet"),
            (vpc.get("securityGroups", []), self.security_groups, "InvalidGroup.NotFound", "security group"),
        ):
            for one in wanted:
                if one not in there:
                    raise invalid(
                        f"Error retrieving {name} information for [{one}]: "
                        f"The {name} ID '{one}' does not exist (ErrorCode: {kind})"
                    )

    def _provider(self, given, providers):
        strategy = given.get("capacityProviderStrategy")
        if strategy and given.get("launchType"):
            raise invalid(
                "Specifying both a launch type and capacity provider strategy is not supported. "
                "Remove one and try again."
            )
        if not strategy:
            assert given.get("launchType") == "FARGATE", "the double knows Fargate only"
            return "FARGATE"
        for item in strategy:
            if item["capacityProvider"] not in providers:
                raise invalid(f"The specified capacity provider '{item['capacityProvider']}' was not found.")
        assert len(strategy) == 1, "the double does not draw lots"
        return strategy[0]["capacityProvider"]

    def _check_overrides(self, overrides, definition):
        if len(json.dumps(overrides, separators=(",", ":"))) > 8192:
            raise invalid("Container Overrides length must be at most 8192")
        names = {container["name"] for container in definition["containerDefinitions"]}
        assert overrides.keys() <= {"containerOverrides", "taskRoleArn"}, "the double knows no other overrides"
        if role := overrides.get("taskRoleArn"):
            self.check_passed(role)
        for override in overrides.get("containerOverrides", []):
            assert override.keys() <= KNOWN_OVERRIDES, f"the double does not know {override.keys() - KNOWN_OVERRIDES}"
            if override.get("name") not in names:
                raise invalid(
                    f"Override for container named {override.get('name')} is not a container in the TaskDefinition."
                )
            for file in override.get("environmentFiles", []):
                check_environment_file(file)
                if not definition.get("executionRoleArn"):
                    raise client(
                        "Fargate requires task definition to have execution role ARN to support environment files."
                    )

    def _known_by_token(self, given):
        at, parameters, arn = self.client_tokens.get(given.get("clientToken"), (None, None, None))
        if at is None or self.now() - at >= TOKEN_IS_VALID:
            return None
        if parameters != _canonical(given):
            words = "The client token is already in use with a different RunTask request."
            raise AwsError("ConflictException", words, resourceIds=[arn])
        return self.tasks[arn]

    def _refused(self, provider):
        how = self.full.get(provider)
        if how == "exception":
            raise client(
                "Capacity is unavailable at this time. Please try again later or in a different availability zone"
            )
        if how is not None:
            return {"reason": NO_CAPACITY if how == "failure" else how}
        if (
            self.quota is not None
            and sum(task["lastStatus"] != "STOPPED" for task in self.tasks.values()) >= self.quota
        ):
            raise client("You've reached the limit on the number of vCPUs you can run concurrently")
        return None if self.places.take(self.now()) else {"reason": "RESOURCE:ENI"}

    def _made(self, given, definition, provider):
        number, cluster = self.hex(32), given["cluster"].rpartition("/")[2]
        arn = f"{ACCOUNT}:task/{cluster}/{number}"
        containers = [
            {
                "containerArn": f"{ACCOUNT}:container/{cluster}/{number}/{self.hex(32)}",
                "taskArn": arn,
                "name": one["name"],
                "image": one["image"],
                "lastStatus": "PENDING",
                "networkInterfaces": [],
                "cpu": "0",
            }
            for one in definition["containerDefinitions"]
        ]
        vpc = given["networkConfiguration"]["awsvpcConfiguration"]
        eni = {
            "id": self.hex(32),
            "type": "ElasticNetworkInterface",
            "status": "PRECREATED",
            "details": [{"name": "subnetId", "value": vpc["subnets"][0]}],
        }
        task = {
            "taskArn": arn,
            "clusterArn": f"{ACCOUNT}:cluster/{cluster}",
            "taskDefinitionArn": definition["taskDefinitionArn"],
            "lastStatus": "PROVISIONING",
            "desiredStatus": "RUNNING",
            "createdAt": self.now(),
            "cpu": definition["cpu"],
            "memory": definition["memory"],
            "containers": containers,
            "attachments": [eni],
            "attributes": [],
            "overrides": {"containerOverrides": [], "inferenceAcceleratorOverrides": []}
            | deepcopy(given.get("overrides", {})),
            "group": given.get("group", f"family:{definition['family']}"),
            "startedBy": given.get("startedBy", ""),
            "capacityProviderName": provider,
            "launchType": "FARGATE",
            "platformVersion": given.get("platformVersion", "1.4.0"),
            "platformFamily": "Linux",
            "enableExecuteCommand": given.get("enableExecuteCommand", False),
            "healthStatus": "UNKNOWN",
            "availabilityZone": "eu-central-1a",
            "tags": given.get("tags", []),
            "version": 0,
        }
        task["definition"] = definition
        self.tasks[arn] = task
        self._tell(task)
        latency = self.random.uniform(*self.latency)
        self.later(latency * ATTACHED, lambda: self._attach(task))
        self.later(latency * PULLED, lambda: self._activate(task))
        self.later(latency, lambda: self._run(task))
        return task

    # --- how a task lives ---

    def _attach(self, task):
        if task["lastStatus"] != "PROVISIONING":
            return
        address = self.runtime.address() if self.runtime else next(self.addresses)
        eni = task["attachments"][0]
        eni["status"] = "ATTACHED"
        eni["details"] += [
            {"name": "networkInterfaceId", "value": f"eni-{self.hex(17)}"},
            {"name": "macAddress", "value": "0a:98:eb:a7:29:ba"},
            {"name": "privateIPv4Address", "value": address},
        ]
        task["lastStatus"] = "PENDING"
        for container in task["containers"]:
            container["networkInterfaces"] = [{"attachmentId": eni["id"], "privateIpv4Address": address}]
        self._tell(task)

    def _activate(self, task):
        if task["lastStatus"] != "PENDING" or task["desiredStatus"] != "RUNNING":
            return
        if why := self._obstacle(task):
            self._stop_because(task, "TaskFailedToStart", why)
            return
        task["lastStatus"] = "ACTIVATING"
        self._tell(task)

    def _obstacle(self, task):
        """Return why the container cannot start, or None; descriptions do not show it, so it is checked here."""
        for container in task["containers"]:
            if (said := self.broken_images.get(container["image"])) is not None:
                return f"CannotPullContainerError: {said}"
        for volume in task["definition"].get("volumes", []):
            point = volume["efsVolumeConfiguration"]["authorizationConfig"]["accessPointId"]
            if point not in self.access_points:
                return (
                    "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: "
                    f"stderr: mount.nfs4: access denied by server ({point})"
                )
            if self.mounts_need_tags and self.mountable_by(task["overrides"].get("taskRoleArn")) != point:
                return (
                    "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: "
                    "stderr: mount.nfs4: access denied by server while mounting 127.0.0.1:/"
                )
        missing = [
            file
            for override in task["overrides"]["containerOverrides"]
            for file in override.get("environmentFiles", [])
            if self.read_file(file["value"]) is None
        ]
        if missing:
            return f"{DOWNLOAD_FAILED}: file download command: non empty error stream"
        groups = [
            one["logConfiguration"]["options"]["awslogs-group"] for one in task["definition"]["containerDefinitions"]
        ]
        if not set(groups) <= self.log_groups:
            return (
                "ResourceInitializationError: failed to validate logger args: The specified log group does not exist."
            )
        return None

    def _run(self, task):
        if task["lastStatus"] != "ACTIVATING" or task["desiredStatus"] != "RUNNING":
            return
        task["lastStatus"], task["startedAt"] = "RUNNING", self._at
        for container in task["containers"]:
            container["lastStatus"] = "RUNNING"
        if self.runtime:
            self.runtime.start(task, self.environment_of(task))
        self._tell(task)

    def environment_of(self, task):
        """Return the variables of the task's process: overrides win over the definition, and both over files."""
        found = {}
        for override in task["overrides"]["containerOverrides"]:
            for file in override.get("environmentFiles", []):
                for line in (self.read_file(file["value"]) or "").splitlines():
                    name, value, *_ = [*line.split("="), ""]
                    found |= {name: value} if name and value and not line.startswith("#") else {}
        for source in (*task["definition"]["containerDefinitions"], *task["overrides"]["containerOverrides"]):
            found |= {pair["name"]: pair["value"] for pair in source.get("environment", [])}
        return found

    # --- how it ends ---

    def die(self, arn, code=1, reason=None):
        """Have the container of a task end by itself."""
        self.settle()
        self._die(self.tasks[arn], code, reason)

    def _die(self, task, code, reason=None):
        if task["lastStatus"] == "STOPPED" or task["containers"][0]["lastStatus"] == "STOPPED":
            return
        task["desiredStatus"], task["stopCode"], task["stoppedReason"] = (
            "STOPPED",
            "EssentialContainerExited",
            ESSENTIAL,
        )
        self._exit(task, code, reason)

    def interrupt(self, arn):
        """Take the place of a Spot task back: two minutes' notice, then the container is killed."""
        self.settle()
        task = self.tasks[arn]
        self._stop_because(task, "SpotInterruption", "Your Spot Task was interrupted.", notice=120)

    def fail_to_start(self, arn, why):
        """Have a task that has not come up be given up."""
        self.settle()
        self._stop_because(self.tasks[arn], "TaskFailedToStart", why)

    def stop_task(self, given):
        self._cluster(given)
        task = self._visible(given["task"])
        if task is None:
            raise invalid("The referenced task was not found.")
        if task["desiredStatus"] != "STOPPED":
            self._stop_because(task, "UserInitiated", given.get("reason", "Task stopped by user"))
        return {"task": self._shown(task)}

    def _stop_because(self, task, code, why, notice=0):
        if task["desiredStatus"] == "STOPPED":
            return
        task["desiredStatus"], task["stopCode"], task["stoppedReason"] = "STOPPED", code, why
        task["stoppingAt"] = self._at
        if task["containers"][0]["lastStatus"] == "RUNNING":
            task["lastStatus"] = "DEACTIVATING"
            self._tell(task)
            if self.runtime:
                self.runtime.end(task, signal.SIGTERM)
                timeout_seconds = task["definition"]["containerDefinitions"][0].get("stopTimeout", 30)
                self.later(timeout_seconds, lambda: self.runtime.end(task, signal.SIGKILL))
                return
            self.later(notice or EXIT_SECONDS, lambda: self._exit(task, 137 if notice else 0, None))
            return
        self._go_away(task)

    def _exit(self, task, code, reason):
        container = task["containers"][0]
        if container["lastStatus"] == "STOPPED":
            return
        container["lastStatus"], container["exitCode"] = "STOPPED", code
        if reason:
            container["reason"] = reason
        self._go_away(task)

    def _go_away(self, task):
        task["lastStatus"], task["executionStoppedAt"] = "DEPROVISIONING", self._at
        self._tell(task)
        self.later(AWAY_SECONDS, lambda: self._end(task))

    def _end(self, task):
        task["lastStatus"], task["stoppedAt"] = "STOPPED", self._at
        task["attachments"][0]["status"] = "DELETED"
        for container in task["containers"]:
            container["lastStatus"] = "STOPPED"
        self._tell(task)

    # --- asking ---

    def list_tasks(self, given):
        assert given.keys() <= {
            "cluster",
            "startedBy",
            "family",
            "desiredStatus",
            "launchType",
            "maxResults",
            "nextToken",
        }
        self._cluster(given)
        if given.get("startedBy") and given.keys() & {"family", "desiredStatus", "launchType"}:
            raise invalid("When you specify startedBy as the filter, it must be the only filter that you use.")
        wanted = given.get("desiredStatus", "RUNNING")
        arns = [
            arn
            for arn, task in self.tasks.items()
            if task["desiredStatus"] == wanted
            and self.now() - task["createdAt"] >= self.lag
            and given.get("startedBy") in {None, task["startedBy"]}
            and self._is_remembered(task)
            and given.get("family") in {None, task["definition"]["family"]}
        ]
        return page(arns, given, "taskArns")

    def describe_tasks(self, given):
        self._cluster(given)
        if not 1 <= len(given["tasks"]) <= 100:
            raise invalid("Tasks must have between 1 and 100 entries." if given["tasks"] else "Tasks cannot be empty.")
        found = {name: self._visible(name) for name in given["tasks"]}
        tags = "TAGS" in given.get("include", [])
        return {
            "tasks": [self._shown(task, tags=tags) for task in found.values() if task is not None],
            "failures": [{"arn": name, "reason": "MISSING"} for name, task in found.items() if task is None],
        }

    def _visible(self, name):
        task = self.tasks.get(name) or next((one for arn, one in self.tasks.items() if arn.endswith("/" + name)), None)
        if task is None or self.now() - task["createdAt"] < self.describe_lag or not self._is_remembered(task):
            return None
        return task

    def _is_remembered(self, task):
        return "stoppedAt" not in task or self.now() - task["stoppedAt"] < REMEMBERED

    def _shown(self, task, *, tags=False):
        hidden = {"definition"} | (set() if tags else {"tags"})
        shown = {key: deepcopy(value) for key, value in task.items() if key not in hidden}
        return {key: value.timestamp() if isinstance(value, datetime) else value for key, value in shown.items()}

    # --- telling ---

    def _tell(self, task):
        """Note a task's change as EventBridge reports it: instants as text, no tags, another name for the interface."""
        task["version"] += 1
        detail = {key: deepcopy(value) for key, value in task.items() if key not in {"definition", "tags"}}
        detail = {
            key: value.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z" if isinstance(value, datetime) else value
            for key, value in detail.items()
        }
        detail["attachments"][0]["type"] = "eni"
        detail["updatedAt"] = self._at.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        self.news.append(
            {
                "version": "0",
                "id": f"{self.hex(8)}-{self.hex(4)}-{self.hex(4)}-{self.hex(4)}-{self.hex(12)}",
                "detail-type": "ECS Task State Change",
                "source": "aws.ecs",
                "account": "123456789012",
                "time": self._at.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "region": "eu-central-1",
                "resources": [task["taskArn"]],
                "detail": detail,
            }
        )

    # --- for tests ---

    def running(self):
        """Return every task that is to run: what costs money and nobody has asked to end."""
        self.settle()
        return [task for task in self.tasks.values() if task["desiredStatus"] == "RUNNING"]

    def starts_of(self, mark="HUBLESS_LAUNCH_ID"):
        """Return for each launch how many tasks were ever started for it."""
        found = defaultdict(int)
        for task in self.tasks.values():
            found[self.environment_of(task).get(mark)] += 1
        return dict(found)


def _canonical(given):
    return json.dumps(given, sort_keys=True)
