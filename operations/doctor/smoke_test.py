"""A trial: a user is made, starts a server, works in it, stops it and is removed again, whatever happens in between."""

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
from operations.doctor.kernel import echo
from operations.doctor.steps import StepFailedError, Steps

PATIENCE = 300.0  # seconds in which a server is ready, or gone
PAUSE = 1.0
GONE = (204, 404)


@value(kw_only=True)
class SmokeTest:
    """Tries the hub at *web* as a user of a name that nobody else has."""

    client: HubClient
    name: str = field(default_factory=lambda: f"doctor-{secrets.token_hex(4)}")
    profile: str = ""
    patience: float = PATIENCE
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    run_cell: Callable[[HubClient, str], CheckResult] = echo

    @property
    def user(self) -> str:
        return f"/hub/api/users/{quote(self.name)}"

    def run(self, steps: Steps) -> None:
        """Do all of it; what was made is removed on every way out, Ctrl-C included."""
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
            steps.run("closed to others", lambda: self._knock(where))
            steps.run("kernel", lambda: self.run_cell(self.client, where))

    def _add(self) -> CheckResult:
        answer = self.client.request("POST", self.user, with_token=True)
        if answer.status != 201:  # noqa: PLR2004 HTTP
            raise StepFailedError(
                f"{self.name} could not be added: {answer.summary}", "See the log of the function api"
            )
        return ok("user", f"{self.name} is added")

    def _start(self) -> CheckResult:
        options = {"profile": self.profile} if self.profile else {}
        answer = self.client.request("POST", f"{self.user}/server", body=options, with_token=True)
        if answer.status not in {201, 202}:
            raise StepFailedError(
                f"no server was started: {answer.summary}", "Try another profile with --profile; see docs/operations.md"
            )
        return ok("start", "a server is asked for")

    def _follow(self) -> CheckResult:
        give_up_at, last = self.clock() + self.patience, "nothing was heard of it"
        while self.clock() < give_up_at:
            for event in self.client.follow(f"{self.user}/server/progress"):
                last = str(event.get("message", last))
                if event.get("ready"):
                    return ok("ready", last)
                if event.get("failed"):
                    raise StepFailedError(
                        last, "See the log of the server and of the function spawn: docs/operations.md says where"
                    )
                if self.clock() >= give_up_at:
                    break
            self.sleep(PAUSE)
        raise StepFailedError(
            f"it was not ready after {self.patience:.0f} seconds; the last that was heard: {last}",
            "Where it waits for an edge: does one run? Where it waits for AWS: `hubless preflight` looks at quotas",
        )

    def _where(self) -> str:
        """Return where the server is: at an origin of the user's own, where the hub gives them."""
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
                "Does the edge know the route? Does its security group let it to servers?",
            )
        told = answer.json()
        version = told.get("version", "") if isinstance(told, dict) else ""
        return ok("server", f"{where} answers{f', Jupyter Server {version}' if version else ''}")

    def _knock(self, where: str) -> CheckResult:
        """Ask for what only the owner may see, without a token."""
        answer = self.client.request("GET", f"{where}api/contents?content=0")
        if answer.status == 200 and "path" in (answer.json() or {}):  # noqa: PLR2004 HTTP
            raise StepFailedError(
                "the server shows its files to whoever asks",
                "It must run as jupyterhub-singleuser: see the profile's command",
            )
        return ok("closed to others", f"without a token: {answer.status}")

    # --- on every way out ---

    def _clean_up(self, steps: Steps) -> None:
        try:
            steps.run("stop", self._stop)
            steps.run("removal", self._remove)
        except KeyboardInterrupt:
            steps.record(warning("removal", f"{self.name} may still be there", self._by_hand()))
            raise

    def _stop(self) -> CheckResult:
        give_up_at = self.clock() + self.patience
        while self.clock() < give_up_at:
            answer = self._persisting("DELETE", f"{self.user}/server")
            if answer.status in GONE:
                return ok("stop", "the server is gone")
            if answer.status not in {202, 400, 409}:  # on its way, or busy with something else
                raise StepFailedError(f"the server could not be stopped: {answer.summary}", self._by_hand())
            self.sleep(PAUSE)
        raise StepFailedError(f"the server was not gone after {self.patience:.0f} seconds", self._by_hand())

    def _remove(self) -> CheckResult:
        answer = self._persisting("DELETE", self.user)
        if answer.status not in GONE:
            raise StepFailedError(f"{self.name} could not be removed: {answer.summary}", self._by_hand())
        return ok("removal", f"{self.name} is removed")

    def _persisting(self, method: str, address: str) -> Any:
        """Ask again where there was no answer: what is left behind costs money."""
        for _ in range(3):
            try:
                return self.client.request(method, address, with_token=True)
            except NoResponseError:
                self.sleep(PAUSE)
        return self.client.request(method, address, with_token=True)

    def _by_hand(self) -> str:
        return f"Remove the user {self.name} on the admin page"
