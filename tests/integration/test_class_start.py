"""A class presses start, in simulated time; `benchmarks/bench_class_start.py` does the same with 2,000."""

import pytest

from hubless.adapters.dynamodb.launch_rate_limiter import DynamoLaunchRateLimiter
from hubless.adapters.ecs import limits
from hubless.domain.lifecycle import State
from tests.doubles.ecs.tasks import LATENCY
from tests.simulation.class_start import School
from tests.simulation.outcome import Plan
from tests.support.dynamodb import in_new_table, moto


def assert_nothing_is_lost(school, out):
    assert out.states == {State.READY: out.plan.students}, out.failures
    assert set(out.starts.values()) == {1}
    live = {server.launch_id for server in school.servers.in_states([State.READY])}
    assert set(out.starts) == live
    assert {route.launch_id for route in school.routes.all()} == live


def test_a_class_starts_nearly_as_fast_as_aws_limits_allow_within_them():
    school = School(Plan(students=150, within=3))

    out = school.run()

    assert_nothing_is_lost(school, out)
    assert out.ratio <= 1.1
    assert not out.throttled.total()
    assert out.waited[-1] < 10  # nobody's server runs for long before it is served
    assert out.most_tries <= 3


def test_a_class_with_homes_that_was_prepared_ahead_starts_as_fast():
    school = School(Plan(students=150, within=3, homes=True, begins=240))

    out = school.run()

    assert_nothing_is_lost(school, out)
    assert out.ratio <= 1.1
    assert not out.throttled.total()
    assert State.PREPARING not in out.passed


def test_a_class_of_500_with_homes_starts_nearly_as_fast_as_limits_allow():
    school = School(Plan(students=500, homes=True))
    school.prepare_all()

    out = school.run()

    assert_nothing_is_lost(school, out)
    assert out.ratio <= 1.1
    assert not out.throttled.total()
    assert State.PREPARING not in out.passed


def test_of_a_class_that_nothing_was_prepared_for_nobody_is_lost():
    school = School(Plan(students=150, within=3, homes=True, newcomers=150))

    out = school.run()

    assert_nothing_is_lost(school, out)
    assert State.PREPARING in out.passed
    assert not out.throttled["RegisterTaskDefinition"] + out.throttled["RunTask"]
    # Twenty at once and one a second, and then the slowest start.
    assert out.ready[-1] < 1.1 * (150 - 20 + max(LATENCY))
    assert out.most_tries < 20
    when_all_wait = out.positions.index(max(out.positions))
    assert out.positions[when_all_wait:] == sorted(out.positions[when_all_wait:], reverse=True)
    assert out.positions[when_all_wait] > 100


def test_who_waits_for_a_preparation_holds_up_no_prepared_start():
    school = School(Plan(students=160, within=3, homes=True, newcomers=80, begins=120))

    out = school.run()

    assert_nothing_is_lost(school, out)
    prepared = sorted(set(out.ready) - set(out.ready_newcomers))
    assert len(prepared) == 80
    # Twenty a second of both are launched at best, and the slowest start takes 90 s.
    assert prepared[-1] < 1.1 * (160 / 20 + max(LATENCY))


def test_a_class_takes_the_spares_that_wait_and_launches_the_others():
    """Of eight spares two die, and are replaced; the class takes all, and after their hours none is left."""
    plan = Plan(students=30, within=3, begins=870, warm=8, warm_minutes=17, deaths=(100, 101), until=300)
    school = School(plan)

    out = school.run()

    servers = school.servers.in_states([State.READY])
    given = {server.spare_id for server in servers if server.spare_id}
    assert out.states == {State.READY: 30}, out.failures
    assert (len(given), len(out.took), len(out.took_with_spare)) == (8, 22, 8)
    assert set(out.starts.values()) == {1}
    assert given | {server.launch_id for server in servers if not server.spare_id} <= out.starts.keys()
    assert len(out.starts) == 30 + 2 + 8  # two died, and eight came when the class had taken the others
    assert max(out.took_with_spare) < min(out.took)
    assert sorted(school.cloud.launches_running()) == sorted(server.task.partition("/")[0] for server in servers)
    assert school.spares.store.all() == []
    assert len(school.spares.store._port.claims) == 8


def test_the_table_keeps_the_pace():
    with moto() as database:
        made = in_new_table(database)

        def pace(school):
            return DynamoLaunchRateLimiter(
                database,
                rate=limits.RATE,
                burst=limits.BURST,
                longest_wait=limits.LONGEST_WAIT,
                clock=school.clock,
                sleep=school.loop.sleep,
            )

        school = School(Plan(students=45, within=0.5), pace)
        out = school.run()
        made.close()

    assert_nothing_is_lost(school, out)
    assert not out.throttled.total()
    assert len(out.calls) == 45
    assert max(out.launched) < 1.05 * 45 / limits.RATE + 3


@pytest.mark.parametrize("how", ["no pace", "another hub in the account"])
def test_who_is_throttled_all_the_same_is_late_and_not_lost(how):
    if how == "no pace":
        school = School(Plan(students=80, within=2, rate=1000, burst=1000))
    else:
        school = School(Plan(students=50, within=2))
        bucket = school.account.limits["RunTask"]
        school.loop.every(0.1, lambda: bucket.take(school.loop.right.now()))
        bucket.tokens = 0.0

    out = school.run()

    assert_nothing_is_lost(school, out)
    assert out.throttled["RunTask"]
