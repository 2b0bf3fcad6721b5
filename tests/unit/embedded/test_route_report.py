"""`hubless routes` prints both tables side by side, differences first."""

import json

from edge_proxy.route_comparison import RouteRow, RouteState
from embedded.route_report import as_json, as_text

SAME = RouteRow("/user/alice/", RouteState.SAME, "10.0.0.1:8888", "10.0.0.1:8888", "launch-a")
LOST = RouteRow("/user/bob/", RouteState.ONLY_STORE, "10.0.0.2:8888", None, "launch-b")
STALE = RouteRow("/user/carol/", RouteState.ONLY_HAPROXY, None, "10.0.0.3:8888", None)


def test_differences_come_first_and_are_marked() -> None:
    assert list(as_text([SAME, LOST, STALE])) == [
        "  PREFIX        STORE          HAPROXY        LAUNCH",
        "! /user/bob/    10.0.0.2:8888  -              launch-b  only in the store",
        "! /user/carol/  -              10.0.0.3:8888  -         only in HAProxy",
        "  /user/alice/  10.0.0.1:8888  10.0.0.1:8888  launch-a",
        "2 in the store, 2 in HAProxy: 2 differ; `hubless status` says whether the edge is behind.",
    ]


def test_tables_that_agree_say_so() -> None:
    assert list(as_text([SAME]))[-1] == "1 in the store, 1 in HAProxy: they agree."


def test_without_routes_there_is_only_the_summary() -> None:
    assert list(as_text([])) == ["0 in the store, 0 in HAProxy: they agree."]


def test_a_text_that_no_prefix_has_does_not_look_like_agreement() -> None:
    assert list(as_text([], text="al\x1bice")) == [
        "No route has al\\x1bice in its prefix, neither in the store nor in HAProxy."
    ]
    assert list(as_text([SAME], text="alice"))[-1] == "1 in the store, 1 in HAProxy: they agree."


def test_ten_thousand_routes_print_no_more_than_the_limit() -> None:
    rows = [RouteRow(f"/user/u{n}/", RouteState.SAME, "10.0.0.1:1", "10.0.0.1:1", "l") for n in range(10_000)]

    lines = list(as_text([*rows, LOST], limit=50))

    assert len(lines) == 1 + 50 + 2
    assert "/user/bob/" in lines[1]
    assert "and 9951 more" in lines[-2]
    assert lines[-1].startswith("10001 in the store, 10000 in HAProxy: 1 differ")
    assert len(list(as_text(rows, limit=0))) == 10_002


def test_control_characters_do_not_reach_the_terminal() -> None:
    evil = RouteRow("/user/\x1b[2J/", RouteState.ONLY_HAPROXY, None, "10.0.0.3:1", None)

    (line,) = [line for line in as_text([evil]) if line.startswith("!")]

    assert "/user/\\x1b[2J/" in line
    assert "\x1b" not in line


def test_json_has_every_row_unless_a_limit_is_given() -> None:
    document = json.loads(as_json([SAME, LOST]))

    assert document["same"] is False
    assert document["routes"] == [
        {
            "prefix": "/user/bob/",
            "state": "only in the store",
            "store_address": "10.0.0.2:8888",
            "haproxy_address": None,
            "launch_id": "launch-b",
        },
        {
            "prefix": "/user/alice/",
            "state": "same",
            "store_address": "10.0.0.1:8888",
            "haproxy_address": "10.0.0.1:8888",
            "launch_id": "launch-a",
        },
    ]
    assert [route["prefix"] for route in json.loads(as_json([SAME, LOST], limit=1))["routes"]] == ["/user/bob/"]
    assert json.loads(as_json([SAME]))["same"] is True
