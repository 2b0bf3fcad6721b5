"""A jupyterhub_config.py, as people have it and as nobody should: it runs in a process of its own."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from embedded.cli import main
from embedded.settings_import import python_config, reading, run_config
from hubless.bootstrap.roles import role_table_of
from hubless.settings import SettingsError, parse


@pytest.fixture(scope="module")
def way():
    return python_config.isolation()


@pytest.fixture
def imported(tmp_path, way):
    def imported(text, way=way):
        file = tmp_path / "jupyterhub_config.py"
        file.write_text(text)
        return reading.import_settings(file, run=True, way=way)

    return imported


def loaded(made, tmp_path):
    secrets = {name: f"{number:032}" for number, name in enumerate(made.variables)}
    found = parse(made.text, tmp_path, secrets, secrets=secrets)
    role_table_of(found)
    return found


AS_PEOPLE_HAVE_IT = """
import os, sys
from dockerspawner import DockerSpawner
from oauthenticator.github import GitHubOAuthenticator

c = get_config()  # noqa

class LabSpawner(DockerSpawner):
    def start(self):
        return super().start()

def before(spawner):
    spawner.environment["A"] = "b"

c.JupyterHub.bind_url = "http://:8080"
c.JupyterHub.authenticator_class = GitHubOAuthenticator
c.JupyterHub.spawner_class = LabSpawner
c.GitHubOAuthenticator.client_id = os.environ["GH_ID"]
c.GitHubOAuthenticator.client_secret = os.environ["GH_SECRET"]
c.GitHubOAuthenticator.oauth_callback_url = "https://hub.example.org/hub/oauth_callback"
c.GitHubOAuthenticator.allowed_organizations = {"physics"}
c.Authenticator.admin_users = {"ada"}
c.DockerSpawner.image = "quay.io/jupyter/base-notebook:2026-01-05"
c.DockerSpawner.volumes = {"user-{username}": "/home/jovyan"}
c.LabSpawner.mem_limit = "2G"
c.Spawner.pre_spawn_hook = before
c.Spawner.cmd = lambda: ["x"]
c.JupyterHub.services.append({
    "name": "cull", "command": [sys.executable, "-m", "jupyterhub_idle_culler", "--timeout=1800"],
})
c.JupyterHub.services.extend([{"name": "reports", "api_token": os.getenv("REPORTS_TOKEN")}])
c.JupyterHub.load_roles = [
    {"name": "cull", "scopes": ["list:users", "read:users:activity", "delete:servers"], "services": ["cull"]},
    {"name": "reports", "scopes": ["list:users"], "services": ["reports"]},
]
c.JupyterHub.load_groups = {"staff": {"users": ["ada"], "properties": {"room": 1}}, "class": ["bob"]}
c.JupyterHub.db_url = "postgresql://hub:pw-of-the-database@db/hub"
if os.environ.get("DEBUG"):
    c.JupyterHub.log_level = 10
"""


def test_a_configuration_as_people_have_it_becomes_settings(imported, tmp_path):
    made = imported(AS_PEOPLE_HAVE_IT)
    found = loaded(made, tmp_path)

    assert (found.hub.host, found.hub.port) == ("0.0.0.0", 8080)
    assert found.hub.public_url == "https://hub.example.org"
    assert set(made.variables) == {"GH_SECRET", "REPORTS_TOKEN"}
    assert found.providers[0].organizations == ("physics",)
    assert found.login.admins == ("ada",)
    assert found.profiles[0].image == "quay.io/jupyter/base-notebook:2026-01-05"
    assert found.profiles[0].memory_bytes == 2 * 1024**3
    assert found.culling.idle_after.total_seconds() == 1800
    assert [service.name for service in found.services] == ["reports"]
    assert [role.name for role in found.roles] == ["reports"]
    assert found.groups["staff"].properties == {"room": 1}
    assert found.groups["class"].users == ("bob",)
    assert "pw-of-the-database" not in made.text
    for said in ("pre_spawn_hook (a function)", "c.DockerSpawner.volumes", "variable GH_ID", "variable DEBUG"):
        assert said in made.text


def test_what_fails_is_named_and_the_rest_goes_on(imported, tmp_path):
    made = imported('c.JupyterHub.port = 8001\nc.JupyterHub.ip = open("/none/such").read()\nc.JupyterHub.bad\n1 / 0\n'
                    'c.JupyterHub.active_server_limit = 7\n')  # fmt: skip
    found = loaded(made, tmp_path)

    assert (found.hub.port, found.servers.active_limit) == (8001, 7)
    assert "line 2: this statement fails with FileNotFoundError" in made.text
    assert "line 4: this statement fails with ZeroDivisionError" in made.text


def test_an_exit_ends_the_file_and_keeps_what_was_set(imported, tmp_path):
    made = imported("c.JupyterHub.port = 8001\nexit()\nc.JupyterHub.port = 8002\n")

    assert loaded(made, tmp_path).hub.port == 8001
    assert "nothing after it ran" in made.text


def test_a_loop_without_end_ends_and_keeps_what_was_set(tmp_path, way):
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(
        "c.JupyterHub.port = 8001\nwhile True:\n    try:\n        pass\n    except Exception:\n        pass\n"
    )

    old = python_config.read(file, way, seconds=0.5)

    assert old.traits["JupyterHub"]["port"] == 8001
    assert "takes too long" in old.remarks[0].what


def test_what_catches_even_that_is_ended(tmp_path, way, monkeypatch):
    monkeypatch.setattr(python_config, "_GRACE", 0.5)
    file = tmp_path / "jupyterhub_config.py"
    file.write_text("import signal\nsignal.setitimer(signal.ITIMER_REAL, 0)\nwhile True: pass\n")

    with pytest.raises(SettingsError, match="does not end"):
        python_config.read(file, way, seconds=0.2)


def test_a_process_that_vanishes_is_told(imported):
    with pytest.raises(SettingsError, match="ended the process"):
        imported("import os\nos._exit(0)\n")


def test_no_python_is_told_with_its_line(imported):
    with pytest.raises(SettingsError, match="line 2 is no Python"):
        imported("x = 1\nprint 'two'\n")


def test_output_without_end_is_ignored(imported, tmp_path):
    made = imported('import sys\nfor _ in range(50): sys.stdout.write("x" * 1_000_000)\nc.JupyterHub.port = 8001\n')

    assert loaded(made, tmp_path).hub.port == 8001


def test_values_beyond_the_bounds_stay_out(imported, tmp_path):
    made = imported(
        'c.JupyterHub.template_vars = {"x": "y" * 50_000_000}\nc.JupyterHub.load_groups = {"a": list(range(10**6))}\n'
        "d = {}\nd['d'] = d\nc.JupyterHub.tornado_settings = d\nc.JupyterHub.port = 8001\n"
    )

    assert loaded(made, tmp_path).hub.port == 8001
    assert len(made.text) < 50_000


def test_a_file_that_is_too_large_does_not_run(imported):
    with pytest.raises(SettingsError, match="larger than 1000000 bytes"):
        imported("c.JupyterHub.port = 8001\n#" + "x" * 1_000_000)


def test_a_mark_of_byte_order_and_other_ends_of_lines_do_not_count(tmp_path, way):
    file = tmp_path / "jupyterhub_config.py"
    file.write_bytes(b"\xef\xbb\xbfc.JupyterHub.port = 8001\r\nc.JupyterHub.ip = 'a'\r\n")

    assert python_config.read(file, way).traits["JupyterHub"] == {"port": 8001, "ip": "a"}


FORKS = "import os, signal\nif os.fork() == 0:\n    signal.pause()\nc.JupyterHub.port = 8001\n"


def test_a_process_that_stays_behind_ends_with_the_namespace(tmp_path, way):
    if not way or way[0] != "bwrap":
        pytest.skip("only bubblewrap makes a namespace of processes")
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(FORKS)

    assert python_config.read(file, way).traits["JupyterHub"] == {"port": 8001}


def test_a_process_that_stays_behind_elsewhere_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(python_config, "_GRACE", 0.5)
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(FORKS)

    with pytest.raises(SettingsError, match="does not end by itself"):
        python_config.read(file, None, seconds=0.5)


def test_what_a_file_prints_is_shown_to_nobody(tmp_path):
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(
        "import sys\nfor one in (sys.stdout, sys.stderr):\n    print('hunter2', file=one, flush=True)\n"
        "raise ValueError('hunter2')\n"
    )
    command = [sys.executable, "-c", "from embedded.cli import main; main()"]

    done = subprocess.run(
        [*command, "import-settings", str(file), "--run-config"], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0
    assert "line 4: this statement fails with ValueError" in " ".join(done.stdout.replace("#", "").split())
    assert "hunter2" not in done.stdout + done.stderr


def test_processes_have_a_limit(tmp_path, way):
    file = tmp_path / "jupyterhub_config.py"
    file.write_text("import resource\nc.JupyterHub.port = resource.getrlimit(resource.RLIMIT_NPROC)[1]\n")

    assert python_config.read(file, way).traits["JupyterHub"] == {"port": run_config.MAX_PROCESSES}


def test_memory_without_end_is_refused_and_the_rest_goes_on(imported, tmp_path):
    made = imported('x = "y" * 4_000_000_000\nc.JupyterHub.port = 8001\n')

    assert loaded(made, tmp_path).hub.port == 8001
    assert "MemoryError" in made.text


@pytest.mark.parametrize("alone", [True, False])
def test_a_file_writes_no_other(imported, tmp_path, way, alone):
    target = tmp_path / "written"

    made = imported(f'with open({str(target)!r}, "w") as file:\n    file.write("x" * 10)\n', way=way if alone else None)

    assert not target.exists() or target.read_text() == ""
    assert "fails with OSError" in made.text


def test_the_operators_environment_stays_out(imported, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_REGION_OF_OPERATOR", "seen")
    made = imported("import os\nc.Spawner.environment = {'A': str('AWS_REGION_OF_OPERATOR' in os.environ)}\n")

    assert loaded(made, tmp_path).profiles[0].environment == {"A": "False"}


def test_there_is_no_network_where_the_machine_allows_that(imported, tmp_path, way):
    if way is None:
        pytest.skip("this machine has no user namespaces")
    made = imported(
        "import socket\nnames = [name for _, name in socket.if_nameindex()]\n"
        "c.Spawner.environment = {'ONLY_LOOPBACK': str(set(names) <= {'lo'})}\n"
    )

    assert loaded(made, tmp_path).profiles[0].environment == {"ONLY_LOOPBACK": "True"}


def test_a_machine_without_namespaces_runs_it_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(python_config, "_WAYS", (("/none/such",), ("false",)))
    file = tmp_path / "jupyterhub_config.py"
    file.write_text("c.JupyterHub.port = 8001\n")

    done = CliRunner().invoke(main, ["import-settings", str(file), "--run-config"])

    assert "port = 8001" in done.stdout
    assert "cannot keep the network" in done.stderr


def test_a_program_does_not_run_unasked(tmp_path):
    file = tmp_path / "jupyterhub_config.py"
    file.write_text("c.JupyterHub.port = 8001\n")

    done = CliRunner().invoke(main, ["import-settings", str(file)])

    assert done.exit_code == 1
    assert "--run-config" in done.stderr


def test_another_file_that_is_loaded_counts(imported, tmp_path):
    (tmp_path / "more.py").write_text("c.JupyterHub.port = 8002\n")
    (tmp_path / "round.py").write_text('load_subconfig("round.py")\n')

    made = imported('load_subconfig("more.py")\nload_subconfig("round.py")\nc.JupyterHub.active_server_limit = 3\n')

    assert loaded(made, tmp_path).hub.port == 8002
    assert loaded(made, tmp_path).servers.active_limit == 3


@pytest.mark.parametrize(
    "answer",
    ["", "x", "[]", "{}", '{"config": {"table": []}, "failures": [], "variables": [], "error": ""}', "[" * 100_000],
)
def test_an_answer_that_the_file_forged_is_refused(imported, answer):
    with pytest.raises(SettingsError, match="ended the process"):
        imported(f"import os, sys\nos.write(int(sys.argv[2]), {answer!r}.encode())\nos._exit(0)\n")


def test_an_answer_without_end_is_refused(imported):
    with pytest.raises(SettingsError, match="more than"):
        imported("import os, sys\nwhile True: os.write(int(sys.argv[2]), b'x' * 65536)\n")


def test_no_descriptor_stays_open(imported):
    before = len(list(Path("/proc/self/fd").iterdir()))

    imported("c.JupyterHub.port = 8001\n")

    assert len(list(Path("/proc/self/fd").iterdir())) == before
