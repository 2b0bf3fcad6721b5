"""Budgets and schedules as records of an archive, and the other way."""

from dataclasses import fields
from datetime import timedelta
from typing import Final

from hubless.domain import budgets, schedules
from hubless.domain.archive import ArchivedBudget, ArchivedSchedule
from hubless.domain.budgets import Budget
from hubless.domain.errors import InvalidRequestError
from hubless.domain.schedules import Schedule
from hubless.domain.wall_times import zone_of

_LONGEST_LEAD: Final = int(schedules.LONGEST_LEAD.total_seconds())


def archived_budget(budget: Budget) -> ArchivedBudget:
    """Return the record of *budget*."""
    return ArchivedBudget(**{one.name: getattr(budget, one.name) for one in fields(ArchivedBudget)})


def budget_of(record: ArchivedBudget) -> Budget:
    """Return the budget of a *record*.

    Raises:
        InvalidRequestError: when it breaks a rule.
    """
    budget = Budget(**{one.name: getattr(record, one.name) for one in fields(ArchivedBudget)})
    budgets.check(budget)
    return budget


def archived_schedule(schedule: Schedule) -> ArchivedSchedule:
    """Return the record of *schedule*."""
    return ArchivedSchedule(
        schedule.name,
        schedule.begins.isoformat(),
        schedule.ends.isoformat(),
        str(schedule.zone),
        schedule.groups,
        tuple(sorted(schedule.days)),
        "" if schedule.on is None else schedule.on.isoformat(),
        schedule.profile,
        schedule.stops,
        int(schedule.lead.total_seconds()),
        schedule.is_paused,
    )


def schedule_of(record: ArchivedSchedule) -> Schedule:
    """Return the schedule of a *record*.

    Raises:
        InvalidRequestError: when it breaks a rule.
    """
    if not 0 <= record.lead <= _LONGEST_LEAD:
        raise InvalidRequestError("Servers start at most 120 minutes before a lesson")
    schedule = Schedule(
        record.name,
        frozenset(record.days),
        schedules.clock_of(record.begins),
        schedules.clock_of(record.ends),
        zone_of(record.zone),
        record.groups,
        record.profile,
        record.stops,
        schedules.date_of(record.on) if record.on else None,
        timedelta(seconds=record.lead),
        record.is_paused,
    )
    schedules.check(schedule)
    return schedule
