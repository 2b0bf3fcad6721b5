"""The first process of a server's container: it passes on a bounded part of what the server writes."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hubless.adapters.ecs import limited_output
from hubless.adapters.ecs.limited_output import BURST_MINUTES, EVENT, Allowance

SOURCE = Path(limited_output.__file__).read_text()
LIMIT = 10_000
NOBODY = 65534


def arguments(program, *, limit=LIMIT, python=sys.executable):
    return [python, "-I", "-c", SOURCE, str(limit), python, "-c", program]


def limited(program):
    return subprocess.Popen(arguments(program), stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def run(program):
    with limited(program) as made:
        out, err = made.communicate(timeout=60)
    return out, err, made.returncode


def test_both_streams_come_through_with_the_exit_code():
    out, err, code = run("import sys; print('out', flush=True); print('err', file=sys.stderr); sys.exit(3)")

    assert out.splitlines() == [b"out", b"err"]
    assert (err, code) == (b"", 3)


def test_a_flood_is_cut_and_the_program_goes_on():
    out, _, code = run("for n in range(200_000): print('x' * 99)\nprint('end')")

    assert code == 0
    assert b"[hubless] too much output" in out
    assert len(out) <= LIMIT * BURST_MINUTES + 1000


def test_a_signal_reaches_the_program():
    program = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('in order', flush=True)))\n"
        "print('up', flush=True); time.sleep(60)"
    )
    with limited(program) as made:
        assert made.stdout.readline() == b"up\n"
        made.send_signal(signal.SIGTERM)
        out, _ = made.communicate(timeout=60)

    assert (out, made.returncode) == (b"in order\n", 0)


def test_a_program_that_a_signal_ends_has_a_shells_code():
    assert run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")[2] == 128 + signal.SIGKILL


def test_a_program_that_is_not_there_is_named():
    with subprocess.Popen(
        [sys.executable, "-I", "-c", SOURCE, "1000", "no-such-program"], stdout=subprocess.PIPE
    ) as made:
        out, _ = made.communicate(timeout=60)
    assert made.returncode == 127
    assert b"cannot run no-such-program" in out


def test_a_program_that_closes_its_output_runs_on():
    program = "import os, sys; os.close(1); os.close(2); sys.exit(4)"
    assert run(program)[2] == 4


@pytest.mark.parametrize("number", [1, 2])
def test_a_server_has_no_way_to_the_log_past_the_limit(tmp_path, number):
    log = tmp_path / "log"
    program = (
        "import os\n"
        "try: open(f'/proc/{os.getppid()}/fd/NUMBER', 'a').write('past')\n"
        "except PermissionError: print('refused')"
    ).replace("NUMBER", str(number))
    # Root may open anything, and others may not run a Python in root's home. Containers give their user its streams.
    user = {"user": NOBODY, "extra_groups": [], "python": shutil.which("python3", path=os.defpath), "cwd": "/"}
    with log.open("wb") as out:
        os.fchmod(out.fileno(), 0o666)
        command = arguments(program, python=user.pop("python") if os.geteuid() == 0 else sys.executable)
        subprocess.run(command, stdout=out, stderr=out, check=True, **(user if os.geteuid() == 0 else {}))

    assert log.read_text() == "refused\n"


def test_the_allowance_comes_back_with_time():
    allowance = Allowance(60, 0.0)
    line = b"x" * (60 - EVENT - 1) + b"\n"  # billed as a minute's
    assert [allowance.pass_on(line, 0.0) for _ in range(BURST_MINUTES)] == [line] * BURST_MINUTES

    assert b"too much output" in allowance.pass_on(line, 0.0)
    assert allowance.pass_on(line, 29.0) == b""

    resumed = allowance.pass_on(b"a\n", 62.0)
    assert resumed == b"\n[hubless] %d bytes of output were dropped\na\n" % (2 * len(line))


def test_empty_lines_count_as_they_are_billed():
    allowance = Allowance(1000, 0.0)
    passed = allowance.pass_on(b"\n" * 10_000, 0.0)

    assert passed.count(b"\n") <= 1000 * BURST_MINUTES // EVENT + 2
