"""People of NativeAuthenticator, as its real table has them."""

import pytest
from jupyterhub import orm
from nativeauthenticator import NativeAuthenticator
from nativeauthenticator.orm import UserInfo
from sqlalchemy import text
from traitlets.config import Config

from hubless.adapters.jupyterhub_passwords import native, system_accounts
from hubless.adapters.passwords.argon2 import Argon2PasswordHasher
from hubless.adapters.passwords.imported import ImportedPasswordHasher
from hubless.domain.archive import Archive, ArchivedUser

HASHER = ImportedPasswordHasher(Argon2PasswordHasher())
FREE = "$2b$04$abcdefghijklmnopqrstuuhLs2FTTXh4aTzDmos5X8XImgHYf5TbO"  # of "é"


@pytest.fixture
def authenticator():
    session = orm.new_session_factory("sqlite://")()
    yield NativeAuthenticator(db=session, config=Config(Authenticator={"admin_users": {"ada"}, "allow_all": True}))
    session.close()
    session.get_bind().dispose()


def rows(authenticator):
    return authenticator.db.execute(text(native.QUERY)).mappings()


def row(name="ada", **more):
    return {"username": name, "password": FREE.encode(), "is_authorized": 1, "email": None, "has_2fa": 0} | more


def people(*rows_, users=("ada",)):
    return native.with_people(Archive("a hub", tuple(map(ArchivedUser, users))), rows_)


def remark(archive, subject):
    (found,) = [one for one in archive.remarks if one.subject == subject]
    return found


def test_the_real_table_gives_passwords_apps_and_sign_ups(authenticator):
    authenticator.create_user("Ada", "a-long-password-1", email="ada@example.org")
    bob = authenticator.create_user("Bob", "bob's long pass é", email="bob@example.org", has_2fa=True)
    carol = authenticator.create_user("carol", "carol-password-3", has_2fa=True)
    UserInfo.change_authorization(authenticator.db, "carol")
    users = (ArchivedUser("ada", admin=True), ArchivedUser("dora"))
    after = native.with_people(Archive("a hub", users), rows(authenticator))

    by_name = {user.name: user for user in after.users}
    assert list(by_name) == ["ada", "dora", "carol"]
    assert HASHER.verify(by_name["ada"].password_hash, "a-long-password-1")
    assert (by_name["ada"].admin, by_name["ada"].app, by_name["ada"].email) == (True, None, "")
    assert HASHER.verify(by_name["carol"].password_hash, "carol-password-3")
    assert (by_name["carol"].app.secret, by_name["carol"].app.is_imported) == (carol.otp_secret, True)
    (waiting,) = after.sign_ups
    assert (waiting.name, waiting.address) == ("bob", "bob@example.org")
    assert HASHER.verify(waiting.password_hash, "bob's long pass é")
    assert {(one.kind, one.subject) for one in after.remarks} == {
        ("user", "carol"), ("user", "dora"), ("sign-up", "bob"), ("second factors", "bob"),
        ("e-mail address", "users_info"),
    }  # fmt: skip
    assert not any(secret in f"{after}" for secret in (bob.otp_secret, carol.otp_secret, "$2b$"))


def test_a_user_whose_authorization_was_taken_back_has_no_password():
    after = people(row(is_authorized=0))
    assert (after.users[0].password_hash, after.users[0].is_refused, after.sign_ups) == (None, True, ())
    assert "authorized" in remark(after, "ada").what
    assert remark(after, "ada").is_left_out


@pytest.mark.parametrize("secret", [None, "", "not base 32!", "GEZDGNBV", "A" * 64])
def test_no_password_is_taken_where_its_app_would_be_lost(secret):
    after = people(row(has_2fa=1, otp_secret=secret))
    assert (after.users[0].password_hash, after.users[0].app) == (None, None)
    assert "app" in remark(after, "ada").what


@pytest.mark.parametrize("password", [None, b"", b"plain", FREE[:-1].encode(), b"$2b$31$" + FREE[7:].encode(), b"\xff"])
def test_a_password_that_cannot_be_checked_is_a_remark(password):
    after = people(row(password=password))
    assert after.users[0].password_hash is None
    assert remark(after, "ada").is_left_out


@pytest.mark.parametrize("name", [None, "", 7, "n" * 1021])
def test_a_row_without_a_possible_name_is_a_remark(name):
    after = people(row(), row(name))
    assert len(after.users) == 1
    assert sum(one.is_left_out for one in after.remarks) == 1


def test_of_two_rows_of_a_name_the_first_counts_as_there():
    after = people(row(), row(is_authorized=0), row("eve", is_authorized=0), row("eve"))
    assert after.users[0].password_hash == FREE
    assert [one.name for one in after.sign_ups] == ["eve"]
    assert "twice" in remark(after, "ada").what


@pytest.mark.parametrize("email", ["no address", "a@" + "b" * 300 + ".org", 7, "a@b.org\n"])
def test_an_odd_address_of_a_sign_up_is_none(email):
    (waiting,) = people(row("eve", is_authorized=0, email=email)).sign_ups
    assert waiting.address == ""


def test_a_hash_may_lie_there_as_text():
    assert people(row(password=FREE)).users[0].password_hash == FREE


def test_users_of_system_accounts_hear_how_they_log_in():
    names = ("root", "ada", "bob", "carol")
    users = (*map(ArchivedUser, names), ArchivedUser("eve", password_hash=FREE))
    archive, accounts = Archive("a hub", users), {"root", "jupyter-ada"}
    said = {one.subject: one.what for one in system_accounts.remarks(archive, exists=accounts.__contains__)}

    assert list(said) == ["root", "ada", "2 of them"]
    assert "may go on logging in" in said["root"]
    assert "jupyter-ada" in said["ada"]
    assert "no account" in said["2 of them"]
    (ways,) = [one.to_do for one in system_accounts.remarks(archive, exists=accounts.__contains__) if one.number == 2]
    assert [way for way in ("--provider", "--passwords", "hubless user passwd") if way not in ways] == []
    assert system_accounts.has_account("root")
    assert not system_accounts.has_account("no such account")
    assert not system_accounts.has_account("a\0b")
