"""Kinds of isolation for real: what a server can reach of the hub and of its neighbours."""

import contextlib
import json
import os
import pwd
import shutil
import socket
import stat
import tempfile
from pathlib import Path

import pytest

from hubless.adapters.processes.accounts import Account, OwnerUids
from hubless.adapters.processes.isolation import NONE, SANDBOX
from hubless.adapters.processes.isolation.bubblewrap import View
from hubless.adapters.processes.isolation.homes import make_home, open_way
from hubless.adapters.processes.isolation.kinds import NoIsolation, Programs, SandboxIsolation
from hubless.adapters.processes.isolation.trial import Stakes, reason_against
from hubless.adapters.processes.own_port import OwnPortReadiness
from hubless.adapters.processes.readiness import HttpReadiness
from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.owner_uids import SqliteOwnerUidStore
from hubless.adapters.sqlite.users import SqliteUserStore
from hubless.domain.errors import LaunchFailedError
from hubless.domain.profiles import Profile
from hubless.ports.launcher import Launch, TaskStopped
from tests.support.accounts import UNPRIVILEGED, run_as
from tests.support.builders import a_server, a_user
from tests.support.concurrency import MANY, concurrently, eventually
from tests.support.processes import KINDS, ProcessLaunchers, isolation, python_for_all
from tests.support.sqlite import InMemory

IS_ROOT = os.geteuid() == 0
# Each kind, and the account that runs the hub.
CASES = [(kind, os.geteuid()) for kind in KINDS if kind != NONE] + ([(SANDBOX, UNPRIVILEGED)] if IS_ROOT else [])
MB = 1024**2
# bob's server: it answers 200 to who knows its token.
NEIGHBOUR = """
import os
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import urlsplit

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        knows = self.headers["Authorization"] == "token " + os.environ["JUPYTERHUB_API_TOKEN"]
        self.send_response(200 if knows or self.path.endswith("/api") else 403)
        self.end_headers()
    def log_message(self, *_):
        pass

(Path.home() / "notes").write_text("bob's notes")
HTTPServer(("127.0.0.1", urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port), Handler).serve_forever()
"""
# alice's server: it tries to get what is not hers, and writes down what worked.
INTRUDER = """
import json, os, signal, socket, sys, urllib.error, urllib.request
from pathlib import Path

data, neighbour, address = sys.argv[1:]
mark = os.environ["MARK"]

def reads(path):
    return bool(Path(path).read_bytes())

def lists(path):
    return [name for name in os.listdir(path) if not Path(path, name).samefile(Path.home())]

def writes(path):
    Path(path).write_text("intruder")
    return True

def connects(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(str(path))
        return True

def others():
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "cmdline").read_text():
                yield int(folder.name)
        except OSError:
            continue

def environments():
    found = []
    for pid in others():
        try:
            if "JUPYTERHUB_API_TOKEN=" + mark in Path(f"/proc/{pid}/environ").read_text():
                found.append(pid)
        except OSError:
            continue
    return found

def signals():
    found = []
    for pid in others():
        try:
            os.kill(pid, 0)
            found.append(pid)
        except OSError:
            continue
    return found

def asks(token):
    request = urllib.request.Request(f"http://{address}/secret", headers={"Authorization": f"token {token}"})
    try:
        return urllib.request.urlopen(request).status == 200
    except urllib.error.HTTPError:
        return False

def becomes_root():
    os.setuid(0)
    return True

attempts = {
    "read the secret": lambda: reads(f"{data}/secret"),
    "read the database": lambda: reads(f"{data}/hub.sqlite"),
    "write the database": lambda: writes(f"{data}/hub.sqlite"),
    "write beside the database": lambda: writes(f"{data}/hub.sqlite-journal"),
    "list the data folder": lambda: [name for name in os.listdir(data) if name != "homes"],
    "list launches": lambda: lists(f"{data}/servers"),
    "use the socket": lambda: connects(f"{data}/run/api.sock"),
    "read a neighbour's file": lambda: reads(f"{neighbour}/notes"),
    "list other homes": lambda: lists(f"{data}/homes"),
    "write into a neighbour's home": lambda: writes(f"{neighbour}/planted"),
    "read a neighbour's environment": environments,
    "signal a neighbour": signals,
    "use a neighbour's server": lambda: asks(os.environ.get("JUPYTERHUB_API_TOKEN", "none")),
    "write the system": lambda: writes("/usr/planted") or writes("/etc/planted"),
    "become root": becomes_root,
}
done = {}
for name, attempt in attempts.items():
    try:
        done[name] = bool(attempt())
    except OSError:
        done[name] = False
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
facts = {"uid": os.getuid(), "groups": sorted(os.getgroups()), "gid": os.getgid(),
         "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16) * (os.getuid() == 0),
         "no_new_privs": status["NoNewPrivs"].strip() == "1"}
Path(Path.home() / "report.new").write_text(json.dumps({"done": done, "facts": facts}))
os.rename(Path.home() / "report.new", Path.home() / "report")
signal.pause()
"""
MARK = "neighbours-token-0123456789abcdef"


class World:
    """A hub's data folder and the servers of two users."""

    def __init__(self, folder, kind):
        self.data, self.kind = folder / "data", kind
        for name, mode in (("", 0o700), ("run", 0o700), ("servers", 0o700), ("logs", 0o700), ("homes", 0o700)):
            (self.data / name).mkdir(mode=mode)
        for name in ("secret", "hub.sqlite"):
            (self.data / name).write_bytes(b"private")
            (self.data / name).chmod(0o600)
        for name, text in (("neighbour.py", NEIGHBOUR), ("intruder.py", INTRUDER)):
            (folder / name).write_text(text)
        self.folder = folder
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(str(self.data / "run" / "api.sock"))
        self.socket.listen()
        view = View((folder,), (), (self.data,), 64 * MB)
        way = (self.data, self.data / "homes")
        self.isolation = isolation(kind, self.data / "homes", SqliteOwnerUidStore(InMemory()), view, way)
        self.launchers = ProcessLaunchers(
            self.data / "servers", self.data / "homes", {"PATH": os.environ["PATH"]}, of=self.isolation
        )
        self.launcher = self.launchers.make()

    def launch(self, user, script, *arguments):
        profile = Profile("p", command=(python_for_all(), str(self.folder / script)), args=arguments)
        secrets = {"JUPYTERHUB_API_TOKEN": MARK if user == "bob" else "own-token"}
        self.launcher.launch(
            Launch(
                f"l-{user}",
                "s",
                f"u-{user}",
                user,
                "",
                f"/user/{user}/",
                profile,
                {} if user == "bob" else {"MARK": MARK},
                secrets,
            )
        )

    def home(self, user):
        return self.data / "homes" / f"u-{user}"

    def report(self):
        self.launch("bob", "neighbour.py", MARK)
        readiness = HttpReadiness()

        def address():
            status = self.launcher.describe("l-bob")
            assert not isinstance(status, TaskStopped), status
            found = getattr(status, "address", None)
            return found if found and readiness.answers(a_server(address=found), "/user/bob/") else None

        self.launch("alice", "intruder.py", str(self.data), str(self.home("bob")), eventually(address))

        def written():
            assert not isinstance(status := self.launcher.describe("l-alice"), TaskStopped), status
            return (self.home("alice") / "report").exists()

        eventually(written)
        return json.loads((self.home("alice") / "report").read_text())

    def close(self):
        for task in self.launcher.tasks():
            self.launcher.stop(task.task, force=True)
        eventually(lambda: not self.launcher.tasks())
        self.launchers.wait()
        self.socket.close()


@pytest.fixture
def folder():
    made = Path(tempfile.mkdtemp(prefix="hubless-isolation-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def observe(folder, kind):
    world = World(folder, kind)
    with contextlib.closing(world):
        return world.report()


@pytest.mark.parametrize(("kind", "uid"), CASES)
def test_a_server_reaches_nothing_of_the_hub_or_a_neighbour(folder, kind, uid):
    os.chown(folder, uid, uid)
    report = run_as(uid, lambda: observe(folder, kind))

    assert [name for name, worked in report["done"].items() if worked] == []
    facts = report["facts"]
    assert (facts["no_new_privs"], facts["capabilities"]) == (True, 0)
    assert facts["uid"] not in {0, *([os.geteuid()] if IS_ROOT else [])}
    assert set(facts["groups"]) <= {facts["gid"]}


def test_the_same_program_without_isolation_reaches_it_all(folder):
    """What the test above would see if nothing was refused."""
    uid = UNPRIVILEGED if IS_ROOT else os.geteuid()
    os.chown(folder, uid, uid)
    report = run_as(uid, lambda: observe(folder, NONE))

    kept_by_the_system = {"use a neighbour's server", "write the system", "become root"}
    assert {name for name, worked in report["done"].items() if not worked} == kept_by_the_system


def squatted(folder, kind):
    """Return whether bob's server counts as ready: at its own port, and at a port of alice's."""
    world = World(folder, kind)
    with contextlib.closing(world):
        readiness = OwnPortReadiness(world.data / "servers", HttpReadiness())
        for user in ("bob", "alice"):
            world.launch(user, "neighbour.py")

        def ready(user, at):
            address = getattr(world.launcher.describe(f"l-{at}"), "address", None)
            server = a_server(address=address, task=f"l-{user}")
            return HttpReadiness().answers(server, "/") and [readiness.answers(server, "/") is not None]

        return [*eventually(lambda: ready("bob", "bob")), *eventually(lambda: ready("bob", "alice"))]


@pytest.mark.parametrize(("kind", "uid"), CASES)
def test_another_users_program_on_a_servers_port_is_not_the_server(folder, kind, uid):
    os.chown(folder, uid, uid)
    assert run_as(uid, lambda: squatted(folder, kind)) == [True, False]


# --- the trial at the start of a hub ---


class Hub:
    """A hub's folder for trials; another kind of isolation may be tried than the hub's."""

    def __init__(self, folder):
        self.data, self.homes = folder / "data", folder / "data" / "homes"
        for name in ("", "servers", "homes"):
            (self.data / name).mkdir(mode=0o700)
        self.secret = self.data / "secret"
        self.secret.write_bytes(b"private")
        self.secret.chmod(0o600)
        self.uids = SqliteOwnerUidStore(InMemory())

    def stakes(self, *programs):
        return Stakes(self.data / "servers", (self.secret,), programs, {"PATH": os.environ["PATH"]})

    def isolation(self, kind, *shown, hidden=None):
        view = View(shown, (), (self.data,) if hidden is None else hidden, 64 * MB)
        return isolation(kind, self.homes, self.uids, view, (self.data, self.homes))


@pytest.mark.parametrize(("kind", "uid"), CASES)
def test_the_trial_finds_nothing_against_what_works(folder, kind, uid):
    os.chown(folder, uid, uid)

    def reason_and_rest():
        hub = Hub(folder)
        reason = reason_against(hub.isolation(kind), hub.stakes(Path(python_for_all())))
        return [reason, sorted(map(str, hub.homes.iterdir())), sorted(map(str, (hub.data / "servers").iterdir()))]

    assert run_as(uid, reason_and_rest) == [None, [], []]


def test_the_trial_finds_a_secret_that_a_sandbox_shows(folder):
    hub = Hub(folder)
    hub.secret.chmod(0o644)
    hub.data.chmod(0o755)
    reason = reason_against(hub.isolation(SANDBOX, hub.data, hidden=()), hub.stakes())
    assert f"it can read {hub.secret}" in reason


class Pretended(SandboxIsolation):
    """Says that it is a sandbox, and is none."""

    def wrap(self, start):
        return start.argv


def test_the_trial_finds_that_nothing_is_isolated(folder):
    uid = UNPRIVILEGED if IS_ROOT else os.geteuid()
    os.chown(folder, uid, uid)

    def reason():
        hub = Hub(folder)
        pretended = hub.isolation(SANDBOX)
        pretended.__class__ = Pretended
        return [reason_against(pretended, hub.stakes()), str(hub.secret)]

    found, secret = run_as(uid, reason)
    for problem in (
        f"it can read {secret}",
        "it can read the environment of others",
        "it can end processes of others",
        "it may gain new privileges",
    ):
        assert problem in found


def test_the_trial_finds_a_program_that_cannot_run(folder):
    hub = Hub(folder)
    broken = folder / "broken"
    broken.write_text("#!/no/such/python3\n")
    broken.chmod(0o755)
    reason = reason_against(hub.isolation(SANDBOX), hub.stakes(broken))
    assert f"it cannot run {broken}" in reason


def test_the_trial_says_what_a_program_said_that_did_not_start(folder):
    hub = Hub(folder)
    made = hub.isolation(SANDBOX)
    made._programs = Programs("/bin/false", "/bin/false")
    assert "ended before" in reason_against(made, hub.stakes())


# --- an account for each owner ---


def test_an_owner_keeps_the_uid_and_no_other_gets_it(folder):
    store = SqliteOwnerUidStore(InMemory())
    uids = OwnerUids(lambda: store, 2_100_000_000, 2_100_000_009)
    given = {owner: uids.uid_of(owner) for owner in ("u-1", "u-2", "u-3")}
    assert len(set(given.values())) == 3
    again = OwnerUids(lambda: store, 2_100_000_000, 2_100_000_009)
    assert {owner: again.uid_of(owner) for owner in reversed(given)} == given
    assert not set(again.for_trials) & {again.uid_of(f"u-{number}") for number in range(4, 9)}


def test_owners_at_once_get_a_uid_each(tmp_path):
    database = Database(tmp_path / "hub.sqlite")
    uids = OwnerUids(lambda: SqliteOwnerUidStore(database), 2_100_000_000, 2_100_000_099)
    given = concurrently(lambda number: (number % 4, uids.uid_of(f"u-{number % 4}")), MANY)
    assert len(set(given)) == len({owner for owner, _ in given}) == len({uid for _, uid in given}) == 4


def test_a_range_that_is_given_out_is_reported(folder):
    store = SqliteOwnerUidStore(InMemory())
    uids = OwnerUids(lambda: store, 2_100_000_000, 2_100_000_003)
    uids.uid_of("u-1"), uids.uid_of("u-2")
    with pytest.raises(LaunchFailedError, match=r"servers\.uid_range"):
        uids.uid_of("u-3")
    assert uids.uid_of("u-1") == 2_100_000_000


def test_a_uid_of_a_system_user_is_left_out(monkeypatch):
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {2_100_000_000: "somebody"}[uid])
    store = SqliteOwnerUidStore(InMemory())
    assert OwnerUids(lambda: store, 2_100_000_000, 2_100_000_009).uid_of("u-1") == 2_100_000_001


def test_without_isolation_the_hubs_account_serves_its_first_user_only(tmp_path):
    database = InMemory()
    users = SqliteUserStore(database)
    users.create([a_user("alice"), a_user("bob")])
    uids = OwnerUids(lambda: SqliteOwnerUidStore(database), 2_100_000_000, 2_100_000_009)
    alone = NoIsolation(tmp_path, uids.claim_hubs)
    for _ in range(2):
        assert alone.account("alice", "u-alice").uid is None
        with pytest.raises(LaunchFailedError, match="only its first user"):
            alone.account("bob", "u-bob")
    users.delete("u-alice")
    for _ in range(2):
        assert alone.account("bob", "u-bob").uid is None
        with pytest.raises(LaunchFailedError, match="only its first user"):
            alone.account("carol", "u-carol")
    named = NoIsolation(tmp_path, lambda _: True)
    assert named.account("bob", "u-2").home == tmp_path / "u-2"


# --- homes that belonged to another account ---


@pytest.fixture
def handed_over(monkeypatch):
    """What was given to which uid, in order; nothing is changed, so that any account can test it."""
    calls = []

    def chown(path, uid, gid, *, dir_fd=None, follow_symlinks=True):
        assert not follow_symlinks
        folder = Path(f"/proc/self/fd/{dir_fd}").readlink() if dir_fd is not None else Path("/")
        calls.append((str(folder / path), uid, gid))

    monkeypatch.setattr(os, "chown", chown)
    return calls


def a_home(folder):
    home, outside = folder / "homes" / "u-1", folder / "outside"
    (home / "work").mkdir(parents=True)
    for file in (outside, home / "notes", home / "work" / "a"):
        file.write_text("text")
    (home / "link").symlink_to(outside)
    os.link(outside, home / "shared-with-outside")
    os.link(home / "work" / "a", home / "b")
    return home


def test_a_home_is_handed_over_with_all_that_is_its_own(folder, handed_over):
    home = a_home(folder)
    make_home(Account("alice", home, "/bin/sh", 4242, 4242))
    given = [path for path, uid, gid in handed_over if (uid, gid) == (4242, 4242)]
    wanted = [home / name for name in ("work/a", "work", "notes", "b", "link")]
    assert sorted(given[:-1]) == sorted(map(str, wanted))
    assert given[-1] == str(home)  # so that a crash before it lets the next launch go on


def test_a_home_of_the_account_itself_is_left_alone(folder, handed_over):
    home = a_home(folder)
    make_home(Account("alice", home, "/bin/sh", os.geteuid(), os.getegid()))
    assert handed_over == []


def test_the_home_of_a_system_user_is_never_handed_over(folder, handed_over):
    home = a_home(folder)
    make_home(Account("alice", home, "/bin/sh", 4242, 4242, managed=False))
    assert handed_over == []


def test_a_link_in_the_place_of_a_home_is_not_followed(folder, handed_over):
    home = folder / "u-1"
    home.symlink_to(a_home(folder))
    with pytest.raises(LaunchFailedError, match="no folder"):
        make_home(Account("alice", home, "/bin/sh", 4242, 4242))
    assert handed_over == []


def test_hubs_on_one_machine_begin_elsewhere_in_the_range():
    first = [
        OwnerUids(lambda: SqliteOwnerUidStore(InMemory()), 2_100_000_000, 2_100_099_999, hub=hub).uid_of("u-1")
        for hub in ("/srv/one", "/srv/two")
    ]
    assert abs(first[0] - first[1]) > 1000
    small = OwnerUids(lambda: SqliteOwnerUidStore(InMemory()), 2_100_000_000, 2_100_000_009, hub="/srv/one")
    assert sorted(small.uid_of(f"u-{number}") for number in range(8)) == [*range(2_100_000_000, 2_100_000_008)]
    with pytest.raises(LaunchFailedError, match="All user ids"):
        small.uid_of("u-8")


def test_a_home_that_is_too_deep_to_be_handed_over_is_named(folder, handed_over, monkeypatch):
    def too_deep(*_args, **_rest):
        raise RecursionError

    monkeypatch.setattr(os, "fwalk", too_deep)
    with pytest.raises(LaunchFailedError, match="too many folders in each other"):
        make_home(Account("alice", a_home(folder), "/bin/sh", 4242, 4242))
    assert handed_over == []


def test_a_closed_folder_before_the_homes_is_named(folder):
    closed = folder / "closed"
    home = closed / "homes" / "u-1"
    home.parent.mkdir(parents=True)
    closed.chmod(0o700)
    with pytest.raises(LaunchFailedError, match=f"may not enter {closed},"):
        open_way([home.parent], home)
    open_way([closed, home.parent], home)
    assert [stat.S_IMODE(one.stat().st_mode) & 0o077 for one in (closed, home.parent)] == [0o011, 0o055]
