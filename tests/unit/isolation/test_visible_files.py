"""What a sandbox sees: the system, the programs' environments wherever they are, and nothing of the hub."""

import os
from pathlib import Path

import pytest

from hubless.adapters.processes.accounts import Account
from hubless.adapters.processes.isolation import Start, user_database
from hubless.adapters.processes.isolation.bubblewrap import View, file_system
from hubless.adapters.processes.isolation.programs import environment_folder, interpreter_of, needed_by
from hubless.adapters.processes.launch_folder import LaunchFolder

MB = 1024**2


def script(file, first, mode=0o755):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(first + "\nprint()\n")
    file.chmod(mode)
    return file


@pytest.fixture
def base(tmp_path):
    """A Python somewhere, as pyenv and uv have them."""
    root = tmp_path / "pythons" / "3.11.7"
    (root / "lib" / "python3.11").mkdir(parents=True)
    script(root / "bin" / "python3.11", "")
    (root / "bin" / "python3").symlink_to("python3.11")
    return root


@pytest.fixture
def environment(tmp_path, base):
    root = tmp_path / "project" / ".venv-servers"
    (root / "bin").mkdir(parents=True)
    (root / "pyvenv.cfg").write_text(f"home = {base / 'bin'}\nversion = 3.11.7\n")
    (root / "bin" / "python").symlink_to(base / "bin" / "python3")
    script(root / "bin" / "jupyterhub-singleuser", f"#!{root}/bin/python")
    return root


def test_a_program_needs_its_environment_and_the_python_of_that(environment, base):
    assert needed_by([str(environment / "bin" / "jupyterhub-singleuser")], "/usr/bin") == [environment, base]


def test_a_link_to_an_environment_needs_both_names(environment, base, tmp_path):
    linked = tmp_path / "linked"
    linked.symlink_to(environment)
    needed = needed_by([str(linked / "bin" / "jupyterhub-singleuser")], "/usr/bin")
    assert needed == [linked, environment, base]


def test_a_link_to_a_program_needs_the_link_and_the_environment(environment, base, tmp_path):
    link = tmp_path / "bin" / "server"
    link.parent.mkdir()
    link.symlink_to("../project/.venv-servers/bin/jupyterhub-singleuser")
    assert needed_by([str(link)], "/usr/bin") == [link, environment, base]


def test_folders_of_people_are_no_environment(tmp_path):
    """`~/.local/bin` has programs and `~/.local/lib` packages, but the rest of `~/.local` is private."""
    local = tmp_path / ".local"
    (local / "lib" / "python3.11").mkdir(parents=True)
    program = script(local / "bin" / "server", "#!/bin/sh")
    assert local not in needed_by([str(program)], "/usr/bin")
    assert program in needed_by([str(program)], "/usr/bin")


def test_files_that_arguments_name_are_needed(tmp_path):
    file = script(tmp_path / "server.py", "", mode=0o644)
    assert file in needed_by(["/bin/sh", str(file), "--port=1", "/no/such/file", str(tmp_path)], "/usr/bin")
    assert tmp_path not in needed_by(["/bin/sh", str(tmp_path)], "/usr/bin")


def test_a_program_runs_in_the_environment_of_its_first_line(environment, base, tmp_path):
    def folder(program):
        return environment_folder(program, "/usr/bin")

    assert folder(environment / "bin" / "jupyterhub-singleuser") == environment / "bin"
    assert folder(environment / "bin" / "python") == environment / "bin"
    assert folder(base / "bin" / "python3") == base / "bin"
    elsewhere = tmp_path / "elsewhere" / "server"
    assert folder(script(elsewhere, f"#!{environment}/bin/python")) == environment / "bin"
    (tmp_path / "link").symlink_to("project/.venv-servers/bin/jupyterhub-singleuser")
    assert folder(tmp_path / "link") == environment / "bin"


def test_a_shell_script_runs_in_the_environment_around_it(tmp_path):
    (tmp_path / "conda" / "conda-meta").mkdir(parents=True)
    program = script(tmp_path / "conda" / "bin" / "server", "#!/bin/sh")
    assert environment_folder(program, "/usr/bin") == program.parent


@pytest.mark.parametrize("first", ["#!/bin/sh", "#!/usr/bin/python3", "#!/no/such/interpreter", "no interpreter"])
def test_a_program_of_the_system_runs_in_no_environment(tmp_path, first):
    (tmp_path / "local" / "lib" / "python3.11").mkdir(parents=True)
    assert environment_folder(script(tmp_path / "local" / "bin" / "server", first), "/usr/bin") is None
    assert environment_folder(tmp_path / "missing", "/usr/bin") is None


def test_links_in_a_circle_have_no_environment(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert environment_folder(tmp_path / "a", "/usr/bin") is None


def test_links_in_a_circle_end(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "a").symlink_to("b")
    (tmp_path / "bin" / "b").symlink_to("a")
    assert set(needed_by([str(tmp_path / "bin" / "a")], "/usr/bin")) <= {tmp_path / "bin" / n for n in "ab"}


@pytest.mark.parametrize(
    ("first", "interpreter"),
    [
        ("#!/usr/bin/python3", "/usr/bin/python3"),
        ("#! /usr/bin/python3 -I", "/usr/bin/python3"),
        ('#!/bin/sh\n\'\'\'exec\' "/a long/path/bin/python" "$0" "$@"', "/a long/path/bin/python"),
        ("#!/bin/sh\n'''exec' /long/bin/python \"$0\" \"$@\"", "/long/bin/python"),
        ("\x7fELF", None),
        ("#!/usr/bin/env no-such-program-here", None),
    ],
)
def test_the_first_lines_name_the_interpreter(tmp_path, first, interpreter):
    found = interpreter_of(script(tmp_path / "program", first), "/usr/bin")
    assert found == (interpreter and Path(interpreter))


def test_env_finds_the_interpreter_on_the_path(tmp_path):
    python = script(tmp_path / "bin" / "python3", "")
    assert interpreter_of(script(tmp_path / "a", "#!/usr/bin/env python3"), f":{tmp_path / 'bin'}") == python


# --- bubblewrap's arguments ---


class Place:
    def __init__(self, folder):
        self.data = folder / "data"
        self.home = self.data / "homes" / "u-1"
        self.home.mkdir(parents=True)
        self.settings = folder / "hubless.toml"
        self.settings.write_text("")
        self.launch = LaunchFolder(self.data / "servers" / "l1")

    def arguments(self, *, readable=(), writable=(), hidden=None, home=None, command=("/bin/sh",)):
        view = View(readable, writable, (self.data, self.settings) if hidden is None else hidden, 64 * MB)
        account = Account("alice", home or self.home, "/bin/sh", 4242, 4242)
        return file_system(view, Start(command, account, self.launch, 9, {"PATH": "/usr/bin"}))


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def last(arguments, path):
    """Return the last operation whose place is *path*."""
    places = {"--ro-bind": 2, "--ro-bind-try": 2, "--bind": 2, "--bind-try": 2, "--tmpfs": 1, "--dir": 1}
    found = [
        word
        for number, word in enumerate(arguments)
        if word in places and arguments[number + places[word]] == str(path)
    ]
    return found[-1] if found else None


def test_nothing_shows_the_data_folder_but_the_own_home(place):
    arguments = place.arguments()
    assert last(arguments, place.home) == "--bind"
    assert last(arguments, place.data) == "--dir"
    assert last(arguments, place.settings) is None


def test_what_is_shown_never_shows_the_hub(place, tmp_path):
    arguments = place.arguments(readable=(tmp_path,))
    assert last(arguments, tmp_path) == "--ro-bind-try"
    assert last(arguments, place.data) == "--tmpfs"
    assert arguments[arguments.index(str(place.settings)) - 1] == "/dev/null"
    assert arguments.index("--bind") > max(n for n, word in enumerate(arguments) if word == "--tmpfs")


def test_a_hidden_folder_that_is_named_itself_stays_hidden(place):
    arguments = place.arguments(readable=(place.data,), writable=(place.data,))
    assert last(arguments, place.data) == "--tmpfs"


def test_a_home_that_contains_the_hub_does_not_show_it(place, tmp_path):
    """A system user's home may have the hub in it."""
    arguments = place.arguments(home=tmp_path)
    assert last(arguments, place.data) == "--tmpfs"
    assert arguments.index(str(place.data)) > arguments.index("--bind")


def test_an_environment_in_a_hidden_folder_is_shown(place):
    root = place.data / "environments" / "jupyterlab-1"
    (root / "bin").mkdir(parents=True)
    (root / "pyvenv.cfg").write_text("home = /usr/bin\n")
    program = script(root / "bin" / "server", "#!/bin/sh")
    arguments = place.arguments(command=(str(program),))
    assert last(arguments, root) == "--ro-bind-try"


def test_an_environment_that_contains_the_hub_does_not_show_it(place, tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "pyvenv.cfg").write_text("home = /usr/bin\n")
    program = script(tmp_path / "bin" / "server", "#!/bin/sh")
    arguments = place.arguments(command=(str(program),))
    assert last(arguments, tmp_path) == "--ro-bind-try"
    assert last(arguments, place.data) == "--tmpfs"


def test_memory_of_every_folder_is_bounded(place, tmp_path):
    arguments = place.arguments(readable=(tmp_path,))
    for number, word in enumerate(arguments):
        if word == "--tmpfs":
            assert arguments[number - 2] == "--size"


def test_later_folders_can_be_entered_by_all(place):
    arguments = place.arguments()
    for number, word in enumerate(arguments):
        if word == "--dir":
            assert arguments[number - 2 : number] == ["--perms", "0755"]


# --- users and groups ---


@pytest.mark.parametrize("name", ["alice", "a:b/c d\n", "ann@example.org"])
def test_a_server_finds_its_own_user_by_its_uid(tmp_path, name):
    users, groups = tmp_path / "passwd", tmp_path / "group"
    account = Account(name, tmp_path, "/bin/sh", 2_100_000_000, 2_100_000_000)
    user_database.write(account, users, groups)
    first = users.read_text().splitlines()[0].split(":")
    assert first[1:] == ["x", "2100000000", "2100000000", "", str(tmp_path), "/bin/sh"]
    assert all(line.count(":") == 6 for line in users.read_text().splitlines())
    assert [line.split(":")[2] for line in groups.read_text().splitlines()].count("2100000000") == 1


def test_a_sandbox_learns_no_names_of_other_people(tmp_path):
    users, groups = tmp_path / "passwd", tmp_path / "group"
    user_database.write(Account("alice", tmp_path, "/bin/sh"), users, groups)
    ids = [int(line.split(":")[2]) for line in users.read_text().splitlines()]
    assert {number for number in ids if number >= 1000} <= {os.geteuid(), user_database.NOBODY}
