from datetime import time
from pathlib import Path

import pytest

from hubless.settings import SettingsError, parse

PHYSICS = {
    "name": '"physics"',
    "days": '["monday", "friday"]',
    "begins": '"08:50"',
    "ends": "10:30:00",
    "timezone": '"Europe/Berlin"',
    "groups": '["a"]',
}


def parsed(**changes):
    lines = "\n".join(f"{key} = {text}" for key, text in {**PHYSICS, **changes}.items() if text)
    return parse(f"[[schedules]]\n{lines}\n", Path("data"), {}).schedules


def test_a_schedule_has_days_times_and_a_zone():
    (physics,) = parsed()
    assert (physics.days, physics.begins, physics.ends) == (frozenset({0, 4}), time(8, 50), time(10, 30))
    assert str(physics.zone) == "Europe/Berlin"
    assert physics.stops


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"days": '["Monday"]'}, "schedules.physics.days"),
        ({"days": "[]"}, "a list of days such as"),
        ({"days": '"monday"'}, "a list of days such as"),
        ({"begins": '"8.50"'}, "a time such as"),
        ({"begins": '"08:50+01:00"'}, "a time such as"),
        ({"begins": "8"}, "a time such as"),
        ({"ends": '"08:50"'}, "schedules.physics.ends must be later than begins"),
        ({"timezone": '"Berlin"'}, "schedules.physics.timezone is 'Berlin', which is no time zone"),
        ({"timezone": '"../../etc/passwd"'}, "which is no time zone"),
        ({"timezone": '"Europe"'}, "which is no time zone"),
        ({"profile": '"none"'}, "schedules.physics.profile names none, and there is no such profile"),
        ({"groups": "[]"}, "groups"),
        ({"groups": ""}, "groups"),
    ],
)
def test_a_wrong_schedule_is_named(changes, why):
    with pytest.raises(SettingsError) as refused:
        parsed(**changes)
    assert why in str(refused.value)
