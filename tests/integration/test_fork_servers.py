"""Fork servers: when servers can share what was loaded, what they never share, and what happens on bad days."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from hubless.adapters.processes.fork_servers import ForkServers, UnfitError, states
from tests.support.concurrency import concurrently, eventually
from tests.support.fork_place import PATH, Place
from tests.support.processes import is_alive, make_environment

TOP = Path(__file__).parents[2]
SERVERS = TOP / ".venv-servers" / "bin" / "python"
PROGRAM = """
import json, os, sys
from pathlib import Path
facts = {"environment": dict(os.environ), "argv": sys.argv, "pid": os.getpid(), "modules": sorted(sys.modules)}
Path(os.environ["ANSWER"] + ".new").write_text(json.dumps(facts))
os.rename(os.environ["ANSWER"] + ".new", os.environ["ANSWER"])  # nobody reads half of it
if "wait" in sys.argv:
    import time
    time.sleep(600)
if "fail" in sys.argv:
    sys.exit(3)
"""


@pytest.fixture
def environment(tmp_path):
    """A virtual environment whose servers say what they have; its package can be changed."""
    command = make_environment(tmp_path / "venv", sys.executable, PROGRAM)
    (package,) = (tmp_path / "venv").glob("lib/python3*/site-packages/jupyterhub")
    return command, package


@pytest.fixture
def place(tmp_path, environment):
    made = Place(tmp_path, environment[0])
    yield made
    made.close()


# --- one server ---


def test_a_forked_server_has_its_own_environment_and_command_line(place):
    said = place.fork("a", "wait", "--flag", TOKEN="secret")
    (pid,) = place.pids
    assert said["pid"] == pid
    assert states(place.folder / "fork-servers") == ["servers are forked"]
    assert said["environment"]["TOKEN"] == "secret"
    assert set(said["environment"]) - {"LC_CTYPE"} == {"PATH", "HOME", "USER", "ANSWER", "TOKEN"}
    assert said["argv"] == [place.command, "wait", "--flag"]
    process = psutil.Process(pid)
    assert process.cmdline()[1:] == [place.command, "wait", "--flag"]
    assert process.name() == "jupyterhub-sing"
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/cwd").readlink() == place.home
    assert (place.folder / "a/pid").read_text().split()[0] == str(pid)


def test_the_exit_code_of_a_forked_server_is_written_down(place):
    place.fork("a", "fail")
    place.fork("b", "wait")
    os.kill(place.pids[1], signal.SIGSEGV)
    assert eventually(lambda: _text(place.folder / "a/exit-code")) == "3"
    assert eventually(lambda: _text(place.folder / "b/exit-code")) == "-11"


def _text(file):
    return file.read_text() if file.exists() else ""


def test_no_secret_of_one_server_is_in_the_memory_of_another(place):
    secrets = ["first-6d1f0a", "second-93bc52"]
    for name, secret in zip("ab", secrets, strict=True):
        place.fork(name, "wait", TOKEN=secret)
    (parent,) = place.processes()
    for pid, others in ((place.pids[1], secrets[:1]), (parent, secrets)):
        held = _memory(pid)
        assert [secret for secret in others if secret.encode() in held] == []
    assert secrets[1].encode() in _memory(place.pids[1])


def _memory(pid):
    """Return everything that the process has written to its memory."""
    held = []
    with Path(f"/proc/{pid}/mem").open("rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            bounds, rights, *_ = line.split()
            if "w" in rights:
                start, end = (int(word, 16) for word in bounds.split("-"))
                memory.seek(start)
                held.append(memory.read(end - start))
    return b"".join(held)


# --- what cannot be forked ---


@pytest.mark.parametrize(
    ("variable", "reason"),
    [
        ("PYTHONPATH", "its PYTHONPATH is its own, and Python reads it when a program starts"),
        ("LD_PRELOAD", "its LD_PRELOAD is its own, and Python reads it when a program starts"),
        ("TZ", "its TZ is its own, and Python reads it when a program starts"),
        ("COLOUR", "its COLOUR is its own, and jupyterhub.colours reads it when imported"),
    ],
)
def test_a_server_that_would_have_loaded_other_things_starts_by_itself(place, environment, variable, reason):
    (environment[1] / "colours.py").write_text("import os\nCOLOUR = os.environ.get('COLOUR')\n")
    _import_in(environment[1], "import jupyterhub.colours")
    with pytest.raises(UnfitError, match=reason):
        place.fork("a", **{variable: "x"})
    assert not (place.folder / "a.json").exists()
    assert place.fork("b")["environment"]["USER"] == "ada"


def _import_in(package, line):
    file = package / "singleuser" / "__init__.py"
    file.write_text(f"{line}\n{file.read_text()}")


@pytest.mark.parametrize(
    "read", ["os.environ['HOME']", "os.environ['PATH']", "dict(os.environ)", "os.getcwd()", "os.urandom(4)"]
)
def test_what_reads_something_of_ones_own_is_loaded_by_each_server(place, environment, read):
    (environment[1] / "own.py").write_text(f"import os\nOWN = {read}\n")
    (environment[1] / "shared.py").write_text("import os\n")
    (environment[1] / "singleuser" / "user.py").write_text("from jupyterhub.own import OWN\n")
    _import_in(environment[1], "import jupyterhub.shared\nimport jupyterhub.singleuser.user")
    assert {"jupyterhub.own", "jupyterhub.singleuser.user"} <= set(place.fork("a")["modules"])
    (record,) = place.folder.glob("fork-servers/*/modules.json")
    found = json.loads(record.read_text())
    assert {"jupyterhub.own", "jupyterhub.singleuser", "jupyterhub.singleuser.user"} <= set(found["postponed"])
    assert "jupyterhub.shared" in found["shared"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("raise ImportError('broken')", "jupyterhub.singleuser cannot be imported"),
        ("import no_such_module_anywhere", "jupyterhub.singleuser cannot be imported"),
        ("1 / 0", "jupyterhub.singleuser cannot be imported"),
        ("import os; os._exit(9)", "jupyterhub.singleuser cannot be imported"),
        ("import threading, time; threading.Thread(target=time.sleep, args=(99,), daemon=True).start()", "threads"),
    ],
)
def test_packages_that_cannot_be_shared_are_told_with_the_reason(place, environment, line, reason):
    _import_in(environment[1], line)
    for name in "ab":  # the second time it is known
        with pytest.raises(UnfitError, match=reason):
            place.fork(name)
        eventually(lambda: place.processes() == [])
    (said,) = states(place.folder / "fork-servers")
    assert said.startswith("servers load their packages themselves: ")
    assert reason in said


def test_a_command_that_is_no_server_of_jupyterhub_starts_by_itself(place):
    other = place.folder / "other"
    other.write_text(f"#!{sys.executable}\nprint('hello')\n")
    other.chmod(0o755)
    place.command = str(other)
    with pytest.raises(UnfitError, match="no script that starts jupyterhub-singleuser"):
        place.fork("a")


@pytest.mark.skipif(os.geteuid() != 0, reason="only a hub of root loads packages as root")
def test_root_loads_nothing_that_others_can_change(place, environment):
    environment[1].parent.chmod(0o777)
    with pytest.raises(UnfitError, match=r"others than root can change .*site-packages"):
        place.fork("a")
    environment[1].parent.chmod(0o755)
    os.chown(environment[0], 1234, 1234)
    with pytest.raises(UnfitError, match=r"others than root can change .*jupyterhub-singleuser"):
        place.fork("b")


# --- what packages ask programs of the machine ---

ASKING = {
    "jupyterlab/labapp.py": "import jupyterlab.commands\n",
    "jupyterlab/commands.py": """
import subprocess
def _yarn_config(logger):
    return {"yarn config": subprocess.check_output(["node", "config"], text=True)}
""",
    "jupyter_lsp/serverextension.py": "import jupyter_lsp.types\n",
    "jupyter_lsp/types.py": """
import functools, subprocess
class LanguageServerManagerAPI:
    @functools.lru_cache(maxsize=1)
    def _npm_prefix(self, npm):
        return subprocess.check_output([npm, "prefix", "-g"], text=True)
""",
}
ASKS = """
import json, os, shutil, sys
from pathlib import Path
from jupyterlab.commands import _yarn_config
from jupyter_lsp.types import LanguageServerManagerAPI
npm = shutil.which("npm")
facts = {"yarn": _yarn_config(None)["yarn config"], "npm": LanguageServerManagerAPI()._npm_prefix(npm)}
Path(os.environ["ANSWER"] + ".new").write_text(json.dumps(facts))
os.rename(os.environ["ANSWER"] + ".new", os.environ["ANSWER"])  # nobody reads half of it
"""
WHO = "#!/bin/sh\necho process $$ of $(id -u) with home $HOME\n"  # each call has another answer


@pytest.fixture(scope="module")
def asking():
    """A fork server for packages that ask `node` and `npm`; every account can read the folder."""
    with tempfile.TemporaryDirectory(prefix="hubless-answers-") as name:
        (folder := Path(name)).chmod(0o755)
        command = make_environment(folder / "venv", sys.executable, ASKS)
        (packages,) = (folder / "venv").glob("lib/python3*/site-packages")
        for file, text in ASKING.items():
            (packages / file).parent.mkdir(exist_ok=True)
            (packages / file).write_text(text)
        (folder / "programs").mkdir()
        for program in ("node", "npm"):
            _write_program(folder / "programs" / program, WHO)
        made = Place(folder, command, {"PATH": f"{folder}/programs:{PATH['PATH']}"})
        yield made
        made.close()


def _write_program(file, text):
    file.write_text(text)
    file.chmod(0o755)


def test_what_is_alike_for_all_servers_is_asked_once_by_nobody(asking):
    first, second = asking.fork("first"), asking.fork("second", PATH=f"{asking.environment['PATH']}:/nowhere")
    assert first == second
    who = 65534 if os.geteuid() == 0 else os.geteuid()
    assert all(f"of {who} with home /nonexistent" in answer for answer in first.values())


@pytest.mark.parametrize("own", [".npmrc", ".yarnrc.yml", "npm_config_prefix", "NODE_OPTIONS", "bin/npm"])
def test_a_server_with_settings_of_its_own_asks_by_itself(asking, own):
    (home := asking.folder / own.strip(".").replace("/", "-")).mkdir()
    variables = {"HOME": str(home)}
    if own.startswith("."):
        (home / own).touch()
    elif own == "bin/npm":
        (home / "bin").mkdir()
        _write_program(home / own, WHO)
        variables["PATH"] = f"{home}/bin:{asking.environment['PATH']}"
    else:
        variables[own] = ""
    answers = asking.fork(f"server of {home.name}", **variables)
    assert all(f"of {os.geteuid()} with home {home}" in answer for answer in answers.values())


def test_a_program_that_was_upgraded_is_asked_again(asking):
    npm, before = asking.folder / "programs/npm", asking.fork("before")
    npm.rename(old := npm.with_suffix(".old"))
    _write_program(npm, WHO)
    after = asking.fork("after")
    old.replace(npm)
    assert after["npm"] != before["npm"]
    assert asking.fork("again") == before


def test_a_program_that_never_answers_is_given_up(asking):
    (silent := asking.folder / "silent").mkdir()
    _write_program(silent / "node", "#!/bin/sh\nsleep 600\n")
    (packages,) = asking.folder.glob("venv/lib/python3*/site-packages")
    code = f"""
import os, sys
sys.path[:0] = [{str(TOP)!r}, {str(packages)!r}]
import jupyterlab.commands
from fork_server import answers
answers.ASK_SECONDS = 0.2
before = jupyterlab.commands._yarn_config
answers.ask(os.environ).give(os.environ)
print(jupyterlab.commands._yarn_config is before)
"""
    done = subprocess.run(
        [asking.folder / "venv/bin/python", "-c", code],
        env={"PATH": f"{silent}:{asking.environment['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "True\n"


# --- bad days ---


def test_packages_that_were_upgraded_are_loaded_again(place, environment):
    assert "jupyterhub.newer" not in place.fork("a")["modules"]
    (before,) = place.processes()
    (environment[1] / "newer.py").touch()
    _import_in(environment[1], "import jupyterhub.newer")
    (environment[1].parent / "jupyterhub-7.dist-info").mkdir()  # as each installation does
    assert "jupyterhub.newer" in place.fork("b")["modules"]
    (now,) = eventually(lambda: place.processes() if len(place.processes()) == 1 else None)
    assert now != before


def test_servers_outlive_their_fork_server_and_another_takes_its_place(place):
    place.fork("a", "wait")
    (parent,) = place.processes()
    os.kill(parent, signal.SIGKILL)
    eventually(lambda: not is_alive(parent))
    place.fork("b", "wait")
    assert all(map(is_alive, place.pids))
    assert place.processes() != [parent]


def test_a_fork_server_waits_for_the_next_hub(environment, tmp_path):
    place = Place(tmp_path, environment[0], patience=60)
    place.fork("a")
    (parent,) = place.processes()
    for lease in place.forks._leases.values():
        lease.close()  # as the death of a hub does
    heir = ForkServers(tmp_path / "fork-servers", PATH, patience=60)
    place.fork("b", forks=heir)
    assert place.processes() == [parent]
    heir.close()  # a hub that ends in order says so
    eventually(lambda: not is_alive(parent))


def test_a_hub_holds_a_fork_server_that_no_server_has_asked_for(place):
    place.forks.preload([(place.command, PATH["PATH"])])
    (parent,) = place.processes()
    place.forks.close()  # what nobody holds would not hear it
    eventually(lambda: not is_alive(parent))


def test_nothing_runs_for_a_hub_that_has_gone(place):
    def dies(_pid):
        raise KeyboardInterrupt  # before the word to begin

    ready = place.pids.append
    place.pids = type("Dying", (list,), {"append": lambda self, pid: (ready(pid), dies(pid))})()
    with pytest.raises(KeyboardInterrupt):
        place.fork("a")
    place.pids = []
    place.fork("b")
    assert not (place.folder / "a.json").exists()
    assert _text(place.folder / "a/pid") == ""


def test_many_requests_at_once_are_all_served(place):
    outcomes = concurrently(lambda number: place.fork(f"s{number}", "wait")["pid"], times=20)
    assert sorted(outcomes) == sorted(place.pids)
    assert len(set(outcomes)) == 20
    assert len(place.processes()) == 1


def test_a_stranger_and_a_silent_client_hold_up_nobody(place, monkeypatch):
    place.fork("a")
    (address,) = place.folder.glob("fork-servers/*/socket")
    monkeypatch.chdir(address.parent)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
        client.connect("socket")
        client.send(b"nonsense")
        assert client.recv(10) == b""
    assert address.parent.stat().st_mode & 0o077 == 0  # only the hub's account comes near
    place.fork("b")


# --- the packages of real servers ---

# What a fresh start and a forked one may have in different forms: counters, caches, and the start itself.
HARMLESS = (
    "__main__:", "__mp_main__:", "sys:", "encodings:_cache", "sysconfig:_CONFIG_VARS", "threading:_shutdown_locks",
    "typing:_overload_registry", "attr._make:_CountingAttr", "builtins:_", "linecache:", "re:_cache",
    "_strptime:_TimeRE_cache",  # in the order of a set
    "rfc3987_syntax:syntax_parser", "rfc3987_syntax.syntax_helpers:syntax_parser",  # made when they are used
)  # fmt: skip
DUMP = """
import json, os, sys, types

def simple(one, depth=0):
    if isinstance(one, (str, bytes, int, float, bool, type(None))):
        return repr(one)
    if depth < 3 and isinstance(one, (list, tuple)) and len(one) < 200:
        return [simple(each, depth + 1) for each in one]
    if depth < 3 and isinstance(one, (set, frozenset)):
        return sorted(str(simple(each, depth + 1)) for each in one)
    if depth < 3 and isinstance(one, dict) and len(one) < 500:
        return {str(key): simple(each, depth + 1) for key, each in one.items()}
    return type(one).__name__

def main():
    import jupyter_server.serverapp, jupyterhub.singleuser, jupyterlab.labapp
    found = {}
    for name, module in list(sys.modules.items()) if "everything" in sys.argv else ():
        if not isinstance(module, types.ModuleType):
            continue
        for key, one in list(vars(module).items()):
            if isinstance(one, type) and one.__module__ == name:
                for attribute, held in list(vars(one).items()):
                    trait = getattr(held, "__dict__", {})
                    found[f"{name}:{key}.{attribute}"] = simple(trait.get("default_value", held))
            elif not isinstance(one, types.ModuleType):
                found[f"{name}:{key}"] = simple(one)
    import random, secrets, tempfile, uuid
    own = {"uuid": str(uuid.uuid4()), "random": random.random(), "secret": secrets.token_hex()}
    own["temporary"] = next(tempfile._get_candidate_names())
    import multiprocessing
    own["authkey"] = multiprocessing.current_process().authkey.hex()
    from jupyter_client.session import session_flags
    own["session key"] = session_flags["secure"][0]["Session"]["key"].hex()
    own["pid"] = os.getpid()
    with open(os.environ["ANSWER"] + ".new", "w") as file:
        json.dump({"found": found, "own": own, "path": sys.path, "umask": os.umask(0o22)}, file)
    os.rename(os.environ["ANSWER"] + ".new", os.environ["ANSWER"])
main()
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A fork server with the packages of real servers, whose servers tell everything that modules hold."""
    folder = tmp_path_factory.mktemp("real")
    folder.chmod(0o755)
    (script := folder / "bin" / "jupyterhub-singleuser").parent.mkdir()  # nothing else changes in its folder
    script.write_text(f"#!{SERVERS}\n# from jupyterhub.singleuser import main\n{DUMP}")
    script.chmod(0o755)
    environment = PATH | {"LANG": "C.UTF-8", "JUPYTER_PREFER_ENV_PATH": "1"}
    made = Place(folder, str(script), environment)
    yield made
    made.close()


OF_ONE = {
    "LOGNAME": "ada",
    "SHELL": "/bin/bash",
    "JUPYTERHUB_USER": "ada",
    "JUPYTERHUB_API_TOKEN": "t0k3n",
    "JUPYTERHUB_API_URL": "http://127.0.0.1:9/hub/api",
    "JUPYTERHUB_SERVICE_PREFIX": "/user/ada/",
    "JUPYTERHUB_SERVICE_URL": "http://127.0.0.1:1234/user/ada/",
    "XDG_DATA_HOME": "/nowhere/data",
}


@pytest.mark.real
def test_modules_of_a_forked_server_hold_what_they_would_hold(real):
    fresh = []
    for name in ("fresh", "again"):
        answer = real.folder / f"{name}.json"
        own = {"HOME": str(real.home), "USER": "ada", "ANSWER": str(answer)}
        subprocess.run(
            [real.command, "everything"], env=real.environment | own | OF_ONE, cwd=real.home, check=True, timeout=120
        )
        fresh.append(json.loads(answer.read_text()))
    forked = real.fork("forked", "everything", **OF_ONE)
    first, second = fresh[0]["found"], fresh[1]["found"]
    stable = {name for name in first if first[name] == second.get(name) and not name.startswith(HARMLESS)}
    assert len(stable) > 20_000
    differing = {name: (first[name], forked["found"].get(name)) for name in stable}
    assert {name: both for name, both in differing.items() if both[0] != both[1]} == {}
    assert forked["path"] == fresh[0]["path"]


@pytest.mark.real
def test_forked_servers_share_no_key_and_no_randomness(real):
    said = [real.fork(f"one-{number}", **OF_ONE)["own"] for number in range(50)]
    shared = {name for name in said[0] if len({str(one[name]) for one in said}) != len(said)}
    assert shared == set()
    assert set(said[0]) == {"uuid", "random", "secret", "temporary", "authkey", "session key", "pid"}
