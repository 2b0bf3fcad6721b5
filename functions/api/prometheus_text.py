"""Metrics in Prometheus' text format 0.0.4."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import accumulate

from hubless.domain import histograms
from hubless.domain.histograms import BucketCount, Histogram

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def gauge(name: str, text: str, values: Mapping[tuple[tuple[str, str], ...], int]) -> list[str]:
    """Return the lines of a gauge.

    Args:
        name: its name.
        text: what it shows.
        values: its values by labels, each a name and a value.
    """
    return [*_head(name, text, "gauge"), *(f"{name}{_braces(labels)} {number}" for labels, number in values.items())]


def histogram_lines(counts: Iterable[BucketCount]) -> list[str]:
    """Return the lines of all histograms and counters. Counts that an older version stored are left out."""
    series: dict[str, dict[tuple[str, ...], list[BucketCount]]] = {
        name: {labels: [] for labels in one.always} for name, one in histograms.ALL.items()
    }
    for count in counts:
        known = histograms.ALL.get(count.histogram)
        if known is not None and len(count.labels) == len(known.labels) and count.bucket < len(known.bounds):
            series[count.histogram].setdefault(count.labels, []).append(count)
    lines = list[str]()
    for name, by_labels in series.items():
        one = histograms.ALL[name]
        lines += _head(name, one.text, "counter" if one.is_counter else "histogram")
        for labels in sorted(by_labels):
            lines += _series(one, tuple(zip(one.labels, labels, strict=True)), by_labels[labels])
    return lines


def _series(one: Histogram, labels: tuple[tuple[str, str], ...], counts: list[BucketCount]) -> list[str]:
    in_bucket = [0] * len(one.bounds)
    for count in counts:
        in_bucket[count.bucket] += count.count
    *up_to, everything = accumulate(in_bucket)
    if one.is_counter:
        return [f"{one.name}{_braces(labels)} {everything}"]
    total = sum((count.total for count in counts), timedelta()).total_seconds()
    return [
        *(
            f"{one.name}_bucket{_braces((*labels, ('le', str(bound))))} {number}"
            for bound, number in zip(one.bounds, up_to, strict=False)  # the last one is written otherwise
        ),
        f"{one.name}_bucket{_braces((*labels, ('le', '+Inf')))} {everything}",
        f"{one.name}_count{_braces(labels)} {everything}",
        f"{one.name}_sum{_braces(labels)} {total}",
    ]


def _head(name: str, text: str, kind: str) -> list[str]:
    return [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]


def _braces(labels: tuple[tuple[str, str], ...]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in sorted(labels)) + "}"
