"""What a function's environment has drawn when Lambda takes its snapshot (SnapStart), and what its copies draw then.

Lambda starts many environments from one snapshot. Whatever was drawn before it is the same in all of them. So nothing
random, no instant of a clock and no connection may be there, and the copies must draw differently afterwards.
"""

import json
import os
import subprocess
import sys

import pytest

from hubless.settings.cloud import to_environment
from tests.unit.test_cloud_settings import CLOUD

FUNCTIONS = ["api", "api.stream", "spawn", "reaper"]
# Libraries that draw when they are imported, and why it does not matter that copies have the same.
HARMLESS = {
    "multiprocessing.process",  # the key of connections between its processes; no function has any
    "opentelemetry.context",  # names of keys within one process
}

# Records who draws from the operating system or reads a clock, from before the first import until the snapshot.
WATCH = """
import datetime, gc, json, os, random, sys, time

OURS = ("hubless.", "functions.")
drawn, clocks, is_taken = [], [], False

def nearest(is_wanted):
    frame = sys._getframe(2)
    while frame is not None:
        if is_wanted(name := frame.f_globals.get("__name__", "")):
            return name
        frame = frame.f_back
    return ""

def watched(draw):
    def drawing(*args):
        if not is_taken:
            drawn.append(nearest(lambda name: name not in {"random", "secrets", "uuid", "tempfile", "__main__"}))
        return draw(*args)
    return drawing

def timed(read):
    def reading(*args):
        if not is_taken and (caller := sys._getframe(1).f_globals.get("__name__", "")).startswith(OURS):
            clocks.append(caller)
        return read(*args)
    return reading

os.urandom = random._urandom = watched(os.urandom)
for clock in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns"):
    setattr(time, clock, timed(getattr(time, clock)))
began, untouched = datetime.datetime.now(datetime.UTC), random.getstate()
"""
IMPORT = """
import functions.{name}.handler as module
is_taken = True
"""
LOOK = """
import socket

def instants():
    gc.unfreeze()
    for held in gc.get_objects():
        for one in gc.get_referents(held):
            if type(one) is datetime.datetime and one is not began:
                here = one if one.tzinfo else one.replace(tzinfo=datetime.UTC)
                if abs(here - began) < datetime.timedelta(days=1):
                    yield str(one)

def sockets():
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:  # of the listing itself
            continue
        if target.startswith("socket:") and is_of_a_network(int(number)):
            yield target

def is_of_a_network(number):
    with socket.socket(fileno=os.dup(number)) as held:
        return held.family != socket.AF_UNIX  # the event loop wakes itself by a pair of those

print(json.dumps({
    "drawn": sorted(set(drawn)),
    "clocks": clocks,
    "instants": sorted(set(instants())),
    "sockets": list(sockets()),
    "random": random.getstate() == untouched,
}))
"""
# Two copies of one snapshot, each with one invocation. Python gives a forked child new random numbers by itself, which
# a copied environment does not get: so each child takes the parent's back.
COPIES = """
from datetime import UTC, datetime

def invoke():
    cells = [cell.cell_contents for cell in module.handler.__closure__]
    hub = next(cell for cell in cells if type(cell).__name__ in {{"CloudHub", "StreamingHub"}})
    hub._secrets = {{"key": "k" * 32}}
    class Context:
        function_name = invoked_function_arn = aws_request_id = "harmless"
        memory_limit_in_mb = 128
        get_remaining_time_in_millis = staticmethod(lambda: 60_000)
    answer = None
    try:
        answer = module.handler({event!r}, Context)
    except Exception as error:
        if type(error).__name__ != {fails!r}:
            raise
    return hub, answer

def draws(answer):
    import uuid
    from argon2 import PasswordHasher
    from hubless.services.identifiers import new_id, new_secret
    now = datetime(2026, 9, 1, tzinfo=UTC)
    made = {{
        "jitter of back-off": random.random(),
        "order of tries": random.sample(range(10_000), 3),
        "launch id": new_id("l", now),
        "next launch id": new_id("l", now),
        "secret of a session, a code or a token": new_secret(),
        "client token of AWS": str(uuid.uuid4()),
        "salt of a password": PasswordHasher(1, 8, 1).hash("harmless"),
    }}
    if answer and answer.get("body"):
        assert answer["statusCode"] == 200, answer
        made["page with an XSRF token"] = answer["body"]
    return made

state = random.getstate()
for _ in range(2):
    receive, send = os.pipe()
    if not os.fork():
        random.setstate(state)
        _hub, answer = invoke()
        with os.fdopen(send, "w") as out:
            out.write(json.dumps(draws(answer)))
        os._exit(0)
    os.close(send)
    with os.fdopen(receive) as told:
        print("COPY " + told.read(), flush=True)
    os.wait()
"""
LOGIN = {
    "version": "2.0",
    "rawPath": "/hub/login",
    "rawQueryString": "",
    "headers": {"host": "hub.example.org", "accept": "text/html"},
    "requestContext": {
        "http": {"method": "GET", "path": "/hub/login", "sourceIp": "192.0.2.1", "protocol": "HTTP/1.1"},
        "domainName": "hub.example.org",
        "stage": "$default",
    },
    "isBase64Encoded": False,
}


def output_of(program):
    environ = to_environment(CLOUD) | {
        "AWS_REGION": "eu-central-1",
        "AWS_LAMBDA_FUNCTION_NAME": "harmless",
        "AWS_EC2_METADATA_DISABLED": "true",  # no credentials: nothing reaches AWS
        "PATH": os.environ["PATH"],
    }
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def copies_of(name, event, *, fails=""):
    program = WATCH + IMPORT.format(name=name) + COPIES.format(event=event, fails=fails)
    told = [json.loads(line.removeprefix("COPY ")) for line in output_of(program) if line.startswith("COPY ")]
    assert len(told) == 2
    return told


def snapshot_of(name, *, before=""):
    return json.loads(output_of(WATCH + before + IMPORT.format(name=name) + LOOK)[-1])


def same_in(copies):
    one, other = copies
    assert one.keys() == other.keys()
    return {what for what in one if one[what] == other[what]}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_snapshot_holds_nothing_random_no_instant_no_connection(name):
    held = snapshot_of(name)

    assert set(held.pop("drawn")) <= HARMLESS
    assert held == {"clocks": [], "instants": [], "sockets": [], "random": True}


SPOILED = """
spoiled = {"__name__": "hubless.spoiled"}
exec('''%s''', spoiled)
"""


@pytest.mark.parametrize(
    ("line", "finds"),
    [
        ("import secrets; NONCE = secrets.token_hex(16)", {"drawn": ["hubless.spoiled"]}),
        ("import uuid; EDGE = uuid.uuid4()", {"drawn": ["hubless.spoiled"]}),
        ("import time; BEGAN = time.time()", {"clocks": ["hubless.spoiled"]}),
        ("import random; JITTER = random.random()", {"random": False}),
        ("import random; random.seed(1)", {"random": False}),
    ],
)
def test_whatever_a_module_draws_at_its_import_is_found(line, finds):
    held = snapshot_of("spawn", before=SPOILED % line)

    held["drawn"] = [by for by in held["drawn"] if by not in HARMLESS]
    assert {key: held[key] for key in finds} == finds


def test_an_instant_and_a_connection_of_before_the_snapshot_are_found():
    line = "import datetime, socket; AT = [datetime.datetime.now(datetime.UTC)]; OPEN = socket.socket()"
    held = snapshot_of("spawn", before=SPOILED % line)

    assert len(held["instants"]) == 1
    assert len(held["sockets"]) == 1


@pytest.mark.parametrize(
    ("name", "event", "fails"),
    [("api", LOGIN, ""), ("spawn", {"Records": []}, ""), ("reaper", {}, "InvocationFailedError")],
)
def test_two_copies_of_a_snapshot_draw_nothing_alike(name, event, fails):
    copies = copies_of(name, event, fails=fails)

    assert same_in(copies) == set()
    assert ("page with an XSRF token" in copies[0]) == (name == "api")
