"""Waits for a launch, and then becomes its server: `python3 -I -c SOURCE PROGRAM ARGUMENT…`.

A spare's container runs this text (`task_definitions.py` passes it), with the Python of any image. It asks the hub for
its launch, with a secret that no other task knows. With the answer it replaces itself by PROGRAM, which gets the
variables of the launch and nothing of the waiting.
"""

import http.client
import json
import os
import random
import signal
import sys
import time
import urllib.error
import urllib.request

ID, URL, SECRET = "HUBLESS_SPARE_ID", "HUBLESS_SPARE_URL", "HUBLESS_SPARE_TOKEN"
PAUSE, LONGEST_PAUSE = 3, 60  # seconds between two questions; at most so many while the hub does not answer
ANSWER_SECONDS = 30
LARGEST = 1_000_000  # bytes of an answer
NOBODY_NEEDS_IT = (403, 404, 410)
# No answer, one that was cut, and one that is not the hub's.
UNUSABLE = (OSError, http.client.HTTPException, ValueError, KeyError, TypeError)


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: another address must not get the secret."""

    def redirect_request(self, *_given: "object") -> None:
        """Return no further request."""


class NotNeededError(Exception):
    """Raised when the hub does not know this spare any more."""


def ask(url: str, secret: str) -> "dict[str, str] | None":
    """Return the variables of the launch, or None if there is none yet.

    Raises:
        NotNeededError: when there will be none.
        OSError: when the hub cannot be reached, or cannot answer now.
    """
    headers = {"Authorization": "token " + secret}
    request = urllib.request.Request(url, data=b"", headers=headers, method="POST")  # noqa: S310 the hub's own address
    try:
        with urllib.request.build_opener(NoRedirects).open(request, timeout=ANSWER_SECONDS) as answer:
            text = answer.read(LARGEST) if answer.status == 200 else b""  # noqa: PLR2004 HTTP
    except urllib.error.HTTPError as error:
        if error.code in NOBODY_NEEDS_IT:
            raise NotNeededError from error
        raise
    if not text:
        return None
    environment: dict[str, str] = json.loads(text)["environment"]
    return environment


def wait(url: str, secret: str) -> "dict[str, str]":
    """Ask until there is a launch, and return its variables.

    Raises:
        NotNeededError: when there will be none.
    """
    failures = 0
    while True:
        try:
            environment = ask(url, secret)
        except UNUSABLE as error:
            failures = min(failures + 1, 10)
            say(f"cannot ask for a launch, and will ask again: {error}")
        else:
            failures = 0
            if environment is not None:
                return environment
        time.sleep(min(PAUSE * 2**failures, LONGEST_PAUSE) * random.uniform(0.8, 1.2))  # noqa: S311 no secret


def say(text: str) -> None:
    """Write a line to the log."""
    sys.stderr.write(f"[hubless] {text}\n")
    sys.stderr.flush()


def main(command: "list[str]") -> int:
    """Wait, and become *command*; return an exit code if that does not happen."""
    os.environ.pop(ID, None)
    try:
        environment = wait(os.environ.pop(URL), os.environ.pop(SECRET))
    except NotNeededError:
        say("the hub does not need this spare any more")
        return 0
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and programs inherit that
    os.environ.update(environment)
    try:
        os.execvp(command[0], command)  # noqa: S606 the profile's command, of the hub's settings
    except OSError as error:
        say(f"cannot run {command[0]}: {error}")
        return 127  # a shell's


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
