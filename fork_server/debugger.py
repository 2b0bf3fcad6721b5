"""Keeps what `debugpy` changes when it is imported: kernels have a debugger from their start, and servers have none."""

from __future__ import annotations

import os
import sys

_OWN = "PYDEVD_"  # how the names of its variables begin


class Debugger:
    """The hook of `breakpoint()` and the variables that `debugpy` sets when a kernel imports it."""

    def __init__(self) -> None:
        """Take away from this process what the import has set."""
        self._hook, sys.breakpointhook = sys.breakpointhook, sys.__breakpointhook__
        self._variables = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(_OWN)}

    def give(self) -> None:
        """Set it again, as the import would in a process with this environment."""
        sys.breakpointhook = self._hook
        for name, text in self._variables.items():
            os.environ.setdefault(name, text)
