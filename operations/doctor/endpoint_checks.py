"""Checks of a hub from outside: its name, certificate, pages and API."""

import contextlib
import re
import socket
import ssl
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from operations.check_results import CheckResult, ok, problem, warning
from operations.doctor.hub_client import HubClient, NoResponseError, Response
from operations.doctor.steps import StepFailedError

EXPIRES_SOON = timedelta(days=14)
NEEDED_SCOPES = ("admin:users", "admin:servers")
_STATIC = re.compile(r"""["'](/hub/static/[^"']+\?v=[^"']+)["']""")
_LOOPBACK = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1")


def name(url: str) -> CheckResult:
    """Check that the hub's name resolves."""
    host = urlsplit(url).hostname or ""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        raise StepFailedError(
            f"{host} does not resolve",
            "Create the DNS records of docs/deploy.md, or wait: new records take some minutes",
        ) from None
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    return ok("name", f"{host} resolves to {addresses[0]}{f' and {len(addresses) - 1} more' if addresses[1:] else ''}")


def certificate(url: str, now: datetime) -> CheckResult:
    """Check the hub's certificate."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        if _LOOPBACK.fullmatch(host):
            return ok("TLS", "no TLS, which this machine's own address does not need")
        return warning(
            "TLS",
            f"{url} is not encrypted: passwords cross the network in plain text",
            "Put a proxy with TLS in front of the hub: docs/settings.md, public_url",
        )
    try:
        with (
            socket.create_connection((host, parts.port or 443), timeout=10) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secure,
        ):
            shown, version = secure.getpeercert() or {}, secure.version()
    except ssl.SSLCertVerificationError as error:
        raise StepFailedError(
            f"the certificate is not valid: {error.verify_message}",
            f"Get a certificate for {host}; `hubless preflight` checks it",
        ) from None
    except OSError as error:
        raise StepFailedError(
            f"cannot connect to {host} by TLS: {error.strerror or error}",
            "Check that the distribution of CloudFront is deployed",
        ) from None
    return evaluate_expiry(
        datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC), now, str(version)
    )


def evaluate_expiry(expires: datetime, now: datetime, version: str) -> CheckResult:
    """Check that the certificate does not expire soon."""
    days = (expires - now).days
    if expires - now < EXPIRES_SOON:
        return warning(
            "TLS",
            f"the certificate expires in {days} days",
            "ACM renews it while its validation records exist in DNS: check them",
        )
    return ok("TLS", f"{version}, the certificate is valid for {days} days")


def api(client: HubClient) -> CheckResult:
    """Check the version that the API reports, as clients do first."""
    try:
        answer = client.request("GET", "/hub/api/")
    except NoResponseError as error:
        raise StepFailedError(str(error), "Start the hub, or correct its address") from None
    body, header = answer.json(), answer.headers.get("x-jupyterhub-version", "")
    if answer.status != 200 or not isinstance(body, dict) or not body.get("version"):  # noqa: PLR2004 HTTP
        raise StepFailedError(f"the API answered {answer.summary}", _action_for(answer))
    if header != body["version"]:
        raise StepFailedError(
            f"the API's version is {body['version']}, but the header X-JupyterHub-Version is {header or 'missing'}",
            "Let each proxy in front of the hub forward its headers",
        )
    front = "through CloudFront" if "x-amz-cf-id" in answer.headers else "directly"
    return ok("API", f"JupyterHub {header}, {front}")


def _action_for(answer: Response) -> str:
    if answer.status == 403:  # noqa: PLR2004 HTTP
        return "The API refuses requests that bypass its CloudFront: check that both use the same front secret"
    if answer.status >= 500:  # noqa: PLR2004 HTTP
        return "Read the log of the function api: it names a wrong setting"
    return "Check that this is the address of a hub"


def health(client: HubClient) -> CheckResult:
    """Check the hub's health page."""
    answer = client.request("GET", "/hub/health")
    if answer.status != 200:  # noqa: PLR2004 HTTP
        raise StepFailedError(f"/hub/health answered {answer.summary}", _action_for(answer))
    return ok("health", "the hub answers")


def login(client: HubClient) -> CheckResult:
    """Check the login page and its cookies."""
    answer = client.request("GET", "/hub/login")
    if answer.status != 200 or "_xsrf" not in answer.text:  # noqa: PLR2004 HTTP
        raise StepFailedError(f"the login page answered {answer.status}", _action_for(answer))
    cookies = answer.headers.get("set-cookie", "")
    if client.url.startswith("https:") and cookies and "secure" not in cookies.lower():
        raise StepFailedError(
            "the login page sets cookies without Secure, which browsers send over plain HTTP too",
            'Set [hub] public_url to an address that begins with "https://"',
        )
    return ok("login page", "the page and its cookies are right")


def static(client: HubClient) -> CheckResult:
    """Check a static file of the login page. Request it twice: the second response may come from a cache."""
    found = _STATIC.search(client.request("GET", "/hub/login").text)
    if found is None:
        raise StepFailedError("the login page links no static file", "Check that this is a hub of hubless")
    client.request("GET", found[1])
    answer = client.request("GET", found[1])
    if answer.status != 200:  # noqa: PLR2004 HTTP
        raise StepFailedError(f"{found[1]} answered {answer.summary}", _action_for(answer))
    if "immutable" not in answer.headers.get("cache-control", ""):
        return warning(
            "static files", "browsers do not cache them", "Let each proxy forward the hub's header Cache-Control"
        )
    if "x-amz-cf-id" in answer.headers and not answer.headers.get("x-cache", "").lower().startswith(
        ("hit", "refreshhit")
    ):
        return warning(
            "static files",
            "CloudFront does not cache them",
            "Check the cache policy of its behaviour /hub/static/*",
        )
    return ok("static files", "cached by browsers" + (" and by CloudFront" if "x-amz-cf-id" in answer.headers else ""))


def token(client: HubClient) -> CheckResult:
    """Check that the token has the scopes that the smoke test needs."""
    answer = client.request("GET", "/hub/api/user", with_token=True)
    body = answer.json()
    if answer.status != 200 or not isinstance(body, dict):  # noqa: PLR2004 HTTP
        raise StepFailedError(
            f"the hub refuses the token: {answer.summary}",
            "Create one: hubless token NAME --expires-in 1h (with --stage for a hub in AWS)",
        )
    held = set(body.get("scopes", ()))
    if missing := [scope for scope in NEEDED_SCOPES if scope not in held]:
        raise StepFailedError(
            f"the token of {body.get('name')} lacks {' and '.join(missing)}", "Use the token of an admin"
        )
    return ok("token", f"of {body.get('name')}")


def direct(client: HubClient) -> CheckResult:
    """Check that API Gateway refuses requests that bypass CloudFront."""
    answer = None
    with contextlib.suppress(Exception):
        answer = client.request("GET", "/hub/api/")
    if answer is not None and answer.status < 400:  # noqa: PLR2004 HTTP
        return problem(
            "direct access",
            f"{client.url} answers requests that bypass CloudFront and its filters",
            "Deploy again, so that the functions require the front secret of CloudFront",
        )
    return ok("direct access", "API Gateway refuses requests that bypass CloudFront")
