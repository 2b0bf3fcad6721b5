"""Logins through OpenID Connect at once, on one machine: this hub beside JupyterHub with GenericOAuthenticator.

Bounded: LOGINS logins (300) of as many people, all at once, loopback only. Both hubs ask the same provider, npm's
oidc-provider (`make oidc-provider`), in turn. A login counts from the hub's login page to the page after it; the time
that people need to type is none. Prints a Markdown table, and below it why logins failed.

JUPYTERHUB and CHP name programs that are installed already (oauthenticator in the same environment as JupyterHub).
"""

import asyncio
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from pathlib import Path
from urllib.parse import urljoin

import httpx
from peer import free_port, proxy_program

TOP = Path(__file__).parents[1]
sys.path.insert(0, str(TOP))
from tests.support.openid import SECRET, OidcProvider, client_of  # noqa: E402 the checkout is not on the path before

LOGINS = int(os.environ.get("LOGINS", "300"))
SETTINGS = """
[hub]
connections_per_address = 0
[login]
kind = "none"
allow_all = true
[servers]
run_as_system_users = false
[[providers]]
name = "sso"
kind = "oidc"
issuer = "{issuer}"
client_id = "hub"
client_secret = "{secret}"
"""
PEER = """
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.command = ["{chp}"]
c.JupyterHub.authenticator_class = "generic-oauth"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.log_level = "ERROR"
c.Authenticator.allow_all = True
o = c.GenericOAuthenticator
o.client_id, o.client_secret = "peer", "{secret}"
o.oauth_callback_url = "http://127.0.0.1:{port}/hub/oauth_callback"
o.authorize_url, o.token_url, o.userdata_url = "{issuer}/auth", "{issuer}/token", "{issuer}/me"
o.scope = ["openid", "email", "profile"]
o.username_claim = "preferred_username"
"""


def start_hub(folder, port, issuer):
    (folder / "hubless.toml").write_text(SETTINGS.format(issuer=issuer, secret=SECRET))
    where = ["--data", folder / "data", "--settings", folder / "hubless.toml", "--port", str(port)]
    hub = subprocess.Popen(
        [TOP / ".venv/bin/hubless", "up", *where, "--ready-line"],
        stdout=subprocess.PIPE,
        stderr=(folder / "log").open("ab"),
        text=True,
    )
    assert hub.stdout.readline() == "ready\n", (folder / "log").read_text()
    return hub


def start_peer(folder, port, issuer):
    program, chp = os.environ.get("JUPYTERHUB") or TOP / ".venv/bin/jupyterhub", proxy_program(folder)
    (folder / "config.py").write_text(
        PEER.format(port=port, hub_port=free_port(), proxy_port=free_port(), chp=chp, issuer=issuer, secret=SECRET)
    )
    path = os.pathsep.join([str(Path(program).parent), str(Path(shutil.which("node")).parent), os.environ["PATH"]])
    hub = subprocess.Popen(
        [program, "-f", "config.py"],
        cwd=folder,
        env=os.environ | {"PATH": path},
        stdout=(folder / "peer.log").open("w"),
        stderr=subprocess.STDOUT,
    )
    for _ in range(300):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/hub/login", timeout=2).close()
        except OSError:
            time.sleep(0.2)
        else:
            return hub
    raise RuntimeError((folder / "peer.log").read_text()[-2000:])


async def log_in(url, name):
    """Return the seconds of one login, and why the person did not come home; "" if the person did."""
    began = time.perf_counter()
    async with httpx.AsyncClient(timeout=120, headers={"Sec-Fetch-Mode": "navigate", "Accept": "text/html"}) as browser:
        asked = f"{url}/hub/oauth_login?next=%2Fhub%2Fhome"
        answer = await follow(browser, asked)
        action = re.search(r'action="([^"]+)"', answer.text)[1]
        form = {"prompt": "login", "login": name, "password": "any"}
        answer = await follow(browser, urljoin(str(answer.url), action), data=form)
        return time.perf_counter() - began, why_not_home(answer, url)


def why_not_home(answer, url):
    """Return "" for the home page, or else where the person was left, and what the page said."""
    if str(answer.url) == f"{url}/hub/home" and answer.status_code == 200:
        return ""
    words = " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"(?s)<(style|script|head)\b.*?</\1>", "", answer.text)).split())
    return f"{answer.status_code} at {answer.url.copy_with(query=None)}: {words[:200]}"


async def follow(browser, url, data=None):
    method = "GET" if data is None else "POST"
    answer = await browser.request(method, url, data=data)
    for _ in range(20):
        if not answer.is_redirect:
            return answer
        answer = await browser.get(urljoin(str(answer.url), answer.headers["location"]))
    raise RuntimeError("Too many redirects")


async def all_at_once(url, prefix):
    await log_in(url, f"{prefix}-first")  # metadata and keys are fetched once
    began = time.perf_counter()
    done = await asyncio.gather(*(log_in(url, f"{prefix}{n}") for n in range(LOGINS)), return_exceptions=True)
    took = time.perf_counter() - began
    good = sorted(one[0] for one in done if isinstance(one, tuple) and not one[1])
    reasons = Counter(one[1] if isinstance(one, tuple) else repr(one) for one in done)
    del reasons[""]
    return good, took, reasons


def row(name, good, took):
    if not good:
        print(f"| {name} | 0 of {LOGINS} | | | {took:.1f} |")
        return
    median, p99 = statistics.median(good), good[max(0, round(0.99 * len(good)) - 1)]
    print(f"| {name} | {len(good)} of {LOGINS} | {median:.2f} | {p99:.2f} | {took:.1f} |")


def main():
    folder = Path(tempfile.mkdtemp(prefix="hubless-bench-oidc-"))
    ours, peers = free_port(), free_port()
    clients = [
        client_of(f"http://127.0.0.1:{ours}"),
        client_of(f"http://127.0.0.1:{peers}", client_id="peer"),
    ]
    provider = OidcProvider(folder, *clients)
    print(f"\n| {LOGINS} logins at once | came home | median, s | p99, s | all, s |\n| --- | --- | --- | --- | --- |")
    failures = []
    for name, start, port in (("hubless", start_hub, ours), ("JupyterHub, GenericOAuthenticator", start_peer, peers)):
        hub = start(folder, port, provider.issuer)
        try:
            good, took, reasons = asyncio.run(all_at_once(f"http://127.0.0.1:{port}", name[:3].lower()))
            row(name, good, took)
            failures += [f"{name}: {count} times {reason}" for reason, count in reasons.most_common()]
        finally:
            hub.terminate()
            hub.wait(60)
    provider.close()
    if failures:
        print("", *failures, sep="\n")


if __name__ == "__main__":
    main()
