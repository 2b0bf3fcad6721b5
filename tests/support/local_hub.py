"""`hubless up` as a process, for tests that need a whole hub on this machine."""

import contextlib
import signal
import subprocess
from pathlib import Path

import httpx

from tests.support.free_port import free_port

HUBLESS = Path(__file__).parents[2] / ".venv/bin/hubless"
STOP_SECONDS = 60  # until a hub that was asked to stop is killed


class LocalHub:
    """A running hub in a folder of its own; its users' servers stop with it.

    Args:
        folder: gets the settings, the data and the log.
        settings: text of `hubless.toml`.
        port: where the hub listens; a free one, if none is given.
        admin_token: a service's token for `admin`, a client of the REST API.
    """

    def __init__(self, folder, settings, *, port=None, admin_token=None):
        self.folder, self.port = folder, port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (folder / "hubless.toml").write_text(settings)
        command = [HUBLESS, "up", "--data", folder / "data", "--settings", folder / "hubless.toml"]
        command += ["--port", str(self.port), "--stop-servers-on-exit", "--ready-line"]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder, start_new_session=True
            )
        assert self.process.stdout.readline() == "ready\n", self.log()
        headers = {"Authorization": f"token {admin_token}"} if admin_token else {}
        self.admin = httpx.Client(base_url=f"{self.url}/hub/api", headers=headers, timeout=30)

    def log(self):
        return (self.folder / "log").read_text()

    def close(self):
        """Stop the hub as Ctrl-C does, and kill it when that takes too long."""
        self.admin.close()
        with self.process:  # waits, and closes the pipe
            self.process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
            self.process.kill()
