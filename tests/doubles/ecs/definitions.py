"""Task definitions, checked as ECS checks them for Fargate."""

import json
import re
from copy import deepcopy

from tests.doubles.ecs.errors import client, invalid

ACCOUNT = "arn:aws:ecs:eu-central-1:123456789012"
LARGEST = 64 * 1024  # bytes of a definition
# CPU units → the MiB that go with them.
FARGATE = {
    256: [512, 1024, 2048],
    512: range(1024, 4096 + 1, 1024),
    1024: range(2048, 8192 + 1, 1024),
    2048: range(4096, 16384 + 1, 1024),
    4096: range(8192, 30720 + 1, 1024),
    8192: range(16384, 61440 + 1, 4096),
    16384: range(32768, 122880 + 1, 8192),
}
KNOWN = {
    "family",
    "networkMode",
    "requiresCompatibilities",
    "cpu",
    "memory",
    "executionRoleArn",
    "taskRoleArn",
    "runtimePlatform",
    "containerDefinitions",
    "volumes",
    "tags",
}
KNOWN_OF_CONTAINER = {
    "name",
    "image",
    "essential",
    "command",
    "environment",
    "environmentFiles",
    "portMappings",
    "mountPoints",
    "stopTimeout",
    "readonlyRootFilesystem",
    "linuxParameters",
    "healthCheck",
    "logConfiguration",
}


class DefinitionCalls:
    """RegisterTaskDefinition and what goes with it."""

    def register_task_definition(self, given):
        assert given.keys() <= KNOWN, f"the double does not know {given.keys() - KNOWN}"
        family = given["family"]
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,255}", family):
            raise client("Family contains invalid characters.")
        if given.get("networkMode") != "awsvpc":
            raise client("Fargate only supports network mode 'awsvpc'.")
        cpu, memory = int(given.get("cpu") or 0), int(given.get("memory") or 0)
        if memory not in FARGATE.get(cpu, ()):
            raise client(
                f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory. "
                "See the Amazon ECS documentation for the valid values."
            )
        if not given.get("containerDefinitions"):
            raise client("Container list cannot be empty.")
        for container in given["containerDefinitions"]:
            self._check_container(container, given)
        if len(json.dumps(given, separators=(",", ":")).encode()) > LARGEST:
            raise client("Task definition is larger than 64 KiB.")
        check_tags(given.get("tags", []))
        revisions = self.definitions.setdefault(family, [])
        made = deepcopy({key: value for key, value in given.items() if key != "tags"})
        made |= {
            "taskDefinitionArn": f"{ACCOUNT}:task-definition/{family}:{len(revisions) + 1}",
            "status": "ACTIVE",
            "revision": len(revisions) + 1,
            "compatibilities": ["EC2", "FARGATE"],
            "registeredAt": self.now().timestamp(),
            "tags": given.get("tags", []),
        }
        revisions.append(made)
        return {"taskDefinition": _shown(made), "tags": made["tags"]}

    def _check_container(self, container, given):
        assert container.keys() <= KNOWN_OF_CONTAINER, (
            f"the double does not know {container.keys() - KNOWN_OF_CONTAINER}"
        )
        if not container.get("image"):
            raise client("Container.image should not be null or empty.")
        driver = container.get("logConfiguration", {}).get("logDriver")
        if driver and not given.get("executionRoleArn"):
            raise client(f"Fargate requires task definition to have execution role ARN to support log driver {driver}.")
        if container.get("stopTimeout", 0) > 120:
            raise client("Fargate only supports a stop timeout of at most 120 seconds.")
        volumes = {volume["name"] for volume in given.get("volumes", [])}
        for mount in container.get("mountPoints", []):
            if mount["sourceVolume"] not in volumes:
                raise client(f"Unknown volume '{mount['sourceVolume']}'.")
        for file in container.get("environmentFiles", []):
            check_environment_file(file)

    def describe_task_definition(self, given):
        return {
            "taskDefinition": _shown(self.definition_of(given["taskDefinition"], "Unable to describe task definition."))
        }

    def list_task_definitions(self, given):
        assert given.keys() <= {"familyPrefix", "status", "maxResults", "nextToken", "sort"}
        wanted = given.get("status", "ACTIVE")
        arns = [
            one["taskDefinitionArn"]
            for family, revisions in sorted(self.definitions.items())
            for one in revisions
            if given.get("familyPrefix") in {None, family} and one["status"] == wanted
        ]
        if given.get("sort") == "DESC":
            arns.reverse()
        return page(arns, given, "taskDefinitionArns")

    def list_task_definition_families(self, given):
        assert given.keys() <= {"familyPrefix", "status", "maxResults", "nextToken"}
        wanted = given.get("status", "ALL")
        families = [
            family
            for family, revisions in sorted(self.definitions.items())
            if family.startswith(given.get("familyPrefix", ""))
            and wanted in {"ALL", "ACTIVE" if "ACTIVE" in {one["status"] for one in revisions} else "INACTIVE"}
        ]
        return page(families, given, "families")

    def deregister_task_definition(self, given):
        found = self.definition_of(given["taskDefinition"], "The specified task definition does not exist.")
        found["status"] = "INACTIVE"
        return {"taskDefinition": _shown(found)}

    def delete_task_definitions(self, given):
        deleted, failures = [], []
        for name in given["taskDefinitions"]:
            found = self.definition_of(name, "The specified task definition does not exist.")
            if found["status"] != "INACTIVE":
                failures.append({"arn": found["taskDefinitionArn"], "reason": "INVALID_STATE"})
                continue
            found["status"] = "DELETE_IN_PROGRESS"
            deleted.append(_shown(found))
        return {"taskDefinitions": deleted, "failures": failures}

    def definition_of(self, name, otherwise):
        """Return the definition of that family (its latest active revision), revision or ARN."""
        family, _, revision = name.rpartition("/")[2].partition(":")
        revisions = self.definitions.get(family, [])
        if revision:
            found = [one for one in revisions if one["revision"] == int(revision)]
        else:
            found = [one for one in revisions if one["status"] == "ACTIVE"]
        if not found:
            raise client(otherwise)
        return found[-1]


def _shown(definition):
    return {key: value for key, value in definition.items() if key != "tags"}


def check_environment_file(file):
    if file.get("type") != "s3" or not re.fullmatch(r"arn:aws[a-z-]*:s3:::[a-z0-9.-]{3,63}/.+", file.get("value", "")):
        raise client("Invalid arn syntax for environment file.")
    if not file["value"].endswith(".env"):
        raise client("Environment file must have the .env extension.")


def check_tags(tags):
    if len(tags) > 50:
        raise invalid("The maximum number of tags per resource is 50.")
    keys = [tag["key"] for tag in tags]
    if len(set(keys)) != len(keys):
        raise invalid("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    for tag in tags:
        if tag["key"].lower().startswith("aws:"):
            raise invalid("Tag keys that start with 'aws:' are reserved for Amazon Web Services use.")
        if len(tag["key"]) > 128 or len(tag.get("value", "")) > 256:
            raise invalid("Tag keys and values may have at most 128 and 256 characters.")
        if not all(re.fullmatch(r"[\w \u00a0.:/=+\-@]*", text) for text in (tag["key"], tag.get("value", ""))):
            raise invalid(
                "Some tags contain invalid characters. "
                "Valid characters: UTF-8 letters, spaces, numbers and _ . / = + - : @."
            )


def page(items, given, name, size=100):
    first = int(given.get("nextToken") or 0)
    last = first + min(int(given.get("maxResults") or size), size)
    return {name: items[first:last]} | ({"nextToken": str(last)} if last < len(items) else {})
