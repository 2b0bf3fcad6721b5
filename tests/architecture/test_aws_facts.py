"""docs/aws-facts.md, the doubles that play its rows, and botocore's models agree."""

import ast
import re
from pathlib import Path

import pytest
from botocore.session import get_session

TOP = Path(__file__).parents[2]
COLUMNS = ("id", "AWS", "source", "read", "model", "played by")
TEXT = (TOP / "docs/aws-facts.md").read_text()
TRIAL = (TOP / "docs/trial.md").read_text()
STEPS = {*re.findall(r"^\| `([a-z-]+)` \| ", TRIAL, re.MULTILINE)}
CLAIM = re.compile(
    r"(?P<service>[a-z0-9-]+)\.(?P<operation>[A-Za-z0-9]+)"
    r"(?P<path>(?:\.(?:\[\]|\w+))*)(?: -> ?(?P<output>[\w.\[\]]*?))?"
    r" ?(?P<word>min|max|has|lacks|raises) (?P<value>\S+)"
)
DOUBLES = [
    *sorted((TOP / "tests/doubles").rglob("*.py")),
    TOP / "tests/deployment/aws_doubles.py",
    TOP / "tests/support/alb.py",
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


def steps(row):
    """Return the steps of the trial that show *row* on AWS."""
    named = re.search(r"trial: ([a-z, -]+)$", row["played by"])
    return named[1].split(", ") if named else []


def asked_by_the_trial():
    """Yield each row that an open question of the trial names, with the steps that answer it."""
    for line in TRIAL.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if len(cells) == 3 and "aws-facts.md" in cells[1]:
            first_last = re.findall(r"([A-Z0-9]+)-(\d+) to [A-Z0-9]+-(\d+)", cells[1])
            ids = [f"{kind}-{n}" for kind, first, last in first_last for n in range(int(first), int(last) + 1)]
            for one in dict.fromkeys([*ids, *re.findall(r"\b(?!ADR)[A-Z0-9]+-\d+", cells[1])]):
                yield one, re.findall(r"`([a-z-]+)`", cells[2])


def models(claim):
    """Return whether botocore's models say what *claim* says."""
    service, operation, path, output, word, value = CLAIM.fullmatch(claim).groups()
    model = get_session().get_service_model(service).operation_model(operation)
    if word == "raises":
        return value in {shape.metadata.get("error", {}).get("code", shape.name) for shape in model.error_shapes}
    shape = model.input_shape if output is None else model.output_shape
    for step in [one for one in (path + "." + (output or "")).split(".") if one]:
        shape = shape.member if step == "[]" else shape.members[step]
    if word in {"min", "max"}:
        return shape.metadata.get(word) == int(value)
    known = shape.members if shape.type_name == "structure" else shape.enum
    return (value in known) == (word == "has")


def test_there_are_rows_claims_and_doubles():
    assert len(ROWS) >= 120
    assert len(CLAIMS) >= 90
    assert sum(bool(named_rows(double)) for double in DOUBLES) >= 7
    assert {"deploy", "kernel", "leftovers"} <= STEPS
    assert len(list(asked_by_the_trial())) >= 9


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
    assert not models("elbv2.CreateRule raises PriorityInUseException")
    assert not models("ecs.DescribeTasks -> tasks.[].stopCode has Holiday")
    assert not models("dynamodb.Query -> has NextToken")


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_what_plays_a_row_exists(row):
    assert players(row) or steps(row) or row["played by"] == "-"
    assert set(steps(row)) <= STEPS
    for path in players(row):
        is_package = path.parent == TOP / "tests/doubles" and (path / "__init__.py").exists()
        assert path.is_file() or is_package, f"{row['id']}: {path.relative_to(TOP)} is neither a file nor a double"


@pytest.mark.parametrize(("row", "wanted"), list(asked_by_the_trial()))
def test_a_row_names_the_step_of_the_trial_that_asks_for_it(row, wanted):
    (found,) = [steps(one) for one in ROWS if one["id"] == row]

    assert set(found) & set(wanted), f"{row}: docs/trial.md says {wanted}, docs/aws-facts.md {found}"


@pytest.mark.parametrize("double", DOUBLES, ids=lambda double: str(double.relative_to(TOP)))
def test_a_double_names_the_rows_that_it_plays(double):
    within = double.parent if double.name == "__init__.py" else double
    assert sorted(named_rows(double)) == sorted(row["id"] for row in ROWS if within in players(row))
