"""The configuration of the hubs that `make_jupyterhub_databases` runs: JupyterHub 1.5 to 6.1 read the same file."""

import os
import sys
from pathlib import Path

import jupyterhub
from jupyterhub.auth import Authenticator
from jupyterhub.proxy import Proxy
from jupyterhub.spawner import SimpleLocalProcessSpawner

VERSION = tuple(map(int, jupyterhub.__version__.split(".")[:2]))
FOLDER = Path(os.environ["MADE_IN"])
PORT = int(os.environ["MADE_ON_PORT"])
MANAGES_ROLES = VERSION >= (6, 0)  # roles of `load_roles` and those of a login exclude each other
GRADER = ["list:users", "read:users:name", "read:servers!user=carol", "read:groups!group=class-a"]
GRADER += ["access:services!service=dash"]

c = get_config()  # noqa: F821 JupyterHub gives it


class Anyone(Authenticator):
    """Lets everybody in, with auth_state."""

    async def authenticate(self, handler, data):
        name = data["username"]
        state = {"access_token": f"upstream-{name}", "n": 1, "é": "ü"}
        model = {"name": name, "auth_state": state}
        if MANAGES_ROLES:
            model["roles"] = [{"name": "user"}]  # a login's roles replace all others
            if name == "bob":
                model["roles"].append({"name": "grader", "description": "Grades", "scopes": GRADER})
            if name == "ada":
                model["roles"].append({"name": "admin"})
        return model


class NoProxy(Proxy):
    """Remembers routes, because nobody comes through a proxy here."""

    should_start = False
    routes: dict = {}  # noqa: RUF012 one hub a process

    async def add_route(self, routespec, target, data):
        self.routes[routespec] = {"routespec": routespec, "target": target, "data": data}

    async def delete_route(self, routespec):
        self.routes.pop(routespec, None)

    async def get_all_routes(self):
        return dict(self.routes)


class StandIn(SimpleLocalProcessSpawner):
    """Starts a program that answers as a user's server does, as far as the hub looks."""

    def get_args(self):
        return [str(self.port)]


c.JupyterHub.authenticator_class = Anyone
c.JupyterHub.proxy_class = NoProxy
c.JupyterHub.spawner_class = StandIn
c.Spawner.cmd = [sys.executable, str(Path(__file__).with_name("stand_in_server.py"))]
c.SimpleLocalProcessSpawner.home_dir_template = str(FOLDER / "home" / "{username}")
c.Authenticator.admin_users = {"ada"}
c.Authenticator.enable_auth_state = True
c.JupyterHub.db_url = os.environ.get("MADE_AT_URL") or f"sqlite:///{FOLDER}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = str(FOLDER / "cookie_secret")
c.JupyterHub.bind_url = f"http://127.0.0.1:{PORT + 1}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{PORT}"
c.ConfigurableHTTPProxy.should_start = False
c.JupyterHub.allow_named_servers = True
c.JupyterHub.cleanup_servers = True
services = [
    {"name": "boss", "admin": True, "api_token": "service-boss-token-0123456789abcdef"},
    {
        "name": "dash",
        "url": f"http://127.0.0.1:{PORT + 2}",
        "api_token": "service-dash-token-0123456789abcdef",
        "oauth_no_confirm": True,
    },
]
c.JupyterHub.services = services
if VERSION >= (4, 0):
    c.JupyterHub.load_groups = {
        "class-a": {"users": ["bob", "carol"], "properties": {"term": "spring", "n": 3}},
        "class-b": {"users": ["d.ora-x@example.org", "zoë"]},
    }
else:
    c.JupyterHub.load_groups = {"class-a": ["bob", "carol"], "class-b": ["d.ora-x@example.org", "zoë"]}
if VERSION >= (2, 0):
    services[1]["oauth_client_id"] = "service-dash"
    boss = ["admin:users", "admin:auth_state", "admin:servers", "admin:groups", "tokens", "list:users"]
    boss += ["list:services", "read:services", "read:roles", "read:tokens"]
    if VERSION >= (5, 0):
        boss += ["admin:services", "shares"]
    roles = [{"name": "boss", "scopes": boss, "services": ["boss"]}]
    grader = {"name": "grader", "description": "Grades", "scopes": GRADER, "services": ["dash"]}
    if not MANAGES_ROLES:
        grader |= {"users": ["bob"], "groups": ["class-b"]}
    c.JupyterHub.load_roles = [grader, *roles]
if VERSION >= (5, 0):
    c.Authenticator.allow_all = True
if MANAGES_ROLES:
    c.Authenticator.manage_roles = True
