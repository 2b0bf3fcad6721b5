"""Sets right what loaded modules have read of an environment that was not the server's."""

from __future__ import annotations

import importlib
import os
import site
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

_KEY_BYTES = 32  # as in multiprocessing


def set_right() -> None:
    """Let loaded modules see the environment as it is now."""
    for name, repair in SET_RIGHT.items():
        if name in sys.modules:
            repair(sys.modules[name])


def has_own_packages_first(home: str) -> bool:
    """Say whether a user with that home has packages that come before those of this Python."""
    if not site.ENABLE_USER_SITE or sys.prefix != sys.base_prefix:
        return False  # in a virtual environment its own packages come first
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    return Path(home, ".local/lib", version, "site-packages").is_dir()


def add_own_packages() -> None:
    """Add the user's packages to the path where a start of this Python would: after those of the environment."""
    if not site.ENABLE_USER_SITE:
        return
    site.USER_BASE = site.USER_SITE = None
    place = site.getusersitepackages()
    if not Path(place).is_dir():
        return
    before = list(sys.path)
    site.addsitedir(place)
    added = [one for one in sys.path if one not in before]
    last = max((number for number, one in enumerate(before) if one.startswith(f"{sys.prefix}/")), default=-1)
    sys.path[:] = [*before[: last + 1], *added, *before[last + 1 :]]


def _nothing(_module: Any) -> None:
    """Do nothing: the module keeps nothing of what it read."""


def _forget_user_base(module: Any) -> None:
    """Let `sysconfig` look again where the user's packages are."""
    vars(module).update(_CONFIG_VARS=None, _CONFIG_VARS_INITIALIZED=False)  # Python before 3.12 has the first alone


def _copy_environment(module: Any) -> None:
    """Give WSGI handlers a new copy of the environment; they took the one that they were imported with."""
    module.BaseHandler.os_environ = module.read_environ()


def _renew_session(module: Any) -> None:
    """Renew what `jupyter_client.session` makes when imported: a user's name, and a key.

    The name is the default of `Session.username`, in the trait and in the copies that traitlets keeps for each class.
    The key signs messages of a kernel for whoever starts a program with `--secure`.
    """
    module.session_flags["secure"][0]["Session"]["key"] = module.new_id_bytes()
    name = os.environ.get("USER", "username")
    module.Session.username.default_value = name
    classes = [module.Session]
    while classes:
        one = classes.pop()
        classes += one.__subclasses__()
        values = getattr(one, "_static_immutable_initial_values", {})
        if "username" in values:
            values["username"] = name


def _renew_process(module: Any) -> None:
    """Give `multiprocessing` a key of this process's own, and the folder in which it starts."""
    module.ORIGINAL_DIR = str(Path.cwd())
    module.current_process().authkey = os.urandom(_KEY_BYTES)


def _renew_debugger(module: Any) -> None:
    """Let messages of the debugger name this process."""
    module._pid = os.getpid()
    module._pid_msg = f"{module._pid}: "


SET_RIGHT: dict[str, Callable[[Any], Any]] = {
    "multiprocessing.process": _renew_process,
    "sysconfig": _forget_user_base,
    "sqlalchemy.util.compat": _nothing,
    "zoneinfo._tzpath": _nothing,
    "wsgiref.handlers": _copy_environment,
    "send2trash.plat_other": importlib.reload,
    "jupyter_client.session": _renew_session,
    "_pydevd_bundle._debug_adapter.pydevd_schema_log": _renew_debugger,
}
