"""docs/aws-facts.md, the doubles that play its rows, and botocore's models agree."""

import ast
import re
from pathlib import Path

import pytest
from botocore.session import get_session

TOP = Path(__file__).parents[2]
COLUMNS = ("id", "AWS", "source", "read", "model", "played by")
TEXT = (TOP / "docs/aws-facts.md").read_text()
CLAIM = re.compile(r"([a-z0-9-]+)\.([A-Za-z]+)((?:\.(?:\[\]|\w+))*) (min|max|has|lacks) (\S+)")
DOUBLES = [
    *sorted((TOP / "tests/doubles").rglob("*.py")),
    TOP / "tests/deployment/aws_doubles.py",
    TOP / "tests/support/cloudfront.py",
    TOP / "tests/support/cloudformation.py",
]


def rows():
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if cells and re.fullmatch(r"[A-Z0-9]+-\d+", cells[0]):
            yield dict(zip(COLUMNS, cells, strict=True))


ROWS = list(rows())
IDS = [row["id"] for row in ROWS]
CLAIMS = [(row["id"], claim) for row in ROWS for claim in re.findall(r"`([^`]+)`", row["model"])]


def named_rows(double):
    """Return the ids in the sentence "Facts: …." of a double's docstring."""
    docstring = " ".join((ast.get_docstring(ast.parse(double.read_text())) or "").split())
    named = re.search(r"Facts: ([^.]+)\.", docstring)
    return re.split(r", | and ", named[1]) if named else []


def players(row):
    return [TOP / path for path in re.findall(r"`([^`]+)`", row["played by"])]


def models(claim):
    """Return whether botocore's models say what *claim* says."""
    service, operation, path, word, value = CLAIM.fullmatch(claim).groups()
    shape = get_session().get_service_model(service).operation_model(operation).input_shape
    for step in path.split(".")[1:]:
        shape = shape.member if step == "[]" else shape.members[step]
    if word in {"min", "max"}:
        return shape.metadata.get(word) == int(value)
    known = shape.members if shape.type_name == "structure" else shape.enum
    return (value in known) == (word == "has")


def test_there_are_rows_claims_and_doubles():
    assert len(ROWS) >= 50
    assert len(CLAIMS) >= 20
    assert sum(bool(named_rows(double)) for double in DOUBLES) >= 6


def test_each_id_stands_for_one_row():
    assert len(IDS) == len(set(IDS))


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_each_row_has_a_source_and_a_date_or_says_that_nobody_read_it(row):
    assert re.fullmatch(r"\[[^]]+\]", row["source"])
    assert f"\n{row['source']}: https://" in TEXT
    assert re.fullmatch(r"2\d{3}-\d\d-\d\d|-", row["read"])


@pytest.mark.parametrize(("row", "claim"), CLAIMS)
def test_the_models_of_botocore_say_it(row, claim):
    assert models(claim), f"{row}: botocore's models no longer say: {claim}"


def test_a_wrong_claim_about_a_model_is_noticed():
    assert not models("dynamodb.BatchWriteItem.RequestItems max 26")
    assert not models("ecs.RunTask.overrides lacks taskRoleArn")
    assert not models("apigateway.PutIntegration.responseTransferMode has WEBSOCKET")


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_what_plays_a_row_exists(row):
    assert players(row) or row["played by"] == "-"
    for path in players(row):
        assert path.exists(), f"{row['id']} is played by {path.name}, which does not exist"


@pytest.mark.parametrize("double", DOUBLES, ids=lambda double: str(double.relative_to(TOP)))
def test_a_double_names_the_rows_that_it_plays(double):
    within = double.parent if double.name == "__init__.py" else double
    assert sorted(named_rows(double)) == sorted(row["id"] for row in ROWS if within in players(row))
