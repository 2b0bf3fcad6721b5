"""Steps that stop the economy edge's instance while somebody uses it."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from operations.doctor.hub_client import NoResponseError, Response
from operations.doctor.kernel import Channel, ChannelClosedError, Kernel, open_kernel
from operations.doctor.steps import StepFailedError
from operations.trial import servers
from operations.trial.context import Facts, MeasuredError, Trial

POLL_SECONDS = 1.0
RECOVER_SECONDS = 600.0  # EC2 takes up to two minutes to stop an instance, and half a minute to start it
ENOUGH = 3  # good answers in a row
WAKE_SECONDS = 180.0  # after which a POST alone has not started the edge
CHANNEL_SECONDS = 20.0
_REMEMBERED, _REMEMBER = "23", "remembered = 23\nremembered"
_RECALL = "remembered"
_GOOD = frozenset({200, 204})


@dataclass
class Timeline:
    """What came back, answer by answer; equal answers in a row are one entry."""

    clock: Callable[[], float]
    entries: list[tuple[float, str, int]] = field(default_factory=list)
    _begun: float | None = None

    def add(self, answer: str) -> None:
        """Add an answer."""
        now = self.clock()
        self._begun = now if self._begun is None else self._begun
        if self.entries and self.entries[-1][1] == answer:
            at, _, count = self.entries[-1]
            self.entries[-1] = (at, answer, count + 1)
        else:
            self.entries.append((now - self._begun, answer, 1))

    def lines(self) -> list[str]:
        """Return a line for each entry: the second of its first answer, the answer and how often it came."""
        return [f"{at:.1f} s: {answer}, {count} times" for at, answer, count in self.entries]


def stop_under_get(trial: Trial) -> Facts:
    """Read a page of the server again and again while its edge stops, and until it answers again."""
    page = f"{servers.reach(trial, trial.admin)}api/status"
    return _disturb(trial, lambda: trial.client.request("GET", page, with_token=True))


def stop_under_post(trial: Trial) -> Facts:
    """Send a POST again and again while the edge stops. If no POST starts it, a GET does, as a page would."""
    with _kernel(trial) as kernel:
        address = f"{kernel.address}/interrupt"
        return _disturb(
            trial,
            lambda: trial.client.request("POST", address, with_token=True),
            wake=lambda: trial.client.request("GET", kernel.address, with_token=True),
        )


def stop_under_websocket(trial: Trial) -> Facts:
    """Stop the edge under an open kernel, and open the kernel again. Its memory must survive."""
    with _kernel(trial) as kernel:
        timeline = Timeline(trial.clock)
        with kernel.channel() as channel:
            if (told := channel.execute(_REMEMBER)) != _REMEMBERED:
                raise StepFailedError(f"the kernel returned {told}")
            begun = stop_instance(trial)
            noticed = _wait_until_closed(trial, channel, timeline)
        recovered = _reconnect(trial, kernel, timeline)
        return _facts(trial, begun, timeline) | {
            "seconds until the WebSocket closed": round(noticed - begun, 1),
            "seconds until it opened again": round(recovered - begun, 1),
        }


def stop_instance(trial: Trial) -> float:
    """Stop the edge's instance, as a failure of EC2 would. Return the second at which EC2 accepted that."""
    trial.aws.call("ec2", "stop_instances", InstanceIds=[trial.instance])
    return trial.clock()


def _state_of_instance(trial: Trial) -> str:
    told = trial.aws.call("ec2", "describe_instances", InstanceIds=[trial.instance])
    return str(told["Reservations"][0]["Instances"][0]["State"]["Name"])


def _disturb(trial: Trial, send: Callable[[], Response], *, wake: Callable[[], Response] | None = None) -> Facts:
    """Stop the instance under repeated requests. Wait until they are answered again.

    *wake* is sent once, if `send` alone did not bring the edge back within WAKE_SECONDS.
    """
    timeline = Timeline(trial.clock)
    before = _answer_of(send)
    timeline.add(before.text)
    if not before.is_good:
        raise StepFailedError(f"before the edge was stopped, the server answered {before.text}")
    begun, woken = stop_instance(trial), ""
    good, is_disturbed = 0, False
    while trial.clock() - begun < RECOVER_SECONDS:
        trial.wait(POLL_SECONDS)
        if wake and not woken and trial.clock() - begun >= WAKE_SECONDS:
            woken = f"{trial.clock() - begun:.0f} s: {_answer_of(wake).text}"
        answer = _answer_of(send)
        timeline.add(answer.text)
        good = good + 1 if answer.is_good else 0
        is_disturbed = is_disturbed or not answer.is_good
        if is_disturbed and good == ENOUGH:
            facts = _facts(trial, begun, timeline)
            return facts | ({"a GET had to wake the edge": woken} if woken else {})
    raise MeasuredError(
        f"the server did not answer again within {RECOVER_SECONDS:.0f} seconds", _facts(trial, begun, timeline)
    )


@dataclass(frozen=True)
class _Answer:
    text: str
    is_good: bool


def _answer_of(send: Callable[[], Response]) -> _Answer:
    try:
        found = send()
    except NoResponseError as error:
        return _Answer(str(error), is_good=False)
    details = [f"{name}: {found.headers[name]}" for name in ("retry-after", "x-cache") if name in found.headers]
    return _Answer(" ".join([str(found.status), *(f"({one})" for one in details)]), found.status in _GOOD)


def _wait_until_closed(trial: Trial, channel: Channel, timeline: Timeline) -> float:
    """Run cells until the WebSocket is closed. Return the second."""
    begun = trial.clock()
    while trial.clock() - begun < RECOVER_SECONDS:
        try:
            timeline.add(f"a cell returned {channel.execute(_RECALL, CHANNEL_SECONDS)}")
        except ChannelClosedError as closed:
            timeline.add(f"closed: {closed}")
            return trial.clock()
        trial.wait(POLL_SECONDS)
    raise StepFailedError(f"the WebSocket stayed open while the instance is {_state_of_instance(trial)}")


def _reconnect(trial: Trial, kernel: Kernel, timeline: Timeline) -> float:
    """Open the kernel's WebSocket again and again, as JupyterLab does. Return the second at which it worked.

    Raises:
        StepFailedError: if it does not work in time, or the kernel has lost its memory.
    """
    begun = trial.clock()
    while trial.clock() - begun < RECOVER_SECONDS:
        try:
            with kernel.channel(CHANNEL_SECONDS) as channel:
                told = channel.execute(_RECALL, CHANNEL_SECONDS)
        except ChannelClosedError as refused:
            timeline.add(f"refused: {refused}")
            trial.wait(POLL_SECONDS)
            continue
        timeline.add(f"a cell returned {told}")
        if told != _REMEMBERED:
            raise StepFailedError(f"the kernel lost its memory: it returned {told}")
        return trial.clock()
    raise MeasuredError("the WebSocket did not open again", _facts(trial, begun, timeline))


def _facts(trial: Trial, begun: float, timeline: Timeline) -> Facts:
    return {
        "seconds in all": round(trial.clock() - begun, 1),
        "the instance now": _state_of_instance(trial),
        "answers": timeline.lines(),
    }


def _kernel(trial: Trial) -> AbstractContextManager[Kernel]:
    return open_kernel(trial.client, servers.reach(trial, trial.admin))
