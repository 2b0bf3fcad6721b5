"""`hubless import` of the databases that real JupyterHubs made: people, tokens and shares go on here."""

import contextlib
import json
import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from embedded import import_sources
from hubless.adapters.jupyterhub_database.tokens import Tokens
from hubless.bootstrap.roles import role_table_of
from hubless.domain.imported_secrets import matching, of_jupyterhub
from hubless.domain.tokens import OwnerKind
from hubless.settings import parse
from tests.integration.test_moving_commands import Shell

FILES = Path(__file__).parents[1] / "data/jupyterhub"
VERSIONS = sorted(file.stem.removeprefix("jupyterhub-") for file in FILES.glob("*.sqlite"))


def known_of(version):
    return json.loads((FILES / f"jupyterhub-{version}.known.json").read_text())


@pytest.fixture
def here(tmp_path):
    return Shell(tmp_path / "here")


@pytest.fixture(params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture
def imported(here, version, monkeypatch):
    monkeypatch.setenv("OLD_KEY", known_of(version)["crypt_key"])
    answer = here.run("import", FILES / f"jupyterhub-{version}.sqlite", "--yes", "--crypt-key-env", "OLD_KEY")
    assert answer.exit_code == 0, answer.output
    return here.hub()


def test_people_and_groups_are_as_the_old_hub_said(imported, version):
    known = known_of(version)
    users = {user.name: user for user in imported.accounts.all()}
    assert {name: user.admin for name, user in users.items()} == {one["name"]: one["admin"] for one in known["users"]}
    for one in known["groups"]:
        group = imported.groups.find(one["name"])
        assert sorted(group.users) == sorted(one["users"])
        assert group.properties == one.get("properties", {})


def test_tokens_work_as_they_worked_there(imported, version):
    for one in known_of(version)["tokens"]:
        actor = imported.identities.of_token(one["token"])
        # A hub of 2.x answered 403 to a right token without the right, so what it refused says nothing here.
        if one["status"] == 200:
            assert actor.user.name == one["user"]
    for name, token in known_of(version)["services"].items():
        assert imported.identities.of_token(token).service.name == name


def test_tokens_of_a_service_end_with_it(imported, version):
    secret = known_of(version)["services"]["boss"]
    assert imported.identities.of_token(secret).is_admin
    owner = imported.services.get("boss").token_owner
    imported.services.remove("boss")
    assert imported.identities.of_token(secret) is None
    assert imported.token_store.of_owner(OwnerKind.SERVICE, owner) == []


def test_the_oauth_secret_of_a_service_is_known(imported, version):
    secret = known_of(version)["services"]["dash"]
    client = imported.services.client("service-dash")
    assert matching([client.secret_sha256], secret)
    assert not matching([client.secret_sha256], f"{secret}x")


def test_auth_state_is_opened_and_sealed_anew(imported, version):
    for one in known_of(version)["users"]:
        user = imported.users.find(one["name"])
        assert imported.kept_auth_states.of(user) == one.get("auth_state")


def test_a_second_import_brings_nothing_and_keeps_used_tokens(imported, here, version):
    used = next(one for one in known_of(version)["tokens"] if one["status"] == 200)
    assert imported.identities.of_token(used["token"]) is not None
    again = here.run("import", FILES / f"jupyterhub-{version}.sqlite", "--yes")
    assert "There is nothing to import" in again.output
    assert here.hub().identities.of_token(used["token"]).user.name == used["user"]


def test_no_secret_of_the_old_hub_is_told(here, version, monkeypatch, tmp_path):
    known = known_of(version)
    monkeypatch.setenv("OLD_KEY", known["crypt_key"])
    file = FILES / f"jupyterhub-{version}.sqlite"
    told = here.run("import", file, "--report", "--crypt-key-env", "OLD_KEY", "--report-file", tmp_path / "r").output
    told += (tmp_path / "r").read_text()
    secrets = [known["crypt_key"], "upstream-", *(one["token"] for one in known["tokens"]), *known["services"].values()]
    assert [secret for secret in secrets if secret in told] == []
    hashes = [
        row[0]
        for row in sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True).execute(
            "SELECT hashed FROM api_tokens"
        )
    ]
    assert hashes
    assert [of_jupyterhub(hashed, "").digest for hashed in hashes if of_jupyterhub(hashed, "").digest in told] == []


def native_hub(folder):
    """Make a hub's file with NativeAuthenticator's table: ada may log in, a newcomer waits."""
    file = folder / "jupyterhub.sqlite"
    file.write_bytes((FILES / "jupyterhub-5.4.6.sqlite").read_bytes())
    import bcrypt

    database = sqlite3.connect(file)
    database.execute(
        "CREATE TABLE users_info (id INTEGER, username, password, is_authorized, login_email_sent, email, has_2fa,"
        " otp_secret)"
    )
    for number, (name, authorized) in enumerate([("ada", 1), ("newcomer", 0)]):
        hashed = bcrypt.hashpw(b"a-long-password-1", bcrypt.gensalt(4))
        row = (number, name, hashed, authorized, "", "", 0, "S4L5DG3MC4OZV5H5")
        database.execute("INSERT INTO users_info VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    database.commit()
    database.close()
    return file


def test_the_passwords_of_native_authenticator_work(here, tmp_path):
    native_hub(tmp_path)
    answer = here.run("import", tmp_path, "--yes")  # the folder that has it
    assert answer.exit_code == 0, answer.output
    hub = here.hub()
    assert hub.hasher.verify(hub.passwords.get(hub.users.find("ada").id), "a-long-password-1")
    assert [one.name for one in hub.sign_ups.waiting()] == ["newcomer"]


def test_passwords_are_of_the_same_moment_as_their_people(tmp_path, monkeypatch):
    file = native_hub(tmp_path)
    tokens = Tokens.all

    def sign_up_meanwhile(of):
        with contextlib.closing(sqlite3.connect(file)) as hub:
            hub.execute("UPDATE users_info SET is_authorized = 1, username = 'late' WHERE username = 'newcomer'")
            hub.commit()
        return tokens(of)

    monkeypatch.setattr(Tokens, "all", sign_up_meanwhile)
    read = import_sources.read(str(file), import_sources.Surroundings(), (), datetime.now(UTC))
    assert "late" not in {user.name for user in read.users}
    assert [one.name for one in read.sign_ups] == ["newcomer"]


def test_a_source_that_is_none_is_refused_in_a_sentence(here, tmp_path):
    answer = here.run("import", tmp_path, "--yes")
    assert (answer.exit_code, answer.output.count("\n")) == (1, 1)
    assert "jupyterhub.sqlite" in answer.output
    (tmp_path / "jupyterhub.sqlite").write_text("not a database")
    answer = here.run("import", tmp_path, "--yes")
    assert (answer.exit_code, answer.output.count("\n")) == (1, 1)
    unknown = here.run("import", FILES / "jupyterhub-5.4.6.sqlite", "--yes", "--provider", "campus")
    assert "no [[providers]] with the name 'campus'" in unknown.output
    assert list(here.hub().accounts.all()) == []


def test_a_key_that_is_not_set_is_a_usage_error(here):
    answer = here.run("import", FILES / "jupyterhub-5.4.6.sqlite", "--yes", "--crypt-key-env", "NOBODY_SET_THIS")
    assert answer.exit_code == 2


def test_roles_and_services_become_settings_that_the_hub_takes(here, version, tmp_path, monkeypatch):
    monkeypatch.setenv("OLD_KEY", known_of(version)["crypt_key"])
    file = tmp_path / "new.toml"
    source = FILES / f"jupyterhub-{version}.sqlite"
    answer = here.run("import", source, "--report", "--crypt-key-env", "OLD_KEY", "--write-settings", file)
    assert answer.exit_code == 0, answer.output
    variables = {name: f"{number:032}" for number, name in enumerate(re.findall(r"variable (\w+) for", answer.output))}
    found = parse(file.read_text(), here.data, variables)
    role_table_of(found)
    assert {service.name for service in found.services} == set(known_of(version)["services"])
    secrets = [*known_of(version)["services"].values(), known_of(version)["crypt_key"]]
    assert [secret for secret in secrets if secret in answer.output + file.read_text()] == []
