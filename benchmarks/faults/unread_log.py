"""Standard error that nobody reads, as after Ctrl-S in a terminal: nothing hangs, and Ctrl-C ends the hub."""

import array
import fcntl
import subprocess
import termios
import time
from concurrent.futures import ThreadPoolExecutor

from faults.hubs import TOP, Ours
from faults.rows import Row, progress

STARTS_A_ROUND = 100
AT_ONCE = 8
END_SECONDS = 30
PIPE_BYTES = 4_096  # the least that Linux gives: the log of some starts fills it
FULL_BYTES = PIPE_BYTES // 2  # as a line is written whole or not at all


class Unread(Ours):
    """The hub with a pipe as its standard error, from which nobody reads."""

    def popen(self):
        command = [
            TOP / ".venv/bin/hubless",
            "up",
            "--data",
            self.folder / "data",
            "--settings",
            self.folder / "hubless.toml",
        ]
        command += ["--port", str(self.port), "--ready-line", "--stop-servers-on-exit"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        fcntl.fcntl(process.stderr, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        return process

    def log(self):
        return "(nobody read it)"


def waiting_bytes(pipe):
    """Return how much is in the pipe that nobody has read."""
    found = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, found)
    return found[0]


def start_and_stop(hub, number):
    """Start a server and stop it; return how long both took. Fails if it takes a minute."""
    user, began = f"user{number % 50}x{number % AT_ONCE}", time.monotonic()
    hub.start(user)
    hub.until(hub.ask, "DELETE", f"/hub/api/users/{user}/server")
    hub.until(lambda: hub.server(user)["stopped"])
    return time.monotonic() - began


def measure(rounds):
    """Return the row."""
    starts = rounds * STARTS_A_ROUND
    hub = Unread().up()
    took, failure = [], ""

    def some(part):
        for number in range(part, starts, AT_ONCE):
            took.append(start_and_stop(hub, number - number % AT_ONCE + part))
            if len(took) % STARTS_A_ROUND == 0:
                progress(f"unread log: {len(took)} of {starts} starts")

    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(some, range(AT_ONCE)))
    except AssertionError as error:
        failure = f"hangs after {len(took)} starts ({str(error)[:60]})"
    if not failure and waiting_bytes(hub.process.stderr) < FULL_BYTES:
        failure = "its log never filled the pipe, so this says nothing"
    hub.process.send_signal(2)
    try:
        hub.process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        failure = failure or "Ctrl-C does not end it"
        hub.process.kill()
        hub.process.wait()
    hub.process.stderr.close()
    hub.process.stdout.close()
    hub.close()
    longest = f"longest start and stop {max(took):.1f} s" if took else ""
    return [
        Row(f"stderr unread for {starts} starts", "nothing hangs", not failure, failure or f"nothing hangs; {longest}")
    ]
