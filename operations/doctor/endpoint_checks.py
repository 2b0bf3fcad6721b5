"""What anybody sees of a hub: its name, its certificate, its pages and its API."""

import contextlib
import re
import socket
import ssl
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from operations.check_results import CheckResult, ok, problem, warning
from operations.doctor.hub_client import HubClient, Response
from operations.doctor.steps import StepFailedError

SOON = timedelta(days=14)
NEEDED_SCOPES = ("admin:users", "admin:servers")
_STATIC = re.compile(r"""["'](/hub/static/[^"']+\?v=[^"']+)["']""")
_LOOPBACK = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1")


def name(url: str) -> CheckResult:
    """Look up where the hub's name leads."""
    host = urlsplit(url).hostname or ""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        raise StepFailedError(
            f"{host} leads nowhere",
            "Make the records that docs/deploy.md names, or wait: new ones take some minutes to be known everywhere",
        ) from None
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    return ok("name", f"{host} leads to {addresses[0]}{f' and {len(addresses) - 1} more' if addresses[1:] else ''}")


def certificate(url: str, now: datetime) -> CheckResult:
    """Look at the certificate that the hub shows."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme != "https":
        if _LOOPBACK.fullmatch(host):
            return ok("TLS", "none, and none is needed on this machine")
        return warning(
            "TLS",
            f"{url} is not encrypted: passwords go over the wire as they are typed",
            "Put TLS in front of it: docs/settings.md, public_url",
        )
    try:
        with (
            socket.create_connection((host, parts.port or 443), timeout=10) as plain,
            ssl.create_default_context().wrap_socket(plain, server_hostname=host) as secure,
        ):
            shown, version = secure.getpeercert() or {}, secure.version()
    except ssl.SSLCertVerificationError as error:
        raise StepFailedError(
            f"the certificate is not good: {error.verify_message}",
            f"Get one that is for {host}; `hubless preflight` looks at it",
        ) from None
    except OSError as error:
        raise StepFailedError(
            f"no TLS at {host}: {error.strerror or error}", "See whether the distribution is deployed"
        ) from None
    return evaluate_expiry(
        datetime.fromtimestamp(ssl.cert_time_to_seconds(str(shown["notAfter"])), UTC), now, str(version)
    )


def evaluate_expiry(expires: datetime, now: datetime, version: str) -> CheckResult:
    """Say whether a certificate is good for long enough."""
    days = (expires - now).days
    if expires - now < SOON:
        return warning(
            "TLS",
            f"the certificate expires in {days} days",
            "ACM renews by itself while the records that it named are there: see whether they are",
        )
    return ok("TLS", f"{version}, the certificate is good for {days} days")


def api(client: HubClient) -> CheckResult:
    """Ask the API for its version, as every client does first."""
    answer = client.request("GET", "/hub/api/")
    told, header = answer.json(), answer.headers.get("x-jupyterhub-version", "")
    if answer.status != 200 or not isinstance(told, dict) or not told.get("version"):  # noqa: PLR2004 HTTP
        raise StepFailedError(f"the API answered {answer.summary}", _do_of(answer))
    if header != told["version"]:
        raise StepFailedError(
            f"the API says that it is {told['version']} and its header X-JupyterHub-Version {header or 'is missing'}",
            "Let headers of the hub through",
        )
    front = "through CloudFront" if "x-amz-cf-id" in answer.headers else "directly"
    return ok("API", f"JupyterHub {header}, {front}")


def _do_of(answer: Response) -> str:
    if answer.status == 403:  # noqa: PLR2004 HTTP
        return "The API refuses what does not come from its own CloudFront: is the secret that both know the same?"
    if answer.status >= 500:  # noqa: PLR2004 HTTP
        return "See the log of the function api: a setting that is wrong stops it with a sentence"
    return "Is this the address of a hub?"


def health(client: HubClient) -> CheckResult:
    """Ask whether the hub answers."""
    answer = client.request("GET", "/hub/health")
    if answer.status != 200:  # noqa: PLR2004 HTTP
        raise StepFailedError(f"/hub/health answered {answer.summary}", _do_of(answer))
    return ok("health", "the hub answers")


def login(client: HubClient) -> CheckResult:
    """Ask for the page at which people log in."""
    answer = client.request("GET", "/hub/login")
    if answer.status != 200 or "_xsrf" not in answer.text:  # noqa: PLR2004 HTTP
        raise StepFailedError(f"the login page answered {answer.status}", _do_of(answer))
    cookies = answer.headers.get("set-cookie", "")
    if client.url.startswith("https:") and cookies and "secure" not in cookies.lower():
        raise StepFailedError(
            "the login page sets cookies that go over plain HTTP too",
            'Set [hub] public_url to an address that begins with "https://"',
        )
    return ok("login page", "is there")


def static(client: HubClient) -> CheckResult:
    """Ask for a static file as the login page names it, twice: the second time it may come from a cache."""
    found = _STATIC.search(client.request("GET", "/hub/login").text)
    if found is None:
        raise StepFailedError("the login page names no static file", "Is this a hub of hubless?")
    client.request("GET", found[1])
    answer = client.request("GET", found[1])
    if answer.status != 200:  # noqa: PLR2004 HTTP
        raise StepFailedError(f"{found[1]} answered {answer.summary}", _do_of(answer))
    if "immutable" not in answer.headers.get("cache-control", ""):
        return warning(
            "static files", "browsers are not told to keep them", "Let the header Cache-Control of the hub through"
        )
    if "x-amz-cf-id" in answer.headers and not answer.headers.get("x-cache", "").lower().startswith(
        ("hit", "refreshhit")
    ):
        return warning(
            "static files",
            "CloudFront asks the hub for them each time",
            "See that its behaviour of /hub/static/* has a cache policy",
        )
    return ok("static files", "kept by browsers" + (" and by CloudFront" if "x-amz-cf-id" in answer.headers else ""))


def token(client: HubClient) -> CheckResult:
    """Ask whose the token is and whether it may do what the doctor tries."""
    answer = client.request("GET", "/hub/api/user", with_token=True)
    told = answer.json()
    if answer.status != 200 or not isinstance(told, dict):  # noqa: PLR2004 HTTP
        raise StepFailedError(
            f"the token is not good: {answer.summary}",
            "Make one: hubless token NAME --expires-in 1h (with --stage for a hub in AWS)",
        )
    held = set(told.get("scopes", ()))
    if missing := [scope for scope in NEEDED_SCOPES if scope not in held]:
        raise StepFailedError(
            f"the token of {told.get('name')} lacks {' and '.join(missing)}", "Take the token of an admin"
        )
    return ok("token", f"of {told.get('name')}")


def direct(client: HubClient) -> CheckResult:
    """Ask API Gateway by its own name, past CloudFront: it has to refuse."""
    answer = None
    with contextlib.suppress(Exception):
        answer = client.request("GET", "/hub/api/")
    if answer is not None and answer.status < 400:  # noqa: PLR2004 HTTP
        return problem(
            "front door",
            f"{client.url} answers whoever asks it directly, past CloudFront and what that filters",
            "The functions must know the secret that CloudFront sends along: deploy again",
        )
    return ok("front door", "API Gateway refuses whoever comes past CloudFront")
