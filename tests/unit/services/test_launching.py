from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.errors import (
    CapacityUnavailableError,
    IllegalTransitionError,
    InvalidRequestError,
    LaunchFailedError,
    LoginUnavailableError,
    OptionRefusedError,
    QuotaExceededError,
    StoreConflictError,
    StoreUnavailableError,
)
from hubless.domain.idleness import IdlePolicy
from hubless.domain.lifecycle import State
from hubless.domain.messages import Message, MessageKind
from hubless.domain.profile_options import Access, Changes, Choice, ChoiceOption, TextOption
from hubless.domain.profiles import Profile
from hubless.domain.tokens import sha256
from hubless.domain.usage import TotalsOf
from hubless.domain.users import Group
from hubless.ports.launcher import Preparation
from tests.support.world import World

GIB = 1024**3


@pytest.fixture
def world():
    return World()


def test_a_spawn_ends_in_a_ready_server_that_is_routed(world):
    server = world.running()

    assert server.state is State.READY
    assert [(r.prefix, r.address) for r in world.routes.all()] == [("/user/alice/", server.address)]
    world.assert_settled()


def test_a_server_is_not_ready_before_an_edge_serves_its_route(world):
    world.spawning.start(world.alice, "")
    world.deliver()
    for _ in range(5):
        world.launching.reconcile_pending()

    assert world.server().state is State.STARTING
    assert list(world.routes.all())

    world.edge.look()
    world.launching.reconcile_pending()

    assert world.server().state is State.READY


def test_one_edge_of_two_is_not_enough(world):
    from tests.support.fakes import InstantEdge

    other = InstantEdge(world.routes, world.clock, "other")
    other.look()
    world.spawning.start(world.alice, "")
    world.turn()

    assert world.server().state is State.STARTING

    other.look()
    world.turn()

    assert world.server().state is State.READY


def test_a_silent_edge_does_not_delay_a_start(world):
    from tests.support.fakes import InstantEdge

    InstantEdge(world.routes, world.clock, "gone").look()
    world.clock.advance(timedelta(seconds=30))

    assert world.running().state is State.READY


def test_a_stop_leaves_nothing(world):
    server = world.running()

    world.stopping.request(server)
    world.turn()

    assert world.server().state is State.STOPPED
    assert [u.outcome for u in world.usage.of_owner(world.alice.id)] == ["stopped"]
    world.assert_settled()


def test_usage_is_metered_to_the_second_and_once(world):
    server = world.running()
    world.clock.advance(timedelta(seconds=90))
    out = world.stopping.request(server)
    world.turn()
    with pytest.raises(StoreConflictError):
        world.stopping.reconcile(out)

    assert [u.seconds for u in world.usage.of_owner(world.alice.id)] == [90]


def test_usage_counts_for_the_groups_at_the_request(world):
    world.groups.create(Group("g1", "physics", users=("alice",)))
    world.alice = world.users.get("u-alice") or world.users.find("alice")
    server = world.running()
    world.groups.remove_users("g1", ["alice"])
    world.clock.advance(timedelta(hours=1))
    world.stopping.request(server)
    world.turn()

    assert [row.subject for row in world.usage.of_month(TotalsOf.GROUP, "2026-11")] == ["physics"]
    assert world.usage.of_month(TotalsOf.HUB, "2026-11")[0].totals.seconds == 3600


def test_a_launch_expires_as_long_after_its_end_as_settings_say(world):
    server = world.running()
    stopping = replace(world.stopping, keep_launches=timedelta(days=30))
    stopping.stop(stopping.request(server))
    world.clock.advance(timedelta(days=29))
    world.reaping.sweep()
    assert len(world.usage.of_owner(world.alice.id)) == 1
    world.clock.advance(timedelta(days=2))
    world.reaping.sweep()
    assert world.usage.of_owner(world.alice.id) == []
    assert world.usage.of_month(TotalsOf.HUB, "2026-11")[0].totals.launches == 1


def test_an_early_crash_fails_the_start_with_reason_and_log(world):
    world.readiness.is_answering = False
    world.spawning.start(world.alice, "")
    world.turn(1)
    world.launcher.dies(world.server().task, "exited with code 3", ("ImportError: no lab",))
    world.turn(1)

    server = world.server()
    assert (server.state, server.log_tail) == (State.FAILED, ("ImportError: no lab",))
    assert "exited with code 3" in server.failure
    world.assert_settled()


def test_a_server_that_never_answers_fails_at_its_deadline(world):
    world.readiness.is_answering = False
    world.spawning.start(world.alice, "")
    world.turn()
    world.clock.advance(world.deadlines.starting)
    world.turn()

    assert world.server().state is State.FAILED
    assert "did not answer within 60 seconds" in world.server().failure
    world.assert_settled()


def test_a_server_that_answers_while_no_edge_serves_fails_for_the_edge(world):
    world.spawning.start(world.alice, "")
    world.deliver()
    world.launching.reconcile_pending()
    world.clock.advance(world.deadlines.starting)
    world.launching.reconcile_pending()

    assert world.server().state is State.FAILED
    assert "did not reach every edge within 60 seconds" in world.server().failure


def test_a_login_plugins_variables_reach_the_server_and_replace_none(world):
    def before_start(owner, server):
        return {"TICKET": f"{owner.name}/{server.name}", "JUPYTERHUB_USER": "mallory"}

    launching = replace(world.launching, before_start=before_start)
    server = world.spawning.start(world.alice, "lab")

    launching.on_message(Message(MessageKind.LAUNCH, server.id, server.launch_id))

    (launch,) = world.launcher.started
    assert launch.secrets["TICKET"] == "alice/lab"
    assert "JUPYTERHUB_USER" not in launch.secrets
    assert "TICKET" not in launch.environment


def test_a_login_plugin_that_fails_fails_the_start(world):
    def before_start(_owner, _server):
        raise LoginUnavailableError("Class failed")

    launching = replace(world.launching, before_start=before_start)
    server = world.spawning.start(world.alice, "")

    launching.on_message(Message(MessageKind.LAUNCH, server.id, server.launch_id))

    assert (world.server().state, world.server().failure) == (State.FAILED, "Class failed")


def test_a_login_plugin_that_cannot_clean_up_stops_no_stop(world):
    def after_stop(_owner, _server):
        raise LoginUnavailableError("Class failed")

    server = world.running()
    stopping = replace(world.stopping, after_stop=after_stop)

    stopping.stop(stopping.request(server))
    world.turn()

    assert world.server().state is State.STOPPED


def test_a_failed_launch_has_the_launchers_reason(world):
    world.launcher.refusal = LaunchFailedError("The program lab is not installed")
    world.spawning.start(world.alice, "")
    world.turn()

    assert (world.server().state, world.server().failure) == (State.FAILED, "The program lab is not installed")
    world.assert_settled()


def test_a_launch_without_capacity_is_retried(world):
    world.launcher.refusal = CapacityUnavailableError("full")
    world.spawning.start(world.alice, "")
    message = world.queue.sent[0]

    with pytest.raises(CapacityUnavailableError):
        world.launching.on_message(message)
    assert world.server().state is State.REQUESTED

    world.launcher.refusal = None
    world.turn()

    assert world.server().state is State.READY


def test_a_failed_server_starts_again(world):
    world.launcher.refusal = LaunchFailedError("no")
    world.running()
    world.launcher.refusal = None

    assert world.running().state is State.READY
    world.assert_settled()


def test_a_message_that_comes_twice_launches_once(world):
    world.spawning.start(world.alice, "")
    message = world.queue.sent[0]

    for _ in range(3):
        world.launching.on_message(message)
    world.turn()

    assert len(world.launcher.started) == 1
    world.assert_settled()


def test_a_late_message_of_an_old_launch_does_nothing(world):
    server = world.running()
    old = world.queue
    first = server.launch_id
    world.stopping.request(server)
    world.turn()
    again = world.running()
    from hubless.domain.messages import Message, MessageKind

    world.launching.on_message(Message(MessageKind.STOP, server.id, first))
    world.launching.on_message(Message(MessageKind.LAUNCH, server.id, first))
    world.turn()

    assert old is world.queue
    assert world.server() == again
    world.assert_settled()


def test_of_two_concurrent_spawns_one_wins(world):
    world.spawning.start(world.alice, "")

    with pytest.raises(InvalidRequestError, match="pending spawn"):
        world.spawning.start(world.alice, "")

    world.turn()
    with pytest.raises(InvalidRequestError, match="already running"):
        world.spawning.start(world.alice, "")
    assert len(world.launcher.started) == 1


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_a_stop_at_any_moment_of_a_start_leaves_nothing(world, turns):
    world.readiness.is_answering = turns == 2
    world.spawning.start(world.alice, "")
    if turns:
        world.deliver()
    if turns == 2:
        world.launching.reconcile_pending()

    world.stopping.request_until_done(world.server())
    world.turn()

    assert world.server().state is State.STOPPED
    world.assert_settled()


def test_a_stop_before_the_launch_returns_ends_the_task(world):
    """The launcher is slow: while it works, the user stops and the record is settled."""
    world.spawning.start(world.alice, "")
    launch, plain = world.queue.sent.pop(), world.launcher.launch

    def slowly(order):
        task = plain(order)
        world.stopping.request(world.server())
        world.deliver()
        return task

    world.launcher.launch = slowly
    world.launching.on_message(launch)
    world.turn()

    assert world.server().state is State.STOPPED
    world.assert_settled()


def test_a_stubborn_server_is_killed_at_its_deadline(world):
    server = world.running()
    world.launcher.obeys_stop = False
    world.stopping.request(server)
    world.turn()
    assert world.server().state is State.STOPPING

    world.clock.advance(world.deadlines.stopping)
    world.turn()

    assert world.server().state is State.STOPPED
    world.assert_settled()


def test_stopping_an_inactive_server_is_refused(world):
    world.spawning.create(world.alice, "lab")

    with pytest.raises(IllegalTransitionError):
        world.stopping.request(world.server("lab"))


# --- the reaper ---


def test_idle_servers_are_reaped_and_busy_ones_are_not():
    world = World(idle_policy=IdlePolicy(idle_after=timedelta(hours=1)))
    world.running()
    world.running("busy")
    world.clock.advance(timedelta(minutes=59))
    world.servers.touch(world.server("busy").id, world.clock.now())
    world.clock.advance(timedelta(minutes=1))

    world.sweep()

    assert (world.server().state, world.server("busy").state) == (State.STOPPED, State.READY)
    world.assert_settled()


def test_limits_come_from_the_hub_then_the_profile_then_the_user():
    hour = timedelta(hours=1)
    profiles = [Profile("small"), Profile("big", idle_policy=IdlePolicy(idle_after=2 * hour))]
    world = World(idle_policy=IdlePolicy(idle_after=hour), profiles=profiles)
    small, big = world.running("a", profile="small"), world.running("b", profile="big")

    assert world.idle_policies.of(small.profile, "alice").idle_after == hour
    assert world.idle_policies.of(big.profile, "alice").idle_after == 2 * hour

    own = World(
        idle_policy=IdlePolicy(idle_after=hour), profiles=profiles, by_user={"alice": IdlePolicy(idle_after=3 * hour)}
    )
    assert own.idle_policies.of("big", "alice").idle_after == 3 * hour


def test_a_crashed_server_fails_with_its_reason(world):
    server = world.running()
    world.launcher.dies(server.task, "was killed by SIGKILL")

    world.sweep()

    assert (world.server().state, "SIGKILL" in world.server().failure) == (State.FAILED, True)
    world.assert_settled()


def test_an_orphan_task_is_ended(world):
    world.running()
    from hubless.ports.launcher import TaskRunning

    world.launcher.status["l-unknown"] = TaskRunning("127.0.0.1:1")

    world.sweep()

    world.assert_settled()


def test_a_lost_launch_message_is_sent_again(world):
    world.spawning.start(world.alice, "")
    world.queue.sent.clear()
    world.clock.advance(timedelta(seconds=20))

    world.sweep()

    assert world.server().state is State.READY


def test_a_lost_stop_message_is_sent_again(world):
    server = world.running()
    world.stopping.request(server)
    world.queue.sent.clear()
    world.clock.advance(timedelta(seconds=5))

    world.sweep()

    assert world.server().state is State.STOPPED
    world.assert_settled()


def test_a_request_that_never_launches_fails_with_a_reason(world):
    world.launcher.refusal = CapacityUnavailableError("full")
    world.spawning.start(world.alice, "")
    world.queue.sent.clear()
    world.clock.advance(world.deadlines.requested)

    world.launching.reconcile_pending()

    assert world.server().state is State.FAILED
    assert "no free slot in time" in world.server().failure


def test_one_bad_server_does_not_stop_the_sweep(world):
    bad, good = world.running("bad"), world.running("good")
    plain = world.launcher.describe

    def describe(task):
        if task == bad.task:
            raise RuntimeError("the launcher stumbles")
        return plain(task)

    world.launcher.describe = describe
    world.launcher.dies(good.task)

    world.reaping.sweep()

    assert world.server("good").state is State.FAILED


# --- crashes ---


class Crash(BaseException):
    """The process dies: nothing catches this."""


PLACES = [
    ("servers", "write"),
    ("clients", "put"),
    ("clients", "delete"),
    ("launcher", "is_prepared"),
    ("launcher", "prepare"),
    ("launcher", "launch"),
    ("launcher", "stop"),
    ("launcher", "forget"),
    ("routes", "put"),
    ("routes", "remove"),
    ("usage", "add"),
    ("queue", "send"),
]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("nth", range(1, 6))
@pytest.mark.parametrize(("part", "method"), PLACES, ids=lambda v: v)
def test_a_crash_at_any_line_converges_within_two_sweeps(part, method, nth, when):
    """Spawn, then stop, with a crash before or after the nth call of one method; redelivery and sweeps do the rest."""
    world = World()
    world.launcher.missing = {Preparation(world.alice.id, Profile("default"))}
    target, calls = getattr(world, part), []
    plain = getattr(target, method)

    def dying(*args, **kwargs):
        calls.append(method)
        if len(calls) == nth and when == "before":
            raise Crash
        result = plain(*args, **kwargs)
        if len(calls) == nth and when == "after":
            raise Crash
        return result

    setattr(target, method, dying)
    undelivered = []

    def survive(step):
        try:
            step()
        except Crash:
            undelivered.extend(world.queue.sent)

    def story():
        if world.server() is None or world.server().state is State.STOPPED:
            world.spawning.start(world.alice, "")

    survive(story)
    for _ in range(4):
        messages = list(world.queue.sent)
        for message in messages:
            survive(lambda m=message: world.launching.on_message(m))
        survive(world.edge.look)
        survive(world.launching.reconcile_pending)
    survive(lambda: world.server() and world.stopping.request_until_done(world.server()))
    world.clock.advance(timedelta(seconds=21))
    for _ in range(2):
        for message in list(world.queue.sent):
            survive(lambda m=message: world.launching.on_message(m))
        survive(lambda: world.sweep())
        world.clock.advance(timedelta(seconds=30))
    world.sweep(2)

    world.assert_settled()


# --- limits and options ---


def test_the_limit_of_running_servers_holds():
    world = World(active_limit=1)
    world.running()

    with pytest.raises(QuotaExceededError) as refused:
        world.spawning.start(world.alice, "second")

    assert refused.value.retry


def test_only_profiles_on_offer_can_be_chosen():
    world = World(profiles=[Profile("small")])

    with pytest.raises(InvalidRequestError, match="small"):
        world.spawning.start(world.alice, "", user_options={"profile": "huge"})


CHOICE = ChoiceOption(
    "size",
    (Choice("s"), Choice("l", access=Access(groups=("class-a",)), changes=Changes(image="large", memory_bytes=GIB))),
)


def test_a_first_start_may_choose_what_the_profile_requires():
    world = World(profiles=[Profile("lab", options=(TextOption("course", is_required=True),))])
    assert world.spawning.stored(world.alice, "").user_options == {}  # as for a share: nobody starts it
    ben = world.accounts.add("ben")

    for owner, name in ((world.alice, ""), (ben, ""), (ben, "named")):
        with pytest.raises(OptionRefusedError, match="course is missing"):
            world.spawning.start(owner, name)
        assert world.spawning.start(owner, name, user_options={"course": "a"}).user_options == {"course": "a"}
    world.spawning.keep_choice(ben, "later", {"course": "b"})
    assert world.servers.find(ben.id, "later").user_options == {"course": "b"}


BRANCH = TextOption("branch", changes=Changes(environment={"BRANCH": "{value}", "JUPYTERHUB_USER": "{value}"}))


def test_a_launch_has_what_its_owner_chose():
    world = World(profiles=[Profile("lab", environment={"BRANCH": "main"}, options=(CHOICE, BRANCH))])
    alice = replace(world.alice, groups=("class-a",))
    world.spawning.start(alice, "", user_options={"size": "l", "branch": "topic", "odd": 1})
    world.turn()

    launch = world.launcher.started[0]
    assert (launch.profile.image, launch.profile.memory_bytes, launch.profile.environment) == ("large", GIB, {})
    assert launch.environment["MEM_LIMIT"] == str(GIB)
    assert launch.chosen == {"BRANCH": "topic"}
    assert "topic" not in repr(launch)
    assert launch.environment["JUPYTERHUB_USER"] == "alice"
    assert world.server().user_options == {"size": "l", "branch": "topic", "odd": 1}


def test_who_chooses_nothing_gets_no_default_of_others():
    option = replace(CHOICE, choices=(replace(CHOICE.choices[1], is_default=True), CHOICE.choices[0]))
    world = World(profiles=[Profile("lab", options=(option,))])
    world.spawning.start(world.alice, "")
    world.turn()

    assert (world.launcher.started[0].profile.image, world.launcher.started[0].profile.memory_bytes) == ("", None)


def test_a_launch_keeps_the_profile_that_was_the_first_at_the_request():
    world = World(profiles=[Profile("lab", image="lab")])
    world.spawning.start(world.alice, "")
    new = Profile("new", image="new", is_default=True)
    world.launching = replace(world.launching, profiles={"new": new, **world.launching.profiles})
    world.turn()

    assert world.launcher.started[0].profile.image == "lab"


def test_a_choice_of_others_is_refused_at_the_request_and_kept_after_it():
    world = World(profiles=[Profile("lab", options=(CHOICE,))])
    with pytest.raises(InvalidRequestError, match="size cannot be 'l': choose one of s"):
        world.spawning.start(world.alice, "", user_options={"size": "l"})

    world.spawning.start(replace(world.alice, groups=("class-a",)), "", user_options={"size": "l"})
    world.turn()

    assert world.launcher.started[0].profile.image == "large"


def test_a_launch_fails_in_words_if_its_choice_is_no_longer_offered():
    world = World(profiles=[Profile("lab", options=(BRANCH,))])
    world.spawning.start(world.alice, "", user_options={"branch": "topic"})
    option = replace(BRANCH, display_name="Branch", pattern="main")
    world.launching = replace(world.launching, profiles={"lab": Profile("lab", options=(option,))})
    world.turn()

    assert world.server().state is State.FAILED
    assert (
        world.server().failure
        == "The server cannot start with what was chosen: Branch cannot be 'topic': it must match main"
    )


@pytest.mark.parametrize("options", [{"__jupyterhub_x": 1}, {"a": "x" * 20_000}])
def test_options_that_are_reserved_or_too_long_are_refused(world, options):
    with pytest.raises(InvalidRequestError):
        world.spawning.start(world.alice, "", user_options=options)


def test_options_are_reused_until_new_ones_are_given(world):
    world.running("", size="small")
    world.stopping.request(world.server())
    world.turn()

    assert world.running().user_options == {"size": "small"}


def test_a_launch_has_singleusers_environment_and_a_separate_secret(world):
    world.running("lab")

    launch = world.launcher.started[0]
    secret = launch.secrets["JUPYTERHUB_API_TOKEN"]
    assert secret not in repr(launch)
    assert secret not in str(launch.environment)
    assert launch.environment["JUPYTERHUB_SERVICE_PREFIX"] == "/user/alice/lab/"
    assert launch.environment["JUPYTERHUB_OAUTH_CALLBACK_URL"] == "/user/alice/lab/oauth_callback"
    assert world.tokens.find(sha256(secret)).note == "Server at /user/alice/lab/"


def test_a_servers_own_token_has_few_scopes(world):
    world.running()
    actor = world.identities.of_token(world.launcher.started[0].secrets["JUPYTERHUB_API_TOKEN"])

    assert set(actor.scopes.texts()) == {
        "users:activity!user=alice",
        "read:users:activity!user=alice",
        "access:servers!server=alice/",
        "read:users:name!user=alice",
        "read:users:groups!user=alice",
    }


def test_a_stopped_servers_token_is_invalid(world):
    server = world.running()
    secret = world.launcher.started[0].secrets["JUPYTERHUB_API_TOKEN"]
    world.stopping.request(server)
    world.turn()

    assert world.identities.of_token(secret) is None


# --- metrics ---


def test_each_start_is_counted_once_by_its_outcome(world):
    ready = world.running()
    world.stopping.request(ready)
    world.turn()
    world.spawning.start(world.alice, "lab")
    world.stopping.request(world.server("lab"))
    world.turn()
    world.launcher.refusal = LaunchFailedError("no such image")
    world.spawning.start(world.alice, "")
    world.turn()

    counted = {outcome: values for (name, outcome), values in world.metrics.measured.items() if name == "Spawns"}
    assert counted == {"ready": [1], "stopped": [1], "failed": [1]}
    assert len(world.metrics.measured["SpawnDuration", ""]) == 1


def test_crashes_and_throttled_launches_are_counted(world):
    world.launcher.dies(world.running().task)
    world.launching.reconcile_running()
    world.launcher.refusal = CapacityUnavailableError("full")
    world.spawning.start(world.alice, "lab")
    with pytest.raises(CapacityUnavailableError):
        world.deliver()

    assert world.metrics.measured["ServerCrashes", ""] == [1]
    assert world.metrics.measured["Throttles", ""] == [1]


def test_a_start_and_a_stop_are_in_jupyterhubs_histograms(world):
    began = world.clock.now()
    world.spawning.start(world.alice, "")
    world.clock.advance(timedelta(seconds=7))
    world.turn()
    world.stopping.request(world.server(""))
    world.clock.advance(timedelta(seconds=2))
    world.turn()

    observed = world.metrics.observed
    assert world.clock.now() - began == timedelta(seconds=9)
    assert observed["server_spawn_duration_seconds", "success", ""] == [timedelta(seconds=7)]
    assert observed["server_stop_seconds", "success"] == [timedelta(seconds=2)]
    assert observed["proxy_add_duration_seconds", "success"] == [timedelta()]
    assert observed["proxy_delete_duration_seconds", "success"] == [timedelta()]
    assert not [key for key in observed if "failure" in key or "error" in key]


def test_starts_that_fail_say_why_in_jupyterhubs_words(world):
    world.launcher.refusal = LaunchFailedError("no such image")
    world.spawning.start(world.alice, "")
    world.turn()
    world.launcher.refusal = None
    world.readiness.is_answering = False
    world.spawning.start(world.alice, "")
    world.deliver()
    world.launcher.dies(world.server("").task)
    world.turn()
    world.spawning.start(world.alice, "")
    world.turn()
    world.clock.advance(timedelta(seconds=3600))
    world.turn()

    observed = {key[1:]: len(took) for key, took in world.metrics.observed.items() if "spawn" in key[0]}
    assert observed == {("error", ""): 1, ("error", "exited"): 1, ("failure", "timeout"): 1}
    assert not any("stop_seconds" in key[0] for key in world.metrics.observed)  # nobody asked for a stop


def test_a_stop_that_had_to_be_forced_is_a_failure(world):
    world.launcher.obeys_stop = False
    world.stopping.request(world.running())
    world.turn()
    assert not any("stop_seconds" in key[0] for key in world.metrics.observed)

    world.clock.advance(world.deadlines.stopping)
    world.turn()
    assert world.metrics.observed["server_stop_seconds", "failure"] == [world.deadlines.stopping]
    assert ("server_stop_seconds", "success") not in world.metrics.observed


def test_a_poll_says_whether_the_server_runs(world):
    server = world.running()
    world.metrics.observed.clear()
    world.launching.reconcile_running()
    world.launcher.dies(server.task)
    world.launching.reconcile_running()

    polled = {key[1]: len(took) for key, took in world.metrics.observed.items() if "poll" in key[0]}
    assert polled == {"ServerPollStatus.running": 1, "ServerPollStatus.stopped": 1}


def test_a_store_that_is_away_is_a_failure_of_the_route(world, monkeypatch):
    def away(*_):
        raise StoreUnavailableError("away")

    world.spawning.start(world.alice, "")
    with monkeypatch.context() as patched:
        patched.setattr(type(world.routing), "add", away)
        world.turn()
    assert len(world.metrics.observed["proxy_add_duration_seconds", "failure"]) >= 1
    assert ("proxy_add_duration_seconds", "success") not in world.metrics.observed


def launched_in(world, seconds):
    """Start alice's server, which is ready so many seconds after its launch; then stop it."""
    world.spawning.start(world.alice, "")
    world.deliver()
    world.clock.advance(timedelta(seconds=seconds))
    world.edge.look()
    world.launching.reconcile_pending()
    world.edge.look()
    world.launching.reconcile_pending()
    assert world.server().state is State.READY
    world.stopping.stop(world.stopping.request(world.server()))
    return world.server()


def test_how_long_launches_of_a_profile_usually_take_is_learnt(world):
    for seconds in (20, 30):
        server = launched_in(world, seconds)
        assert world.spawning.usual_time(server) is None
    server = launched_in(world, 50)
    assert world.spawning.usual_time(server) == timedelta(seconds=30)
    assert world.spawning.usual_time(replace(server, profile="another")) is None


def test_a_server_is_ready_though_its_time_cannot_be_remembered(world, monkeypatch, caplog):
    def refuse(_profile, _newest):
        raise StoreUnavailableError("away")

    monkeypatch.setattr(world.launch_times, "add", refuse)
    launched_in(world, 20)
    assert [one.levelname for one in caplog.records if one.levelname in {"WARNING", "ERROR"}] == ["WARNING"]
