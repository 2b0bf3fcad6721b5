"""docs/operations.md lists every permission that an operator's command needs."""

import re
from pathlib import Path

import pytest

from operations.aws import IAM_ACTIONS, IAM_PREFIXES

TOP = Path(__file__).parents[3]
CALL = re.compile(r"""(?:\.call|\.paginate|_exists)\(\s*(?:aws, "[^"]+", |aws, )?"([a-z0-9-]+)", "([a-z_0-9]+)\"""")


def calls():
    texts = [file.read_text() for file in (TOP / "operations").rglob("*.py")]
    return sorted({call for text in texts for call in CALL.findall(text)})


def permissions():
    text = (TOP / "docs/operations.md").read_text().partition("## Rights")[2].partition("\n## ")[0]
    found, service = set(), ""
    for named in re.findall(r"`(?:([a-z0-9]+):)?([A-Z][A-Za-z]+)`", text):
        service = named[0] or service
        found.add(f"{service}:{named[1]}")
    return found


def test_exists_are_calls_to_look_at():
    assert len(calls()) > 20


@pytest.mark.parametrize(("service", "operation"), calls())
def test_a_call_is_among_the_permissions(service, operation):
    name = "".join(part.capitalize() for part in operation.split("_")).replace("Aws", "AWS")

    assert f"{IAM_PREFIXES.get(service, service)}:{IAM_ACTIONS.get(name, name)}" in permissions()
