"""Bar charts for pages: what a template needs to draw one as SVG, which needs neither scripts nor inline style."""

from collections.abc import Sequence
from typing import Any

HEIGHT, STEP, GAP = 100, 10, 2  # in units of the drawing, which stretches to the width that there is
_LEAST = 0.8  # of a bar that is not 0: it stays visible


def bar_chart(values: Sequence[tuple[str, float, str]]) -> dict[str, Any]:
    """Return the chart of *values*: for each bar its label, its amount and the amount in words."""
    most = max((amount for _, amount, _ in values), default=0.0)
    bars = []
    for number, (_label, amount, _words) in enumerate(values):
        height = 0.0 if not most or not amount else max(_LEAST, amount / most * HEIGHT)
        bars.append(
            {
                "x": number * STEP + GAP / 2,
                "y": round(HEIGHT - height, 2),
                "width": STEP - GAP,
                "height": round(height, 2),
            }
        )
    largest = max(values, key=lambda one: one[1], default=("", 0.0, ""))
    return {
        "bars": bars,
        "width": max(len(values), 1) * STEP,
        "height": HEIGHT,
        "lines": [0, HEIGHT / 2, HEIGHT],
        "most": largest[2],
        "most_on": largest[0],
        "first": values[0][0] if values else "",
        "last": values[-1][0] if values else "",
    }
