"""What `hubless up` says about isolation."""

from pathlib import Path

import pytest

from embedded.isolation import Chosen, lines
from hubless.settings import Settings, parse

NOT_NAMED = Settings(Path("/srv/hub"))
NAMED = parse('[servers]\nisolation = "none"', Path("/srv/hub"), {})


@pytest.mark.parametrize("name", ["sandbox", "accounts"])
def test_the_first_lines_name_the_kind(name: str) -> None:
    (line,) = lines(Chosen(name, {}), NOT_NAMED)

    assert line.startswith(f"Isolation: {name}. Each ")


def test_why_a_stronger_kind_does_not_work_is_said() -> None:
    said = lines(Chosen("accounts", {"sandbox": "bubblewrap is not installed"}), NOT_NAMED)

    assert "sandbox does not work here: bubblewrap is not installed" in said[1]


def test_no_isolation_is_said_in_words_at_every_start() -> None:
    (unnamed,), (named,) = lines(Chosen("none", {}), NOT_NAMED), lines(Chosen("none", {}), NAMED)

    for line in (unnamed, named):
        assert "can read all users' files and the hub's secret" in line
    assert "only the first user" in unnamed
    assert "only the first user" not in named


def test_limits_that_servers_can_raise_are_said() -> None:
    said = lines(Chosen("none", {}, weak_limits="a trial program could raise them"), NOT_NAMED)

    assert "limits do not hold against a user who wants to exceed them: a trial program could" in said[1]


def test_servers_of_an_earlier_hub_are_counted() -> None:
    assert "keep it: 3" in lines(Chosen("sandbox", {}, 3), NOT_NAMED)[-1]
