"""`hubless export` and `hubless import` between hubs on this machine, without starting one."""

import os
import pwd
import stat
import subprocess
import tomllib
from dataclasses import replace

import pytest
from click.testing import CliRunner

from embedded import data_folder, moving
from embedded.cli import main
from hubless.adapters import archive_file
from hubless.bootstrap import machine
from hubless.domain.archive import Archive, ArchivedRole, ArchivedUser
from hubless.domain.import_names import rename_option
from hubless.settings import parse
from tests.support.builders import NOW
from tests.support.moving import a_hub, records_of, with_user


class Shell:
    """A hub in a folder of its own."""

    def __init__(self, folder):
        folder.mkdir()
        self.data, self.settings = folder / "data", folder / "hubless.toml"
        self.settings.write_text("[login]\nauth_state = true\n")

    def run(self, *words):
        where = ["--data", str(self.data), "--settings", str(self.settings)]
        return CliRunner().invoke(main, [*map(str, words), *where])

    def hub(self):
        return machine.build(parse(self.settings.read_text(), self.data))


@pytest.fixture
def here(tmp_path):
    return Shell(tmp_path / "here")


@pytest.fixture
def there(tmp_path):
    return Shell(tmp_path / "there")


@pytest.fixture
def archive(tmp_path):
    archive_file.write(a_hub(), tmp_path / "old.jsonl", NOW)
    return tmp_path / "old.jsonl"


def test_a_hub_moves_to_another_and_back(here, there, archive, tmp_path):
    assert there.run("import", archive, "--yes").exit_code == 0
    assert there.run("export", tmp_path / "new.jsonl").exit_code == 0
    assert here.run("import", tmp_path / "new.jsonl", "--yes").exit_code == 0
    found = here.hub().exporting.read("here")
    assert records_of(found)["users"] == records_of(a_hub())["users"]
    assert records_of(found)["tokens"] == records_of(a_hub())["tokens"]


def test_a_server_whose_last_choice_is_none_here_starts_after_the_import(here, tmp_path):
    """The report names the choice; the next start takes the profile of this hub."""
    small = a_hub()
    archive_file.write(small, tmp_path / "old.jsonl", NOW)
    chosen = replace(small.servers[1], user_options={"profile": "big"})
    archive_file.write(replace(small, servers=(small.servers[0], chosen)), tmp_path / "old.jsonl", NOW)
    answer = here.run("import", tmp_path / "old.jsonl", "--yes")
    assert answer.exit_code == 0, answer.output
    assert "- server bob/work: comes without its last choice of profile (No such profile: 'big'" in answer.output
    hub = here.hub()
    asked = hub.spawning.start(hub.users.find("bob"), "work")
    assert asked.profile == next(iter(hub.profiles))


def test_a_report_says_what_would_be_done_and_does_nothing(here, archive):
    here.run("user", "add", "own")
    answer = here.run("import", archive, "--report")
    assert answer.exit_code == 0
    assert "user                   3        0" in answer.output
    assert "Becomes an admin: ada." in answer.output
    assert [user.name for user in here.hub().accounts.all()] == ["own"]


def test_no_secret_is_in_a_report(here, archive, tmp_path):
    full = tmp_path / "report.txt"
    answer = here.run("import", archive, "--yes", "--report-file", full)
    here.hub().passwords.set(here.hub().users.find("bob").id, "$argon2id$own")
    archive_file.write(with_user(a_hub(), "bob", password_hash=f"$2b$12${'.' * 53}"), archive, NOW)
    again = here.run("import", archive, "--yes")
    told = answer.output + again.output + full.read_text()
    assert "password bob: was changed there" in told
    secrets = ["$argon2", "$2b$", "upstream", "S4L5DG3MC4OZV5H5", "hash-1", *(one.hashed for one in a_hub().tokens)]
    assert [secret for secret in secrets if secret in told] == []


@pytest.mark.parametrize("was_there", [False, True])
def test_a_report_in_a_file_is_its_owners_alone(here, archive, tmp_path, was_there):
    full = tmp_path / "report.txt"
    if was_there:
        full.write_text("old", encoding="utf-8")
        full.chmod(0o644)
    here.run("import", archive, "--report", "--report-file", full)
    assert full.read_text(encoding="utf-8").startswith("From ")
    assert stat.S_IMODE(full.stat().st_mode) == 0o600


def test_a_report_names_services_that_become_admins(here, tmp_path):
    source = replace(a_hub(), services=(replace(a_hub().services[0], admin=True),))
    archive_file.write(source, tmp_path / "old.jsonl", NOW)
    assert "Becomes an admin, as a service: dash." in here.run("import", tmp_path / "old.jsonl", "--report").output


def test_an_archive_is_its_owners_alone_and_says_what_it_opens(here, archive, tmp_path):
    here.run("import", archive, "--yes")
    answer = here.run("export", tmp_path / "new.jsonl")
    assert "opens every account" in answer.output
    assert stat.S_IMODE((tmp_path / "new.jsonl").stat().st_mode) == 0o600
    plain = here.run("export", tmp_path / "plain.jsonl", "--without-secrets")
    assert "opens every account" not in plain.output
    text = (tmp_path / "plain.jsonl").read_text()
    assert "ada" in text
    assert [word for word in ("$argon2", "$2b$", "upstream", "S4L5", "hashed", "hash-1") if word in text] == []


def test_without_yes_nobody_who_cannot_be_asked_imports(here, archive):
    answer = here.run("import", archive)
    assert answer.exit_code == 1
    assert "Add --yes" in answer.output
    assert list(here.hub().accounts.all()) == []


def test_a_long_import_is_refused_beside_a_hub_that_runs(here, archive, monkeypatch):
    here.run("user", "add", "own")
    monkeypatch.setattr(moving, "MOST_BESIDE_A_HUB", 5)
    lock = data_folder.lock(here.data)
    try:
        answer = here.run("import", archive, "--yes")
    finally:
        lock.release()
    assert answer.exit_code == 1
    assert "Stop the hub" in answer.output
    assert [user.name for user in here.hub().accounts.all()] == ["own"]
    assert here.run("import", archive, "--yes").exit_code == 0


def test_who_was_here_before_is_joined_by_name_or_gets_another_one(here, archive):
    here.run("user", "add", "bob")
    told = here.run("import", archive, "--yes").output
    assert "left out: user bob: has the name of a user who was here before the import" in told
    assert here.hub().passwords.get(here.hub().users.find("bob").id) is None
    assert here.run("import", archive, "--yes", "--join", "bob").exit_code == 0
    assert here.hub().passwords.get(here.hub().users.find("bob").id) is not None
    assert "nothing to import" in here.run("import", archive, "--yes").output


def test_a_new_name_is_remembered_and_another_one_refused(here, archive):
    here.run("user", "add", "bob")
    assert here.run("import", archive, "--yes", "--rename", "bob=bob2").exit_code == 0
    assert "nothing to import" in here.run("import", archive, "--yes").output
    refused = here.run("import", archive, "--yes", "--rename", "bob=bob3")
    assert refused.exit_code == 1
    assert "'bob3', and the user became 'bob2' here" in refused.output
    assert {user.name for user in here.hub().accounts.all()} == {"ada", "bob", "bob2", "eve"}


def test_the_settings_admin_whom_nobody_used_is_the_admin_of_there(here, archive):
    here.settings.write_text('[login]\nadmins = ["ada"]\n')
    answer = here.run("import", archive, "--yes")
    assert "user ada: A user of this name is here" in answer.output
    assert here.hub().passwords.get(here.hub().users.find("ada").id) is not None


def test_what_is_gone_there_is_named_and_removed_if_asked(here, archive):
    here.run("import", archive, "--yes")
    left = a_hub()
    archive_file.write(Archive("there", users=(left.users[0], left.users[2])), archive, NOW)
    assert "stays here: user bob." in here.run("import", archive, "--yes").output
    assert here.hub().users.find("bob") is not None
    assert here.run("import", archive, "--yes", "--delete").exit_code == 0
    assert here.hub().users.find("bob") is None


@pytest.fixture
def old_home(tmp_path):
    """The home of bob at the old hub."""
    home = tmp_path / "old home" / "jupyter-bob"
    home.mkdir(parents=True)
    (home / "n.ipynb").write_text("{}")
    return home


class TestHomes:
    @staticmethod
    def lines(here, old_home, *words):
        answer = here.run(*words, old_home.parent / "jupyter-{username}")
        assert answer.exit_code == 0, answer.output
        return answer.output.splitlines()

    def test_a_home_is_named_with_the_command_that_brings_it(self, here, archive, old_home):
        lines = self.lines(here, old_home, "import", archive, "--yes", "--homes")
        bob = here.hub().users.find("bob")
        assert f"rsync -a '{old_home}/' {here.data}/homes/{bob.id}/" in lines
        assert "# bob: less than 1 MiB" in lines
        assert any(line.startswith("1 of 3 users") for line in lines)
        assert "Without such a folder: ada, eve." in lines
        assert "{username}" in here.run("import", archive, "--yes", "--homes", "/home").output

    def test_a_report_before_the_import_names_no_folder_of_no_hub(self, here, archive, old_home):
        lines = self.lines(here, old_home, "import", archive, "--report", "--homes")
        assert [line for line in lines if line.startswith("rsync")] == []
        assert "Users who are not here yet get no command: 3. Import first." in lines

    def test_files_of_others_are_given_to_a_hub_without_root(self, here, archive, old_home, monkeypatch):
        here.run("import", archive, "--yes")
        bob = here.hub().users.find("bob")
        monkeypatch.setattr(os, "geteuid", lambda: old_home.stat().st_uid + 1)
        lines = self.lines(here, old_home, "import", archive, "--yes", "--homes")
        owner = f"--chown={old_home.stat().st_uid + 1}:{os.getegid()}"
        assert f"rsync -a {owner} '{old_home}/' {here.data}/homes/{bob.id}/" in lines
        assert any(line.startswith("Run the commands as root") for line in lines)

    @pytest.mark.parametrize("is_the_same", [True, False])
    def test_system_users_keep_their_homes(self, here, archive, old_home, monkeypatch, is_the_same):
        here.run("import", archive, "--yes")
        home = old_home if is_the_same else old_home.parent / "new"
        entry = pwd.struct_passwd(("bob", "x", 1234, 2345, "", str(home), "/bin/sh"))
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        monkeypatch.setattr(pwd, "getpwnam", {"bob": entry}.__getitem__)
        lines = self.lines(here, old_home, "import", archive, "--yes", "--homes")
        if is_the_same:
            assert f"# bob: nothing to copy, because servers run as this system user in {home}" in lines
        else:
            assert f"rsync -a --chown=1234:2345 '{old_home}/' '{home}/'" in lines

    def test_the_way_back_gives_the_files_to_whom_they_belonged(self, here, archive, old_home):
        here.run("import", archive, "--yes")
        bob = here.hub().users.find("bob")
        assert "# bob: no files here" in self.lines(here, old_home, "import", archive, "--report", "--homes-back")
        new = here.data / "homes" / bob.id
        new.mkdir(parents=True)
        lines = self.lines(here, old_home, "import", archive, "--report", "--homes-back")
        owner = f"--chown={old_home.stat().st_uid}:{old_home.stat().st_gid}"
        assert f"rsync -a {owner} {new}/ '{old_home}/'" in lines

    def test_a_long_name_has_the_folder_of_the_littlest_jupyterhub(self, here, tmp_path, old_home):
        name = "maria.gonzalez-perez"  # with its beginning, as long as a name is cut from
        archive_file.write(Archive("there", users=(ArchivedUser(name),)), tmp_path / "tljh.jsonl", NOW)
        old_home.with_name("jupyter-maria.gonzalez-per-69ae6").mkdir()
        lines = self.lines(here, old_home, "import", tmp_path / "tljh.jsonl", "--yes", "--homes")
        assert any("jupyter-maria.gonzalez-per-69ae6/" in line for line in lines if line.startswith("rsync")), lines


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--rename", "bob"], "OLD=NEW"),
        (["--rename", "bob=rob", "--rename", "bob=bert"], "names 'bob' twice"),
        (["--report", "--yes"], "exclude each other"),
        (["--since", "yesterday"], "does not match"),
        (["--config", __file__], "--config needs --write-settings"),
        (["--write-settings", "new.toml", "--run-config"], "--run-config needs --config"),
    ],
)
def test_a_call_that_makes_no_sense_is_a_usage_error(here, archive, words, what):
    answer = here.run("import", archive, *words)
    assert answer.exit_code == 2
    assert what in answer.output


def test_a_source_that_cannot_be_read_is_refused_in_a_sentence(here, tmp_path):
    answer = here.run("import", tmp_path / "none.jsonl", "--yes")
    assert answer.exit_code == 1
    assert "cannot be read" in answer.output
    assert here.run("export", tmp_path / "archive").exit_code == 2


def test_a_report_shows_no_control_characters(here, tmp_path):
    nasty = Archive("there", users=(ArchivedUser("a\u001b[2Jb"),))
    archive_file.write(nasty, tmp_path / "old.jsonl", NOW)
    answer = here.run("import", tmp_path / "old.jsonl", "--report")
    assert "\u001b" not in answer.output
    assert "control character" in answer.output


def test_a_report_makes_no_hub(here, archive):
    assert "user                   3        0" in here.run("import", archive, "--report").output
    assert not here.data.exists()


def test_roles_that_the_settings_lack_are_written_to_a_file(here, archive, tmp_path):
    source = replace(
        a_hub(), roles=(ArchivedRole("user", ("self",)), ArchivedRole("grader", ("list:users",), users=("bob",)))
    )
    archive_file.write(source, archive, NOW)
    answer = here.run("import", archive, "--report", "--write-settings", tmp_path / "moved.toml")
    assert "these are missing: grader. Whoever has" in answer.output
    written = tomllib.loads((tmp_path / "moved.toml").read_text())
    assert [role["name"] for role in written["roles"]] == ["grader"]
    assert [service["name"] for service in written["services"]] == ["dash"]
    here.settings.write_text('[[roles]]\nname = "grader"\n')
    assert "Roles are settings here" not in here.run("import", archive, "--report").output
    again = here.run("import", archive, "--report", "--write-settings", tmp_path / "moved.toml")
    assert again.exit_code == 1
    assert "exists already" in again.output


def test_a_report_says_once_what_many_have_to_do(here, archive):
    here.settings.write_text("")
    many = tuple(ArchivedUser(f"many-{number:02}", auth_state={"n": number}) for number in range(30))
    archive_file.write(replace(a_hub(), users=(*a_hub().users, *many)), archive, NOW)
    said = [line for line in here.run("import", archive, "--report").output.splitlines() if "many-" in line]
    assert len(said) == 1
    assert "and 11 more: is not kept" in said[0]


def test_services_are_written_as_settings_and_the_report_says_what_is_left(here, archive, tmp_path):
    file, full = tmp_path / "new.toml", tmp_path / "report.txt"
    answer = here.run("import", archive, "--report", "--write-settings", file, "--report-file", full)
    assert answer.exit_code == 0
    (service,) = parse(file.read_text(), here.data, {"DASH_TOKEN": "x" * 32}).services
    assert (service.name, service.url) == ("dash", "http://127.0.0.1:9000")
    for told in (answer.output, full.read_text()):
        assert f"Wrote the roles and services to {file}" in told
        assert "Set the variable DASH_TOKEN" in told
        assert "or import again" in told


def test_settings_of_the_old_hub_come_into_the_same_file(here, archive, tmp_path):
    config, file = tmp_path / "config.yaml", tmp_path / "new.toml"
    config.write_text("users: {admin: [ada]}\nhttp: {port: 8099}\n")
    answer = here.run("import", archive, "--report", "--write-settings", file, "--config", config)
    assert "settings of config.yaml, and roles and services" in answer.output
    made = parse(file.read_text(), here.data, {"DASH_TOKEN": "x" * 32})
    assert (made.hub.port, made.login.admins, made.services[0].name) == (8099, ("ada",), "dash")


def test_an_old_program_runs_for_an_import_only_when_asked(here, archive, tmp_path):
    config, file = tmp_path / "jupyterhub_config.py", tmp_path / "new.toml"
    config.write_text("c.JupyterHub.port = 8099\n")
    words = ["import", archive, "--yes", "--write-settings", file, "--config", config]
    refused = here.run(*words)
    assert refused.exit_code == 1
    assert "add --run-config" in refused.output
    assert not file.exists()
    assert list(here.hub().accounts.all()) == []
    assert here.run(*words, "--run-config").exit_code == 0
    assert parse(file.read_text(), here.data, {"DASH_TOKEN": "x" * 32}).hub.port == 8099


def test_settings_go_over_no_other_file_and_nothing_is_imported_then(here, archive, tmp_path):
    file = tmp_path / "new.toml"
    file.write_text("mine")
    answer = here.run("import", archive, "--yes", "--write-settings", file)
    assert answer.exit_code == 1
    assert "exists already" in answer.output
    assert file.read_text() == "mine"
    assert list(here.hub().accounts.all()) == []


def test_a_service_of_the_settings_is_not_written_again(here, archive, tmp_path):
    here.settings.write_text('[[services]]\nname = "dash"\n')
    assert here.run("import", archive, "--report", "--write-settings", tmp_path / "new.toml").exit_code == 0
    assert "services" not in tomllib.loads((tmp_path / "new.toml").read_text())


def test_a_report_that_leaves_everything_out_claims_nothing_else(tmp_path, here):
    archive_file.write(Archive("x", users=(ArchivedUser("a/b"),)), tmp_path / "one.jsonl", NOW)
    assert (
        "There is nothing to import: what is not left out is here already."
        in here.run("import", tmp_path / "one.jsonl", "--yes").output
    )


@pytest.mark.parametrize("name", ["a/b", "o'brien", "a\u200bb", "a'\\\u200bb", "a\tb", "\U000e0041x"])
def test_a_shell_takes_the_option_that_a_report_names(name):
    words = ["/bin/bash", "-c", f"printf %s {rename_option(name)}"]
    said = subprocess.run(words, capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"})
    assert said.stdout.decode() == f"--rename{name}=NEW"
