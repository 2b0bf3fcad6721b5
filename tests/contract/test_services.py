from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.dynamodb import removals
from hubless.domain.errors import NameTakenError, QuotaExceededError, StoreConflictError
from hubless.domain.tokens import OwnerKind, sha256
from hubless.domain.users import Service
from tests.support.builders import NOW, a_code, a_token, an_imported_hash
from tests.support.concurrency import MANY, concurrently

GRADER = Service(
    name="grader",
    admin=True,
    url="http://127.0.0.1:9",
    token_sha256="t1",
    oauth_client_id="service-grader",
    oauth_redirect_uri="/services/grader/oauth_callback",
    oauth_no_confirm=True,
    oauth_client_allowed_scopes=("read:users!user", "self"),
    info={"for": ["course", 1]},
    display=False,
    from_settings=False,
    id="sv-1",
    client_secret_hash="c1",
)
PLAIN = Service(name="a.plain", from_settings=False)


def test_a_service_comes_back_as_it_was_written(stores):
    stores.services.create(GRADER)
    stores.services.create(PLAIN)
    assert stores.services.find("grader") == GRADER
    assert stores.services.of_token("t1") == GRADER
    assert stores.services.of_client("service-grader") == GRADER
    assert stores.services.all() == [PLAIN, GRADER]


def test_the_latest_moment_counts_as_when_a_service_was_seen(stores):
    assert stores.services.last_seen() == {}
    for name, minute in (("grader", 2), ("grader", 1), ("of.settings", 0), ("of.settings", 3)):
        stores.services.touch(name, NOW + timedelta(minutes=minute))
    assert stores.services.last_seen() == {
        "grader": NOW + timedelta(minutes=2),
        "of.settings": NOW + timedelta(minutes=3),
    }


@pytest.mark.parametrize("service", [GRADER, PLAIN], ids=lambda service: service.name)
def test_when_a_service_was_seen_is_removed_with_it(stores, service):
    stores.services.create(service)
    stores.services.touch(service.name, NOW)
    stores.services.touch("other", NOW)
    stores.services.delete(service)
    assert stores.services.last_seen() == {"other": NOW}


def test_a_missing_service_is_not_found(stores):
    stores.services.create(PLAIN)
    assert stores.services.find("Grader") is None
    assert stores.services.of_token("") is None
    assert stores.services.of_client("service-a.plain") is None


def test_of_eight_concurrent_adds_of_one_service_one_succeeds(stores):
    outcomes = concurrently(lambda n: stores.services.create(Service(name="grader", token_sha256=f"t{n}")))
    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, NameTakenError) for outcome in outcomes) == MANY - 1


@pytest.mark.parametrize("same", [{"token_sha256": "t1"}, {"oauth_client_id": "service-grader"}])
def test_tokens_and_client_ids_are_unique(stores, same):
    stores.services.create(GRADER)
    with pytest.raises(StoreConflictError):
        stores.services.create(Service(name="other", **same))
    assert stores.services.find("other") is None


def test_a_service_is_removed_with_its_tokens_and_codes(stores, alice, session):
    stores.services.create(GRADER)
    stores.tokens.create(a_token("issued", client_id="service-grader"))
    stores.tokens.create(a_token("other"))
    stores.clients.add_code(a_code(client_id="service-grader"))
    stores.services.delete(GRADER)
    assert stores.services.all() == []
    assert [t.id for t in stores.tokens.of_owner(OwnerKind.USER, alice.id)] == ["a-other"]
    assert stores.clients.find_code(a_code().sha256) is None
    stores.services.delete(GRADER)


@pytest.mark.parametrize("length", [1100, 5000])
def test_what_is_too_long_to_be_stored_is_not_found(stores, length):
    text = "x" * length
    assert stores.services.find(text) is None
    assert stores.services.of_client(text) is None
    assert stores.clients.get(text) is None
    assert stores.users.find(text) is None
    assert stores.tokens.get(OwnerKind.USER, "u-alice", text) is None
    assert stores.groups.page(offset=0, limit=9, names=[text]) == ([], 0)


def test_there_are_so_many_services(stores):
    outcomes = concurrently(lambda n: stores.services.create(Service(f"s{n}", from_settings=False), limit=3))
    assert outcomes.count(None) == 3
    assert sum(isinstance(o, QuotaExceededError) for o in outcomes) == MANY - 3
    stores.services.delete(stores.services.all()[0])
    stores.services.create(GRADER, limit=3)
    assert len(stores.services.all()) == 3


def its_token(secret, service=GRADER, **facts):
    return a_token(secret, owner_kind=OwnerKind.SERVICE, owner_id=service.token_owner, **facts)


def tokens_of(stores, service=GRADER):
    return [token.id for token in stores.tokens.of_owner(OwnerKind.SERVICE, service.token_owner)]


def test_a_service_has_many_tokens_and_they_end_with_it(stores):
    imported = its_token("old-one", sha256=an_imported_hash("old-one", 16_384))
    namesake, of_settings = replace(GRADER, id="sv-2"), replace(GRADER, from_settings=True)
    stores.services.create(GRADER)
    for token in (imported, its_token("b"), its_token("c", namesake), its_token("d", of_settings)):
        stores.tokens.create(token)
    assert stores.tokens.adopt(imported, sha256("old-one"), NOW)
    stores.tokens.create(its_token("e", sha256=an_imported_hash("e-imported")))
    assert len(tokens_of(stores)) == 3
    stores.services.delete(GRADER)
    assert tokens_of(stores) == []
    for hashed in (sha256("old-one"), imported.sha256, sha256("b"), an_imported_hash("e-imported")):
        assert stores.tokens.find(hashed) is None
    assert (tokens_of(stores, namesake), tokens_of(stores, of_settings)) == (["a-c"], ["a-d"])


@pytest.mark.parametrize("stores", ["dynamodb-moto"], indirect=True)
@pytest.mark.parametrize("client_id", ["service-grader", None])
def test_tokens_that_a_crash_left_go_with_the_next_sweep(stores, monkeypatch, client_id):
    service = replace(GRADER, oauth_client_id=client_id)
    stores.services.create(service)
    stores.tokens.create(its_token("b"))
    stores.tokens.create(its_token("old-one", sha256=an_imported_hash("old-one")))
    with monkeypatch.context() as broken:
        broken.setattr(removals, "sweep_service", lambda *_: (_ for _ in ()).throw(RuntimeError))
        with pytest.raises(RuntimeError):
            stores.services.delete(service)
    assert stores.services.find("grader") is None
    assert len(tokens_of(stores)) == 2
    stores.services.create(replace(service, id="sv-2"))
    stores.tokens.delete_expired(NOW, 10)
    assert tokens_of(stores) == []
    assert stores.tokens.find(sha256("b")) is None
    assert stores.services.find("grader").id == "sv-2"


def test_of_many_changes_of_one_service_at_once_one_is_made(stores):
    stores.services.create(GRADER)
    done = concurrently(lambda n: stores.services.change(GRADER, replace(GRADER, client_secret_hash=f"c-{n}")))
    assert sorted(done) == [False] * (MANY - 1) + [True]
    changed = stores.services.find("grader")
    assert changed == replace(GRADER, client_secret_hash=f"c-{done.index(True)}")
    assert stores.services.of_token("t1") == stores.services.of_client("service-grader") == changed
    stores.services.delete(changed)
    assert not stores.services.change(changed, GRADER)
    assert stores.services.all() == []


def test_a_change_of_token_and_client_leaves_nothing_of_the_old(stores, alice, session):
    stores.services.create(GRADER)
    stores.tokens.create(its_token("own"))
    stores.tokens.create(a_token("issued", client_id="service-grader"))
    stores.clients.add_code(a_code(client_id="service-grader"))
    after = replace(GRADER, token_sha256="t2", oauth_client_id="service-other", url=None)
    assert stores.services.change(GRADER, after)
    assert stores.services.of_token("t2") == stores.services.of_client("service-other") == after
    assert (stores.services.of_token("t1"), stores.services.of_client("service-grader")) == (None, None)
    assert stores.tokens.find(sha256("issued")) is None
    assert stores.clients.find_code(a_code().sha256) is None
    assert tokens_of(stores) == ["a-own"]
    stores.services.create(Service("third", token_sha256="t1", oauth_client_id="service-grader", from_settings=False))
    for taken in ({"token_sha256": "t1"}, {"oauth_client_id": "service-grader"}):
        with pytest.raises(StoreConflictError):
            stores.services.change(after, replace(after, **taken))
    assert stores.services.find("grader") == after
