"""`hubless user import`, and `hubless user add` for several users, on a store of their own."""

import csv
import json
import stat
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from embedded import people_commands
from embedded.cli import main
from hubless.bootstrap import machine
from hubless.domain.audit import AuditQuery
from hubless.domain.errors import StoreUnavailableError
from hubless.settings import parse

CLASS = """Name;Vorname;E-Mail;Klasse
Müller;Anna;anna@school.example;10b
Schmidt;Bert;bert at home;10b"""


class Shell:
    def __init__(self, folder: Path) -> None:
        self.folder, self.settings = folder, folder / "hubless.toml"
        self.settings.touch()

    def run(self, *words: str, typed: str | bytes | None = None) -> Result:
        where = ["--data", str(self.folder / "data"), "--settings", str(self.settings)]
        return CliRunner().invoke(main, [*words, *where], input=typed)

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Return the groups of each user, by name."""
        hub = machine.build(parse(self.settings.read_text(), self.folder / "data", {}))
        return {user.name: user.groups for user in hub.accounts.all()}

    def write(self, text: str, encoding: str = "utf-8") -> str:
        file = self.folder / "class.csv"
        file.write_text(text, encoding)
        return str(file)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_a_file_is_imported_and_its_links_are_printed(shell: Shell) -> None:
    answer = shell.run("user", "import", shell.write(CLASS, "cp1252"), "--group", "physics")

    assert answer.exit_code == 1
    name, link = answer.stdout.strip().split("\t")
    assert name == "anna.mueller"
    assert link.startswith("http://127.0.0.1:8000/hub/set-password?key=")
    assert "anna.mueller: is added, in 10b, physics" in answer.stderr
    assert "line 3: This is no e-mail address of the form name@example.org" in answer.stderr
    assert "open on this computer alone" in answer.stderr
    assert shell.groups() == {"anna.mueller": ("10b", "physics")}


def test_links_go_to_a_new_private_file(shell: Shell) -> None:
    file = shell.folder / "links.csv"

    answer = shell.run("user", "import", "-", "--links", str(file), typed="anna\nbert")

    assert answer.exit_code == 0
    assert answer.stdout == ""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rows = list(csv.DictReader(file.read_text("utf-8-sig").splitlines()))
    assert [row["username"] for row in rows] == ["anna", "bert"]
    again = shell.run("user", "import", "-", "--links", str(file), typed="carl")
    assert again.exit_code == 1
    assert "exists. Name a new one" in again.stderr
    assert set(shell.groups()) == {"anna", "bert"}


def test_no_file_of_links_stays_when_nobody_was_added(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    file = shell.folder / "links.csv"

    def fail(*_: object) -> None:
        raise StoreUnavailableError

    monkeypatch.setattr("hubless.adapters.sqlite.passwords.SqlitePasswordStore.add_link", fail)

    assert shell.run("user", "import", "-", "--links", str(file), typed="anna").exit_code == 1
    assert not file.exists()
    unwritable = shell.run("user", "import", "-", "--links", str(shell.folder / "no" / "file"), typed="anna")
    assert "cannot be written" in unwritable.stderr


def test_who_was_added_is_recorded(shell: Shell) -> None:
    shell.run("user", "import", "-", "--group", "physics", typed="anna")
    hub = machine.build(parse(shell.settings.read_text(), shell.folder / "data", {}))
    now = hub.clock.now()
    found = hub.audit_log.page(AuditQuery(now - timedelta(hours=1), now + timedelta(hours=1)), limit=9).records
    assert {(one.act.value, one.by.kind.value, one.on) for one in found} >= {
        ("user-added", "operator", "anna"),
        ("password-link-made", "operator", "anna"),
    }


def test_a_dry_run_adds_nobody(shell: Shell) -> None:
    answer = shell.run("user", "import", shell.write(CLASS), "--dry-run")

    assert answer.exit_code == 1
    assert "anna.mueller: would be added, in 10b" in answer.stderr
    assert shell.groups() == {}


def test_columns_without_titles_are_to_be_named(shell: Shell) -> None:
    file = shell.write("Müller\tAnna\t10b\nSchmidt\tBert\t10b")

    asked = shell.run("user", "import", file)

    assert asked.exit_code == 1
    assert "say so with --columns last,first,-" in asked.stderr
    assert "must name 3 columns" in shell.run("user", "import", file, "--columns", "last,first").stderr
    assert "'x' is none of" in shell.run("user", "import", file, "--columns", "last,first,x").output
    assert shell.groups() == {}
    assert shell.run("user", "import", file, "--columns", "last, first, group", "--no-links").exit_code == 0
    assert shell.groups() == {"anna.mueller": ("10b",), "bert.schmidt": ("10b",)}


def test_who_is_here_gets_a_link_only_if_asked(shell: Shell) -> None:
    shell.run("user", "add", "anna")
    without = shell.run("user", "import", "-", typed="Anna")
    assert (without.stdout, without.exit_code) == ("", 0)
    assert "anna: is here already" in without.stderr
    assert shell.run("user", "import", "-", "--all-links", typed="Anna").stdout.startswith("anna\thttp://")
    assert shell.run("user", "import", "-", "--no-links", "--all-links", typed="Anna").exit_code == 2


def test_several_users_are_added_with_a_group_and_links(shell: Shell) -> None:
    answer = shell.run("user", "add", " ANNA ", "bert", "--group", "physics", "--links")

    assert answer.exit_code == 0
    assert [line.split("\t")[0] for line in answer.stdout.splitlines()] == ["anna", "bert"]
    assert shell.groups() == {"anna": ("physics",), "bert": ("physics",)}
    assert shell.run("user", "add", "carl", "dora").stdout == ""
    assert shell.run("user", "add", "emil", "a/b").exit_code == 1
    assert set(shell.groups()) == {"anna", "bert", "carl", "dora", "emil"}
    assert shell.run("user", "add", "x", "y", "--password-stdin", typed="p").exit_code == 2


def test_a_name_is_taken_as_people_type_it(shell: Shell) -> None:
    assert shell.run("user", "add", " Anna ").exit_code == 0
    assert "Send anna this link" in shell.run("user", "passwd", "ANNA ").output
    assert set(shell.groups()) == {"anna"}


def test_links_carry_the_address_of_the_hub_that_runs(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    running = {"url": "http://127.0.0.1:9000", "host": "0.0.0.0"}
    monkeypatch.setattr(people_commands.data_folder, "running_hub", lambda _: running)
    monkeypatch.setattr("hubless.bootstrap.machine.MachineHub.network_addresses", lambda _: ["192.0.2.7"])

    answer = shell.run("user", "add", "anna", "--links")

    assert answer.stdout.startswith("anna\thttp://192.0.2.7:9000/hub/set-password?key=")
    assert "alone" not in answer.stderr


def test_the_public_address_stands_in_links(shell: Shell) -> None:
    shell.settings.write_text('[hub]\npublic_url = "https://hub.example.org"\n')
    answer = shell.run("user", "add", "anna", "--links")
    assert answer.stdout.startswith("anna\thttps://hub.example.org/hub/set-password?key=")
    assert "alone" not in answer.stderr


def test_join_links_are_made_listed_and_ended(shell: Shell) -> None:
    shell.run("user", "add", "anna")
    made = shell.run("join-link", "add", "--group", "physics", "--places", "2", "--days", "1", "--approval")
    code, link = made.stdout.strip().split("\t")
    assert link == f"http://127.0.0.1:8000/hub/sign-up?code={code}"
    assert "open on this computer alone" in made.stderr
    (one,) = json.loads(shell.run("join-link", "list", "--json").stdout)
    assert (one["code"], one["group"], one["places"], one["needs_approval"]) == (code, "physics", 2, True)
    assert f"{code}  0 of 2 places" in shell.run("join-link", "list").stdout
    assert shell.run("join-link", "add", "--places", "1001").exit_code == 1
    assert "has ended" in shell.run("join-link", "remove", code.upper().replace("-", " ")).stdout
    assert shell.run("join-link", "remove", code).exit_code == 1
    assert shell.run("join-link", "list").stdout == ""


def test_a_hub_without_passwords_has_no_join_links(shell: Shell) -> None:
    shell.settings.write_text('[login]\nkind = "shared-password"\npassword = "a long password"\n')
    shell.run("user", "add", "anna")
    assert "Nobody signs up" in shell.run("join-link", "add").stderr


def test_names_that_nobody_can_log_in_with_are_mended(shell: Shell) -> None:
    shell.run("user", "add", "anna")
    hub = machine.build(parse(shell.settings.read_text(), shell.folder / "data", {}))
    anna = hub.accounts.find("anna")
    hub.users.change(anna, replace(anna, name=" Anna", revision=anna.revision + 1))
    asked = shell.run("user", "check-names")
    assert (asked.exit_code, "--mend renames ' Anna' to 'anna'" in asked.stdout) == (1, True)
    assert "Renamed ' Anna' to 'anna'." in shell.run("user", "check-names", "--mend").stdout
    assert shell.run("user", "check-names").output == ""
    assert set(shell.groups()) == {"anna"}
