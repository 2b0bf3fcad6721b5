"""docs/cloud.md names every right that an adapter's call to AWS needs."""

import re
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
# What a call is called as a right, where that is something else.
RIGHTS = {"list_objects_v2": "ListBucket"}
OF_A_TABLE = {
    "GetItem",
    "BatchGetItem",
    "Query",
    "PutItem",
    "UpdateItem",
    "DeleteItem",
    "BatchWriteItem",
    "ConditionCheckItem",
}


def calls():
    found = set()
    for file in (TOP / "hubless/adapters").rglob("*.py"):
        text = file.read_text()
        found |= set(re.findall(r"_clients\.(?:ec2|ecs|s3|efs|iam|sqs|ssm|sesv2)\.(?!get_paginator)([a-z_0-9]+)", text))
        found |= set(re.findall(r'get_paginator\("([a-z_0-9]+)"\)', text))
        if file.parent.name == "alb":
            found |= set(re.findall(r'"((?:add|create|delete|deregister|describe|modify|register)_[a-z_]+)"', text))
    return sorted(found)


def rights():
    text = (TOP / "docs/cloud.md").read_text()
    return set(re.findall(r"`(?:[a-z0-9]+:)?([A-Z][A-Za-z]+)`", text.partition("## Rights")[2].partition("\n## ")[0]))


def test_there_are_calls_to_look_at():
    assert len(calls()) > 20


@pytest.mark.parametrize("call", calls())
def test_a_call_is_among_the_rights(call):
    right = RIGHTS.get(call, "".join(part.capitalize() for part in call.split("_")))

    assert right in rights()


def test_the_tables_rights_are_those_of_its_operations():
    text = (TOP / "hubless/adapters/dynamodb/database.py").read_text()
    asked = {"".join(p.capitalize() for p in name.split("_")) for name in re.findall(r"_connection\.([a-z_]+)\(", text)}

    assert {name for name in asked if name.endswith(("Item", "Query"))} <= OF_A_TABLE
    assert rights() >= OF_A_TABLE
