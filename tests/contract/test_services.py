import pytest

from hubless.domain.errors import NameTakenError, QuotaExceededError, StoreConflictError
from hubless.domain.tokens import OwnerKind
from hubless.domain.users import Service
from tests.support.builders import a_code, a_token
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
)
PLAIN = Service(name="a.plain", from_settings=False)


def test_a_service_comes_back_as_it_was_written(stores):
    stores.services.create(GRADER)
    stores.services.create(PLAIN)
    assert stores.services.find("grader") == GRADER
    assert stores.services.of_token("t1") == GRADER
    assert stores.services.of_client("service-grader") == GRADER
    assert stores.services.all() == [PLAIN, GRADER]


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
