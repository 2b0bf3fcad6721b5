"""A class of 2,000 presses start in one minute: simulated time in an account with AWS's limits (tests/simulation).

Bounded: no network, nothing is started; about a minute of one core for each run of the table, whose seeds are fixed.
Prints a Markdown table and, where matplotlib is installed (`uv sync --group bench`), draws the first run into
class_start.svg.
"""

import logging
import os
import statistics
import sys
from bisect import bisect_right
from pathlib import Path

TOP = Path(__file__).parents[1]
sys.path.insert(0, str(TOP))
from tests.simulation.class_start import School  # noqa: E402
from tests.simulation.outcome import Plan, earliest  # noqa: E402

STUDENTS = int(os.environ.get("STUDENTS", "2000"))
PLOT = Path(__file__).with_name("class_start.svg")
RUNS = {
    f"{STUDENTS:,} within a minute": Plan(STUDENTS),
    "… other seeds": Plan(STUDENTS, seed=2),
    "…": Plan(STUDENTS, seed=3),
    f"{STUDENTS:,} within ten seconds": Plan(STUDENTS, within=10),
    f"{STUDENTS:,} with homes, prepared ahead": Plan(STUDENTS, homes=True),
    "… half of them added as they press": Plan(STUDENTS, homes=True, newcomers=STUDENTS // 2, limit=3600),
    "ten launches a function at once": Plan(STUDENTS, batch=10),
    "one queue for all messages": Plan(STUDENTS, batch=10, lanes=False),
    "clocks of functions up to 1 s wrong": Plan(STUDENTS, skew=1.0),
    "no pace": Plan(STUDENTS, rate=1000, burst=1000),
}
WARM_RUNS = {f"{STUDENTS:,} within a minute, {warm} spares": Plan(STUDENTS, warm=warm, begins=300) for warm in (10, 50)}
WARM_HEAD = ("run", "ready", "press to ready with a spare, s (median, most)", "without, s (median, most)")
HEAD = (
    "run",
    "last launch, s (possible)",
    "last ready, s (possible running)",
    "ratio",
    "ready",
    "calls of RunTask, throttled",
    "most in a second",
    "running to ready, s (median, most)",
    "reads of a message at most",
    "functions' seconds, launching",
)


def row(name, out):
    return (
        name,
        f"{out.launched[-1]:.0f} ({earliest(out.pressed)[-1]:.0f})",
        f"{out.ready[-1]:.0f} ({out.bound:.0f})",
        f"{out.ratio:.3f}",
        f"{len(out.ready)} of {out.plan.students}",
        f"{len(out.calls)}, {out.throttled['RunTask']}",
        f"{max(a_second(out.calls))}",
        f"{statistics.median(out.waited):.1f}, {out.waited[-1]:.1f}",
        f"{out.most_tries}",
        f"{out.busy_seconds['launches']:.0f}",
    )


def warm_row(name, out):
    with_spare, without = (
        f"{len(some)}: {statistics.median(some):.1f}, {some[-1]:.1f}" for some in (out.took_with_spare, out.took)
    )
    return name, f"{len(out.ready)} of {out.plan.students}", with_spare, without


def a_second(calls):
    counts = [0] * (int(max(calls)) + 1)
    for at in calls:
        counts[int(at)] += 1
    return counts


def draw(out):
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "class start", "svg.fonttype": "none", "font.size": 9})
    from matplotlib import pyplot as plt

    times = [second / 2 for second in range(2 * int(out.ready[-1] + 10))]
    figure, (people, calls) = plt.subplots(
        2, 1, figsize=(8, 6), sharex=True, height_ratios=(3, 1), layout="constrained"
    )
    limit = {"color": "0.45", "linestyle": (0, (4, 3)), "linewidth": 1.2}
    for instants, name, how in (
        (out.pressed, "asked for", {"color": "#999933"}),
        (earliest(out.pressed), "launched at best", limit),
        (out.launched, "launched", {"color": "#0072b2"}),
        (out.possible, "running at best", limit),
        (out.running, "running", {"color": "#d55e00"}),
        (out.ready, "ready", {"color": "#009e73", "linewidth": 2.2}),
    ):
        ordered = sorted(instants)
        people.plot(times, [bisect_right(ordered, at) for at in times], label=name, **how)
    people.axvline(1.1 * out.bound, color="0.7", linewidth=1)
    people.annotate(
        "1.1 times the last possible",
        (1.1 * out.bound, 0),
        (-4, 4),
        textcoords="offset points",
        ha="right",
        color="0.4",
    )
    people.set(
        ylabel="servers",
        ylim=(0, None),
        title=f"A class of {out.plan.students:,} presses start within a minute (simulated)",
    )
    people.legend(frameon=False, loc="center right", bbox_to_anchor=(0.92, 0.35))
    counts = a_second(out.calls)
    calls.step(range(len(counts)), counts, where="post", color="#0072b2")
    calls.axhline(20, **limit)
    calls.annotate(
        "AWS takes 20 a second, and 20 at once after a rest",
        (1, 20),
        (0, 3),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        color="0.4",
    )
    calls.set(ylabel="RunTask calls a second", xlabel="seconds", ylim=(0, 32))
    for axes in (people, calls):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PLOT, metadata={"Date": None})
    print(f"\ndrawn into {PLOT}")


def print_head(head):
    print("| " + " | ".join(head) + " |\n" + "| --- " * len(head) + "|")


def main():
    logging.disable(logging.CRITICAL)
    outcomes = {}
    print_head(HEAD)
    for name, plan in RUNS.items():
        school = School(plan)
        if plan.homes:
            school.prepare_all()
        outcomes[name] = school.run()
        print("| " + " | ".join(row(name, outcomes[name])) + " |", flush=True)
    print()
    print_head(WARM_HEAD)
    for name, plan in WARM_RUNS.items():
        print("| " + " | ".join(warm_row(name, School(plan).run())) + " |", flush=True)
    try:
        draw(next(iter(outcomes.values())))
    except ImportError:
        print("\nNo plot: matplotlib is not installed (uv sync --group bench).")


if __name__ == "__main__":
    main()
