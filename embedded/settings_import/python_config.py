"""A jupyterhub_config.py: Python that runs in a process of its own, without network where the machine allows it."""

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from embedded.settings_import import run_config
from embedded.settings_import.old_settings import Named, OldRemark, OldSettings
from hubless.settings import SettingsError

SECONDS = 10.0
MAX_ANSWER = 8_000_000  # bytes
_GRACE = 4.0  # seconds until the process must have answered, after the file's own time
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}
_WAYS = (
    (
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--ro-bind",
        "/",
        "/",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
    ),
    ("bwrap", "--unshare-all", "--die-with-parent", "--new-session", "--ro-bind", "/", "/", "--dev", "/dev"),
    ("unshare", "--user", "--map-current-user", "--net"),
)
_TRIAL_SECONDS = 10
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")


def isolation() -> tuple[str, ...] | None:
    """Return the command before which a program has no network, or None if nothing here can do that."""
    for way in _WAYS:
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(
                [*way, sys.executable, "-I", "-c", ""],
                env=_ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_TRIAL_SECONDS,
                check=True,
            )
            return way
    return None


def read(path: Path, way: tuple[str, ...] | None, seconds: float = SECONDS) -> OldSettings:
    """Return what the file at *path* sets when it runs behind the command *way* for at most *seconds*.

    Raises:
        SettingsError: when it is no Python, does not end, or says too much.
    """
    said = _said(_answer(path, way or (), seconds), path)
    if said["error"]:
        raise SettingsError(f"{path}: {said['error']}")
    traits = {name: given for name, given in said["config"].items() if isinstance(given, Mapping)}
    return OldSettings(
        source=path.name,
        kind="jupyterhub",
        traits=traits,
        remarks=(*map(_failure, said["failures"]), *_asked(said["variables"])),
    )


def _answer(path: Path, way: tuple[str, ...], seconds: float) -> bytes:
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            [*way, sys.executable, "-I", "-S", run_config.__file__, str(path.absolute()), str(writing), str(seconds)],
            env=_ENVIRONMENT,
            cwd=path.absolute().parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(writing,),
            start_new_session=True,
        )
    except OSError as error:
        os.close(reading)
        raise SettingsError(f"Cannot run {path}: {error.strerror}") from None
    finally:
        os.close(writing)
    try:
        return _all_of(reading, time.monotonic() + seconds + _GRACE, path)
    finally:
        os.close(reading)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _all_of(reading: int, end: float, path: Path) -> bytes:
    """Return what comes from a pipe until it is closed.

    Raises:
        SettingsError: when it is too much, or takes longer than until *end*.
    """
    found = bytearray()
    with selectors.DefaultSelector() as selector:
        selector.register(reading, selectors.EVENT_READ)
        while True:
            if not selector.select(max(0.0, end - time.monotonic())):
                raise SettingsError(f"{path} does not end by itself: remove what waits in it, or asks others")
            piece = os.read(reading, 65536)
            if not piece:
                return bytes(found)
            found += piece
            if len(found) > MAX_ANSWER:
                raise SettingsError(f"{path} sets more than {MAX_ANSWER} bytes: remove what is no setting")


def _said(answer: bytes, path: Path) -> dict[str, Any]:
    """Return what the process said, checked: the file could have written it itself.

    Raises:
        SettingsError: when it said nothing that can be read.
    """
    try:
        said = json.loads(answer)
        config = dict(_decoded(said["config"]))
        failures = [(str(file), int(line), str(kind)) for file, line, kind in said["failures"]]
        return {
            "error": str(said["error"]),
            "config": config,
            "failures": failures,
            "variables": [str(name) for name in said["variables"]],
        }
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise SettingsError(f"{path} ended the process in which it ran, before it had set everything") from None


def _decoded(given: Any) -> Any:
    if isinstance(given, list):
        return [_decoded(one) for one in given]
    if not isinstance(given, dict):
        return given
    if "table" in given:
        return {str(key): _decoded(one) for key, one in given["table"].items()}
    name, kind, bases = given["named"]
    return Named(str(name), str(kind), tuple(map(str, bases)))


def _failure(failure: tuple[str, int, str]) -> OldRemark:
    file, line, kind = failure
    ends = kind in {"SystemExit", "KeyboardInterrupt", "GeneratorExit", "TooLongError"}
    what = "takes too long" if kind == "TooLongError" else f"fails with {kind}"
    rest = ", and nothing after it ran" if ends else ""
    return OldRemark(f"{file}, line {line}", f"this statement {what}{rest}", "What it sets is missing here.")


def _asked(variables: list[str]) -> list[OldRemark]:
    return [
        OldRemark(f"the variable {name}", "the file asks for it, and this run does not know it")
        for name in variables
        if _VARIABLE.fullmatch(name)
    ]
