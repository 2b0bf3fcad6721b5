"""What programs of the machine answer to questions that packages ask at each start of a server.

JupyterLab asks yarn for its settings, and the language servers ask npm where it installs. Both start Node.js, which
costs twice as much CPU time as everything else of a forked server. So the fork server asks once, as somebody without
files and rights, and servers for which the answer would be the same ask no more.
"""

from __future__ import annotations

import copy
import functools
import json
import logging
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

ASK_SECONDS = 10.0  # for all answers
_PROGRAMS = ("node", "npm")
# What Node.js, npm and yarn read of a user: npm-config(7), yarn's `.yarnrc.yml` and the older `.yarnrc`.
_FILES = (".npmrc", ".yarnrc.yml", ".yarnrc")
_VARIABLES = ("npm_config_", "yarn_", "node_", "prefix")
_NOBODY = 65534
_PART = 2**16  # bytes

Facts = list[Any]  # of one program: its path, and what changes with an upgrade


class Answers:
    """The answers to what one environment's packages ask."""

    def __init__(
        self, answers: Mapping[str, Any], programs: Mapping[str, Facts], environment: Mapping[str, str]
    ) -> None:
        """Keep *answers* of these *programs*, which were asked in *environment*."""
        self._answers, self._programs = answers, programs
        self._variables = _variables_in(environment)

    def give(self, environment: Mapping[str, str]) -> None:
        """Let packages of this process have the answers, if a server with that environment would get the same."""
        home = environment.get("HOME", "/")
        if not self._answers or _variables_in(environment) != self._variables:
            return
        if any(os.path.lexists(Path(home, file)) for file in _FILES) or _programs(environment) != self._programs:
            return
        for module, (_, answer) in QUESTIONS.items():
            if module in self._answers:
                answer(sys.modules[module], self._answers[module])


def ask(environment: Mapping[str, str]) -> Answers:
    """Ask for all that loaded packages would; *environment* is this process's own, without a user's home."""
    programs = _programs(environment)
    return Answers(_answers_of_child() if programs else {}, programs, environment)


def _programs(environment: Mapping[str, str]) -> dict[str, Facts]:
    """Return which programs would be asked."""
    found = {}
    for name in _PROGRAMS:
        if place := shutil.which(name, path=environment.get("PATH")):
            status = Path(place).stat()
            found[name] = [place, os.path.realpath(place), status.st_ino, status.st_mtime_ns]
    return found


def _variables_in(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: text for name, text in environment.items() if name.lower().startswith(_VARIABLES)}


def _answers_of_child() -> dict[str, Any]:
    """Let a child ask; return what it was told, and nothing where that takes too long."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        try:
            os.setsid()
            _be_nobody()
            found = {}
            for name, (question, _) in QUESTIONS.items():
                with suppress(Exception):  # the package is not there, or has another shape: servers ask it themselves
                    found[name] = question(sys.modules[name])
            with os.fdopen(writer, "w", encoding="utf-8") as out:
                json.dump(found, out)
        finally:
            os._exit(0)
    os.close(writer)
    text = _read(reader)
    os.close(reader)
    if not text:
        for end in (os.killpg, os.kill):  # it may not lead a group yet
            with suppress(ProcessLookupError):
                end(child, signal.SIGKILL)
    os.waitpid(child, 0)
    try:
        return dict(json.loads(text))
    except ValueError:
        return {}


def _be_nobody() -> None:
    """Give up root's rights: programs on the PATH need none, and leave no files in a home that is nobody's."""
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)


def _read(reader: int) -> bytes:
    """Return everything that comes in time; nothing if it does not end by then."""
    end, parts = time.monotonic() + ASK_SECONDS, list[bytes]()
    while select.select([reader], [], [], max(0.0, end - time.monotonic()))[0]:
        if not (part := os.read(reader, _PART)):
            return b"".join(parts)
        parts.append(part)
    return b""


# --- the questions ---


def _ask_yarn(module: Any) -> Any:
    return module._yarn_config(logging.getLogger("fork_server.nobody"))


def _answer_for_yarn(module: Any, answer: Any) -> None:
    module._yarn_config = lambda logger: copy.deepcopy(answer)  # noqa: ARG005 as the package has it


def _ask_npm(module: Any) -> Any:
    npm = shutil.which("npm")
    return None if npm is None else [npm, module.LanguageServerManagerAPI()._npm_prefix(npm)]


def _answer_for_npm(module: Any, answer: Any) -> None:
    if answer is None or answer[1] is None:
        return
    asks = module.LanguageServerManagerAPI._npm_prefix
    known = functools.lru_cache(maxsize=1)(lambda api, npm: answer[1] if npm == answer[0] else asks(api, npm))
    module.LanguageServerManagerAPI._npm_prefix = known


QUESTIONS: dict[str, tuple[Callable[[Any], Any], Callable[[Any, Any], None]]] = {
    "jupyterlab.commands": (_ask_yarn, _answer_for_yarn),
    "jupyter_lsp.types": (_ask_npm, _answer_for_npm),
}
