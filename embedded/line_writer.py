"""Writes lines of the log for whom nobody waits: a thread writes them, and what there is no room for is dropped."""

import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

ROOM = 1_000_000  # characters that may wait
PIECE = 65_536  # characters that are written at once
FILE_BYTES, FILES = 10_000_000, 5  # of the log in the data folder: the one that grows, and older ones


class LineWriter:
    """Takes text at once, whether or not somebody takes it from here; what waits is bounded."""

    def __init__(self, write: Callable[[str], None], name: str, at_end: Callable[[], None] = lambda: None) -> None:
        """Start the thread, which calls *write*, and *at_end* at the end; an OSError of *write* loses the text.

        *name* says where the text goes.
        """
        self._write = write
        self._at_end = at_end
        self._name = name
        self._waiting: deque[str] = deque()
        self._size = 0
        self._dropped = 0  # lines since the last that was written
        self._is_closing = self._gives_up = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"lines to {name}", daemon=True)
        self._thread.start()

    def put(self, text: str) -> None:
        """Take *text*, which ends with a line; drop it if too much waits. Never waits."""
        if not text:
            return
        with self._changed:
            if self._size + len(text) > ROOM:
                self._dropped += text.count("\n")
                return
            self._waiting.append(text)
            self._size += len(text)
            self._changed.notify_all()

    def flush(self, seconds: float) -> bool:
        """Wait until everything is written, for *seconds* at most; say whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._size, seconds)

    def close(self, seconds: float) -> None:
        """Write what waits, for *seconds* at most. What nobody takes until then is lost."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join(seconds)
        with self._changed:
            self._gives_up = True  # what it wrote to may be closed by now, and its descriptor another file's

    def _run(self) -> None:
        while text := self._next():
            lines = text.count("\n")
            try:
                for begin in range(0, len(text), PIECE):
                    self._write(text[begin : begin + PIECE])
                lines = 0
            except OSError:  # the terminal was closed, or the disk is full
                pass
            with self._changed:
                self._size -= len(text)
                self._dropped += lines
                self._changed.notify_all()

        self._at_end()

    def _next(self) -> str:
        """Wait for the next text and return it, after a line about what was dropped before it; "" at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closing)
            if self._gives_up:
                return ""
            text = self._waiting.popleft() if self._waiting else ""
            if self._dropped and not self._waiting:  # what came before it has been written
                note = f"{self._dropped} lines of the log were dropped: {self._name} did not take them.\n"
                self._size += len(note)
                self._dropped, text = 0, text + note
            return text


def to_terminal(out: TextIO) -> LineWriter:
    """Return what writes to *out*, past its buffer if it has a descriptor: nobody may hold the buffer's lock."""
    try:
        descriptor = out.fileno()
    except OSError:
        return LineWriter(lambda text: _print(out, text), "the terminal")
    return LineWriter(lambda text: _write_all(descriptor, text.encode(errors="replace")), "the terminal")


def to_file(file: Path) -> LineWriter:
    """Return what writes to *file*, and to older ones beside it; nobody else may read them."""
    file.parent.mkdir(mode=0o700, exist_ok=True)
    log = _LogFile(file, maxBytes=FILE_BYTES, backupCount=FILES - 1, encoding="utf-8", errors="replace", delay=True)
    log.terminator = ""
    return LineWriter(lambda text: log.emit(logging.makeLogRecord({"msg": text})), str(file), log.close)


class _LogFile(RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        file = super()._open()
        os.fchmod(file.fileno(), 0o600)
        return file

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 as the library calls it
        """Raise the error again, which its default prints to standard error."""
        raise  # noqa: PLE0704 it is called in the handler of the error


def _print(out: TextIO, text: str) -> None:
    out.write(text)
    out.flush()


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
