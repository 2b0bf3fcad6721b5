"""`hubless imported-secrets` on this machine, without a hub that runs."""

from dataclasses import replace
from datetime import timedelta

import pytest
from click.testing import CliRunner

from embedded.cli import main
from hubless.bootstrap import machine
from hubless.domain.imported_secrets import is_imported
from hubless.domain.shares import ShareCode
from hubless.domain.sign_ups import SignUp
from hubless.domain.tokens import OwnerKind, Token, sha256
from hubless.domain.users import Service
from hubless.services.unused_secrets import SecretKind
from hubless.settings import parse
from tests.support.builders import a_server, an_imported_hash

BCRYPT = f"$2b$12${'.' * 21}e{'.' * 31}"
YEAR = timedelta(days=365)
SETTINGS = '[[services]]\nname = "idle-culler"\n'


class Shell:
    """A hub in a folder of its own, with one secret of each kind."""

    def __init__(self, folder):
        self.data, self.settings = folder / "data", folder / "hubless.toml"
        self.settings.write_text(SETTINGS)
        self.run("user", "add", "ada")
        hub = self.hub()
        ada, now = hub.users.find("ada"), hub.clock.now()
        hub.accounts.add("eve")
        hub.passwords.set(hub.users.find("eve").id, hub.hasher.hash("a password of ours"))
        hub.passwords.set(ada.id, BCRYPT)
        self.token("ada-1", OwnerKind.USER, ada.id)
        self.token("ada-2", OwnerKind.USER, ada.id)
        self.token("cull", OwnerKind.SERVICE, "idle-culler")
        hub.token_store.create(Token("a-own", sha256("own"), OwnerKind.USER, ada.id, ("inherit",), now))
        server = replace(a_server(), owner_id=ada.id)
        hub.servers.create(server)
        code = ShareCode("sc-1", an_imported_hash("code"), server.id, ("access:servers",), now, now + YEAR)
        hub.share_codes.create(code)
        hub.service_store.create(Service("dash", id="d1", client_secret_hash=an_imported_hash("dash", 16_384)))
        hub.sign_up_store.add(SignUp("bob", "u-bob", BCRYPT, now, now + YEAR, needs_approval=True), now, most=9)

    def token(self, secret, kind, owner):
        hub = self.hub()
        token = Token(f"a-{secret}", an_imported_hash(secret, 16_384), kind, owner, ("inherit",), hub.clock.now())
        hub.token_store.create(token)
        return token

    def run(self, *words):
        where = ["--data", str(self.data), "--settings", str(self.settings)]
        return CliRunner().invoke(main, [*map(str, words), *where])

    def hub(self):
        return machine.build(parse(self.settings.read_text(), self.data))


@pytest.fixture
def shell(tmp_path):
    return Shell(tmp_path)


def counts(answer):
    assert answer.exit_code == 0, answer.output
    lines = [line for line in answer.output.splitlines() if "  " in line]
    return {line[:20].strip(): (int(line[20:28]), line[28:].strip()) for line in lines}


ALL_OF_THEM = {
    "password": (1, "ada"),
    "sign-up": (1, "bob"),
    "token of a user": (2, "ada"),
    "token of a service": (1, "idle-culler"),
    "OAuth secret": (1, "dash"),
    "share code": (1, "ada"),
}


def test_it_tells_what_nobody_has_used_yet_and_changes_nothing(shell):
    for _ in range(2):
        assert counts(shell.run("imported-secrets")) == ALL_OF_THEM


def test_what_is_used_waits_no_more(shell):
    assert shell.hub().identities.of_token("ada-1").name == "ada"
    assert counts(shell.run("imported-secrets"))["token of a user"] == (1, "ada")


def test_they_end_and_nothing_else(shell):
    answer = shell.run("imported-secrets", "--end", "--yes")
    assert "Ended: 7. Used meanwhile, and kept: 0." in answer.output
    assert "no hash of it is left" in shell.run("imported-secrets").output
    hub = shell.hub()
    assert [hub.identities.of_token(secret) for secret in ("ada-1", "ada-2", "cull")] == [None] * 3
    assert hub.identities.of_token("own").name == "ada"
    ada = hub.users.find("ada")
    assert [token.id for token in hub.token_store.of_owner(OwnerKind.USER, ada.id)] == ["a-own"]
    assert hub.passwords.get(ada.id).startswith("$argon2id$")
    assert hub.hasher.verify(hub.passwords.get(hub.users.find("eve").id), "a password of ours")
    assert hub.share_codes.page(offset=0, limit=9, owner_id=ada.id)[0] == []
    assert not is_imported(hub.service_store.find("dash").client_secret_hash)
    assert hub.sign_up_store.find("bob", hub.clock.now()).password_hash.startswith("$argon2id$")


def test_nothing_ends_unasked(shell):
    answer = shell.run("imported-secrets", "--end")
    assert answer.exit_code == 1
    assert "Nothing was ended" in answer.output
    assert counts(shell.run("imported-secrets")) == ALL_OF_THEM
    assert shell.run("imported-secrets", "--yes").exit_code == 2


def test_what_is_used_at_the_same_moment_is_kept(shell):
    hub = shell.hub()
    waiting = list(hub.unused_secrets.all())
    assert hub.identities.of_token("ada-1").name == "ada"
    ada = hub.users.find("ada")
    hub.passwords.rehash(ada.id, BCRYPT, "$argon2id$new")
    bob = hub.sign_up_store.find("bob", hub.clock.now())
    hub.sign_up_store.remove(bob)
    assert sum(secret.end() for secret in waiting) == 4
    assert hub.identities.of_token("ada-1").name == "ada"
    assert hub.passwords.get(ada.id) == "$argon2id$new"


def test_after_a_crash_the_rest_still_waits(shell, monkeypatch):
    hub = shell.hub()
    with monkeypatch.context() as broken:
        broken.setattr(type(hub.token_store), "delete", lambda *_: (_ for _ in ()).throw(RuntimeError("crash")))
        waiting = [one for one in hub.unused_secrets.all() if one.kind is SecretKind.TOKEN]
        with pytest.raises(RuntimeError):
            waiting[0].end()
    assert hub.identities.of_token("ada-1") is None
    assert counts(shell.run("imported-secrets"))["token of a user"] == (1, "ada")
    assert "Ended" in shell.run("imported-secrets", "--end", "--yes").output
    assert shell.hub().identities.of_token("ada-2") is None


def test_no_secret_is_told(shell):
    told = shell.run("imported-secrets").output + shell.run("imported-secrets", "--end", "--yes").output
    assert [one for one in ("$2b$", "sha512", "$argon2", "ada-1") if one in told] == []
