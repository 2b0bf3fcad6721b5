"""What each process of the tree holds in memory: which packages, since those are its size."""

import subprocess
import sys

import pytest

BUILD = """
import tempfile; from pathlib import Path
from embedded import data_folder; from hubless.bootstrap import machine; from hubless.settings import Settings
settings = Settings(Path(tempfile.mkdtemp())); data_folder.prepare(settings)
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
