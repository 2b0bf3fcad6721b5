"""JupyterLab of the servers' environment as a process, without a hub, with hubless's extension or without it."""

import os
import subprocess
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.free_port import free_port

TOP = Path(__file__).parents[2]
PROGRAM = TOP / ".venv-servers" / "bin" / "jupyter-lab"
EXTENSION = TOP / "images" / "singleuser" / "labextension"
NOTEBOOK = """
{
 "cells": [{"cell_type": "code", "execution_count": null, "id": "a", "metadata": {}, "outputs": [], "source": []}],
 "metadata": {"kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}},
 "nbformat": 4,
 "nbformat_minor": 5
}
"""
START_SECONDS, STOP_SECONDS = 180, 20


@contextmanager
def jupyter_lab(folder: Path, *, extended: bool):
    """Run JupyterLab with its files in *folder*/work, and yield its address."""
    (folder / "work").mkdir(parents=True)
    extensions = folder / "labextensions"
    extensions.mkdir()
    if extended:
        (extensions / "hubless-polling").symlink_to(EXTENSION)
    address = f"http://127.0.0.1:{free_port()}"
    command = [
        str(PROGRAM),
        "--allow-root",
        "--no-browser",
        f"--port={address.rpartition(':')[2]}",
        "--IdentityProvider.token=",
        "--LabApp.news_url=None",
        f"--LabServerApp.extra_labextensions_path={extensions}",
        f"--ServerApp.root_dir={folder / 'work'}",
    ]
    environment = {"PATH": f"{PROGRAM.parent}:{os.environ['PATH']}", "HOME": str(folder)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        _wait_for(address, folder / "log")
        yield address
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
        process.kill()
        process.wait()


def open_notebook(page, address, folder, name):
    """Open a new notebook *name* in a workspace of its own, and wait until its kernel is idle."""
    (folder / "work" / f"{name}.ipynb").write_text(NOTEBOOK)
    page.goto(f"{address}/lab/workspaces/{name}/tree/{name}.ipynb", timeout=START_SECONDS * 1000)
    page.wait_for_selector("[data-status=idle]", state="attached", timeout=START_SECONDS * 1000)


def _wait_for(address, log):
    for _ in range(START_SECONDS):
        try:
            urllib.request.urlopen(f"{address}/api", timeout=5).close()
        except OSError:
            time.sleep(1)
        else:
            return
    raise AssertionError(f"JupyterLab does not answer at {address}:\n{log.read_text()[-3000:]}")
