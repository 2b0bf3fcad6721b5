"""DynamoDB's note that there may be imported secrets: without it, wrong tokens cost what they cost before an import."""

from datetime import timedelta

import pytest

from hubless.adapters.dynamodb import imported_secrets, keys
from hubless.adapters.dynamodb.database import Database, Put
from hubless.adapters.dynamodb.table import EXPIRY, Pointer
from hubless.domain.shares import ShareCode
from hubless.domain.tokens import sha256
from tests.support.builders import NOW, a_server, a_token, a_user, an_imported_hash
from tests.support.concurrency import concurrently
from tests.support.dynamodb import Contents, in_new_table

SECRET = "7ca4c7f0a1b2"
HOUR = timedelta(hours=1)
MOMENT = timedelta(seconds=1)


@pytest.fixture
def stores(in_moto):
    made = in_new_table(in_moto)
    made.users.create([a_user()])
    yield made
    made.close()


def imported(secret=SECRET, **facts):
    return a_token(secret, sha256=an_imported_hash(secret), **facts)


def sweep(stores, at):
    stores.tokens.delete_expired(at, 100)


def is_noted():
    return keys.IMPORTED_SECRETS in Contents().read()


def lookups(stores, monkeypatch):
    """Return how many requests a wrong token costs."""
    asked, call = [], Database._call
    with monkeypatch.context() as counting:
        counting.setattr(Database, "_call", lambda self, ask: asked.append(ask) or call(self, ask))
        assert stores.tokens.look_up(sha256("7ca4wrong"), "7ca4") == (None, [])
    return len(asked)


def use(stores):
    token = imported()
    stores.tokens.create(token)
    assert stores.tokens.adopt(token, sha256(SECRET), NOW)


def test_a_wrong_token_costs_one_request_again_after_the_last_first_use(stores, monkeypatch):
    assert lookups(stores, monkeypatch) == 1
    use(stores)
    sweep(stores, NOW)
    sweep(stores, NOW + HOUR - MOMENT)
    assert is_noted()
    sweep(stores, NOW + HOUR)
    assert not is_noted()
    assert lookups(stores, monkeypatch) == 1
    assert stores.tokens.find(sha256(SECRET)).id == imported().id


def test_a_secret_that_waits_keeps_the_note_however_long(stores):
    use(stores)
    stores.tokens.create(imported("7ca4waits"))
    for turn in range(4):
        sweep(stores, NOW + turn * HOUR)
    assert imported("7ca4waits").sha256 in stores.tokens.look_up(sha256("x"), "7ca4")[1]


def test_the_hour_begins_when_none_waits_any_more(stores):
    use(stores)
    sweep(stores, NOW)
    waits = imported("7ca4waits")
    stores.tokens.create(waits)
    sweep(stores, NOW + HOUR)
    stores.tokens.adopt(waits, sha256("7ca4waits"), NOW)
    sweep(stores, NOW + 2 * HOUR)
    assert is_noted()
    sweep(stores, NOW + 3 * HOUR)
    assert not is_noted()


def test_an_import_between_look_and_end_keeps_the_note(stores, monkeypatch):
    use(stores)
    sweep(stores, NOW)
    query = Database.query

    def then_imports(self, model, partition, where=None, **how):
        found = list(query(self, model, partition, where, **how))
        if how.get("index") == EXPIRY and partition == imported_secrets._KIND:
            stores.tokens.create(imported("7ca4late"))
        return iter(found)

    with monkeypatch.context() as late:
        late.setattr(Database, "query", then_imports)
        sweep(stores, NOW + HOUR)
    assert imported("7ca4late").sha256 in stores.tokens.look_up(sha256("x"), "7ca4")[1]


def test_an_import_that_sleeps_for_hours_before_it_writes_has_the_note(stores, monkeypatch):
    transact = Database.transact

    def after_a_night(self, steps):
        for turn in range(9):
            sweep(stores, NOW + turn * HOUR)
        assert not is_noted()
        transact(self, steps)

    with monkeypatch.context() as asleep:
        asleep.setattr(Database, "transact", after_a_night)
        stores.tokens.create(imported())
    assert stores.tokens.look_up(sha256("x"), "7ca4")[1] == [imported().sha256]


def test_an_import_that_crashes_right_after_its_write_has_the_note(stores, monkeypatch):
    count, counted = imported_secrets._count, []

    def once(*which):
        counted.append(which)
        if len(counted) > 1:
            raise RuntimeError("crash")
        count(*which)

    with monkeypatch.context() as broken:
        broken.setattr(imported_secrets, "_count", once)
        with pytest.raises(RuntimeError):
            stores.tokens.create(imported())
    assert stores.tokens.look_up(sha256("x"), "7ca4")[1] == [imported().sha256]


def test_of_many_at_once_all_are_counted(stores):
    stores.tokens.create_many([imported(f"7ca4{number}") for number in range(40)])
    assert len(stores.tokens.look_up(sha256("x"), "7ca4")[1]) == 40
    for turn in range(3):
        sweep(stores, NOW + turn * HOUR)
    assert is_noted()


def test_an_index_that_lags_hides_no_secret(stores, monkeypatch):
    use(stores)
    sweep(stores, NOW)
    stores.tokens.create(imported("7ca4late"))
    query = Database.query

    def lagging(self, model, partition, where=None, **how):
        return iter(()) if how.get("index") == EXPIRY else query(self, model, partition, where, **how)

    with monkeypatch.context() as behind:
        behind.setattr(Database, "query", lagging)
        for now in (HOUR, HOUR + MOMENT, 2 * HOUR - MOMENT):
            sweep(stores, NOW + now)
    sweep(stores, NOW + 2 * HOUR)
    assert imported("7ca4late").sha256 in stores.tokens.look_up(sha256("x"), "7ca4")[1]


def test_the_hour_begins_anew_after_a_sweep_that_finds_one(stores, monkeypatch):
    waits = imported()
    stores.tokens.create(waits)
    query = Database.query

    def lagging(self, model, partition, where=None, **how):
        return iter(()) if how.get("index") == EXPIRY else query(self, model, partition, where, **how)

    with monkeypatch.context() as behind:
        behind.setattr(Database, "query", lagging)
        sweep(stores, NOW)
    sweep(stores, NOW + HOUR)
    stores.tokens.adopt(waits, sha256(SECRET), NOW)
    sweep(stores, NOW + HOUR + MOMENT)
    assert is_noted()  # a request may have read the note before, and our hash before that
    sweep(stores, NOW + 2 * HOUR + MOMENT)
    assert not is_noted()


def test_of_sweeps_at_once_all_succeed_and_the_note_ends(stores):
    use(stores)
    concurrently(lambda _: sweep(stores, NOW))
    assert is_noted()
    concurrently(lambda _: sweep(stores, NOW + HOUR))
    assert not is_noted()


def test_a_clock_that_goes_back_begins_the_hour_anew(stores):
    use(stores)
    sweep(stores, NOW)
    sweep(stores, NOW - 5 * HOUR)
    sweep(stores, NOW - 4 * HOUR - MOMENT)
    assert is_noted()
    sweep(stores, NOW - 4 * HOUR)
    assert not is_noted()


def test_a_sweep_that_crashed_before_its_write_is_made_up_for(stores, monkeypatch):
    use(stores)
    for now in (NOW, NOW + HOUR):
        with monkeypatch.context() as broken:
            broken.setattr(Database, "write", lambda *_: (_ for _ in ()).throw(RuntimeError("crash")))
            with pytest.raises(RuntimeError):
                sweep(stores, now)
        assert is_noted()
        sweep(stores, now)
    assert not is_noted()


@pytest.mark.parametrize("end", ["deleted", "expired", "with its user"])
def test_a_token_that_ends_unused_keeps_no_note(stores, end):
    token = imported(expires_at=NOW + HOUR if end == "expired" else None)
    stores.tokens.create(token)
    if end == "deleted":
        stores.tokens.delete([token.id])
    if end == "with its user":
        stores.users.delete("u-alice")
    for turn in range(1, 4):
        sweep(stores, NOW + turn * HOUR)
    assert not is_noted()


@pytest.mark.parametrize("end", ["used", "deleted", "with its server"])
def test_a_share_code_keeps_the_note_until_its_end(stores, end):
    server = a_server()
    stores.servers.create(server)
    code = ShareCode("sc-1", an_imported_hash(SECRET), server.id, ("access:servers",), NOW, NOW + 99 * HOUR)
    stores.codes.create(code)
    for turn in range(3):
        sweep(stores, NOW + turn * HOUR)
    assert stores.codes.look_up(sha256("x"), "7ca4")[1] == [code.sha256]
    match end:
        case "used":
            stores.codes.adopt(code, sha256(SECRET), NOW)
        case "deleted":
            stores.codes.delete(server.id)
        case _:
            stores.servers.delete(server)
    for turn in range(3, 5):
        sweep(stores, NOW + turn * HOUR)
    assert not is_noted()


def test_a_note_of_an_older_version_stays_because_it_lists_nothing(stores, in_moto):
    old = imported("7ca4of-old")
    stores.tokens.create(old)
    item = Contents().read()[keys.token_hash(old.sha256)]
    Contents().add({name: value for name, value in item.items() if name not in {"expiry", "expires_at"}})
    in_moto.write(Put(Pointer(*keys.IMPORTED_SECRETS, v=4)))
    use(stores)  # a newer version counts in it
    for turn in range(3):
        sweep(stores, NOW + turn * HOUR)
    assert old.sha256 in stores.tokens.look_up(sha256("x"), "7ca4")[1]


def test_an_older_version_that_imports_meanwhile_keeps_the_note(stores, in_moto):
    use(stores)
    sweep(stores, NOW)
    in_moto.write(Put(Pointer(*keys.IMPORTED_SECRETS, v=4)))  # as it does before it writes a secret
    sweep(stores, NOW + HOUR)
    assert is_noted()


def test_an_older_version_reads_the_note(stores, in_moto):
    stores.tokens.create(imported())
    assert in_moto.get(Pointer, keys.IMPORTED_SECRETS) is not None  # all that it asks
