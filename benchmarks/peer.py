"""The peer that the benchmarks compare with: JupyterHub 6.1.1 in an environment of its own, with its proxy.

JUPYTERHUB and CHP name programs that are installed already; otherwise both are installed into the benchmark's folder.
"""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.free_port import free_port

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hubs would compile all their code at each start

CONFIGURATION = """
c = get_config()
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_port = {hub_port}
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.ConfigurableHTTPProxy.command = ["{chp}"]
c.JupyterHub.authenticator_class = "dummy"
c.DummyAuthenticator.password = "benchmark"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{homes}/{{username}}"
c.JupyterHub.services = [{{"name": "benchmark", "api_token": "{token}", "admin": True}}]
c.JupyterHub.load_roles = [{{"name": "benchmark", "services": ["benchmark"], "scopes": [
    "admin:users", "admin:servers", "admin:groups", "tokens", "list:services", "read:hub", "proxy", "read:metrics"]}}]
c.JupyterHub.log_level = "ERROR"
"""
# Creating users one by one over HTTP would take JupyterHub minutes; its own ORM writes them before it starts. So would
# its first start, which gives each user without one the role of a user, in a transaction of its own.
FILL = """
import sys
from jupyterhub import orm, roles
session = orm.new_session_factory("sqlite:///jupyterhub.sqlite")()
for role in roles.get_default_roles():
    roles.create_role(session, role)
of_users = [orm.Role.find(session, "user")]
session.add_all(orm.User(name=f"user{n:05}", roles=of_users) for n in range(int(sys.argv[1])))
session.commit()
"""


def proxy_program(folder):
    """Return configurable-http-proxy 5.3.0, installed when need be."""
    program = os.environ.get("CHP")
    if program is None:
        subprocess.run(
            ["npm", "install", "--silent", "--prefix", folder / "npm", "configurable-http-proxy@5.3.0"], check=True
        )
        program = folder / "npm/node_modules/.bin/configurable-http-proxy"
    return Path(program)


def hub_program(folder):
    """Return JupyterHub 6.1.1's program, installed when need be."""
    program = os.environ.get("JUPYTERHUB")
    if program is None:
        environment = folder / "jupyterhub"
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([environment / "bin/pip", "-q", "install", "jupyterhub==6.1.1"], check=True)
        program = environment / "bin/jupyterhub"
    return Path(program)


class JupyterHub:
    """A JupyterHub with that many users, running unless *is_up* is false; *more* are lines of its configuration."""

    def __init__(self, folder, *, users, token, more="", is_up=True):
        self.folder = folder / "peer"
        self.folder.mkdir()
        self.port, hub_port, proxy_port = free_port(), free_port(), free_port()
        self.url = f"http://127.0.0.1:{hub_port}"
        program, chp = hub_program(folder), proxy_program(folder)
        (self.folder / "config.py").write_text(
            CONFIGURATION.format(
                port=self.port,
                hub_port=hub_port,
                proxy_port=proxy_port,
                chp=chp,
                token=token,
                homes=self.folder / "homes",
            )
            + more
        )
        path = os.pathsep.join([str(program.parent), str(Path(shutil.which("node")).parent), os.environ["PATH"]])
        self._environment = environment = os.environ | {"PATH": path}
        python = program.parent / "python"
        subprocess.run([program, "upgrade-db"], cwd=self.folder, env=environment, check=True, capture_output=True)
        subprocess.run([python, "-c", FILL, str(users)], cwd=self.folder, check=True)
        self._command = [program, "-f", "config.py"]
        self.process = None
        if is_up:
            self.up()

    def up(self):
        """Start it, and wait until it answers."""
        self.start()
        self._wait()

    def start(self):
        """Start it, or start it again after it ended; Ctrl-C is for the benchmark alone."""
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=self._environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait(self):
        for _ in range(1500):  # its first start looks at each user
            try:
                urllib.request.urlopen(f"{self.url}/hub/api", timeout=2).close()
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise RuntimeError((self.folder / "log").read_text()[-2000:])

    def memory(self):
        """Return (PSS, RSS) of the hub and its proxy."""
        return memory(self.process.pid)

    def cpu_seconds(self):
        """Return the CPU time of the hub alone."""
        used = psutil.Process(self.process.pid).cpu_times()
        return used.user + used.system

    def close(self):
        self.process.terminate()
        self.process.wait(60)


def memory(root):
    """Return (PSS, RSS) in MB of a process with all its children."""
    pss = rss = 0
    for process in [psutil.Process(root), *psutil.Process(root).children(recursive=True)]:
        facts = process.memory_full_info()
        pss += facts.pss
        rss += facts.rss
    return pss / 1e6, rss / 1e6
