"""npm's oidc-provider as a process, which `make test` installs: a real peer for logins by OpenID Connect."""

import contextlib
import json
import shutil
import subprocess
from pathlib import Path

import httpx

from tests.support.free_port import free_port

HERE = Path(__file__).parent
MODULES = HERE.parents[2] / ".venv-oidc/node_modules"
SECRET = "a+secret/with:signs"
ACCOUNT = "ada"


def client_of(hub_url, *, client_id="hub", callback="/hub/oauth_callback", name="sso", **more):
    """Return the registration of a hub as a client."""
    return {
        "client_id": client_id,
        "client_secret": SECRET,
        "redirect_uris": [f"{hub_url}{callback}"],
        "post_logout_redirect_uris": [f"{hub_url}/hub/logged-out"],
        "backchannel_logout_uri": f"{hub_url}/hub/backchannel_logout/{name}",
        "backchannel_logout_session_required": True,
        "grant_types": ["authorization_code", "refresh_token"],
        **more,
    }


class OidcProvider:
    """A running provider at `localhost`; hubs of tests are at 127.0.0.1, because cookies know no ports."""

    def __init__(self, folder, *clients, port=None):
        assert MODULES.exists(), "npm's oidc-provider is not there: make oidc-provider"
        assert shutil.which("node"), "Node is not installed: make oidc-provider says how"
        self.port = port or free_port()
        self.issuer = f"http://localhost:{self.port}"
        arguments = [HERE / "server.mjs", MODULES, str(self.port), json.dumps({"clients": clients})]
        with (folder / "provider.log").open("wb") as log:
            self.process = subprocess.Popen(["node", *arguments], stdout=subprocess.PIPE, stderr=log, text=True)
        self.log = folder / "provider.log"
        assert self.process.stdout.readline() == "ready\n", self.log.read_text()

    def rotate(self, kid):
        """Replace the signing key by another, under the id *kid*."""
        httpx.get(f"{self.issuer}/test/rotate", params={"kid": kid}, timeout=30).raise_for_status()

    def state(self):
        """Return what the provider has seen."""
        return httpx.get(f"{self.issuer}/test/state", timeout=30).json()

    def close(self):
        """End the process."""
        with self.process:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(10)
            self.process.kill()
