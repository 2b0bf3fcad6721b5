from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubless.domain.metering import MOST_GROUPS, Metering
from hubless.domain.profiles import Profile
from hubless.domain.tariffs import Meter, Tariff
from hubless.domain.usage import Totals, TotalsOf, Usage, days_of, month_of, rows_of, shifted, summed
from tests.support.builders import a_user

LATE = datetime(2026, 11, 30, 23, 59, 30, 500_000, tzinfo=UTC)
SIZE = Metering(1500, 2048, 1, 250_000, "$", ("physics",))


def ran(seconds, began=LATE, metering=SIZE, **facts):
    known = {"launch_id": "l1", "server_id": "s1", "owner_id": "u1", "profile": "lab", "outcome": "stopped"}
    return Usage(**known | facts, started_at=began, ended_at=began + timedelta(seconds=seconds), metering=metering)


def of(rows, kind, period):
    return {row.subject: row.totals for row in rows if row.of is kind and row.period == period}


def test_a_launch_counts_for_the_hub_its_profile_owner_and_groups():
    rows = rows_of(ran(10))
    expected = Totals(1, 11, 16_500, 2048 * 11, 11, 250_000 * 11 // 3600)  # of begun seconds
    for kind, subject in (("hub", ""), ("profile", "lab"), ("user", "u1"), ("group", "physics")):
        assert of(rows, TotalsOf(kind), "2026-11-30") == of(rows, TotalsOf(kind), "2026-11") == {subject: expected}
    assert len(rows) == 8


def test_a_launch_over_midnight_is_split_into_its_days():
    parts = [row for row in rows_of(ran(86_400)) if row.of is TotalsOf.USER and len(row.period) > 7]
    assert [(row.period, row.totals.launches, row.totals.seconds) for row in parts] == [
        ("2026-11-30", 1, 30),
        ("2026-12-01", 0, 86_371),
    ]


def test_a_launch_over_midnight_counts_in_both_months():
    rows = rows_of(ran(3600))
    assert [of(rows, TotalsOf.HUB, month)[""].seconds for month in ("2026-11", "2026-12")] == [30, 3571]
    assert [of(rows, TotalsOf.HUB, month)[""].launches for month in ("2026-11", "2026-12")] == [1, 0]


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 with a zone
    st.integers(0, 40 * 86_400),
    st.integers(0, 50_000_000),
)
def test_the_parts_of_a_launch_sum_to_the_launch(began, seconds, price):
    rows = rows_of(ran(seconds, began, Metering(250, 512, 0, price)))
    for is_day in (True, False):
        parts = [row for row in rows if row.of is TotalsOf.USER and (len(row.period) > 7) is is_day]
        whole = seconds + (began.microsecond > 0)
        assert summed(parts) == {"u1": Totals(1, whole, 250 * whole, 512 * whole, 0, price * whole // 3600)}
        assert len({row.period for row in parts}) == len(parts)


def test_a_launch_on_a_clock_that_went_back_costs_nothing():
    assert of(rows_of(ran(-4000)), TotalsOf.HUB, "2026-11")[""] == Totals(launches=1)


def test_days_are_those_of_utc():
    began = datetime(2026, 12, 1, 1, 0, tzinfo=timezone(timedelta(hours=2)))
    assert {row.period for row in rows_of(ran(60, began))} == {"2026-11-30", "2026-11"}
    assert month_of(began) == "2026-11"


def test_days_of_a_month_know_leap_years():
    assert [len(days_of(month)) for month in ("2026-02", "2028-02", "2026-12")] == [28, 29, 31]
    assert days_of("2026-11")[::29] == ["2026-11-01", "2026-11-30"]


def test_a_month_has_one_before_and_one_after():
    assert [shifted("2026-12", 1), shifted("2026-01", -1), shifted("2026-05", 0)] == ["2027-01", "2025-12", "2026-05"]


@pytest.mark.parametrize(
    "month", ["", "2026", "2026-13", "2026-1", "26-11", "2026-11-01", "٢٠٢٦-11", "x" * 99, "0000-01"]
)
def test_a_month_that_is_none_is_refused(month):
    for refused in (days_of, lambda one: shifted(one, 1)):
        with pytest.raises(ValueError, match=r"month|year"):
            refused(month)


def test_a_hundred_thousand_launches_of_a_term_make_few_rows():
    people, groups, profiles, days = 1000, 40, 5, 100
    first = datetime(2026, 9, 1, 9, tzinfo=UTC)
    sized = [Metering(groups=(f"class{number}",)) for number in range(groups)]
    keys = set()
    for number in range(100_000):
        person = number % people
        usage = ran(
            60, first + timedelta(days=number // people % days), sized[person % groups], profile=f"p{person % 5}"
        )
        keys.update((row.of, row.subject, row.period) for row in rows_of(replace(usage, owner_id=f"u{person}")))
    assert len(keys) == (days + 4) * (1 + profiles + groups + people)  # days, and months from September on
    a_month = [key for key in keys if key[2] == "2026-11"]
    assert len(a_month) == 1 + profiles + groups + people


def test_money_has_no_rounding_errors():
    totals = sum(
        (row.totals for row in rows_of(ran(36_000)) if row.of is TotalsOf.USER and len(row.period) == 7), Totals()
    )
    assert totals.cost == Decimal("2.500069")
    assert [round(amount, 3) for amount in (totals.hours, totals.cpu_hours, totals.gib_hours, totals.gpu_hours)] == [
        10,
        15,
        20.001,
        10,
    ]


def test_a_profile_with_a_price_of_its_own_costs_that():
    meter = Meter(Tariff(40_480, 4_445, 1_000_000, "$"))
    owner = a_user(groups=("a", "b"))
    sized = {"cpus": 2.0, "memory_bytes": 4 * 1024**3, "gpus": 1}
    assert meter.of(Profile("own", price_per_hour=0.1, **sized), owner).price_micros == 100_000
    assert meter.of(Profile("free", price_per_hour=0.0, **sized), owner).price_micros == 0
    assert meter.of(Profile("sized", **sized), owner) == Metering(2000, 4096, 1, 1_098_740, "$", ("a", "b"))
    assert meter.of(Profile("plain"), owner) == Metering(0, 0, 0, 0, "$", ("a", "b"))


def test_no_more_groups_are_metered_than_a_write_can_hold():
    owner = a_user(groups=tuple(f"g{number:03}" for number in range(500)))
    assert len(Meter().of(Profile("lab"), owner).groups) == MOST_GROUPS
