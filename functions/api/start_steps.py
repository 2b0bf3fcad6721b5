"""The steps of a start in words, for the page that waits and for the stream that it follows."""

from datetime import datetime, timedelta
from typing import Any

from hubless.domain import launch_times
from hubless.domain.durations import in_words
from hubless.domain.lifecycle import Server
from hubless.domain.start_steps import launched_at, shown_steps

_ZERO = timedelta()


def steps_view(server: Server, now: datetime, usually: timedelta | None) -> dict[str, Any]:
    """Return what the page of a start shows of its steps.

    Keys: `steps`, each a pair of its sentence and how long it took in words (an empty text unless it is over); the
    position of the `current` one; how many `seconds` it has lasted; and whether the start `is_late`, which nobody can
    say who does not know how long launches *usually* take.
    """
    shown = shown_steps(server)
    current = next((number for number, step in enumerate(shown) if step.is_now), 0)
    began_at, launched = shown[current].began_at if shown else None, launched_at(server)
    return {
        "steps": [(step.sentence, "" if step.took is None else in_words(step.took)) for step in shown],
        "current": current,
        "seconds": 0.0 if began_at is None else max(now - began_at, _ZERO).total_seconds(),
        "is_late": usually is not None and launched is not None and launch_times.is_late(now - launched, usually),
    }
