import os
from dockerspawner import DockerSpawner

c.JupyterHub.spawner_class = "dockerspawner.DockerSpawner"
network = os.environ.get("DOCKER_NETWORK_NAME", "hub-net")
c.DockerSpawner.network_name = network
c.DockerSpawner.use_internal_ip = True
c.DockerSpawner.extra_host_config = {"network_mode": network, "runtime": "nvidia"}
c.DockerSpawner.allowed_images = {
    "Base": "quay.io/jupyter/base-notebook:1",
    "Science": "quay.io/jupyter/scipy-notebook:1",
}
notebook_dir = os.environ.get("DOCKER_NOTEBOOK_DIR") or "/home/jovyan/work"
c.DockerSpawner.notebook_dir = notebook_dir
c.DockerSpawner.volumes = {"user-{username}": notebook_dir}
c.DockerSpawner.remove = True
c.DockerSpawner.debug = True
c.DockerSpawner.cmd = "start-singleuser.py"
c.DockerSpawner.mem_limit = "2G"
c.JupyterHub.hub_ip = "jupyterhub"
c.JupyterHub.hub_port = 8080
c.JupyterHub.cookie_secret = bytes.fromhex("00" * 32)
c.JupyterHub.db_url = "postgresql://postgres:xK93-this-is-the-secret@{host}/{db}".format(
    host=os.environ["POSTGRES_HOST"], db=os.environ["POSTGRES_DB"]
)
c.JupyterHub.authenticator_class = "nativeauthenticator.NativeAuthenticator"
c.NativeAuthenticator.open_signup = True
c.Authenticator.allowed_users = set()
c.Authenticator.admin_users = admin = set()
pwd = os.path.dirname(__file__)
try:
    with open(os.path.join(pwd, "userlist")) as f:
        for line in f:
            admin.add(line.split()[0])
except FileNotFoundError:
    admin.add("ada")
c.JupyterHub.api_tokens = {"xK93-this-is-the-secret": "ada"}
