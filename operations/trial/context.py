"""What the steps of a trial work with."""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from hubless.settings.stage import Stage
from operations import deployed_stage
from operations.aws import Aws
from operations.deployed_stage import Deployment
from operations.doctor.hub_client import HubClient
from operations.doctor.steps import StepFailedError
from operations.network import Network
from operations.trial.browser import Browser
from operations.trial.records import State
from operations.trial.spend import Spend

if TYPE_CHECKING:
    from hubless.bootstrap.cloud import CloudHub

Facts = dict[str, Any]
PASSWORD_BYTES = 18


class MeasuredError(StepFailedError):
    """Raised by a step that failed, with what it measured until then."""

    def __init__(self, message: str, facts: Facts) -> None:
        super().__init__(message)
        self.facts = facts


TOKEN_SECONDS = 6 * 3600


class Deployer(Protocol):
    """Deploys and destroys the stacks of the trial's stage. Raises CdkError."""

    def deploy(self, settings: Path, wait: Callable[[float], None]) -> None: ...

    def destroy(self, settings: Path, wait: Callable[[float], None]) -> None: ...


@dataclass
class Trial:
    """One run of the command.

    Attributes:
        stage: with the trial's own settings.
        first, second: settings of both deployments.
        state: what is known of all runs; the runner saves it.
        deployer: the CDK.
        network: how this machine reaches the hub.
        spend: the estimate so far.
        say: prints a line for the operator.
        clock: returns seconds.
        sleep: waits for some seconds. Steps call `wait`.
        starts: how many servers the step `starts` starts at once.
        is_cleaning_up: whether the spend limit stops nothing any more.
        unsupported: why a step or a search cannot run where this trial runs, by its name. Empty in AWS.
    """

    stage: Stage
    first: Path
    second: Path
    state: State
    aws: Aws
    deployer: Deployer
    network: Network
    spend: Spend
    say: Callable[[str], None]
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    starts: int = 20
    unsupported: Mapping[str, str] = field(default_factory=dict)
    is_cleaning_up: bool = False
    _password: str = field(default="", repr=False)
    _token: str = field(default="", repr=False)

    def wait(self, seconds: float) -> None:
        """Wait, and count what is spent meanwhile.

        Raises:
            SpendLimitError: if the clean-up would not fit into the limit any more.
        """
        self.sleep(seconds)
        if self.is_cleaning_up:
            self.spend.count()
        else:
            self.spend.check()

    # --- the stage ---

    @cached_property
    def deployment(self) -> Deployment:
        """Return what is deployed, as read once.

        Raises:
            OperationsError: if the stage is not deployed.
        """
        return deployed_stage.read(self.stage, self.aws)

    @cached_property
    def hub(self) -> "CloudHub":
        """Return the hub over the stage's table, with the operator's credentials."""
        return deployed_stage.open_hub(self.stage, self.first, self.deployment)

    @cached_property
    def url(self) -> str:
        """Return the hub's address."""
        return self.deployment.cloud.url

    @property
    def instance(self) -> str:
        """Return the id of the economy edge's instance."""
        return self.deployment.variables["HUBLESS_ECONOMY_INSTANCE"]

    # --- the trial's people ---

    @property
    def admin(self) -> str:
        """Return the name of the trial's admin, who owns the server of most steps."""
        return f"trial-{self.state.mark}"

    def pupil(self, number: int) -> str:
        """Return the name of one of the users who start at once."""
        return f"{self.admin}-{number}"

    @cached_property
    def browser(self) -> Browser:
        """Return the admin's browser. `log_in` logs it in."""
        return Browser(self.url, self.network)

    def choose_password(self) -> Facts:
        """Let the admin choose a password at a one-time link, which logs the browser in. Return the statuses.

        Raises:
            StepFailedError: if the hub refuses the link or the password.
        """
        accounts = self.hub.accounts
        if self.hub.users.find(self.admin) is None:
            accounts.add(self.admin, admin=True)
        link = accounts.password_link(self.admin)
        self.browser.forget()
        form = self.browser.get(link)
        self._password = secrets.token_urlsafe(PASSWORD_BYTES)
        chosen = self.browser.submit(link, password=self._password, again=self._password)
        _require(form.status == 200 and chosen.status == 302, f"the link answered {form.status}, then {chosen.status}")  # noqa: PLR2004 HTTP
        return {"form": form.status, "chosen": chosen.status}

    def log_in(self) -> Facts:
        """Log the browser in by the form, as on another day. Return the statuses.

        Raises:
            StepFailedError: if the hub refuses the password.
        """
        if not self._password:  # an earlier run chose one, and wrote it nowhere
            self.choose_password()
        self.browser.forget()
        form = self.browser.get("/hub/login")
        answer = self.browser.submit("/hub/login", username=self.admin, password=self._password)
        _require(answer.status == 302, f"the login page answered {form.status}, the login {answer.status}")  # noqa: PLR2004 HTTP
        return {"form": form.status, "login": answer.status, "through CloudFront": "x-amz-cf-id" in answer.headers}

    def create_token(self) -> Facts:
        """Create an API token in the admin's browser. Return the status.

        Raises:
            StepFailedError: if the hub refuses it.
        """
        body = json.dumps({"note": "hubless trial", "expires_in": TOKEN_SECONDS}).encode()
        headers = {"Content-Type": "application/json", "X-XSRFToken": self.browser.xsrf}
        answer = self.browser.send("POST", f"/hub/api/users/{self.admin}/tokens", body, headers)
        told = answer.json()
        _require(answer.status == 201 and isinstance(told, dict), f"a token was refused: {answer.summary}")  # noqa: PLR2004 HTTP
        self._token = str(told["token"])
        return {"token": answer.status}

    @property
    def client(self) -> HubClient:
        """Return the admin's client of the API. A resumed trial logs in again first."""
        if not self._token:
            self.log_in()
            self.create_token()
        return HubClient(self.url, self._token, self.network)

    @property
    def known(self) -> dict[str, list[str]]:
        """Return texts that a report must not contain, by what they are."""
        given = self.stage.settings
        found = {
            "account": [self.state.account],
            "secret": [self._password, self._token],
            "host": [given.domain, given.zone_name],
            "id": [given.zone_id, self.state.vpc],
        }
        if "url" in self.__dict__:
            found["host"] += [self.url.partition("://")[2]]
        return found


def _require(is_right: bool, message: str) -> None:  # noqa: FBT001 it reads as an assertion
    if not is_right:
        raise StepFailedError(message)
