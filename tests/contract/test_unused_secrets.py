"""Imported secrets that nobody has used, on every store: they are found, end for good, and do not come back."""

from collections import Counter
from dataclasses import replace

import pytest

from hubless.domain.archive import ArchivedSignUp
from hubless.domain.import_items import Kind
from hubless.services.unused_secrets import SecretKind, UnusedSecrets
from tests.support.builders import a_token, a_user, an_imported_hash
from tests.support.fakes import PlainHasher
from tests.support.moving import A_HASH, BCRYPT_HASH, MovingHub, a_hub, with_user


@pytest.fixture
def hub(stores):
    return MovingHub(stores)


def old_hub():
    """Return an archive whose tokens, share codes, services and passwords all have hashes of a JupyterHub."""
    old = with_user(a_hub(), "bob", password_hash=BCRYPT_HASH)
    return replace(
        old,
        tokens=tuple(replace(one, hashed=an_imported_hash(f"tok{n}")) for n, one in enumerate(old.tokens)),
        share_codes=tuple(replace(one, hashed=an_imported_hash(f"cod{n}")) for n, one in enumerate(old.share_codes)),
        services=tuple(replace(one, client_secret_hash=an_imported_hash("cli")) for one in old.services),
        sign_ups=(ArchivedSignUp("zed", BCRYPT_HASH, old.users[0].created_at),),
    )


def waiting(hub):
    return list(UnusedSecrets(hub.exporting.stores, PlainHasher()).all())


def test_all_that_wait_are_found_and_end_once(hub):
    old = old_hub()
    hub.bring(old)
    found = waiting(hub)
    assert Counter(secret.kind for secret in found) == Counter(
        {
            SecretKind.PASSWORD: 1,
            SecretKind.SIGN_UP: 1,
            SecretKind.TOKEN: sum(one.owner_kind.value == "user" for one in old.tokens),
            SecretKind.SERVICE_TOKEN: sum(one.owner_kind.value == "service" for one in old.tokens),
            SecretKind.CLIENT_SECRET: len(old.services),
            SecretKind.SHARE_CODE: len(old.share_codes),
        }
    )
    assert {secret.kind for secret in found} == set(SecretKind)
    assert all(secret.end() for secret in found)
    assert not any(secret.end() for secret in found)
    assert waiting(hub) == []


def test_what_has_ended_does_not_come_back_with_a_later_import(hub):
    hub.bring(old_hub())
    for secret in waiting(hub):
        secret.end()
    again = hub.bring(old_hub())
    assert {step.item.kind for step in again.steps} & {Kind.PASSWORD, Kind.TOKEN, Kind.SHARE_CODE} == set()
    assert waiting(hub) == []


def test_secrets_of_ours_do_not_wait(stores, hub):
    stores.users.create([a_user()])
    stores.tokens.create(a_token())
    stores.passwords.set("u-alice", A_HASH)
    assert waiting(hub) == []
