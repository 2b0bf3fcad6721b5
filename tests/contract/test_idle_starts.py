"""Which starts do nothing: real processes, and a clock that a test sets."""

import subprocess
import sys
from contextlib import contextmanager

from hubless.adapters.processes import process_use
from hubless.adapters.processes.idle_starts import IDLE_SECONDS, IdleStarts
from hubless.adapters.processes.launch_folder import LaunchFolder
from tests.support.concurrency import eventually

WORKS = "while :; do :; done"
WORKS_WHEN_ASKED = """
import sys, time
for line in sys.stdin:
    while time.process_time() < float(line): pass
    print("done", flush=True)
"""


class Starts:
    """Launches below a folder, and time that passes only with a look."""

    def __init__(self, folder):
        self.folder, self.now = folder, 0.0
        self.idle = IdleStarts(folder, lambda: self.now)

    def look(self, *launches, after=IDLE_SECONDS):
        self.now += after
        return self.idle.among(launches)

    @contextmanager
    def launch(self, name, *command):
        """Run a launch's process, and kill it in the end."""
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            launch = LaunchFolder(self.folder / name)
            launch.make()
            launch.pid_file.write_text(f"{process.pid} {process_use.start_of(process.pid)}")
            try:
                yield process
            finally:
                process.kill()


def until_sleeping(pid):
    eventually(lambda: process_use.state_of(pid) == "S")


def test_a_process_that_sleeps_is_idle_and_one_that_works_is_not(tmp_path):
    starts = Starts(tmp_path)
    with starts.launch("sleeps", "cat") as sleeps, starts.launch("works", "sh", "-c", WORKS) as works:
        until_sleeping(sleeps.pid)
        assert works.poll() is None
        assert starts.look("sleeps", "works") == set()  # nobody knows at the first look
        assert starts.look("sleeps", "works", after=IDLE_SECONDS / 2) == set()
        assert starts.look("sleeps", "works", after=IDLE_SECONDS / 2) == {"sleeps"}


def test_what_works_below_a_launchs_process_counts(tmp_path):
    starts = Starts(tmp_path)
    with starts.launch("parent", "sh", "-c", f"(trap 'exit' TERM; echo on; {WORKS}) & read line; kill $!") as parent:
        assert parent.stdout.readline() == "on\n"
        until_sleeping(parent.pid)
        assert starts.look("parent") == starts.look("parent") == starts.look("parent") == set()
        parent.stdin.write("end\n")
        parent.stdin.flush()
        parent.wait()


def test_work_between_two_looks_counts(tmp_path):
    starts = Starts(tmp_path)
    with starts.launch("program", sys.executable, "-S", "-c", WORKS_WHEN_ASKED) as program:

        def works_until(seconds):
            program.stdin.write(f"{seconds}\n")
            program.stdin.flush()
            assert program.stdout.readline() == "done\n"
            until_sleeping(program.pid)

        works_until(0.2)
        starts.look("program")
        assert starts.look("program") == {"program"}
        works_until(0.4)
        assert starts.look("program") == set()
        assert starts.look("program") == {"program"}


def test_a_start_that_cannot_be_seen_is_not_idle(tmp_path):
    starts = Starts(tmp_path)
    with starts.launch("ended", "cat") as ended:
        until_sleeping(ended.pid)
        starts.look("ended")
    assert starts.look("ended", "never began") == starts.look("ended", "never began") == set()
