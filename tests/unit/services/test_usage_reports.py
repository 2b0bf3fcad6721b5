from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.metering import Metering
from hubless.domain.profiles import Profile
from hubless.domain.tariffs import Meter, Tariff
from hubless.domain.usage import TotalsOf, Usage
from hubless.domain.users import Group
from hubless.services.usage_reports import UsageReports
from tests.support.builders import NOW
from tests.support.world import World


@pytest.fixture
def world():
    made = World(profiles=[Profile("lab", cpus=2.0)])
    made.spawning = replace(made.spawning, meter=Meter(Tariff(1_000_000, 0, 0, "$")))
    made.reports = UsageReports(made.usage, made.servers, made.users, made.clock)
    made.groups.create(Group("g1", "physics", users=("alice",)))
    made.alice = made.users.get(made.alice.id)
    return made


def seconds(world, of, month="2026-11"):
    return {line.name: line.totals.seconds for line in world.reports.by_subject(of, month)}


def test_what_runs_now_is_estimated_until_it_ends(world):
    server = world.running()
    world.clock.advance(timedelta(hours=2))
    for of, name in (
        (TotalsOf.USER, "alice"),
        (TotalsOf.GROUP, "physics"),
        (TotalsOf.PROFILE, "lab"),
        (TotalsOf.HUB, ""),
    ):
        assert seconds(world, of) == {name: 7200}
        line = world.reports.by_subject(of, "2026-11")[0]
        assert (line.totals.launches, line.totals.cost) == (1, 4)
    assert world.usage.of_month(TotalsOf.HUB, "2026-11") == []

    world.stopping.request(server)
    world.turn()
    world.clock.advance(timedelta(hours=2))
    assert seconds(world, TotalsOf.USER) == {"alice": 7200}


def test_a_server_that_stops_is_never_counted_twice(world):
    server = world.running()
    world.clock.advance(timedelta(hours=1))
    stopping = world.stopping.request(server)
    world.stopping._meter(stopping)  # as a crash leaves it before the last write
    assert seconds(world, TotalsOf.HUB) == {"": 3600}


def test_each_day_of_the_month_has_a_row(world):
    world.running()
    world.clock.advance(timedelta(days=2))
    days = dict(world.reports.by_day(TotalsOf.USER, world.alice.id, "2026-11"))
    assert len(days) == 30
    assert [days[f"2026-11-{day}"].seconds // 3600 for day in (23, 24, 25, 26, 27)] == [0, 15, 24, 9, 0]
    assert dict(world.reports.by_day(TotalsOf.GROUP, "physics", "2026-11")) == days
    assert not any(totals.seconds for _, totals in world.reports.by_day(TotalsOf.GROUP, "physics", "2026-10"))


def test_a_past_month_has_no_estimate_and_knows_removed_users(world):
    world.running()
    usage = Usage("l9", "s9", "u-gone", "lab", NOW, NOW + timedelta(hours=3), "stopped", Metering(groups=("old",)))
    world.usage.add(replace(usage, started_at=NOW - timedelta(days=40), ended_at=NOW - timedelta(days=39)))
    lines = world.reports.by_subject(TotalsOf.USER, "2026-10")
    assert [(line.subject, line.name, line.totals.hours) for line in lines] == [("u-gone", "", 24)]


def test_the_largest_comes_first(world):
    for number, hours in enumerate((1, 5, 3)):
        usage = Usage(f"l{number}", "s", "u-gone", f"p{hours}", NOW, NOW + timedelta(hours=hours), "stopped")
        world.usage.add(usage)
    assert list(seconds(world, TotalsOf.PROFILE)) == ["p5", "p3", "p1"]
    assert world.reports.running() == 0
