"""The smoke test: create a user, start a server, run a cell, stop the server, remove the user.

The clean-up runs however the test ends.
"""

import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import field
from typing import Any
from urllib.parse import quote, urljoin

from hubless.domain.values import value
from operations.check_results import CheckResult, ok, warning
from operations.doctor.hub_client import HubClient, NoResponseError
from operations.doctor.kernel import run_cell
from operations.doctor.steps import StepFailedError, Steps

TIMEOUT_SECONDS = 300.0  # until a server is ready, or stopped
POLL_SECONDS = 1.0
GONE = (204, 404)


@value(kw_only=True)
class SmokeTest:
    """Tests a hub as a new user with a random name."""

    client: HubClient
    name: str = field(default_factory=lambda: f"doctor-{secrets.token_hex(4)}")
    profile: str = ""
    timeout_seconds: float = TIMEOUT_SECONDS
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    run_cell: Callable[[HubClient, str], CheckResult] = run_cell

    @property
    def user(self) -> str:
        return f"/hub/api/users/{quote(self.name)}"

    def run(self, steps: Steps) -> None:
        """Run all steps. The clean-up runs after errors and Ctrl-C too."""
        try:
            self._work(steps)
        finally:
            self._clean_up(steps)

    def _work(self, steps: Steps) -> None:
        reached = steps.run("user", self._add) and steps.run("start", self._start) and steps.run("ready", self._follow)
        if not reached:
            return
        where = self._where()
        if steps.run("server", lambda: self._open(where)):
            steps.run("access", lambda: self._check_access(where))
            steps.run("kernel", lambda: self.run_cell(self.client, where))

    def _add(self) -> CheckResult:
        answer = self.client.request("POST", self.user, with_token=True)
        if answer.status != 201:  # noqa: PLR2004 HTTP
            raise StepFailedError(
                f"cannot add the user {self.name}: {answer.summary}", "Read the log of the function api"
            )
        return ok("user", f"added the user {self.name}")

    def _start(self) -> CheckResult:
        options = {"profile": self.profile} if self.profile else {}
        answer = self.client.request("POST", f"{self.user}/server", body=options, with_token=True)
        if answer.status not in {201, 202}:
            raise StepFailedError(
                f"cannot start a server: {answer.summary}",
                "Choose another profile with --profile; docs/operations.md has more",
            )
        return ok("start", "requested a server")

    def _follow(self) -> CheckResult:
        give_up_at, last = self.clock() + self.timeout_seconds, "no progress was reported"
        while self.clock() < give_up_at:
            # Closed here: Python drops a Ctrl-C that arrives while the garbage collector closes a generator.
            with contextlib.closing(self.client.follow(f"{self.user}/server/progress")) as events:
                for event in events:
                    last = str(event.get("message", last))
                    if event.get("ready"):
                        return ok("ready", last)
                    if event.get("failed"):
                        raise StepFailedError(
                            last, "Read the logs of the server and of the function spawn: docs/operations.md says where"
                        )
                    if self.clock() >= give_up_at:
                        break
            self.sleep(POLL_SECONDS)
        raise StepFailedError(
            f"not ready after {self.timeout_seconds:.0f} seconds; the last progress: {last}",
            "If it waits for an edge, check that one runs. If it waits for AWS, check quotas with `hubless preflight`",
        )

    def _where(self) -> str:
        """Return the server's address, which may have an origin of its own (`[hub] subdomains`)."""
        told = None
        with contextlib.suppress(NoResponseError):
            told = self.client.request("GET", f"{self.user}/server", with_token=True).json()
        model: dict[str, Any] = told if isinstance(told, dict) else {}
        address = model.get("full_url") or model.get("url") or f"/user/{quote(self.name)}/"
        return urljoin(f"{self.client.url}/", str(address))

    def _open(self, where: str) -> CheckResult:
        answer = self.client.request("GET", f"{where}api", with_token=True)
        if answer.status != 200:  # noqa: PLR2004 HTTP
            raise StepFailedError(
                f"{where}api answered {answer.summary}",
                "Check that the edge has the route, and that its security group may reach servers",
            )
        told = answer.json()
        version = told.get("version", "") if isinstance(told, dict) else ""
        return ok("server", f"{where} answered{f', Jupyter Server {version}' if version else ''}")

    def _check_access(self, where: str) -> CheckResult:
        """Check that the server refuses a request without a token."""
        answer = self.client.request("GET", f"{where}api/contents?content=0")
        if answer.status == 200 and "path" in (answer.json() or {}):  # noqa: PLR2004 HTTP
            raise StepFailedError(
                "the server shows its files without authentication",
                "Run jupyterhub-singleuser in it: check the profile's command",
            )
        return ok("access", f"without a token the server answers {answer.status}")

    # --- clean-up ---

    def _clean_up(self, steps: Steps) -> None:
        try:
            steps.run("stop", self._stop)
            steps.run("clean-up", self._remove)
        except KeyboardInterrupt:
            steps.record(warning("clean-up", f"the user {self.name} may still exist", self._manual_clean_up()))
            raise

    def _stop(self) -> CheckResult:
        give_up_at = self.clock() + self.timeout_seconds
        while self.clock() < give_up_at:
            answer = self._request_with_retries("DELETE", f"{self.user}/server")
            if answer.status in GONE:
                return ok("stop", "the server is stopped")
            if answer.status not in {202, 400, 409}:  # pending, or another request is running
                raise StepFailedError(f"cannot stop the server: {answer.summary}", self._manual_clean_up())
            self.sleep(POLL_SECONDS)
        raise StepFailedError(
            f"the server was not stopped after {self.timeout_seconds:.0f} seconds", self._manual_clean_up()
        )

    def _remove(self) -> CheckResult:
        answer = self._request_with_retries("DELETE", self.user)
        if answer.status not in GONE:
            raise StepFailedError(f"cannot remove the user {self.name}: {answer.summary}", self._manual_clean_up())
        return ok("clean-up", f"removed the user {self.name}")

    def _request_with_retries(self, method: str, address: str) -> Any:
        """Send a request, and retry if there is no response. A server that is left behind costs money."""
        for _ in range(3):
            try:
                return self.client.request(method, address, with_token=True)
            except NoResponseError:
                self.sleep(POLL_SECONDS)
        return self.client.request(method, address, with_token=True)

    def _manual_clean_up(self) -> str:
        return f"Remove the user {self.name} on the admin page"
