"""The steps of a start as a page shows them: each with the time it took, from what the server's record holds."""

from datetime import datetime, timedelta

from hubless.domain.lifecycle import (
    OPENING,
    PENDING_START,
    WAITING_TO_LAUNCH,
    Server,
    StartStep,
    State,
    has_reported,
    sentence_of,
)
from hubless.domain.translatable import Message
from hubless.domain.values import value

_WAY = (State.REQUESTED, State.LAUNCHING, State.STARTING)  # of each start; few are prepared too
_ZERO = timedelta()


@value
class ShownStep:
    """One step: over if it *took* a time, going on if it has *began_at* alone, and else still to come."""

    sentence: Message
    began_at: datetime | None = None
    took: timedelta | None = None

    @property
    def is_now(self) -> bool:
        """Say whether the start is at this step."""
        return self.began_at is not None and self.took is None


def shown_steps(server: Server) -> list[ShownStep]:
    """Return the steps of a start that goes on: those that are over, the present one, and those to come.

    A clock that was set back makes no step shorter than nothing.
    """
    if server.state not in PENDING_START:
        return []
    begun = _begun(server)
    ends = [step.began_at for step in begun[1:]]
    shown = [
        ShownStep(sentence_of(step.state), step.began_at, max(end - step.began_at, _ZERO))
        for step, end in zip(begun, ends, strict=False)
    ]
    now, reported = begun[-1], server.last_activity_at
    if server.state is State.STARTING and has_reported(server) and reported is not None:
        answered_at = max(reported, now.began_at)  # a task's address may come later than its first report
        shown.append(ShownStep(sentence_of(now.state), now.began_at, answered_at - now.began_at))
        return [*shown, ShownStep(OPENING, answered_at)]
    shown.append(ShownStep(sentence_of(now.state), now.began_at))
    ahead = _WAY[1:] if server.state in WAITING_TO_LAUNCH else _WAY[_WAY.index(server.state) + 1 :]
    return [*shown, *(ShownStep(sentence_of(state)) for state in ahead), ShownStep(OPENING)]


def launched_at(server: Server) -> datetime | None:
    """Return when the task of the present or the last launch was launched; None if that is not known.

    It is not known of a server that was adopted: its steps do not begin before the launch.
    """
    steps = server.start_steps
    if not steps or steps[0].state is State.LAUNCHING:
        return None
    return next((step.began_at for step in steps if step.state is State.LAUNCHING), None)


def _begun(server: Server) -> tuple[StartStep, ...]:
    """Return the steps that have begun. Records of older functions, or of endless starts, lack the last ones."""
    steps = server.start_steps
    if steps and steps[-1].state is server.state:
        return steps
    return (*steps, StartStep(server.state, server.entered_at))
