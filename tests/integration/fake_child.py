"""A child of the supervisor for tests: does what its arguments say and writes down what happens to it."""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

name, diary, behaviour, descriptor = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
line = socket.socket(fileno=descriptor).makefile("rwb", buffering=0)


def write(what: str) -> None:
    with diary.open("a") as out:
        out.write(f"{name} {what}\n")


def say(word: str, **facts: object) -> None:
    line.write(json.dumps({"event": word} | facts).encode() + b"\n")


def end(*_: object) -> None:
    write("ended")
    os._exit(0)


order = json.loads(line.readline())
signal.signal(signal.SIGTERM, signal.SIG_IGN if behaviour == "stubborn" else end)
write("first" if order["first"] else "again")
write(f"pid {os.getpid()}")
if behaviour == "breaks":
    sys.exit("some last words")
if behaviour == "stammers":
    for piece in ("a wh", "ole line", "\nand a l"):
        os.write(2, piece.encode())
        time.sleep(0.1)
    os.write(2, b"ast one")
    sys.exit(1)
if behaviour == "fails":
    say("failed", why="The cellar is flooded.")
    sys.exit(1)
say("ready", facts={f"{name}_pid": os.getpid()})
if behaviour == "warns":
    say("fatal", why="The cellar is flooded.")
if behaviour == "dies while it starts a server":
    if not order["first"]:
        os.kill(os.getppid(), signal.SIGTERM)
    elif os.fork() == 0:  # has all descriptors until it becomes the server
        time.sleep(10)
        os._exit(0)
    else:
        os.kill(os.getpid(), signal.SIGKILL)
if behaviour == "dies" or (behaviour == "dies once" and order["first"]):
    print("I feel faint", file=sys.stderr, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
if behaviour == "dies once":
    time.sleep(0.05)
    os.kill(os.getppid(), signal.SIGTERM)
if behaviour == "floods" and order["first"]:
    for number in range(20_000):  # more than any pipe holds, and more than the supervisor keeps
        print(f"{number:06} {name} has much to say about nothing in particular", file=sys.stderr)
    print("the last word", file=sys.stderr, flush=True)
    write("flooded")
    os.kill(os.getppid(), signal.SIGINT)
if behaviour == "ends after restart" and not order["first"]:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(Path(order["run_folder"]) / "api.sock"))
        accepted, _ = socket.socket(fileno=os.dup(order["listener"])).accept()
        write("reached")
    os.kill(os.getppid(), signal.SIGTERM)
while said := line.readline():
    write(json.loads(said)["event"])
    end()
write("alone")
