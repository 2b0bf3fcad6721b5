from datetime import UTC, date, datetime, timedelta

import pytest

from hubless.domain import token_choices
from hubless.domain.errors import InvalidRequestError
from hubless.domain.scopes import ADMIN_ROLE, DEFINITIONS, Bearer, expand

NOW = datetime(2026, 3, 14, 23, 30, tzinfo=UTC)
STUDENT = expand(["self"], Bearer(user="alice"))
ADMIN = expand(ADMIN_ROLE, Bearer(user="root"))


def scopes_of(choices):
    return [one.scope for one in choices]


def test_a_student_is_offered_what_is_their_own_and_nothing_else():
    own = scopes_of(token_choices.of_own(STUDENT, "alice", ()))

    assert own == [one.scope for one in token_choices.OWN if one.scope != "shares!user"]
    assert token_choices.of_others(STUDENT, "alice", ()) == ()


def test_who_may_share_is_offered_that_as_well():
    held = STUDENT | expand(["shares!user"], Bearer(user="alice"))

    assert "shares!user" in scopes_of(token_choices.of_own(held, "alice", ()))


def test_an_admin_is_offered_what_concerns_others():
    others = scopes_of(token_choices.of_others(ADMIN, "root", ()))

    assert {"admin:users", "admin:servers", "read:metrics"} <= set(others)
    assert set(others) <= DEFINITIONS.keys()


def test_all_that_is_offered_may_be_granted():
    for held, user in ((STUDENT, "alice"), (ADMIN, "root")):
        for one in (*token_choices.of_own(held, user, ()), *token_choices.of_others(held, user, ())):
            wanted = expand([one.scope], Bearer(user=user)).all
            assert wanted
            assert all(held.covers(scope, lambda _name: ()) for scope in wanted)


def test_a_scope_of_ones_group_covers_oneself():
    held = expand(["servers!group=physics"], Bearer(user="alice"))

    assert "servers!user" in scopes_of(token_choices.of_own(held, "alice", ("physics",)))
    assert token_choices.of_own(held, "alice", ("other",)) == ()


def test_a_token_ends_with_its_last_day():
    assert token_choices.lifetime_until("2026-03-14", NOW, None) == timedelta(minutes=30)
    assert token_choices.lifetime_until("2026-03-15", NOW, None) == timedelta(days=1, minutes=30)


def test_the_last_day_that_is_allowed_ends_when_the_longest_time_does():
    longest = timedelta(days=2)

    assert token_choices.last_day(NOW, longest) == date(2026, 3, 16)
    assert token_choices.lifetime_until("2026-03-16", NOW, longest) == longest
    assert token_choices.lifetime_until("2026-03-15", NOW, longest) == timedelta(days=1, minutes=30)
    with pytest.raises(InvalidRequestError, match="until 2026-03-16 at most"):
        token_choices.lifetime_until("2026-03-17", NOW, longest)


@pytest.mark.parametrize("longest", [timedelta(minutes=1), timedelta(hours=1), timedelta(days=90), None])
def test_the_day_that_is_proposed_is_accepted(longest):
    day = token_choices.usual_day(NOW, longest)

    lifetime = token_choices.lifetime_until(day.isoformat(), NOW, longest)

    assert timedelta() < lifetime <= (longest or timedelta(days=31))


def test_a_day_that_is_over_is_refused():
    with pytest.raises(InvalidRequestError, match="is over"):
        token_choices.lifetime_until("2026-03-13", NOW, None)
    with pytest.raises(InvalidRequestError, match="is over"):
        token_choices.lifetime_until("2026-03-13", datetime(2026, 3, 14, tzinfo=UTC), None)


@pytest.mark.parametrize("day", ["", "soon", "14.3.2026", "2026-02-30", "9999-12-31", "2026-03-15T10:00", "x" * 9000])
def test_what_is_no_date_is_refused(day):
    with pytest.raises(InvalidRequestError, match="as a date"):
        token_choices.lifetime_until(day, NOW, None)


def test_a_clock_of_another_zone_counts_days_of_utc():
    from_zone = NOW.astimezone(datetime.fromisoformat("2026-03-15T05:30+06:00").tzinfo)

    assert token_choices.usual_day(from_zone, None) == date(2026, 4, 13)
