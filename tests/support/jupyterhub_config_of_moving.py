"""Settings of the hub that `make moving` leaves: JupyterHub 5.4.6 with NativeAuthenticator, as a small class has it."""
# ruff: noqa: F821 JupyterHub gives get_config

import os
from pathlib import Path

c = get_config()
FOLDER = Path(os.environ["OLD_HUB_FOLDER"])
PORT = int(os.environ["OLD_HUB_PORT"])
c.JupyterHub.bind_url = f"http://127.0.0.1:{PORT}"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{PORT + 1}"
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{PORT + 2}"
c.JupyterHub.db_url = f"sqlite:///{FOLDER}/jupyterhub.sqlite"
c.JupyterHub.cookie_secret_file = f"{FOLDER}/cookie_secret"
c.JupyterHub.authenticator_class = "native"
c.Authenticator.admin_users = {"ada"}
c.Authenticator.allow_all = True
c.NativeAuthenticator.minimum_password_length = 8
c.NativeAuthenticator.allow_2fa = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = f"{FOLDER}/homes/{{username}}"
c.Spawner.args = ["--allow-root"]  # where root tries it
c.JupyterHub.allow_named_servers = True
c.JupyterHub.load_groups = {"class-a": {"users": ["bob", "carol"], "properties": {"term": "spring"}}}
c.JupyterHub.services = [{"name": "idle-culler", "api_token": os.environ["CULLER_TOKEN"]}]
c.JupyterHub.load_roles = [
    {
        "name": "idle-culler",
        "scopes": ["list:users", "read:users:activity", "read:servers", "delete:servers"],
        "services": ["idle-culler"],
    },
    {"name": "user", "scopes": ["self", "shares!user", "read:users:name", "read:groups:name"]},
]
