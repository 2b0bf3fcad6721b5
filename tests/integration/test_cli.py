"""The command line, on a store of its own and without starting a hub."""

import contextlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from embedded import data_folder
from embedded.cli import main
from hubless.bootstrap import machine
from hubless.bootstrap.machine import MachineHub
from hubless.domain.metering import Metering
from hubless.domain.second_factors import AuthenticatorApp, Factors
from hubless.domain.usage import Usage
from hubless.settings import parse
from hubless.settings.installed import installed_version
from tests.doubles.smtp import smtp_double
from tests.support.free_port import free_port


class Shell:
    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.settings = folder / "hubless.toml"
        self.settings.touch()

    def run(self, *words: str, typed: str | None = None) -> Result:
        where = ["--data", str(self.data), "--settings", str(self.settings)]
        return CliRunner().invoke(main, [*words, *where], input=typed)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_an_lms_registers_itself_with_a_link(shell: Shell) -> None:
    shell.run("user", "add", "ada")

    answer = shell.run("lti", "register")

    assert answer.exit_code == 0
    assert answer.output.startswith("http://127.0.0.1:8000/hub/lti/register?key=")
    assert shell.run("lti", "list").output == ""
    assert "does not exist" in shell.run("lti", "remove", "moodle").output


def test_the_hubs_key_for_an_lms_is_rotated(shell: Shell) -> None:
    shell.run("user", "add", "ada")
    shell.run("lti", "rotate-key")

    answer = shell.run("lti", "rotate-key")

    assert "signs from tomorrow on" in answer.output
    assert "signs now" in shell.run("lti", "rotate-key", "--discard").output


def test_a_course_that_nobody_has_opened_has_no_roster(shell: Shell) -> None:
    shell.run("user", "add", "ada")

    answer = shell.run("lti", "roster", "bio-101")

    assert answer.exit_code == 1
    assert "bio-101" in answer.output


LMS = """
[hub]
public_url = "{url}"
[[lti_platforms]]
name = "school"
issuer = "https://lms.example.org"
client_id = "1"
authorization_url = "http://127.0.0.1:9/auth"
token_url = "http://127.0.0.1:9/token"
key_set_url = "http://127.0.0.1:9/keys"
"""


def test_an_lms_whose_keys_are_not_there_is_told_beforehand(shell: Shell) -> None:
    shell.settings.write_text(LMS.format(url="https://hub.example.org"))

    answer = shell.run("check")

    assert answer.exit_code == 1
    assert "lti_platforms.school: 127.0.0.1:9 gave no answer to GET /keys" in answer.output


def test_an_lms_needs_the_hub_at_an_https_address(shell: Shell) -> None:
    shell.settings.write_text(LMS.format(url="http://hub.example.org"))

    assert "LTI needs https" in shell.run("check").output


def test_a_new_user_gets_a_link_to_choose_a_password(shell: Shell) -> None:
    answer = shell.run("user", "add", "ada")

    assert answer.exit_code == 0
    assert "http://127.0.0.1:8000/hub/set-password?key=" in answer.output


def test_nobody_becomes_an_admin_unasked(shell: Shell) -> None:
    shell.run("user", "add", "bob", "--password-stdin", typed="correct horse\n")
    token = shell.run("token", "bob").output.strip()

    refused = shell.run("admin", "bob")

    assert refused.exit_code == 1
    assert "Add --promote" in refused.stderr
    assert shell.run("user", "list").output.split()[1] != "admin"
    assert shell.run("admin", "bob", "--promote", "--revoke").exit_code == 0
    assert shell.run("user", "list").output.split()[1] == "admin"
    with machine_hub(shell) as hub:
        assert hub.identities.of_token(token) is None
    assert shell.run("admin", "bob").output == "bob is an admin and keeps the password.\n"


def test_the_logins_of_who_is_an_admin_already_end_too(shell: Shell) -> None:
    shell.run("admin", "bob")
    token = shell.run("token", "bob").output.strip()

    answer = shell.run("admin", "bob", "--revoke")

    assert answer.output.startswith("The sessions, API tokens and links of bob have ended.\nbob is an admin.\n")
    with machine_hub(shell) as hub:
        assert hub.identities.of_token(token) is None


def test_a_password_may_keep_sessions_and_revoke_tokens(shell: Shell) -> None:
    shell.run("user", "add", "bob", "--password-stdin", typed="correct horse\n")
    token = shell.run("token", "bob").output.strip()

    assert shell.run("user", "passwd", "bob", "--revoke-tokens").exit_code == 2
    shell.run("user", "passwd", "bob", "--password-stdin", typed="battery staple\n")
    with machine_hub(shell) as hub:
        assert hub.identities.of_token(token)
    shell.run("user", "passwd", "bob", "--password-stdin", "--revoke-tokens", typed="battery staple\n")
    with machine_hub(shell) as hub:
        assert hub.identities.of_token(token) is None


@contextlib.contextmanager
def machine_hub(shell: Shell) -> Iterator[MachineHub]:
    hub = machine.build(parse("", shell.data))
    yield hub
    hub._database.close()


def test_admin_creates_or_promotes_a_user_and_prints_a_first_link(shell: Shell) -> None:
    shell.run("user", "add", "bob", "--password-stdin", typed="correct horse\n")

    new, found = shell.run("admin", "ada"), shell.run("admin", "bob", "--promote")

    assert "ada is an admin.\n" in new.output
    assert "http://127.0.0.1:8000/hub/set-password?key=" in new.output
    assert found.output == "bob is an admin and keeps the password.\n"
    assert [line.split()[:2] for line in shell.run("user", "list").output.splitlines()] == [
        ["ada", "admin"],
        ["bob", "admin"],
    ]


def test_a_password_may_come_from_standard_input(shell: Shell) -> None:
    answer = shell.run("user", "add", "ada", "--password-stdin", typed="correct horse\n")

    assert answer.output == "The password of ada is set.\n"


def test_a_password_that_is_too_short_is_refused(shell: Shell) -> None:
    shell.run("user", "add", "ada")

    answer = shell.run("user", "passwd", "ada", "--password-stdin", typed="short\n")

    assert answer.exit_code == 1
    assert answer.stderr == "hubless: Choose a password of at least 8 characters\n"


def test_users_are_listed_and_removed(shell: Shell) -> None:
    shell.run("user", "add", "ada", "--admin")
    shell.run("user", "add", "bob")

    shell.run("user", "remove", "bob")

    lines = shell.run("user", "list").output.splitlines()
    assert [line.split()[:2] for line in lines] == [["ada", "admin"]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("user", "add", "ada"), "User ada already exists. For a new password run `hubless user passwd`."),
        (("user", "add", "a/b"), "Invalid username: 'a/b' has a slash"),
        (("user", "remove", "nobody"), "User 'nobody' does not exist"),
        (("user", "passwd", "nobody"), "User 'nobody' does not exist"),
        (("token", "nobody"), "User 'nobody' does not exist"),
        (("token", "ada", "--expires-in", "soon"), '--expires-in is "soon", but it must be a duration such as'),
        (("token", "ada", "--scope", "fly"), "No such scope: 'fly'"),
    ],
)
def test_an_error_is_one_sentence_and_exit_code_1(shell: Shell, words: tuple[str, ...], said: str) -> None:
    shell.run("user", "add", "ada")

    answer = shell.run(*words)

    assert answer.exit_code == 1
    assert answer.stderr.startswith(f"hubless: {said}")
    assert answer.stdout == ""


def test_a_token_is_all_that_is_printed(shell: Shell) -> None:
    shell.run("user", "add", "ada")

    answer = shell.run("token", "ada", "--note", "for a script", "--expires-in", "8h", "--scope", "self")

    assert answer.exit_code == 0
    assert len(answer.stdout.split()) == 1
    assert len(answer.stdout.strip()) >= 32


@pytest.mark.parametrize("words", [("user", "list"), ("token", "ada")])
def test_a_folder_without_a_hub_is_named_and_not_created(shell: Shell, words: tuple[str, ...]) -> None:
    answer = shell.run(*words)

    assert answer.exit_code == 1
    assert "There is no hub in" in answer.stderr
    assert not shell.data.exists()


def test_status_says_that_no_hub_runs(shell: Shell) -> None:
    answer = shell.run("status")

    assert answer.exit_code == 3
    assert answer.output.startswith("No hub runs in ")


def test_status_describes_a_running_hub(shell: Shell) -> None:
    shell.run("user", "add", "ada")
    held = data_folder.lock(shell.data)
    held.write_facts({"pid": 4711, "url": "http://127.0.0.1:1234", "version": "0.0.1"})

    answer = shell.run("status")

    held.release()
    assert answer.exit_code == 0
    assert "http://127.0.0.1:1234" in answer.output
    assert "0 ready, 0 starting or stopping" in answer.output
    assert "0 messages" in answer.output
    assert "no report yet" in answer.output
    assert "isolation not known yet" in answer.output
    assert f"version   0.0.1 runs, and {installed_version()} is installed: restart the hub\n" in answer.output


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        ("sandbox", "", "isolation sandbox. "),
        ("accounts", "", "isolation accounts. "),
        ("none", "", "only the first user may start servers"),
        ("none", "[servers]\nisolation = 'none'\n", "become its admin"),
    ],
)
def test_status_names_the_isolation(shell: Shell, kind: str, settings: str, said: str) -> None:
    shell.settings.write_text(settings)
    shell.run("user", "add", "ada")
    held = data_folder.lock(shell.data)
    held.write_facts({"isolation": kind})

    answer = shell.run("status")

    held.release()
    assert said in answer.output
    assert ("only the first user" in answer.output) == ("only the first user" in said)


@pytest.mark.parametrize(("uid", "said"), [(0, True), (1234, False)])
def test_status_tells_the_isolation_of_who_runs_the_hub(shell: Shell, uid: int, said: bool) -> None:
    shell.run("user", "add", "ada")
    held = data_folder.lock(shell.data)
    held.write_facts({"isolation": "sandbox", "uid": uid})

    answer = shell.run("status")

    held.release()
    assert ("each owner has a user id of their own" in answer.output) is said


def test_a_wrong_setting_is_one_sentence(shell: Shell) -> None:
    shell.settings.write_text("[server]\n")

    answer = shell.run("check")

    assert answer.exit_code == 1
    assert answer.stderr.endswith("[server] is not a section; did you mean [servers]?\n")


def test_check_finds_a_scope_that_does_not_exist(shell: Shell) -> None:
    shell.settings.write_text('[[roles]]\nname = "pilots"\nscopes = ["fly"]\n')

    assert "roles.pilots.scopes: No such scope: 'fly'" in shell.run("check").stderr


def test_check_tries_the_mail_server_and_the_admins_password(shell: Shell) -> None:
    mail = f'[mail]\nkind = "smtp"\nsender = "hub@example.org"\nhost = "localhost"\nport = {free_port()}\n'
    shell.settings.write_text(mail + 'security = "none"\n')
    away = shell.run("check")
    shell.settings.write_text(
        '[login]\nkind = "shared-password"\npassword = "of the class"\nadmin_password = "password"\n'
    )
    easy = shell.run("check")
    assert (away.exit_code, "would take no mail of the hub" in away.stderr) == (1, True)
    assert (easy.exit_code, "login.admin_password: " in easy.stderr) == (1, True)


def test_a_mail_is_sent_to_try_the_settings(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = shell.run("mail", "test", "ada@example.org")
    shell.run("user", "add", "ada")
    without = shell.run("mail", "test", "ada@example.org")
    with smtp_double(shell.data.parent) as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
        shell.settings.write_text(
            f'[mail]\nkind = "smtp"\nsender = "hub@example.org"\nhost = "localhost"\nport = {server.port}\n'
        )
        wrong = shell.run("mail", "test", "nobody")
        sent = shell.run("mail", "test", "Ada@Example.org")

        assert (sent.exit_code, "has taken a mail to Ada@example.org" in sent.output) == (0, True)
        assert "can send mails" in server.texts_to("Ada@example.org")[0]
    assert "There is no hub" in refused.stderr
    assert (without.exit_code, "no [mail]" in without.stderr) == (1, True)
    assert (wrong.exit_code, "no e-mail address" in wrong.stderr) == (1, True)


def test_an_admin_links_an_identity_before_the_first_login(shell: Shell) -> None:
    shell.run("user", "add", "ada")
    where = ["--issuer", "https://sso.example.org", "--subject", "1001"]

    linked = shell.run("user", "link", "ada", *where, "--provider", "campus", "--label", "ada@example.org")

    assert linked.output == "ada logs in as 1001 of https://sso.example.org from now on.\n"
    with machine_hub(shell) as hub:
        (one,) = hub.external_logins.of_user(hub.accounts.find("ada"))
        assert (one.id.subject, one.provider, one.by_admin) == ("1001", "campus", True)
    refused = shell.run("user", "link", "nobody", *where)
    assert (refused.exit_code, "nobody" in refused.stderr) == (1, True)
    assert shell.run("user", "unlink", "ada", *where).exit_code == 0
    assert shell.run("user", "unlink", "ada", *where).exit_code == 1


def test_without_passwords_nobody_gets_a_link_to_choose_one(shell: Shell) -> None:
    shell.settings.write_text('[login]\nkind = "none"\nallow_all = true\n')
    assert shell.run("user", "add", "ada").output == "ada logs in at a provider.\n"


def test_an_operator_shows_sets_and_removes_an_e_mail_address(shell: Shell) -> None:
    shell.run("user", "add", "ada")

    assert shell.run("user", "email", "ada").output == "ada: no e-mail address\n"
    assert shell.run("user", "email", "ada", "Ada@Example.org").output == "ada: Ada@example.org\n"
    assert shell.run("user", "email", "ada").output == "ada: Ada@example.org\n"
    assert "no e-mail address" in shell.run("user", "email", "ada", "nobody").stderr
    assert shell.run("user", "email", "ada", "--remove").output == "ada: no e-mail address\n"
    assert shell.run("user", "email", "nobody").exit_code == 1


def test_an_operator_resets_second_factors(shell: Shell) -> None:
    shell.run("user", "add", "ada", "--password-stdin", typed="correct horse battery staple\n")
    assert shell.run("user", "reset-factors", "ada").output == "ada has no second factor.\n"
    with machine_hub(shell) as hub:
        ada = hub.accounts.find("ada")
        hub.factor_store.save(Factors(ada.id), Factors(ada.id).with_app(AuthenticatorApp(b"", hub.clock.now(), 0), ()))

    answer = shell.run("user", "reset-factors", "ada")

    assert answer.output == "ada has no second factor any more, and logs in with the password alone.\n"
    with machine_hub(shell) as hub:
        assert hub.second_factors.of(hub.accounts.find("ada")).reset_by == "An operator of this hub"


def test_the_usage_of_a_month_is_printed(shell: Shell) -> None:
    shell.run("user", "add", "ada")
    with machine_hub(shell) as hub:
        ada = hub.users.find("ada")
        assert ada is not None
        began = datetime(2026, 11, 24, 9, tzinfo=UTC)
        size = Metering(1000, 2048, 0, 250_000, "$", ("physics",))
        hub.usage.add(Usage("l1", "s1", ada.id, "lab", began, began + timedelta(hours=8), "stopped", size))

    table = shell.run("usage", "--month", "2026-11").output.splitlines()

    assert [line.split() for line in table] == [
        ["NAME", "HOURS", "CPU", "HOURS", "GB", "HOURS", "GPU", "HOURS", "STARTS", "COST"],
        ["ada", "8.0", "8.0", "16.0", "0.0", "1", "2.00"],
    ]
    found = json.loads(shell.run("usage", "--month", "2026-11", "--by", "group", "--json").output)
    assert [(row["name"], row["cost"]) for row in found["rows"]] == [("physics", "2.000000")]
    assert shell.run("usage", "--month", "2026-11", "--csv").output.splitlines()[1].startswith("2026-11,user,u")
    refused = shell.run("usage", "--month", "november")
    assert (refused.exit_code, "write it as 2026-11" in refused.output) == (1, True)


def test_what_an_operator_does_is_recorded_and_printed(shell: Shell) -> None:
    shell.run("admin", "ada")
    token = shell.run("token", "ada").output.strip()
    shell.run("user", "add", "bob", "--password-stdin", typed="a long enough password 7\n")
    shell.run("user", "remove", "bob")

    printed = shell.run("audit", "--json")
    records = [json.loads(line) for line in printed.output.splitlines()]

    assert [(one["act"], one["on"]) for one in reversed(records)] == [
        ("user-added", "ada"),
        ("password-link-made", "ada"),
        ("token-issued", "ada"),
        ("user-added", "bob"),
        ("password-changed", "bob"),
        ("user-removed", "bob"),
    ]
    assert {one["by"]["kind"] for one in records} == {"operator"}
    assert token not in printed.output
    assert shell.run("audit", "--on", "bob", "--limit", "1", "--since", "1h").output.count("\n") == 1
    assert "user-removed" in shell.run("audit", "--act", "user-removed").output
    assert "act must be one of" in shell.run("audit", "--act", "nothing").output


def test_schedules_are_added_listed_paused_and_removed(shell: Shell) -> None:
    shell.settings.write_text("[groups.physics]\n")
    shell.run("user", "add", "ada", "--group", "physics")
    at = ("--from", "08:50", "--to", "10:30", "--timezone", "Europe/Berlin", "--group", "physics")

    told = shell.run("schedule", "add", "lab", *at, "--day", "monday", "--before", "10", "--leave")
    shell.run("schedule", "add", "exam", *at, "--date", "2001-02-03")

    assert re.fullmatch(r"Added the schedule lab. Next: Monday \S+ 08:50 to 10:30 \(Europe/Berlin\).\n", told.output)
    shell.run("schedule", "pause", "lab")
    lines = shell.run("schedule", "list").output.splitlines()
    assert (lines[:2], len(lines)) == (["exam  (physics)", "lab  (physics; paused)"], 5)
    (exam, lab) = json.loads(shell.run("schedule", "list", "--json").output)
    assert (exam["date"], exam["next"]) == ("2001-02-03", [])
    assert (lab["days"], lab["start_before"], lab["stop"], lab["paused"]) == (["monday"], 10, False, True)
    assert shell.run("schedule", "resume", "lab").output == "The schedule lab counts again.\n"
    assert "no time zone" in shell.run("schedule", "add", "x", *at, "--timezone", "Nowhere", "--day", "monday").output
    assert "already exists" in shell.run("schedule", "add", "lab", *at, "--day", "monday").output
    assert shell.run("schedule", "remove", "lab").exit_code == 0
    assert "does not exist" in shell.run("schedule", "remove", "lab").output
    assert "schedule-removed" in shell.run("audit", "--json").output


def test_announcements_are_made_listed_and_removed(shell: Shell) -> None:
    shell.settings.write_text('[hub]\ntimezone = "Asia/Kolkata"\n')
    shell.run("user", "add", "ada")
    until = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}T05:30"

    told = shell.run("announce", "Exams\nBring a pen", "--until", until, "--warning")

    assert f"warning  {datetime.now(UTC):%Y-%m-%d}" in told.output
    assert told.output.endswith(f"{until[:10]} 00:00 UTC  for everybody  Exams\n")
    assert shell.run("announce", "--list").output == told.output
    assert "There is no group 'physics'" in shell.run("announce", "x", "--until", until, "--group", "physics").output
    assert "no date with a time" in shell.run("announce", "x", "--until", "soon").output
    for wrong in (["x"], ["--list", "--remove", "n1"], []):
        assert "Give TEXT with --until WHEN" in shell.run("announce", *wrong).output
    identifier = told.output.split()[0]
    assert shell.run("announce", "--remove", identifier).output == f"Removed the announcement {identifier}.\n"
    assert "does not exist" in shell.run("announce", "--remove", identifier).output


def test_messages_are_sent_listed_and_taken_back(shell: Shell) -> None:
    shell.run("user", "add", "ada", "bob")
    shell.run("user", "add", "bob", "--group", "class")

    told = shell.run("message", "ada", "--group", "class", "--subject", "Exam", typed="At nine\n")

    assert told.output.endswith("  0 of 2 have read it  Exam\n")
    assert shell.run("message", "--list").output == told.output
    assert "Nobody is called eve" in shell.run("message", "ada", "eve", "--subject", "x", typed="x").output
    assert "Write what people shall read" in shell.run("message", "ada", "--subject", "x", typed="").output
    assert "sends no mails" in shell.run("message", "ada", "--subject", "x", "--mail", typed="x").output
    for wrong in (["ada"], ["ada", "--list"], []):
        assert "Give NAMES or --group with --subject" in shell.run("message", *wrong).output
    identifier = told.output.split()[0]
    assert shell.run("message", "--take-back", identifier).output == f"Took back the message {identifier}.\n"
    assert "does not exist" in shell.run("message", "--take-back", identifier).output
    assert "At nine" not in shell.run("audit", "--json").output


def test_maintenance_is_turned_on_and_off(shell: Shell) -> None:
    shell.run("user", "add", "ada")
    until = f"{datetime.now(UTC) + timedelta(days=2):%Y-%m-%d}T06:00"

    told = shell.run("maintenance", "on", "--until", until, "--text", "Disks", "--admins-start")

    assert told.output == f"Maintenance is on until {until[:10]} 06:00 UTC: nobody starts a server, except admins.\n"
    assert "until somebody turns it off: nobody starts a server.\n" in shell.run("maintenance", "on").output
    assert "must be in the future" in shell.run("maintenance", "on", "--until", "2001-01-01T00:00").output
    assert shell.run("maintenance", "off").output == "Maintenance is off.\n"
    assert shell.run("maintenance", "off").output == "Maintenance is off.\n"


def test_limits_of_files_are_set_listed_and_removed(shell: Shell) -> None:
    shell.run("user", "add", "alice", "--group", "physics")

    assert shell.run("home-limit", "set", "50g", "--user", "alice").output == (
        "The limit of files of alice is 50G from now on.\n"
    )
    shell.run("home-limit", "set", "none", "--group", "physics")
    assert shell.run("home-limit", "list").output.splitlines() == ["group  physics  none", "user   alice  50G"]
    assert "Removed" in shell.run("home-limit", "remove", "--group", "physics").output
    assert shell.run("home-limit", "remove", "--group", "physics").exit_code != 0
    assert "--user NAME or --group NAME" in shell.run("home-limit", "set", "1G").output
    assert "no size" in shell.run("home-limit", "set", "much", "--user", "alice").output
    assert shell.run("home-limit", "set", "1G", "--user", "nobody").exit_code != 0
    assert shell.run("home-limit", "list").output.splitlines() == ["user   alice  50G"]


def test_budgets_are_set_listed_and_removed(shell: Shell) -> None:
    shell.settings.write_text('[hub]\ncurrency = "$"\n[[budgets]]\nname = "all"\nservers = 40\n')
    shell.run("user", "add", "ada")

    told = shell.run("budget", "set", "physics", "--group", "physics", "--hours", "200", "--money", "99.50", "--total")
    shell.run("budget", "set", "own", "--each-user", "--cpus", "2.5")

    assert told.output == "The budget physics counts from now on.\n"
    assert shell.run("budget", "list").output.splitlines() == [
        "all  (the hub, by month, of the settings)",
        "  0 of 40 servers",
        "own  (each user, by month)",
        "  cpus: 2.5",
        "physics  (the group physics, in total)",
        "  0.0 of 200 hours",
        "  $0.00 of $99.50",
    ]
    assert json.loads(shell.run("budget", "list", "--json").output)[2]["limits"] == {"hours": 200, "money": 99.5}
    assert "one of the settings" in shell.run("budget", "set", "all", "--servers", "3").output
    assert "limits nothing" in shell.run("budget", "set", "empty").output
    assert "--money" in shell.run("budget", "set", "odd", "--money", "1e400").output
    assert shell.run("budget", "remove", "own").exit_code == 0
    assert "does not exist" in shell.run("budget", "remove", "own").output
