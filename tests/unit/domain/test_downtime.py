"""When a hub was up, by its sweeps: downtime counts for nobody's idleness and for no deadline."""

from datetime import timedelta

import pytest

from hubless.domain import downtime
from hubless.domain.downtime import CLOCK_DOUBT, FIRST_REPORTS, MOST_SPANS, Span, Uptime, Uptimes
from hubless.domain.idleness import IdlePolicy, Keep, Reap, verdict
from hubless.domain.lifecycle import State
from tests.support.builders import NOW, a_server

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
PAUSE = 70 * SECOND  # the longest between two sweeps that is no downtime


def seen_at(*offsets, **options):
    """Return the record of something that was seen up at these times from now."""
    uptime = Uptime()
    for offset in offsets:
        uptime = uptime.seen(NOW + offset, PAUSE, **options)
    return uptime


def test_sweeps_at_their_interval_leave_no_downtime():
    uptime = seen_at(*(30 * SECOND * number for number in range(20)))

    assert uptime.up_at == NOW + 570 * SECOND
    assert uptime.down_between(NOW - HOUR, NOW + HOUR) == timedelta()


def test_a_pause_of_the_longest_length_is_no_downtime_and_a_longer_one_is():
    assert seen_at(timedelta(), PAUSE).down_between(NOW, NOW + HOUR) == timedelta()
    assert seen_at(timedelta(), PAUSE + SECOND).down_between(NOW, NOW + HOUR) == PAUSE + SECOND


def test_a_new_process_was_down_however_short_the_time():
    uptime = seen_at(timedelta()).seen(NOW + 2 * SECOND, PAUSE, is_start=True)

    assert uptime.down_between(NOW, NOW + HOUR) == 2 * SECOND


def test_only_the_part_of_a_downtime_in_question_counts():
    uptime = seen_at(timedelta(), HOUR)

    assert uptime.down_between(NOW + 10 * MINUTE, NOW + 30 * MINUTE) == 20 * MINUTE
    assert uptime.down_between(NOW + HOUR, NOW + 2 * HOUR) == timedelta()
    assert uptime.down_between(NOW - HOUR, NOW) == timedelta()


def test_a_downtime_whose_end_nobody_noted_counts_too():
    uptime = seen_at(timedelta())

    assert uptime.down_between(NOW, NOW + HOUR, PAUSE) == HOUR
    assert uptime.down_between(NOW, NOW + PAUSE, PAUSE) == timedelta()


def test_a_jump_that_is_set_right_again_is_forgotten():
    """The clock goes an hour ahead, and back again before half a minute has passed."""
    uptime = seen_at(timedelta(), HOUR, 30 * SECOND)

    assert uptime.up_at == NOW + 30 * SECOND
    assert uptime.down_between(NOW - HOUR, NOW + 2 * HOUR) == 30 * SECOND


def test_of_many_downtimes_the_longest_and_the_last_are_kept():
    uptime = seen_at(timedelta(), HOUR)
    for number in range(1, 2 * MOST_SPANS):
        uptime = uptime.seen(NOW + HOUR + number * MINUTE, PAUSE, is_start=True)

    assert len(uptime.downtimes) == MOST_SPANS
    assert uptime.downtimes[0] == Span(NOW, NOW + HOUR)
    assert uptime.downtimes[-1].ended_at == uptime.up_at
    assert list(uptime.downtimes) == sorted(uptime.downtimes, key=lambda span: span.began_at)


@pytest.mark.parametrize(
    "uptimes", [Uptimes(), Uptimes(seen_at(timedelta(), HOUR), seen_at(timedelta())), Uptimes(seen_at(HOUR))]
)
def test_records_survive_the_store(uptimes):
    assert downtime.decode(downtime.encode(uptimes)) == uptimes
    assert downtime.decode("") == Uptimes()


def test_edges_that_do_not_report_are_down_while_the_hub_is_up():
    uptimes = Uptimes().seen(NOW, PAUSE, edges_report=True)
    for number in range(1, 10):
        uptimes = uptimes.seen(NOW + number * MINUTE, PAUSE, edges_report=False)
        assert not uptimes.edges_report
    uptimes = uptimes.seen(NOW + 10 * MINUTE, PAUSE, edges_report=True)

    assert uptimes.edges_report
    assert uptimes.hub.down_between(NOW, NOW + HOUR) == timedelta()
    assert uptimes.edges.down_between(NOW, NOW + HOUR) == 10 * MINUTE


def test_what_expired_by_a_jump_alone_is_kept_for_an_hour():
    jumped = Uptimes().seen(NOW, PAUSE, edges_report=True).seen(NOW + 5 * HOUR, PAUSE, edges_report=True)
    at = NOW + 5 * HOUR

    assert jumped.sure_at(at, PAUSE) == NOW
    assert jumped.sure_at(at + CLOCK_DOUBT - SECOND, PAUSE) == NOW
    assert jumped.sure_at(at + CLOCK_DOUBT, PAUSE) == at + CLOCK_DOUBT


def test_a_short_restart_leaves_no_doubt_in_the_clock():
    uptimes = Uptimes().seen(NOW, PAUSE, edges_report=True)
    uptimes = uptimes.seen(NOW + SECOND, PAUSE, edges_report=True, is_start=True)

    assert uptimes.sure_at(NOW + MINUTE, PAUSE) == NOW + MINUTE


class TestIdleness:
    """A server that was used a quarter of an hour before the hub was down for ten hours."""

    policy = IdlePolicy(idle_after=HOUR)
    server = a_server(state=State.READY, started_at=NOW - 9 * HOUR, last_activity_at=NOW - 15 * MINUTE)
    uptime = seen_at(timedelta(), 10 * HOUR)
    back = NOW + 10 * HOUR

    def judge(self, after, **options):
        return verdict(self.server, self.policy, self.back + after, uptime=self.uptime, **options)

    def test_without_the_downtime_it_is_idle_for_as_long_as_the_hub_was_up(self):
        assert isinstance(self.judge(45 * MINUTE - SECOND), Keep)
        assert isinstance(self.judge(45 * MINUTE), Reap)

    def test_it_stays_until_everything_is_reported(self):
        old = {"report_interval": HOUR, "worked_at": None}

        assert isinstance(self.judge(HOUR + FIRST_REPORTS + 44 * MINUTE, **old), Keep)
        assert isinstance(self.judge(HOUR + 45 * MINUTE, **old), Reap)

    def test_it_stays_for_the_first_reports_even_if_it_was_nearly_idle(self):
        self_idle = verdict(
            a_server(state=State.READY, started_at=NOW - HOUR + SECOND),
            self.policy,
            self.back + FIRST_REPORTS - SECOND,
            uptime=self.uptime,
        )

        assert isinstance(self_idle, Keep)

    def test_its_owners_wish_counts_without_the_downtime_too(self):
        kept = a_server(state=State.READY, started_at=NOW - 9 * HOUR, kept_until=NOW + HOUR)

        assert isinstance(verdict(kept, self.policy, self.back + 59 * MINUTE, uptime=self.uptime), Keep)
        assert isinstance(verdict(kept, self.policy, self.back + HOUR, uptime=self.uptime), Reap)

    def test_its_age_counts_by_the_instant_that_is_sure(self):
        aged = IdlePolicy(max_age=12 * HOUR)

        assert isinstance(verdict(self.server, aged, self.back), Reap)
        assert isinstance(verdict(self.server, aged, self.back, aged_at=NOW), Keep)
