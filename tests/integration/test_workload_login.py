"""`hubless login`: jobs of GitHub Actions, Kubernetes and AWS get a token of a hub, all over loopback."""

import http.server
import json
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

from embedded.cli import main
from hubless.adapters.jose.fetching import Fetcher
from hubless.adapters.jose.key_sets import FetchedKeys
from hubless.adapters.workloads.aws_callers import AwsCallerVerifier
from hubless.adapters.workloads.signed_tokens import Issuer, SignedTokenVerifier
from hubless.adapters.workloads.verifier import EveryWorkloadVerifier
from hubless.services.token_exchange import TokenExchange
from tests.api.hub import SETTINGS, build_hub
from tests.doubles.signers import key_set, rsa_key, signed
from tests.doubles.sts import ACCOUNT, StsDouble, StsHandler
from tests.support.http_servers import TcpServer, running

GITHUB = "https://token.actions.githubusercontent.com"
RULES = """
[[workloads]]
name = "ci"
kind = "github"
audience = "{hub}"
conditions = { repository = "org/app" }
service = "checker"
scopes = ["inherit"]

[[workloads]]
name = "pods"
kind = "kubernetes"
issuer = "https://cluster.example.org"
audience = "{hub}"
conditions = { sub = "system:serviceaccount:ci:builder" }
service = "checker"
scopes = ["inherit"]

[[workloads]]
name = "roles"
kind = "aws"
audience = "{hub}"
conditions = { account = "ACCOUNT" }
service = "checker"
scopes = ["inherit"]
"""


class Platform(http.server.BaseHTTPRequestHandler):
    """The hub, and GitHub's token service beside it."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if path == "/keys":
            self._send(200, key_set(rsa_key()))
        elif self.headers["Authorization"] == "Bearer of-the-job":
            self._send(200, {"value": self.server.token(aud=query["audience"][0])})  # type: ignore[attr-defined]
        else:
            self._send(401, {"message": "no"})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        answer = self.server.hub.client.post(  # type: ignore[attr-defined]
            self.path, content=body, headers={"Content-Type": self.headers["Content-Type"]}
        )
        self._send(answer.status_code, answer.json())

    def _send(self, status: int, said: object) -> None:
        sent = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args) -> None:
        pass


@pytest.fixture
def platform(tmp_path, monkeypatch):
    server, sts = TcpServer(("127.0.0.1", 0), Platform), TcpServer(("127.0.0.1", 0), StsHandler)
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    rules = RULES.replace("{hub}", server.url).replace("ACCOUNT", ACCOUNT)
    server.hub = build_hub(tmp_path, SETTINGS + rules)
    hub, clock = server.hub.hub, server.hub.hub.clock
    sts.sts = StsDouble(clock.now())

    def token(**claims):
        at = int(clock.now().timestamp())
        facts = {"iss": GITHUB, "sub": "repo:org/app", "iat": at, "exp": at + 300, "jti": f"{at}-{claims}"}
        return signed({**facts, "repository": "org/app", **claims})

    server.token = token
    fetcher = Fetcher()
    keys = FetchedKeys(f"{server.url}/keys", fetcher, clock)
    issuers = {one: Issuer(one, keys, (server.url,)) for one in (GITHUB, "https://cluster.example.org")}
    endpoints = {"sts.us-east-1.amazonaws.com": f"http://127.0.0.1:{sts.server_address[1]}/"}
    verifier = EveryWorkloadVerifier(
        SignedTokenVerifier(issuers, clock), AwsCallerVerifier((server.url,), fetcher, clock, endpoints)
    )
    made = hub.token_exchange
    hub.token_exchange = TokenExchange(made.rules, verifier, made.tokens, made.used, made.throttle, made.logins)
    server.sts = sts.sts
    for name in ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for one in server, sts:
        running(one)
    yield server
    for one in server, sts:
        one.shutdown()
        one.server_close()


def log_in(platform, *words):
    return CliRunner().invoke(main, ["login", platform.url, *words])


def owner_of(platform, result) -> str:
    assert result.exit_code == 0, result.output
    return platform.hub.as_token(result.stdout.strip()).get("/user").json()["name"]


def test_a_job_of_github_actions_gets_a_token(platform, monkeypatch):
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{platform.url}/token?api-version=1")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-the-job")

    assert owner_of(platform, log_in(platform, "--workload", "github")) == "checker"


def test_a_job_without_the_permission_is_told(platform, monkeypatch):
    assert "id-token: write" in log_in(platform, "--workload", "github").stderr
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{platform.url}/token?api-version=1")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "of-nobody")

    result = log_in(platform, "--workload", "github")

    assert "GitHub gave no token" in result.stderr
    assert result.exit_code == 1


def test_a_pod_gets_a_token_and_may_show_its_own_again(platform, tmp_path):
    file = tmp_path / "token"
    file.write_text(
        platform.token(iss="https://cluster.example.org", sub="system:serviceaccount:ci:builder", aud=platform.url)
    )

    for _ in range(2):
        result = log_in(platform, "--workload", "kubernetes", "--token-file", str(file))
        assert owner_of(platform, result) == "checker"


def test_a_pod_without_a_token_is_told(platform, tmp_path):
    result = log_in(platform, "--workload", "kubernetes", "--token-file", str(tmp_path / "none"))

    assert "mount a projected token" in result.stderr


def test_aws_credentials_give_a_token(platform, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE123456")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    platform.sts.add_caller("AKIDEXAMPLE123456", "s3cret")

    assert owner_of(platform, log_in(platform, "--workload", "aws")) == "checker"


def test_the_hubs_refusal_is_shown(platform, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE123456")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    platform.sts.add_caller("AKIDEXAMPLE123456", "s3cret")

    result = log_in(platform, "--workload", "aws")

    assert result.exit_code == 1
    assert "gave no token (400): AWS refused the signed request (403): sign a new one." in result.stderr
    assert "none of AWS's STS" in log_in(platform, "--workload", "aws", "--region", "eu-west-1").stderr


def test_a_machine_without_credentials_is_told(platform, monkeypatch, tmp_path):
    for name in "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY":
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))

    assert "no AWS credentials here" in log_in(platform, "--workload", "aws").stderr


def test_a_hub_that_is_away_is_named(platform, tmp_path):
    file = tmp_path / "token"
    file.write_text("proof")

    result = CliRunner().invoke(
        main, ["login", "http://127.0.0.1:1", "--workload", "kubernetes", "--token-file", str(file)]
    )

    assert "127.0.0.1:1 gave no answer" in result.stderr
