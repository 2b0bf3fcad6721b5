"""Moving in and out through the ports, on every store: what arrives, what stays, and what a second time changes."""

from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest

from hubless.adapters import archive_file
from hubless.adapters.one_time_codes import PyotpCodes
from hubless.adapters.sealing import FernetSealer
from hubless.domain.archive import Archive, ArchivedGroup, ArchivedNote, ArchivedSignUp, ArchivedUser
from hubless.domain.budgets import Budget
from hubless.domain.errors import HublessError, StoreConflictError
from hubless.domain.import_choices import Choices
from hubless.domain.import_items import Kind
from hubless.domain.import_plan import Action
from hubless.domain.tokens import OwnerKind, sha256
from hubless.domain.user_notes import UserNote
from hubless.domain.users import Service
from hubless.services.second_factors import Accepted, SecondFactors
from tests.contract.conftest import ADAPTERS
from tests.support import sqlite
from tests.support.builders import NOW, a_token, a_user, an_imported_hash
from tests.support.moving import BCRYPT_HASH, CHOICES, MovingHub, a_hub, records_of, with_user

on_all_stores = pytest.mark.parametrize("stores", ADAPTERS, indirect=True)


@pytest.fixture(params=["sqlite", "dynamodb-moto"])
def stores(request):
    """What an import writes is held to both emulators store by store; a few tests see that MiniStack takes it too."""
    made = ADAPTERS[request.param](request)
    yield made
    made.close()


@pytest.fixture
def hub(stores):
    return MovingHub(stores)


@on_all_stores
def test_an_empty_hub_gets_everything_of_an_archive(hub, tmp_path):
    """The file that it writes afterwards has the same records, under another hub's key."""
    archive_file.write(a_hub(), tmp_path / "there.jsonl", NOW)
    plan = hub.bring(archive_file.read(tmp_path / "there.jsonl"))
    assert plan.left_out == {}
    assert plan.admins == ("ada",)
    assert records_of(hub.archive()) == records_of(a_hub())

    archive_file.write(hub.archive(), tmp_path / "here.jsonl", NOW)
    elsewhere = MovingHub(sqlite.in_new_file(tmp_path / "elsewhere.sqlite"), key=b"other" * 8)
    elsewhere.bring(archive_file.read(tmp_path / "here.jsonl"))
    assert records_of(elsewhere.archive()) == records_of(a_hub())
    elsewhere.stores.close()


def test_a_second_import_of_the_same_does_nothing(hub):
    hub.bring(a_hub())
    again = hub.bring(a_hub())
    assert again.steps == ()
    assert again.remarks == ()
    assert again.same == hub.plan(a_hub()).same
    assert set(again.same) == set(Kind) - {Kind.ACTIVITY}


def test_the_tokens_of_an_archive_find_their_owners(hub):
    hub.bring(a_hub())
    token, user = hub.stores.tokens.find_with_user(sha256("bob's"))
    assert user.name == "bob"
    assert token.scopes == ("read:users:name!user=bob",)
    dash = hub.stores.services.of_token(sha256("dash"))
    assert hub.stores.tokens.find(sha256("second")).owner_id == dash.token_owner
    assert (dash.name, dash.client_secret_hash) == ("dash", sha256("client"))
    assert hub.stores.services.of_token(sha256("client")) is None


class ShortTotp(pyotp.TOTP):
    min_secret_length_bits = 80


def test_codes_of_an_app_of_an_archive_are_taken(hub, tmp_path):
    """Also after one more move: the archive has the app's secret and nothing else."""
    secret = a_hub().users[0].app.secret
    hub.bring(a_hub())
    archive_file.write(hub.archive(), tmp_path / "here.jsonl", NOW)
    elsewhere = MovingHub(sqlite.in_new_file(tmp_path / "elsewhere.sqlite"), key=b"other" * 8)
    elsewhere.stores.users.create([a_user("ada", id="u-other")])
    elsewhere.bring(archive_file.read(tmp_path / "here.jsonl"), replace(CHOICES, joined=frozenset({"ada"})))
    for one in (hub, elsewhere):
        checked = SecondFactors(one.stores.factors, PyotpCodes(), one.app_secrets, one.clock, "Hub")
        user = one.stores.users.find("ada")
        assert checked.check_code(user, ShortTotp(secret).at(NOW)) == Accepted()
    elsewhere.stores.close()


def test_an_app_that_no_key_opens_takes_its_password_along(hub):
    hub.bring(with_user(a_hub(), "ada", passkeys=()))
    hub.app_secrets = FernetSealer(lambda: [b"n" * 32], "second factors")
    stores = replace(hub.moving.stores, app_secrets=hub.app_secrets)
    ada = replace(hub.exporting, stores=stores).read("here").users[0]
    assert (ada.name, ada.app, ada.password_hash) == ("ada", None, None)


def test_what_changed_there_is_brought_over(hub):
    hub.bring(a_hub())
    changed = with_user(a_hub(), "bob", admin=True, password_hash="$2b$12$new", last_activity_at=NOW)
    changed = replace(changed, groups=(ArchivedGroup("class", ("ada", "bob"), {"n": 4}), *changed.groups[1:]))
    plan = hub.bring(changed)
    assert plan.count(Action.CHANGE) == {Kind.USER: 1, Kind.PASSWORD: 1, Kind.GROUP: 1}
    bob = hub.stores.users.find("bob")
    assert bob.admin
    assert bob.last_activity_at == NOW
    assert hub.stores.passwords.get(bob.id) == "$2b$12$new"
    assert hub.stores.groups.find("class").properties == {"n": 4}


def test_later_activity_there_is_brought_over_alone(hub):
    hub.bring(a_hub())
    plan = hub.bring(with_user(a_hub(), "bob", last_activity_at=NOW))
    assert plan.count(Action.CHANGE) == {Kind.ACTIVITY: 1}
    assert hub.stores.users.find("bob").last_activity_at == NOW
    assert hub.bring(with_user(a_hub(), "bob", last_activity_at=NOW)).steps == ()


def test_a_password_that_was_set_here_since_stays(hub):
    hub.bring(a_hub())
    bob = hub.stores.users.find("bob")
    hub.stores.passwords.set(bob.id, "$argon2id$here")
    plan = hub.bring(with_user(a_hub(), "bob", password_hash="$2b$12$new"))
    assert hub.stores.passwords.get(bob.id) == "$argon2id$here"
    assert [(one.kind, one.subject) for one in plan.remarks] == [(Kind.PASSWORD, "bob")]


def test_a_note_comes_with_its_writer_and_stays_as_it_became_here(hub):
    hub.bring(a_hub())
    ada, notes = hub.stores.users.find("ada"), hub.stores.user_notes
    came = notes.get(ada.id)
    assert came == UserNote(ada.id, "Needs a large screen", 1, "tina", NOW)
    changed = with_user(a_hub(), "ada", admin_note=ArchivedNote("Paid", "tina", NOW))
    assert hub.bring(changed).count(Action.CHANGE) == {Kind.NOTE: 1}
    assert (notes.get(ada.id).text, notes.get(ada.id).revision) == ("Paid", 2)
    notes.save(notes.get(ada.id), UserNote(ada.id, "Ours", 3, "root", NOW))
    assert hub.bring(with_user(a_hub(), "ada", admin_note=ArchivedNote("Left", "tina", NOW))).changes == 0
    assert hub.bring(with_user(a_hub(), "ada", admin_note=None)).gone == ()
    assert hub.archive().users[0].admin_note == ArchivedNote("Ours", "root", NOW)
    notes.save(notes.get(ada.id), UserNote(ada.id, "", 4, "root", NOW))
    hub.bring(with_user(a_hub(), "ada", admin_note=ArchivedNote("Left", "tina", NOW)))
    assert hub.archive().users[0].admin_note is None  # somebody removed it here


def test_a_note_that_changes_after_the_plan_was_made_is_not_lost(hub):
    hub.bring(a_hub())
    ada, notes = hub.stores.users.find("ada"), hub.stores.user_notes
    plan = hub.plan(with_user(a_hub(), "ada", admin_note=ArchivedNote("Paid")))
    notes.save(notes.get(ada.id), UserNote(ada.id, "Ours", 2, "root", NOW))
    with pytest.raises(StoreConflictError, match="The note on ada"):
        hub.moving.carry_out(plan, "old")
    assert notes.get(ada.id).text == "Ours"


def test_the_hash_of_a_token_that_was_used_here_stays(hub):
    source = a_hub()
    foreign = replace(source.tokens[0], hashed="sha512:1:salt:" + "0" * 128 + ":bob'", id="")
    hub.bring(replace(source, tokens=(foreign,)))
    bob = hub.stores.users.find("bob")
    (stored,) = hub.stores.tokens.of_owner(OwnerKind.USER, bob.id)
    hub.stores.tokens.delete([stored.id])
    hub.stores.tokens.create(replace(stored, sha256=sha256("bob's")))  # as the first use does it
    assert hub.bring(replace(source, tokens=(foreign,))).steps == ()
    plan = hub.bring(replace(source, tokens=(replace(foreign, note="renamed"),)))
    assert plan.count(Action.CHANGE) == {Kind.TOKEN: 1}
    token = hub.stores.tokens.find(sha256("bob's"))
    assert (token.id, token.note) == (stored.id, "renamed")


def changed_there(archive):
    """Return the archive in which everything that may change on both sides has changed."""
    changed = with_user(archive, "ada", user_info={"term": "autumn"})
    return replace(
        changed,
        groups=(replace(archive.groups[0], properties={"n": 4}), *archive.groups[1:]),
        services=(replace(archive.services[0], url="http://127.0.0.1:9001"),),
        servers=tuple(
            replace(one, display_name="Theirs", user_options={"image": "y"}) if one.name else one
            for one in archive.servers
        ),
        shares=tuple(replace(one, scopes=("access:servers", "start:servers")) for one in archive.shares),
        sign_ups=(replace(archive.sign_ups[0], address="zoe@new.example.org"),),
    )


def facts_of(hub):
    found = hub.archive()
    ada, group, server = found.users[0], hub.stores.groups.find("class"), hub.server("bob", "work")
    return {
        "user_info": ada.user_info,
        "properties": group.properties,
        "url": hub.stores.services.find("dash").url,
        "server": (server.display_name, server.user_options, server.profile),
        "shares": {one.scopes for one in found.shares},
        "address": found.sign_ups[0].address,
    }


def change_here(hub):
    """Change everything that may change on both sides."""
    stores = hub.stores
    ada, dash, server = stores.users.find("ada"), stores.services.find("dash"), hub.server("bob", "work")
    stores.users.change(ada, replace(ada, user_info={"own": True}, revision=ada.revision + 1))
    stores.groups.set_properties(stores.groups.find("class").id, {"own": True})
    assert stores.services.change(dash, replace(dash, url="http://127.0.0.1:9999"))
    own = replace(server, display_name="Own", user_options={"own": True}, revision=server.revision + 1)
    stores.servers.write(server, own)
    for share in stores.shares.page(offset=0, limit=10, owner_id=stores.users.find("bob").id)[0]:
        stores.shares.grant(replace(share, scopes=("access:servers", "stop:servers")))
    (zoe,) = stores.sign_ups.all(NOW)
    stores.sign_ups.change(zoe, replace(zoe, address="zoe@own.example.org", revision=zoe.revision + 1))


@on_all_stores
def test_what_changed_there_alone_is_brought_into_everything(hub):
    hub.bring(a_hub())
    assert hub.bring(changed_there(a_hub())).remarks == ()
    assert facts_of(hub) == {
        "user_info": {"term": "autumn"},
        "properties": {"n": 4},
        "url": "http://127.0.0.1:9001",
        "server": ("Theirs", {"image": "y"}, "big"),
        "shares": {("access:servers", "start:servers")},
        "address": "zoe@new.example.org",
    }
    assert hub.bring(changed_there(a_hub())).steps == ()


def test_what_changed_here_stays_whether_it_changed_there_or_not(hub):
    hub.bring(a_hub())
    change_here(hub)
    ours = facts_of(hub)
    assert hub.bring(a_hub()).steps == ()
    for _ in range(2):
        plan = hub.bring(changed_there(a_hub()))
        assert facts_of(hub) == ours
        kinds = {Kind.USER, Kind.GROUP, Kind.SERVICE, Kind.SERVER, Kind.SHARE, Kind.SIGN_UP}
        assert (set(plan.kept), {one.kind for one in plan.remarks}) == (kinds, kinds)
        assert plan.changes == 0
    assert hub.bring(a_hub()).remarks == ()  # it is there again as it came


def test_parts_that_changed_on_one_side_each_are_merged(hub):
    hub.bring(a_hub())
    server = hub.server("bob", "work")
    own = replace(server, display_name="Own", revision=server.revision + 1)
    hub.stores.servers.write(server, own)
    there = tuple(replace(one, user_options={"image": "y"}) if one.name else one for one in a_hub().servers)
    assert hub.bring(replace(a_hub(), servers=there)).remarks == ()
    merged = hub.server("bob", "work")
    assert (merged.display_name, merged.user_options, merged.profile) == ("Own", {"image": "y"}, "big")


@pytest.mark.parametrize("what", ["user_info", "properties", "url", "server", "shares", "address", "password"])
def test_what_changes_here_after_the_plan_was_made_is_not_lost(hub, what):
    """People read the report before they say yes."""
    hub.bring(a_hub())
    there = changed_there(a_hub())
    only = {
        "user_info": {"users": there.users},
        "properties": {"groups": there.groups},
        "url": {"services": there.services},
        "server": {"servers": there.servers},
        "shares": {"shares": there.shares},
        "address": {"sign_ups": there.sign_ups},
        "password": {"users": with_user(a_hub(), "bob", password_hash="$2b$12$new").users},
    }[what]
    plan = hub.plan(replace(a_hub(), **only))
    change_here(hub)
    hub.stores.passwords.set(hub.stores.users.find("bob").id, "$argon2id$own")
    ours = facts_of(hub)
    with pytest.raises(HublessError, match="Import again"):
        hub.moving.carry_out(plan, "old")
    assert facts_of(hub) == ours
    assert hub.stores.passwords.get(hub.stores.users.find("bob").id) == "$argon2id$own"
    hub.bring(replace(a_hub(), **only))
    assert facts_of(hub) == ours


def test_who_waited_and_was_let_in_there_waits_no_more_here(hub):
    hub.bring(a_hub())
    zoe = ArchivedUser("zoe", created_at=NOW, password_hash=BCRYPT_HASH)
    plan = hub.bring(replace(a_hub(), users=(*a_hub().users, zoe), sign_ups=()))
    assert plan.count(Action.REMOVE) == {Kind.SIGN_UP: 1}
    assert hub.stores.sign_ups.all(NOW) == []
    assert hub.stores.passwords.get(hub.stores.users.find("zoe").id) == BCRYPT_HASH


def test_who_waits_here_under_the_name_of_a_user_there_is_named(hub):
    hub.bring(Archive("other", sign_ups=a_hub().sign_ups), origin="other")
    plan = hub.bring(Archive("old", users=(ArchivedUser("zoe", created_at=NOW),)))
    assert [(one.subject, "waits here" in one.what) for one in plan.remarks] == [("zoe", True)]
    assert [one.name for one in hub.stores.sign_ups.all(NOW)] == ["zoe"]


def refused(name="bob"):
    """Return an archive in which an admin took back that the user may log in."""
    return with_user(a_hub(), name, password_hash=None, is_refused=True)


@pytest.mark.parametrize("was_used", [False, True])
def test_who_is_refused_there_later_is_refused_here(hub, was_used):
    hub.bring(a_hub())
    bob = hub.stores.users.find("bob")
    if was_used:
        assert hub.stores.passwords.rehash(bob.id, BCRYPT_HASH, "$argon2id$same")
    plan = hub.bring(refused())
    assert hub.stores.passwords.get(bob.id) is None
    assert plan.count(Action.REMOVE) == {Kind.PASSWORD: 1}
    assert "is removed here too" in plan.remarks[0].what
    assert hub.bring(refused()).steps == ()
    hub.bring(a_hub())  # authorized again
    assert hub.stores.passwords.get(bob.id) == BCRYPT_HASH


def test_a_password_that_was_set_here_stays_when_there_refuses_its_user(hub):
    hub.bring(a_hub())
    bob = hub.stores.users.find("bob")
    hub.stores.passwords.rehash(bob.id, BCRYPT_HASH, "$argon2id$same")
    assert hub.stores.passwords.change(bob.id, "$argon2id$same", "$argon2id$own")
    plan = hub.bring(refused())
    assert hub.stores.passwords.get(bob.id) == "$argon2id$own"
    assert (plan.steps, plan.kept) == ((), {Kind.PASSWORD: 1})


def test_a_password_that_changes_after_the_plan_was_made_is_not_removed(hub):
    hub.bring(a_hub())
    bob, plan = hub.stores.users.find("bob"), hub.plan(refused())
    hub.stores.passwords.set(bob.id, "$argon2id$own")
    with pytest.raises(HublessError, match="Import again"):
        hub.moving.carry_out(plan, "old")
    assert hub.stores.passwords.get(bob.id) == "$argon2id$own"


def test_a_password_that_changed_there_comes_although_it_was_used_here(hub):
    hub.bring(a_hub())
    bob = hub.stores.users.find("bob")
    hub.stores.passwords.rehash(bob.id, BCRYPT_HASH, "$argon2id$same")
    changed = with_user(a_hub(), "bob", password_hash="$2b$12$new")
    assert hub.bring(changed).remarks == ()
    assert hub.stores.passwords.get(bob.id) == "$2b$12$new"
    assert hub.bring(changed).steps == ()


def test_a_member_taken_away_here_stays_away_and_one_there_goes(hub):
    hub.bring(a_hub())
    group = hub.stores.groups.find("class")
    hub.stores.groups.remove_users(group.id, ["ada"])
    hub.stores.users.create([a_user("own")])
    hub.stores.groups.add_users(group.id, ["own"])
    left = replace(a_hub(), groups=(ArchivedGroup("class", ("ada", "eve"), {"n": 3}), a_hub().groups[1]))
    hub.bring(left)
    assert hub.stores.groups.find("class").users == ("eve", "own")
    assert hub.bring(left).steps == ()


@on_all_stores
def test_a_token_that_went_over_to_another_user_there_moves(hub):
    hub.bring(a_hub())
    first, *others = a_hub().tokens
    hub.bring(replace(a_hub(), tokens=(replace(first, owner="eve"), *others)))
    token, user = hub.stores.tokens.find_with_user(first.hashed)
    assert (token.id, user.name) == (first.id, "eve")
    assert hub.stores.tokens.of_owner(OwnerKind.USER, hub.stores.users.find("bob").id) == []


def test_a_user_who_got_another_name_there_becomes_another_one_here(hub):
    """The old name is named as gone; what was that user's moves or is made."""
    hub.bring(a_hub())
    ada, bob, eve = a_hub().users
    renamed = replace(a_hub(), users=(ada, replace(bob, name="robert", id=""), eve))
    renamed = replace(
        renamed,
        groups=(ArchivedGroup("class", ("ada", "robert"), {"n": 3}), a_hub().groups[1]),
        servers=tuple(replace(one, owner="robert") if one.owner == "bob" else one for one in a_hub().servers),
        tokens=(replace(a_hub().tokens[0], owner="robert"), a_hub().tokens[1]),
        shares=tuple(replace(one, owner="robert") for one in a_hub().shares),
        share_codes=(),
        budgets=(a_hub().budgets[0], replace(a_hub().budgets[1], user="robert")),
    )
    plan = hub.bring(renamed)
    assert "bob" in {item.key[0] for item in plan.gone if item.kind is Kind.USER}
    assert hub.stores.tokens.find_with_user(a_hub().tokens[0].hashed)[1].name == "robert"
    assert hub.bring(renamed).steps == ()


def test_a_name_that_was_chosen_once_holds_for_later_imports(hub):
    hub.bring(a_hub(), replace(CHOICES, renames={"bob": "bob2"}))
    changed = with_user(a_hub(), "bob", user_info={"n": 1})
    assert hub.bring(changed).count(Action.ADD) == {}
    assert hub.stores.users.find("bob") is None
    assert hub.stores.users.find("bob2").user_info == {"n": 1}
    with pytest.raises(HublessError, match="contradicts an earlier import"):
        hub.plan(changed, replace(CHOICES, renames={"bob": "bob3"}))


def test_who_was_here_before_the_first_import_is_another_person(hub):
    hub.stores.users.create([a_user("bob", admin=True)])
    plan = hub.bring(a_hub(), replace(CHOICES, joins_all=True))
    assert {one.subject for one in plan.remarks} == {"bob"}
    assert hub.stores.passwords.get("u-bob") is None
    assert hub.stores.tokens.find(a_hub().tokens[0].hashed) is None
    assert hub.stores.groups.find("class").users == ("ada",)


def test_of_two_imports_at_once_one_asks_to_import_again(hub):
    first, second = hub.plan(a_hub()), hub.plan(a_hub())
    hub.moving.carry_out(first, "old")
    with pytest.raises(HublessError, match="meanwhile"):
        hub.moving.carry_out(second, "old")
    assert records_of(hub.archive()) == records_of(a_hub())
    assert hub.bring(a_hub()).steps == ()


def test_two_imports_of_changes_at_once_bring_them_once(hub):
    hub.bring(a_hub())
    there = changed_there(a_hub())
    first, second = hub.plan(there), hub.plan(there)
    hub.moving.carry_out(first, "old")
    with pytest.raises(HublessError, match="Import again"):
        hub.moving.carry_out(second, "old")
    hub.bring(there)
    assert records_of(hub.archive()) == records_of(there)


@pytest.mark.parametrize("at", [0, 3, 6, 9])
def test_an_import_within_another_leaves_everything_once(hub, at):
    """The second one starts and ends between two batches of the first, in DynamoDB."""
    if hub.stores.import_marks.is_atomic:
        at = 0  # nobody else writes during a transaction
    seen = []

    def progress(what, done, of):
        seen.append(what)
        if len(seen) == at + 1 and (at or not hub.stores.import_marks.is_atomic):
            hub.bring(a_hub())

    plan = hub.plan(a_hub())
    try:
        hub.moving.carry_out(plan, "old", progress)
    except HublessError:  # what the second one has brought is there already
        assert not hub.stores.import_marks.is_atomic
    hub.bring(a_hub())
    assert records_of(hub.archive()) == records_of(a_hub())
    assert hub.bring(a_hub()).steps == ()


def test_a_clock_that_jumps_back_between_imports_changes_nothing(hub):
    hub.bring(a_hub())
    hub.clock.skew = -timedelta(hours=5)
    assert hub.bring(a_hub()).steps == ()
    late = replace(a_hub(), users=(*a_hub().users, ArchivedUser("late", created_at=NOW, id="u-late")))
    plan = hub.bring(changed_there(late))
    assert plan.remarks == ()
    assert records_of(hub.archive()) == records_of(changed_there(late))
    hub.clock.skew = timedelta()
    assert hub.bring(changed_there(late)).steps == ()


def with_service(archive, **facts):
    return replace(archive, services=(replace(archive.services[0], **facts),))


def test_a_service_that_changed_there_keeps_its_tokens(hub):
    hub.bring(a_hub())
    before = hub.stores.services.find("dash")
    hub.stores.tokens.create(
        a_token("issued", "bob", owner_id=hub.stores.users.find("bob").id, client_id="service-dash")
    )
    plan = hub.bring(with_service(a_hub(), url="http://127.0.0.1:9001", client_secret_hash=sha256("new")))
    assert plan.count(Action.CHANGE) == {Kind.SERVICE: 1}
    changed = hub.stores.services.find("dash")
    assert changed == replace(before, url="http://127.0.0.1:9001", client_secret_hash=sha256("new"))
    assert hub.stores.tokens.find(sha256("second")).owner_id == changed.token_owner
    assert hub.stores.tokens.find(sha256("issued")) is not None
    hub.bring(with_service(a_hub(), info={}, client_secret_hash=None, token_hash=None))
    assert hub.stores.services.find("dash").client_secret_hash == sha256("new")
    assert hub.stores.services.of_token(sha256("dash")) == hub.stores.services.find("dash")


def test_a_service_of_the_settings_gets_the_tokens_and_keeps_itself(stores):
    dash = Service("dash", url="http://127.0.0.1:1", token_sha256=sha256("ours"))
    hub = MovingHub(stores, configured=(dash,))
    choices = replace(CHOICES, services=frozenset({"dash"}))
    plan = hub.bring(a_hub(), choices)
    assert [(one.kind, one.subject) for one in plan.remarks] == [(Kind.SERVICE, "dash")]
    assert hub.stores.services.all() == []
    assert [token.id for token in hub.stores.tokens.of_owner(OwnerKind.SERVICE, "dash")] == ["a-dash-there"]
    assert hub.bring(a_hub(), choices).steps == ()


def test_a_service_that_settings_name_since_gets_its_tokens_once(stores):
    """The hash that a token got here at its first use moves with it."""
    hub, later = MovingHub(stores), MovingHub(stores, configured=(Service("dash"),))
    choices = replace(CHOICES, services=frozenset({"dash"}))
    source = replace(a_hub(), tokens=(replace(a_hub().tokens[1], hashed=an_imported_hash("second")),))
    hub.bring(source)
    hub.stores.tokens.adopt(hub.stores.tokens.find(an_imported_hash("second")), sha256("second"), NOW)
    assert later.bring(source, choices).count(Action.ADD) == {Kind.TOKEN: 1}
    assert hub.stores.tokens.find(sha256("second")).owner_id == "dash"
    assert hub.stores.tokens.of_owner(OwnerKind.SERVICE, hub.stores.services.find("dash").token_owner) == []
    assert later.bring(source, choices).steps == ()


def test_what_was_removed_here_since_does_not_come_back(hub):
    hub.bring(a_hub())
    hub.stores.users.delete(hub.stores.users.find("bob").id)
    assert hub.bring(a_hub()).steps == ()
    plan = hub.bring(with_user(a_hub(), "bob", admin=True))
    assert hub.stores.users.find("bob") is None
    assert Kind.USER in {one.kind for one in plan.remarks}


@on_all_stores
def test_what_the_source_lost_is_named_and_removed_only_if_asked(hub):
    hub.bring(a_hub())
    left = replace(
        a_hub(),
        users=a_hub().users[:1],
        groups=(ArchivedGroup("class", ("ada",), {"n": 3}),),
        servers=a_hub().servers[:1],
        services=(),
        tokens=(),
        shares=(),
        share_codes=(),
        budgets=a_hub().budgets[:1],
        schedules=(),
    )
    plan = hub.bring(left)
    assert plan.steps == ()
    gone = sorted((one.kind.value, "/".join(one.key[:2])) for one in plan.gone)
    assert gone == [
        ("budget", "own"),
        ("group", "empty"),
        ("membership", "class/bob"),
        ("schedule", "exam"),
        ("schedule", "lab"),
        ("server", "bob/work"),
        ("service", "dash"),
        ("share", "bob/work"),
        ("share", "bob/work"),
        ("share code", "sc_there"),
        ("token", "a-bob-there"),
        ("token", "a-dash-there"),
        ("user", "bob"),
        ("user", "eve"),
    ]
    assert hub.stores.users.find("bob") is not None
    hub.bring(left, replace(CHOICES, delete=True))
    assert records_of(hub.archive()) == records_of(left)
    assert hub.bring(left, replace(CHOICES, delete=True)).gone == ()


def test_what_was_never_imported_is_never_removed(hub):
    hub.stores.users.create([a_user("own")])
    hub.bring(a_hub())
    hub.bring(Archive("there"), replace(CHOICES, delete=True))
    assert [user.name for user in hub.archive().users] == ["own"]


def test_a_second_old_hub_removes_nothing_of_the_first(hub):
    hub.bring(a_hub(), origin="one")
    other = Archive("other", users=(ArchivedUser("zed", created_at=NOW),))
    plan = hub.bring(other, replace(CHOICES, delete=True), origin="two")
    assert plan.gone == ()
    assert {user.name for user in hub.archive().users} == {"ada", "bob", "eve", "zed"}


def test_a_user_who_was_here_before_keeps_what_is_here(hub):
    hub.stores.users.create([a_user("bob", admin=True)])
    hub.stores.passwords.set("u-bob", "$argon2id$own")
    plan = hub.bring(a_hub(), replace(CHOICES, joined=frozenset({"bob"})))
    bob = hub.stores.users.find("bob")
    assert (bob.id, bob.admin) == ("u-bob", True)
    assert hub.stores.passwords.get("u-bob") == "$argon2id$own"
    assert hub.stores.servers.find("u-bob", "work") is not None
    assert {(one.kind, one.subject) for one in plan.remarks} == {(Kind.USER, "bob"), (Kind.PASSWORD, "bob")}
    assert hub.bring(a_hub()).count(Action.CHANGE) == {}


def test_a_renamed_user_brings_everything_under_the_new_name(hub):
    hub.stores.users.create([a_user("bob")])
    hub.bring(a_hub(), replace(CHOICES, renames={"bob": "bob2"}))
    found = hub.archive()
    assert {one.name for one in found.users} == {"ada", "bob", "bob2", "eve"}
    assert {one.owner for one in found.servers} == {"ada", "bob2"}
    token, user = hub.stores.tokens.find_with_user(sha256("bob's"))
    assert (user.name, token.scopes) == ("bob2", ("read:users:name!user=bob2",))
    assert hub.stores.groups.find("class").users == ("ada", "bob2")


def test_an_archive_without_secrets_has_none_and_removes_none(hub):
    hub.bring(a_hub())
    plain = hub.archive(with_secrets=False)
    assert not plain.has_secrets
    assert (plain.tokens, plain.share_codes, plain.sign_ups) == ((), (), ())
    for user in plain.users:
        assert (user.password_hash, user.auth_state, user.app, user.passkeys) == (None, None, None, ())
    hub.bring(plain, replace(CHOICES, delete=True))
    assert records_of(hub.archive()) == records_of(a_hub())


def test_older_records_stay_behind_with_an_instant(hub):
    since = NOW - timedelta(days=6)
    hub.bring(a_hub())
    fresh = with_user(a_hub(), "bob", admin=True)  # was never active since
    plan = hub.plan(fresh, replace(CHOICES, since=since))
    assert plan.steps == ()
    active = with_user(fresh, "bob", last_activity_at=NOW)
    assert hub.plan(active, replace(CHOICES, since=since)).count(Action.CHANGE) == {Kind.USER: 1}


def test_auth_state_stays_behind_where_settings_keep_none(hub):
    plan = hub.bring(a_hub(), Choices())
    assert {one.kind for one in plan.remarks} == {Kind.AUTH_STATE}
    assert hub.archive().users[0].auth_state is None


class Crash(Exception):
    pass


class CrashingAt:
    """The marks, whose writes fail from the given one on: before it happens, or after it."""

    def __init__(self, marks, number, *, after):
        self._marks, self._left, self._after = marks, number, after

    def put(self, origin, marks):
        self._left -= 1
        if self._left < 0:
            if self._after:
                self._marks.put(origin, marks)
            raise Crash
        self._marks.put(origin, marks)

    def __getattr__(self, name):
        return getattr(self._marks, name)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(0, 15, 2))
def test_an_import_that_crashed_is_completed_by_the_next(hub, number, after):
    stores = hub.moving.stores
    crashing = replace(stores, marks=CrashingAt(stores.marks, number, after=after))
    plan = hub.plan(a_hub())
    try:
        replace(hub.moving, stores=crashing).carry_out(plan, "old")
    except Crash:
        if stores.marks.is_atomic:
            assert records_of(hub.archive()) == records_of(Archive("nothing"))
    hub.bring(a_hub())
    assert records_of(hub.archive()) == records_of(a_hub())
    assert hub.bring(a_hub()).steps == ()


class NoCreation:
    """Tokens of which none can be created: the crash comes after the deletion."""

    def __init__(self, tokens):
        self._tokens = tokens

    def create(self, *_, **__):
        raise Crash

    def __getattr__(self, name):
        return getattr(self._tokens, name)


def test_a_token_whose_change_crashed_is_changed_by_the_next_import(hub):
    hub.bring(a_hub())
    first, *others = a_hub().tokens
    changed = replace(a_hub(), tokens=(replace(first, note="renamed"), *others))
    crashing = replace(hub.moving.stores, tokens=NoCreation(hub.stores.tokens))
    with pytest.raises(Crash):
        replace(hub.moving, stores=crashing).carry_out(hub.plan(changed), "old")
    hub.bring(changed)
    assert hub.stores.tokens.find(first.hashed).note == "renamed"
    assert hub.bring(changed).steps == ()


class NoDeletion(NoCreation):
    """Tokens of which none can be deleted: the crash comes before."""

    def delete(self, *_):
        raise Crash


def test_a_token_whose_change_crashed_early_is_changed_by_the_next(hub):
    hub.bring(a_hub())
    first, *others = a_hub().tokens
    changed = replace(a_hub(), tokens=(replace(first, note="renamed"), *others))
    crashing = replace(hub.moving.stores, tokens=NoDeletion(hub.stores.tokens))
    with pytest.raises(Crash):
        replace(hub.moving, stores=crashing).carry_out(hub.plan(changed), "old")
    hub.bring(changed)
    assert hub.stores.tokens.find(first.hashed).note == "renamed"


def test_no_service_gets_the_client_id_or_token_of_another_here(stores):
    hub = MovingHub(stores, configured=(Service("set", token_sha256=sha256("set")),))
    hub.stores.services.create(Service("held", oauth_client_id="service-dash", from_settings=False))
    assert [one.subject for one in hub.bring(a_hub()).remarks][:1] == ["dash"]
    assert hub.stores.users.find("bob") is not None
    of_settings = with_service(a_hub(), oauth_client_id=None, token_hash=sha256("set"))
    assert [one.subject for one in hub.bring(of_settings).remarks][:1] == ["dash"]
    assert [one.name for one in hub.stores.services.all()] == ["held"]


def test_a_plan_that_no_longer_fits_is_refused(hub):
    plan = hub.plan(a_hub())
    hub.stores.users.create([a_user("ada")])
    with pytest.raises(HublessError, match="taken meanwhile"):
        hub.moving.carry_out(plan, "old")
    if hub.stores.import_marks.is_atomic:
        assert [user.name for user in hub.archive().users] == ["ada"]
    hub.bring(a_hub())
    assert {user.name for user in hub.archive().users} == {"ada", "bob", "eve"}


def test_marks_are_kept_by_origin_and_forgotten(stores):
    stores.import_marks.put("one", {f"place-{number}": "x" for number in range(150)})
    stores.import_marks.put("two", {"place-1": "y"})
    stores.import_marks.put("one", {"place-1": "z", "place-2": None})
    found = stores.import_marks.all("one")
    assert len(found) == 149
    assert found["place-1"] == "z"
    assert stores.import_marks.all("two") == {"place-1": "y"}
    assert stores.import_marks.all("three") == {}


def test_more_sign_ups_come_than_may_wait_by_themselves(hub):
    """They wait for an admin, however long ago they came."""
    many = tuple(ArchivedSignUp(f"user{n}", "hash", NOW - timedelta(days=400)) for n in range(40))
    hub.bring(Archive("old", sign_ups=many))
    assert not hub.stores.sign_ups.add(replace(hub.stores.sign_ups.all(NOW)[0], name="more"), NOW, most=40)
    waiting = hub.stores.sign_ups.all(NOW + timedelta(days=364))
    assert {(one.needs_approval, one.is_complete) for one in waiting} == {(True, False)}
    assert len(waiting) == 40


def test_an_awaited_login_ends_with_its_time_whatever_the_source_says(hub):
    eve = next(one for one in a_hub().users if one.name == "eve")
    for_ever = replace(eve, awaited=replace(eve.awaited, until=NOW + timedelta(days=9999)))
    hub.bring(Archive("old", users=(for_ever,)))
    awaited = hub.stores.users.find("eve").awaited
    assert awaited == replace(eve.awaited, until=NOW + timedelta(days=180))
    again = replace(eve, awaited=replace(eve.awaited, until=NOW + timedelta(days=300)))
    assert hub.bring(Archive("old", users=(again,))).steps == ()


def test_a_plan_that_was_made_before_a_password_lets_nobody_await_a_login(hub):
    eve = next(one for one in a_hub().users if one.name == "eve")
    hub.bring(Archive("old", users=(replace(eve, awaited=None),)))
    plan = hub.plan(Archive("old", users=(eve,)))
    hub.stores.passwords.set(hub.stores.users.find("eve").id, "hash")
    with pytest.raises(HublessError, match="Import again"):
        hub.moving.carry_out(plan, "old")
    assert hub.stores.users.find("eve").awaited is None
    assert "has another way in" in {one.what for one in hub.plan(Archive("old", users=(eve,))).remarks}


def other_plans(archive):
    """Return the budgets and schedules of *archive* with one change each."""
    (money, own), (lab, exam) = archive.budgets, archive.schedules
    return {
        "budgets": (replace(money, seconds=3600), own),
        "schedules": (replace(lab, ends="12:00:00", days=(1,)), exam),
    }


def test_budgets_and_schedules_follow_the_source_unless_changed_here(hub):
    hub.bring(a_hub())
    assert [one.name for one in hub.stores.schedules.all()] == ["exam", "lab"]
    changed = replace(a_hub(), **other_plans(a_hub()))
    plan = hub.bring(changed)
    assert plan.count(Action.CHANGE) == {Kind.BUDGET: 1, Kind.SCHEDULE: 1}
    assert records_of(hub.archive()) == records_of(changed)
    assert hub.bring(changed).steps == ()
    lab = next(one for one in hub.stores.schedules.all() if one.name == "lab")
    hub.stores.schedules.replace(lab, replace(lab, is_paused=True, revision=lab.revision + 1))
    hub.stores.budgets.put(Budget("class", group="class", servers=1))
    plan = hub.bring(a_hub())
    assert (plan.changes, set(plan.kept)) == (0, {Kind.BUDGET, Kind.SCHEDULE})
    assert next(one for one in hub.stores.schedules.all() if one.name == "lab").is_paused


@pytest.mark.parametrize("what", ["budgets", "schedules"])
def test_a_plan_of_an_admin_that_changes_meanwhile_is_not_lost(hub, what):
    hub.bring(a_hub())
    plan = hub.plan(replace(a_hub(), **{what: other_plans(a_hub())[what]}))
    hub.stores.budgets.put(Budget("class", group="class", servers=1))
    lab = next(one for one in hub.stores.schedules.all() if one.name == "lab")
    hub.stores.schedules.replace(lab, replace(lab, is_paused=True, revision=lab.revision + 1))
    ours = records_of(hub.archive())
    with pytest.raises(StoreConflictError, match="was changed meanwhile"):
        hub.moving.carry_out(plan, "old")
    assert records_of(hub.archive()) == ours
