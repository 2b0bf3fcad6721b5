"""What each process of the tree holds in memory: which packages, since those are its size."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BUILD = """
import tempfile; from pathlib import Path
from embedded import data_folder; from hubless.bootstrap import machine; from hubless.settings import Settings
settings = Settings(Path(tempfile.mkdtemp())); data_folder.prepare(settings)
"""

# The last part is what children do later, with the files of the hub that they open meanwhile.
PRELOADED = """
import os, sys
from embedded import preloader
preloader.load(("worker", "api", "edge"))
print(len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd")) - 1)
print(sorted({"boto3", "botocore", "aws_lambda_powertools", "jupyterhub"} & set(sys.modules)))
opened = []
def note(event, arguments):
    path = str(arguments[0]) if event == "open" else ""
    if any(path.startswith(f"{os.getcwd()}/{package}/") for package in ("embedded", "functions", "hubless")):
        opened.append(path)
sys.addaudithook(note)
from functions.api import rendering, translations
from functions.api.pages import plain
rendering.environment().get_template("home.html")
rendering.static_url("style.css")
plain._own(plain.STATIC / "logo.svg", None)
translations.catalogue("de")
import functions.api.openapi_document, hubless.adapters.lti.tool_keys, hubless.services.budget_mails
print(opened)
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


def test_what_children_are_forked_with_is_whole_and_holds_no_thread() -> None:
    received = subprocess.run([sys.executable, "-c", PRELOADED], capture_output=True, text=True, check=False, cwd=ROOT)

    assert received.stdout == "1 3\n[]\n[]\n", received.stderr
