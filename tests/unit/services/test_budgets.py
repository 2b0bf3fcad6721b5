"""Budgets refuse starts and stop servers; `tests/contract/test_ledgers.py` has what holds at once."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from hubless.domain.audit import Act, DoerKind
from hubless.domain.budgets import MOST_BUDGETS, Budget
from hubless.domain.email_addresses import EmailAddress
from hubless.domain.errors import (
    BudgetReachedError,
    InvalidRequestError,
    MailFailedError,
    NotFoundError,
    RetryLaterError,
)
from hubless.domain.lifecycle import ACTIVE, State
from hubless.domain.metering import Metering
from hubless.domain.profiles import Profile
from hubless.domain.stop_reasons import StopCause
from hubless.domain.tariffs import Meter, Tariff
from hubless.domain.usage import Usage
from hubless.domain.users import Group
from hubless.services.budget_mails import BudgetMails
from hubless.services.budgets import Budgets
from tests.support.builders import NOW
from tests.support.fakes import RecordingQueue
from tests.support.world import World

HOUR = timedelta(hours=1)


class Acts:
    def __init__(self):
        self.done = []

    def record(self, by, act, *on, about):
        self.done.append((by.kind, act, on, about))


class Post:
    def __init__(self):
        self.mails, self.refusals = [], []

    def send(self, mail):
        if self.refusals:
            raise self.refusals.pop()
        self.mails.append(mail)


class BudgetWorld(World):
    def __init__(self, *budgets, mail_to=(), has_mail=True):
        self.acts, self.asked, self.post = Acts(), RecordingQueue(), Post()
        self.mail_to, self.has_mail = mail_to, has_mail
        super().__init__(profiles=[Profile("lab", cpus=2.0), Profile("free", price_per_hour=0.0)], named_limit=50)
        self.groups.create(Group("g1", "physics", users=("alice",)))
        self.alice = self.users.get(self.alice.id)
        self.bob = self.accounts.add("bob")
        self.with_budgets(*budgets)

    def with_budgets(self, *budgets):
        self.budgets = Budgets(
            budgets,
            self.stores.budgets,
            self.stores.ledgers,
            self.servers,
            self.users,
            self.usage,
            self.clock,
            currency="$",
            auditing=self.acts,
            queue=self.asked if self.has_mail else None,
            mail_to=self.mail_to,
        )
        self.mails = BudgetMails(
            self.budgets,
            self.users,
            self.stores.email_addresses,
            lambda: self.post,
            "Physics",
            "https://hub.example.org",
        )
        meter = Meter(Tariff(1_000_000, 0, 0, "$"))
        self.spawning = replace(self.spawning, meter=meter, budgets=self.budgets)
        self.reaping = replace(self.reaping, budgets=self.budgets)

    def start(self, name="", owner=None, **options):
        server = self.spawning.start(owner or self.alice, name, user_options=options)
        self.turn()
        return self.servers.get(server.id)

    def stop(self, server):
        self.stopping.request(self.servers.get(server.id))
        self.turn()

    def tell(self):
        """Sweep, send the mails that the sweep asked for, and return whose each is and its subject."""
        self.sweep()
        while self.asked.sent:
            self.mails.send(self.asked.sent.pop(0).text)
        told, self.post.mails = [(mail.to, mail.subject) for mail in self.post.mails], []
        return told

    def active(self):
        return self.servers.count(ACTIVE)


def hours(number, **facts):
    return Budget("b", **{"seconds": int(number * 3600)} | facts)


def test_concurrent_servers_of_a_group_are_limited():
    world = BudgetWorld(Budget("class", group="physics", servers=2))
    one = world.start("one")
    world.start("two")
    with pytest.raises(BudgetReachedError, match="allows 2 servers at once") as refused:
        world.start("three")
    assert refused.value.retry
    world.start("", world.bob)  # no member
    world.stop(one)
    world.start("three")
    assert world.active() == 3


def test_concurrent_cpus_count_what_each_server_has():
    world = BudgetWorld(Budget("b", cpu_millis=5000))
    world.start("one")
    world.start("two", owner=world.bob)
    with pytest.raises(BudgetReachedError, match="allows 5 CPUs at once"):
        world.start("three")
    world.start("four", profile="free")  # it names no CPUs


def test_each_user_can_have_a_budget_of_their_own():
    world = BudgetWorld(Budget("b", is_each=True, servers=1))
    world.start()
    world.start("", world.bob)
    with pytest.raises(BudgetReachedError):
        world.start("more")


def test_a_start_is_refused_when_the_hours_do_not_last():
    world = BudgetWorld(hours(2, user="alice"))
    server = world.start()
    world.clock.advance(HOUR)
    world.stop(server)
    world.start()
    world.clock.advance(HOUR)
    with pytest.raises(
        BudgetReachedError, match=r"of this month does not last .*: 2\.0 of 2 hours are used"
    ) as refused:
        world.start("more")
    assert not refused.value.retry
    world.start("", world.bob)


def test_as_many_start_at_once_as_the_hours_last_for_the_notice():
    world = BudgetWorld(hours(0.5))  # thirty minutes are three notices
    for name in ("one", "two", "three"):
        world.start(name)
    with pytest.raises(BudgetReachedError):
        world.start("four")
    assert world.active() == 3


def test_money_is_counted_by_the_price_of_each_server():
    world = BudgetWorld(Budget("b", cost_micros=10_000_000))  # a server costs two an hour
    server = world.start()
    world.clock.advance(3 * HOUR)
    assert [one.used for one in world.budgets.standings(world.alice)] == [6_000_000]
    world.stop(server)
    world.start()
    world.clock.advance(2 * HOUR)
    for profile in ("lab", "free"):
        with pytest.raises(BudgetReachedError, match=r"\$10\.00 of \$10\.00 are used"):
            world.start("more", profile=profile)


def test_a_new_month_begins_anew_also_for_what_runs():
    world = BudgetWorld(hours(400))
    world.start("long")
    world.clock.advance(datetime(2026, 12, 1, 5, tzinfo=UTC) - world.clock.now())
    assert [one.used for one in world.budgets.standings(world.alice)] == [5 * 3600]
    world.start("more")
    world.clock.advance(HOUR)
    assert [one.used for one in world.budgets.standings(world.alice)] == [7 * 3600]


def test_a_budget_in_total_goes_on_over_months():
    world = BudgetWorld(hours(200, is_monthly=False))
    world.start("long")
    world.clock.advance(timedelta(days=8))
    assert [one.used for one in world.budgets.standings(world.alice)] == [8 * 24 * 3600]


def test_servers_are_stopped_after_a_notice_when_the_hours_end():
    world = BudgetWorld(hours(2, group="physics"))
    server = world.start()
    world.start("", world.bob)
    world.clock.advance(timedelta(minutes=105))
    world.sweep()
    assert world.stores.ledgers.get_many(["group#physics"])["group#physics"].told == {}
    world.clock.advance(timedelta(minutes=6))
    world.sweep()
    assert list(world.stores.ledgers.get_many(["group#physics"])["group#physics"].told) == ["b"]
    assert world.servers.get(server.id).state is State.READY
    world.clock.advance(timedelta(minutes=10))
    world.sweep()
    stopped = world.servers.get(server.id)
    assert (stopped.state, stopped.stop_reason.cause, stopped.stop_reason.by) == (State.STOPPED, StopCause.BUDGET, "b")
    assert stopped.stop_reason.sentence == "Stopped because the budget b is used up"
    assert world.acts.done == [
        (DoerKind.HUB, Act.BUDGET_NEARLY_USED, ("b",), {"servers": "1"}),
        (DoerKind.HUB, Act.BUDGET_USED, ("b",), {"servers": "1"}),
    ]
    assert world.active() == 1
    assert world.stores.ledgers.get_many(["group#physics"])["group#physics"].servers == 0


def test_a_budget_that_was_lowered_still_gives_notice():
    world = BudgetWorld(hours(100))
    server = world.start()
    world.clock.advance(5 * HOUR)
    world.with_budgets(hours(1))
    world.sweep()
    world.clock.advance(timedelta(minutes=9))
    world.sweep()
    assert world.servers.get(server.id).state is State.READY
    world.clock.advance(timedelta(minutes=2))
    world.sweep()
    assert world.servers.get(server.id).state is State.STOPPED


def test_a_budget_that_was_raised_gives_notice_again():
    world = BudgetWorld(hours(1))
    server = world.start()
    world.clock.advance(timedelta(minutes=55))
    world.sweep()
    world.with_budgets(hours(3))
    world.sweep()
    assert world.stores.ledgers.get_many(["hub#"])["hub#"].told == {}
    world.clock.advance(timedelta(hours=3))
    world.sweep()
    assert world.servers.get(server.id).state is State.READY


def test_a_new_budget_takes_in_what_runs_and_what_ran_this_month():
    world = BudgetWorld()
    world.usage.add(Usage("l9", "s9", world.alice.id, "lab", NOW - 3 * HOUR, NOW, "stopped", Metering()))
    server = world.start()
    world.clock.advance(2 * HOUR)
    world.with_budgets(hours(40, user="alice"), Budget("c", servers=1))
    assert world.servers.get(server.id).ledgers == ()
    world.sweep()
    assert sorted(world.servers.get(server.id).ledgers) == ["hub#", f"user#{world.alice.id}"]
    assert next(one.used for one in world.budgets.standings(world.alice)) == 5 * 3600
    with pytest.raises(BudgetReachedError, match="1 server"):
        world.start("", world.bob)
    world.stop(server)
    assert world.servers.get(server.id).ledgers == ()
    assert next(one.used for one in world.budgets.standings(world.alice)) == 5 * 3600


def test_people_are_told_when_four_fifths_are_used():
    world = BudgetWorld(hours(10, user="alice"))
    world.start()
    world.clock.advance(timedelta(hours=7, minutes=50))
    assert world.budgets.warnings(world.alice) == []
    world.clock.advance(timedelta(minutes=10))
    assert [str(one) for one in world.budgets.warnings(world.alice)] == [
        "8.0 of 10 hours of the budget b are used in this month."
    ]
    assert world.budgets.warnings(world.bob) == []


def test_a_refused_start_counts_nowhere():
    world = BudgetWorld(Budget("hub", servers=1), Budget("own", is_each=True, servers=5))
    world.start()
    with pytest.raises(BudgetReachedError):
        world.start("", world.bob)
    found = world.stores.ledgers.get_many(["hub#", f"user#{world.bob.id}"])
    assert {ledger.servers for ledger in found.values()} == {0, 1}
    assert world.active() == 1


def test_a_crash_before_the_last_write_of_a_stop_counts_once():
    world = BudgetWorld(hours(10))
    server = world.start()
    world.clock.advance(HOUR)
    stopping = world.stopping.request(server)
    world.stopping._meter(stopping)  # the worker dies here
    world.turn()
    ledger = world.stores.ledgers.get_many(["hub#"])["hub#"]
    assert (ledger.servers, ledger.seconds, ledger.began) == (0, 3600, 0)


def test_an_admin_sets_and_removes_budgets_while_the_hub_runs():
    world = BudgetWorld(Budget("fixed", servers=9))
    world.budgets.put(Budget("b", group="physics", servers=1))
    world.start()
    with pytest.raises(BudgetReachedError):
        world.start("more")
    assert [(one.name, [s.used for s in found]) for one, found in world.budgets.overview()] == [
        ("fixed", [1]),
        ("b", [1]),
    ]
    world.budgets.remove("b")
    world.start("more")
    with pytest.raises(NotFoundError):
        world.budgets.remove("b")


@pytest.mark.parametrize(
    ("budget", "why"),
    [
        (Budget("fixed", servers=1), "one of the settings"),
        (Budget("", servers=1), "name is 1 to 64"),
        (Budget("x" * 65, servers=1), "name is 1 to 64"),
        (Budget("b"), "limits nothing"),
        (Budget("b", seconds=-1), "at least 0"),
        (Budget("b", seconds=10**18), "bounds"),
        (Budget("b", user="alice", group="physics", servers=1), "neither a group's"),
    ],
)
def test_a_budget_that_means_nothing_is_refused(budget, why):
    world = BudgetWorld(Budget("fixed", servers=9))
    with pytest.raises(InvalidRequestError, match=why):
        world.budgets.put(budget)
    assert world.budgets.all() == [Budget("fixed", servers=9)]


def test_budgets_of_admins_are_bounded():
    world = BudgetWorld()
    for number in range(MOST_BUDGETS):
        world.budgets.put(Budget(f"b{number}", servers=1))
    world.budgets.put(Budget("b0", servers=2))
    with pytest.raises(InvalidRequestError, match="already"):
        world.budgets.put(Budget("one more", servers=1))


NEARLY, USED = "Your budget b of Physics is nearly used up", "Your budget b of Physics is used up"
ALICE = "alice@example.org"


def with_address(world):
    world.stores.email_addresses.save(None, EmailAddress(world.alice.id, ALICE))
    return world


def test_a_user_gets_a_mail_at_four_fifths_and_one_when_it_is_used_up():
    world = with_address(BudgetWorld(hours(10, is_each=True), mail_to=("root@example.org",)))
    world.start()
    world.start("", world.bob)  # who has no address
    world.clock.advance(timedelta(hours=7, minutes=59))
    assert world.tell() == []
    world.clock.advance(timedelta(minutes=1))
    assert world.tell() == [(ALICE, NEARLY)]
    assert world.tell() == []
    world.clock.advance(timedelta(hours=1, minutes=55))
    assert world.tell() == []
    world.clock.advance(timedelta(minutes=5))
    assert world.tell() == [(ALICE, USED)]
    assert world.tell() == []


def test_a_mail_says_how_much_is_used_and_what_comes():
    world = with_address(BudgetWorld(hours(10, user="alice")))
    world.start()
    world.clock.advance(8 * HOUR)
    world.sweep()
    world.mails.send(world.asked.sent[0].text)
    (mail,) = world.post.mails
    assert "account alice of Physics" in mail.text
    assert "8.0 of 10 hours of the budget b are used in this month." in mail.text
    assert "stops your servers when it is used up" in mail.text


def test_admins_get_mails_about_budgets_of_groups_and_of_the_hub():
    both = "one@example.org", "two@example.org"
    world = with_address(BudgetWorld(hours(10, group="physics"), Budget("c", cost_micros=20_000_000), mail_to=both))
    world.start()
    world.clock.advance(8 * HOUR)
    assert sorted(world.tell()) == [
        (to, f"The budget {name} of Physics is nearly used up") for to in both for name in ("b", "c")
    ]
    world.clock.advance(3 * HOUR)
    world.sweep()
    world.mails.send(world.asked.sent[0].text)
    (mail,) = world.post.mails
    assert "11.0 of 10 hours of the budget b are used in this month." in mail.text
    assert "stops the servers of the group physics, and starts none" in mail.text
    assert "https://hub.example.org/hub/admin/budgets" in mail.text


@pytest.mark.parametrize("facts", [{"has_mail": False, "mail_to": ("root@example.org",)}, {"mail_to": ()}])
def test_nothing_is_noted_where_nobody_gets_a_mail(facts):
    world = BudgetWorld(hours(10), **facts)
    world.start()
    world.clock.advance(9 * HOUR)
    world.sweep()
    assert world.asked.sent == []
    assert world.stores.ledgers.get_many(["hub#"])["hub#"].told == {}


def test_a_sweep_that_dies_before_it_asks_sends_no_mail_later():
    world = with_address(BudgetWorld(hours(10, user="alice")))
    world.start()
    world.clock.advance(8 * HOUR)

    class Dead(RecordingQueue):
        def send(self, message):
            raise KeyboardInterrupt

    world.budgets = replace(world.budgets, queue=Dead())
    with pytest.raises(KeyboardInterrupt):
        world.budgets.sweep(world.stopping)
    world.with_budgets(hours(10, user="alice"))
    assert world.tell() == []


def test_a_sweep_that_loses_to_another_asks_for_no_mail():
    world = with_address(BudgetWorld(hours(10, user="alice")))
    world.start()
    world.clock.advance(8 * HOUR)
    key = f"user#{world.alice.id}"
    old = world.stores.ledgers.get_many([key])[key]
    assert world.tell() == [(ALICE, NEARLY)]
    assert world.budgets._alerted(old, world.budgets.all(), world.budgets.all()) is old
    assert world.asked.sent == []


def test_a_budget_that_was_raised_tells_again():
    world = with_address(BudgetWorld(hours(10, user="alice")))
    world.start()
    world.clock.advance(8 * HOUR)
    assert world.tell() == [(ALICE, NEARLY)]
    world.sweep()
    world.with_budgets(hours(20, user="alice"))
    assert world.tell() == []
    world.clock.advance(8 * HOUR)
    assert world.tell() == [(ALICE, NEARLY)]
    (mark,) = world.stores.ledgers.get_many([f"user#{world.alice.id}"])[f"user#{world.alice.id}"].told
    assert "#72000#" in mark  # and none of the smaller budget


@pytest.mark.parametrize(("is_monthly", "told"), [(True, [(ALICE, NEARLY)]), (False, [])])
def test_a_new_month_tells_again_of_budgets_by_month_alone(is_monthly, told):
    world = with_address(BudgetWorld(hours(100, user="alice", is_monthly=is_monthly)))
    server = world.start()
    world.clock.advance(85 * HOUR)
    assert world.tell() == [(ALICE, NEARLY)]
    world.stop(server)
    world.clock.advance(datetime(2026, 12, 1, tzinfo=UTC) - world.clock.now())
    world.start()
    world.clock.advance((85 if is_monthly else 1) * HOUR)
    assert world.tell() == told


def test_no_mail_goes_out_if_there_is_more_by_then():
    world = with_address(BudgetWorld(hours(10, user="alice")))
    world.start()
    world.clock.advance(8 * HOUR)
    world.sweep()
    world.with_budgets(hours(20, user="alice"))
    world.mails.send(world.asked.sent[0].text)
    world.with_budgets()
    world.mails.send(world.asked.sent[0].text)
    assert world.post.mails == []


def test_a_mail_about_a_budget_is_tried_again_if_that_helps():
    world = with_address(BudgetWorld(hours(10, user="alice")))
    world.start()
    world.clock.advance(8 * HOUR)
    world.sweep()
    text = world.asked.sent[0].text
    world.post.refusals = [MailFailedError("no such address", retry=False), MailFailedError("away")]
    with pytest.raises(RetryLaterError):
        world.mails.send(text)
    world.mails.send(text)  # the server refuses the address for good
    assert world.post.mails == []
    world.mails.send(text)
    assert [mail.subject for mail in world.post.mails] == [NEARLY]


def test_a_name_of_a_budget_adds_no_lines_to_a_mail():
    world = with_address(BudgetWorld(hours(10, user="alice")))
    world.with_budgets(replace(hours(10, user="alice"), name="b\nBcc: all@example.org"))
    world.start()
    world.clock.advance(8 * HOUR)
    assert world.tell() == [(ALICE, "Your budget b Bcc: all@example.org of Physics is nearly used up")]
