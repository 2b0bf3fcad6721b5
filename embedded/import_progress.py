"""How far a long command is: a line that changes at a terminal, and a line every few seconds elsewhere."""

import time
from collections.abc import Callable

import click

_EVERY, _EVERY_IN_A_FILE = 1.0, 5.0  # seconds


class ProgressLine:
    """Tells how many are done, and how long the rest takes."""

    def __init__(self, *, is_terminal: bool, now: Callable[[], float] = time.monotonic) -> None:
        self._is_terminal, self._now = is_terminal, now
        self._began = self._told = now()
        self._every = _EVERY if is_terminal else _EVERY_IN_A_FILE

    def __call__(self, what: str, done: int, of: int) -> None:
        now = self._now()
        if now - self._told < self._every:
            return
        self._told = now
        line = f"{what}: {done} of {of}{self._left(done, of, now)}"
        click.echo(f"\r{line:<70}" if self._is_terminal else line, err=True, nl=not self._is_terminal)

    def _left(self, done: int, of: int, now: float) -> str:
        if not done:
            return ""
        seconds = (of - done) * (now - self._began) / done
        return f", about {seconds:.0f} s left"

    def end(self) -> None:
        """Clear the line."""
        if self._is_terminal and self._told > self._began:
            click.echo(f"\r{'':<70}\r", err=True, nl=False)
