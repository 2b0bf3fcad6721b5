"""What each process of the tree holds in memory: which packages, since those are its size."""

import subprocess
import sys

import pytest

BUILD = """
import tempfile; from pathlib import Path
from embedded import data_folder; from hubless.bootstrap import machine; from hubless.settings import Settings
settings = Settings(Path(tempfile.mkdtemp())); data_folder.prepare(settings)
"""

PRELOADED = """
import os, threading
from embedded import preloader
preloader.load([*(f"embedded.{role}" for role in ("worker", "api", "edge")), *preloader.modules_of(preloader.STORE)])
print(len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd")) - 1)
"""


@pytest.mark.parametrize(
    ("script", "heavy"),
    [
        (
            "import embedded.cli, embedded.supervisor, embedded.console_messages",
            "sqlite3 asyncio starlette pydantic psutil uvicorn",
        ),
        (
            f"{BUILD}; import embedded.worker; machine.build(settings)",
            "pydantic starlette uvicorn click",
        ),
        (
            f"{BUILD}; import embedded.edge; machine.open_routes(settings); machine.open_activity(settings)",
            "pydantic starlette uvicorn click psutil argon2",
        ),
    ],
    ids=["supervisor", "worker", "edge"],
)
def test_a_process_imports_nothing_that_it_does_not_need(script: str, heavy: str) -> None:
    look = f"\nimport sys; print(sorted(set({heavy!r}.split()) & set(sys.modules)))"

    received = subprocess.run(
        [sys.executable, "-c", script.replace("; import", "\nimport") + look],
        capture_output=True,
        text=True,
        check=False,
    )

    assert received.stdout.strip() == "[]", received.stderr


def test_what_children_are_forked_with_holds_no_thread_and_no_descriptor() -> None:
    received = subprocess.run([sys.executable, "-c", PRELOADED], capture_output=True, text=True, check=False)

    assert received.stdout == "1 3\n", received.stderr
