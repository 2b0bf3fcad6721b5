"""Runs a function as another account, for what a hub without root does on a machine where tests run as root."""

import json
import os
import traceback

UNPRIVILEGED = 65533  # belongs to nobody on usual machines


def run_as(uid, function):
    """Call *function* in a child process as *uid*, and return its result, which JSON can hold."""
    if uid == os.geteuid():
        return function()
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reading)
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            answer = {"result": function()}
        except BaseException:
            answer = {"error": traceback.format_exc()}
        with os.fdopen(writing, "w") as out:
            json.dump(answer, out)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as received:
        answer = json.load(received)
    os.waitpid(child, 0)
    assert "error" not in answer, answer["error"]
    return answer["result"]
