"""Plans of imports: which records come, under which names, and what is left out and why."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.archive import (
    Archive,
    ArchivedApp,
    ArchivedBudget,
    ArchivedGroup,
    ArchivedIdentity,
    ArchivedPasskey,
    ArchivedSchedule,
    ArchivedServer,
    ArchivedService,
    ArchivedShare,
    ArchivedShareCode,
    ArchivedSignUp,
    ArchivedToken,
    ArchivedUser,
    Remark,
)
from hubless.domain.budgets import MOST_BUDGETS
from hubless.domain.errors import InvalidRequestError
from hubless.domain.external_identities import AwaitedLogin, ExternalId
from hubless.domain.import_choices import Choices
from hubless.domain.import_items import Kind, items_of, place_of
from hubless.domain.import_plan import Action, plan_of
from hubless.domain.imported_secrets import MOST_OF_MANY_ROUNDS, MOST_OF_ONE_ROUND
from hubless.domain.tokens import OwnerKind
from tests.support.builders import NOW, an_imported_hash

EMPTY = Archive("here")
LATER = NOW + timedelta(days=1)


def users(*names, **facts):
    return tuple(ArchivedUser(name, created_at=NOW, **facts) for name in names)


def plan(source, here=EMPTY, marks=None, now=NOW, **choices):
    return plan_of(source, here, marks or {}, Choices(**choices), now)


def a_token(owner="ada", hashed="h1", **facts):
    standard = {"scopes": ("inherit",), "created_at": NOW, "owner_kind": OwnerKind.USER}
    return ArchivedToken(owner=owner, hashed=hashed, **standard | facts)


def written(found, kind, action=Action.ADD):
    return [step.item.key for step in found.steps if step.item.kind is kind and step.action is action]


def left_out(found):
    return [(one.kind, one.subject) for one in found.remarks if one.is_left_out]


def test_names_are_brought_into_our_form():
    found = plan(Archive("x", users=users("Ada", "\uff42ob"), groups=(ArchivedGroup("G", ("Ada",)),)))
    assert written(found, Kind.USER) == [("ada",), ("bob",)]
    assert written(found, Kind.MEMBER) == [("G", "ada")]
    assert found.remarks == ()


@pytest.mark.parametrize("names", [("Bob", "bob"), ("bob", "b\u043eb"), ("tom", "\uff34\uff2f\uff2d")])
def test_users_whose_names_meet_are_both_left_out(names):
    source = Archive("x", users=users(*names, "ada"), tokens=(a_token(names[0]), a_token("ada", "h2")))
    found = plan(source)
    assert written(found, Kind.USER) == [("ada",)]
    assert left_out(found) == [(Kind.USER, names[0]), (Kind.USER, names[1])]
    assert all("--rename" in one.to_do for one in found.remarks)
    assert found.left_out == {Kind.USER: 2, Kind.TOKEN: 1}


def test_a_new_name_keeps_two_people_apart():
    source = Archive("x", users=users("Bob", "bob"), tokens=(a_token("Bob"),))
    found = plan(source, renames={"Bob": "bob2"})
    assert sorted(written(found, Kind.USER)) == [("bob",), ("bob2",)]
    assert found.remarks == ()


def test_a_new_name_of_nobody_is_named():
    found = plan(Archive("x", users=users("ada")), renames={"adda": "ada2"})
    assert [one.subject for one in found.remarks] == ["adda"]


@pytest.mark.parametrize("name", ["a/b", "x" * 300, "  ", "..", "a\u202eb", "p\u0430ypal"])
def test_a_name_that_is_refused_here_is_left_out(name):
    found = plan(Archive("x", users=(*users(name), *users("ada"))))
    assert written(found, Kind.USER) == [("ada",)]
    assert [one.kind for one in found.remarks] == [Kind.USER]


def test_a_name_that_looks_like_one_of_here_is_left_out():
    found = plan(Archive("x", users=users("\u0430d\u0430")), Archive("here", users=users("ada")))
    assert found.steps == ()
    assert "looks like the user 'ada'" in found.remarks[0].what


def test_names_that_meet_here_are_named_as_such():
    found = plan(Archive("x", users=users("full", "Full", "\uff26ull")))
    assert [(one.subject, one.what) for one in found.remarks] == [
        ("full", "would be 'full' here, and so would 'Full'"),
        ("Full", "would be 'full' here, and so would 'full'"),
        ("\uff26ull", "would be 'full' here, and so would 'Full'"),
    ]


def test_names_that_would_look_alike_here_are_both_named():
    found = plan(Archive("x", users=users("ada", "\u0430d\u0430")))
    assert [one.what for one in found.remarks] == [
        "would be 'ada' here, which looks like what '\u0430d\u0430' would be",
        "would be '\u0430d\u0430' here, which looks like what 'ada' would be",
    ]


def test_what_belongs_to_nobody_is_left_out():
    source = Archive(
        "x",
        users=users("ada"),
        groups=(ArchivedGroup("g", ("ada", "ghost")),),
        servers=(ArchivedServer("ghost"), ArchivedServer("ada")),
        tokens=(a_token("ghost"), a_token("lost", "h2", owner_kind=OwnerKind.SERVICE)),
        shares=(
            ArchivedShare("ada", "", ("access:servers",), NOW, user="ghost"),
            ArchivedShare("ada", "", ("access:servers",), NOW, group="ghosts"),
            ArchivedShare("ada", "none", ("access:servers",), NOW, group="g"),
        ),
        share_codes=(ArchivedShareCode("ada", "none", "h", ("access:servers",), NOW, LATER),),
    )
    found = plan(source)
    assert found.left_out == {
        Kind.MEMBER: 1,
        Kind.SERVER: 1,
        Kind.TOKEN: 2,
        Kind.SHARE: 3,
        Kind.SHARE_CODE: 1,
    }
    assert written(found, Kind.MEMBER) == [("g", "ada")]
    assert len(found.remarks) == 8


def test_a_user_of_here_gets_no_membership_that_the_source_gave_to_nobody():
    source = Archive("x", groups=(ArchivedGroup("admins", ("ada",)),))
    found = plan(source, Archive("here", users=users("ada")))
    assert written(found, Kind.MEMBER) == []


def test_what_has_expired_is_counted_in_one_line():
    tokens = tuple(a_token(hashed=f"old{number}", expires_at=NOW) for number in range(30))
    found = plan(Archive("x", users=users("ada"), tokens=(*tokens, a_token(expires_at=LATER))))
    assert len(written(found, Kind.TOKEN)) == 1
    assert [(one.kind, one.subject) for one in found.remarks] == [(Kind.TOKEN, "30 of them")]
    assert found.left_out == {Kind.TOKEN: 30}


def test_secrets_that_begin_alike_are_brought_as_far_as_they_are_compared():
    hashes = [f"sha512:16384:{number:016}:{'0' * 128}:same" for number in range(MOST_OF_MANY_ROUNDS + 2)]
    source = Archive(
        "x",
        users=users("ada"),
        servers=(ArchivedServer("ada"),),
        tokens=tuple(a_token(hashed=hashed) for hashed in hashes),
        share_codes=tuple(ArchivedShareCode("ada", "", one, ("access:servers",), NOW, LATER) for one in hashes),
    )
    found = plan(source)
    assert found.left_out[Kind.TOKEN] + len(written(found, Kind.TOKEN)) == len(hashes)
    assert found.left_out[Kind.TOKEN] == found.left_out[Kind.SHARE_CODE] >= 2


def test_a_share_that_ends_or_gives_too_much_is_left_out():
    servers = (ArchivedServer("ada"),)
    shares = (
        ArchivedShare("ada", "", ("access:servers",), NOW, user="bob", expires_at=LATER),
        ArchivedShare("ada", "", ("admin:users",), NOW, user="eve"),
        ArchivedShare("ada", "", ("access:servers", "read:servers"), NOW, user="ada"),
    )
    found = plan(Archive("x", users=users("ada", "bob", "eve"), servers=servers, shares=shares))
    assert [key[3] for key in written(found, Kind.SHARE)] == ["ada"]
    assert len(left_out(found)) == 2


def test_a_service_of_the_settings_keeps_them_and_gets_its_tokens():
    source = Archive("x", services=(ArchivedService("dash"),), tokens=(a_token("dash", owner_kind=OwnerKind.SERVICE),))
    found = plan(source, services=frozenset({"dash"}))
    assert written(found, Kind.SERVICE) == []
    assert len(written(found, Kind.TOKEN)) == 1


def test_a_server_and_a_group_whose_names_are_refused_are_left_out():
    source = Archive(
        "x",
        users=users("ada"),
        servers=(ArchivedServer("ada", "My Server"), ArchivedServer("ada", "mine")),
        groups=(ArchivedGroup("a/b", ("ada",)),),
    )
    found = plan(source)
    assert written(found, Kind.SERVER) == [("ada", "mine")]
    assert written(found, Kind.GROUP) == []
    assert written(found, Kind.MEMBER) == []


def test_a_sign_up_with_the_name_of_a_user_is_left_out():
    sign_ups = (ArchivedSignUp("ada", "h"), ArchivedSignUp("Zoe", "h"), ArchivedSignUp("here", "h"))
    found = plan(Archive("x", users=users("ada"), sign_ups=sign_ups), Archive("here", users=users("here")))
    assert written(found, Kind.SIGN_UP) == [("zoe",)]


def test_filters_of_scopes_follow_new_names():
    scopes = ("read:users!user=Bob", "servers!server=Bob/lab", "read:groups!group=g", "self", "users!user=other")
    found = plan(Archive("x", users=users("Bob"), tokens=(a_token("Bob", scopes=scopes),)), renames={"Bob": "bob2"})
    (step,) = [step for step in found.steps if step.item.kind is Kind.TOKEN]
    assert step.item.record.scopes == (
        "read:users!user=bob2",
        "servers!server=bob2/lab",
        "read:groups!group=g",
        "self",
        "users!user=other",
    )


def test_a_record_that_comes_twice_counts_once():
    source = Archive("x", users=users("ada"), tokens=(a_token(), a_token(), a_token(note="other")))
    found = plan(source)
    assert len(written(found, Kind.TOKEN)) == 1
    assert [one.kind for one in found.remarks] == [Kind.TOKEN]


def test_an_identity_of_another_user_here_stays_with_that_user():
    identity = ArchivedIdentity(ExternalId("https://id", "1"), "campus", "", NOW)
    here = Archive("here", users=users("bob", identities=(identity,)))
    found = plan(Archive("x", users=users("ada", identities=(identity,))), here)
    assert written(found, Kind.IDENTITY) == []
    assert left_out(found) == [(Kind.IDENTITY, "ada at https://id")]


def test_passkeys_come_only_where_the_user_keeps_the_id():
    passkey = ArchivedPasskey("c", b"k", 0, "hub", "laptop", NOW)
    source = Archive("x", users=users("ada", passkeys=(passkey,), recovery_codes=("r",), id="u-there"))
    assert len(written(plan(source), Kind.FACTORS)) == 1
    found = plan(source, Archive("here", users=users("ada", id="u-here")))
    assert written(found, Kind.FACTORS) == []
    assert Kind.FACTORS in {one.kind for one in found.remarks}


@pytest.mark.parametrize(("app", "comes"), [(None, False), (ArchivedApp("S4L5DG3MC4OZV5H5"), True)])
def test_no_password_comes_alone_where_two_factors_were_asked(app, comes):
    passkey = ArchivedPasskey("c", b"k", 0, "hub", "laptop", NOW)
    source = Archive("x", users=users("ada", passkeys=(passkey,), app=app, password_hash="h", id="u-there"))
    found = plan(source, Archive("here", users=users("ada", id="u-here")))
    assert bool(written(found, Kind.PASSWORD)) is comes
    assert bool(written(found, Kind.FACTORS)) is comes


def marks_of(source):
    return {place_of(item): item.digest for item in items_of(source)}


def test_who_is_left_out_for_the_name_is_not_removed():
    """Nobody is removed because somebody there took a name that looks like theirs."""
    share = ArchivedShare("bob", "", ("access:servers",), NOW, user="ada")
    servers = (ArchivedServer("ada"), ArchivedServer("bob"))
    here = Archive("here", users=users("ada", "bob"), servers=servers, tokens=(a_token(),), shares=(share,))
    source = replace(here, users=users("ada", "bob", "\u0430d\u0430"))
    found = plan(source, here, marks_of(here), delete=True)
    assert found.gone == ()
    assert found.steps == ()
    assert plan(replace(here, users=users("bob")), here, marks_of(here), delete=True).gone


def test_nothing_is_removed_when_the_source_has_broken_records():
    here = Archive("here", users=users("ada", "bob"))
    source = Archive("x", users=users("bob"))
    assert written(plan(source, here, marks_of(here), delete=True), Kind.USER, Action.REMOVE) == [("ada",)]
    assert plan(replace(source, is_whole=False), here, marks_of(here), delete=True).steps == ()


def test_what_is_new_there_of_somebody_removed_here_is_left_out():
    before = Archive("x", users=users("ada", "bob"), groups=(ArchivedGroup("g"),), servers=(ArchivedServer("bob"),))
    source = replace(
        before,
        tokens=(a_token(),),
        groups=(ArchivedGroup("g", ("bob",)),),
        shares=(ArchivedShare("bob", "", ("access:servers",), NOW, user="ada"),),
        users=(*users("ada", password_hash="h"), *users("bob")),
    )
    here = Archive("here", users=users("bob"), servers=(ArchivedServer("bob"),))
    found = plan(source, here, marks_of(before))
    assert found.steps == ()
    assert found.left_out == {Kind.PASSWORD: 1, Kind.TOKEN: 1, Kind.MEMBER: 1, Kind.SHARE: 1}


def test_second_factors_are_written_before_passwords():
    source = Archive("x", users=users("ada", app=ArchivedApp("S4L5DG3MC4OZV5H5"), password_hash="h"))
    assert [step.item.kind for step in plan(source).steps] == [Kind.USER, Kind.FACTORS, Kind.PASSWORD]


def test_remarks_of_the_reader_come_first_and_count():
    remark = Remark("token", "of running servers", "3 of them stay behind", is_left_out=True)
    found = plan(Archive("x", users=users("ada"), remarks=(remark,)))
    assert found.remarks == (remark,)
    assert found.left_out == {"token": 1}


def test_an_id_that_is_another_users_here_is_not_taken():
    source = Archive("x", users=users("ada", id="u-1"))
    found = plan(source, Archive("here", users=users("bob", id="u-1")))
    assert [step.item.record.id for step in found.steps] == [""]


def test_places_tell_kinds_and_keys_apart():
    source = Archive("x", users=users("ada", "bob", password_hash="h", email="e"))
    places = [place_of(item) for item in items_of(source)]
    assert len(set(places)) == len(places) == 6


def test_steps_are_in_the_order_in_which_they_can_be_written():
    source = Archive(
        "x",
        users=users("ada", password_hash="h"),
        groups=(ArchivedGroup("g", ("ada",)),),
        servers=(ArchivedServer("ada"),),
        shares=(ArchivedShare("ada", "", ("access:servers",), NOW, group="g"),),
    )
    kinds = [step.item.kind for step in plan(source).steps]
    assert kinds == [Kind.USER, Kind.PASSWORD, Kind.GROUP, Kind.MEMBER, Kind.SERVER, Kind.SHARE]


def test_a_user_who_is_here_already_stays_an_admin_and_may_become_one():
    here = Archive("here", users=(ArchivedUser("ada", admin=True), ArchivedUser("bob")))
    source = Archive("x", users=(*users("ada"), *users("bob", admin=True)))
    found = plan(source, here, joined=frozenset({"ada", "bob"}))
    assert found.admins == ("bob",)
    admins = {step.item.key[0]: step.item.record.admin for step in found.steps}
    assert admins == {"ada": True, "bob": True}


def test_a_service_that_becomes_an_admin_is_named():
    here = Archive("here", services=(ArchivedService("old", admin=True), ArchivedService("risen")))
    source = Archive("x", services=tuple(ArchivedService(name, admin=True) for name in ("old", "risen", "new")))
    marks = {place_of(item): item.digest for item in items_of(here)}
    assert plan(source, here, marks).admin_services == ("new", "risen")


@pytest.mark.parametrize("imported", [False, True])
def test_an_admin_flag_that_was_changed_here_since_stays(imported):
    first = Archive("x", users=users("ada", admin=imported))
    marks = {place_of(item): item.digest for item in items_of(first)}
    changed = Archive("x", users=users("ada", admin=imported, user_info={"term": "spring"}))
    found = plan(changed, Archive("here", users=users("ada", admin=not imported)), marks)
    assert [(step.action, step.item.record.admin) for step in found.steps] == [(Action.CHANGE, not imported)]
    assert [one.subject for one in found.remarks] == ["ada"]
    assert found.admins == ()


@pytest.mark.parametrize("imported", [False, True])
def test_an_admin_flag_that_changed_there_alone_is_brought_over(imported):
    first = Archive("x", users=users("ada", admin=imported))
    marks = {place_of(item): item.digest for item in items_of(first)}
    found = plan(Archive("x", users=users("ada", admin=not imported)), first, marks)
    assert [step.item.record.admin for step in found.steps] == [not imported]
    assert found.remarks == ()


@pytest.mark.parametrize(
    "facts",
    [
        {"name": "a/b"},
        {"url": "ftp://x"},
        {"oauth_redirect_uri": "//elsewhere.example"},
        {"oauth_client_id": "jupyterhub-user-ada"},
        {"oauth_client_allowed_scopes": ("no:such-scope",)},
        {"oauth_client_id": "service-held"},
        {"token_hash": "held"},
        {"oauth_client_id": "service-set"},
    ],
)
def test_a_service_that_is_refused_here_is_left_out_alone(facts):
    held = ArchivedService("held", oauth_client_id="service-held", token_hash="held")
    wrong = replace(ArchivedService("wrong"), **facts)
    token = a_token(wrong.name, owner_kind=OwnerKind.SERVICE)
    source = Archive("x", services=(wrong, ArchivedService("good")), tokens=(token,))
    found = plan(source, Archive("here", services=(held,)), taken=frozenset({"service-set"}))
    assert written(found, Kind.SERVICE) == [("good",)]
    assert found.left_out == {Kind.SERVICE: 1, Kind.TOKEN: 1}


def test_of_two_services_with_one_client_id_the_first_comes():
    source = Archive("x", services=tuple(ArchivedService(name, oauth_client_id="service-x") for name in ("a", "b")))
    found = plan(source)
    assert written(found, Kind.SERVICE) == [("a",)]
    assert left_out(found) == [(Kind.SERVICE, "b")]


def test_a_group_that_is_here_keeps_its_properties():
    mine, theirs = ArchivedGroup("g", properties={"a": 1}), ArchivedGroup("g", properties={"b": 2})
    assert plan(Archive("x", groups=(theirs,)), Archive("here", groups=(mine,))).steps == ()
    bare = Archive("here", groups=(replace(mine, properties={}),))
    assert written(plan(Archive("x", groups=(theirs,)), bare), Kind.GROUP, Action.CHANGE) == [("g",)]


@pytest.mark.parametrize(("rounds", "most"), [(1, MOST_OF_ONE_ROUND), (16_384, MOST_OF_MANY_ROUNDS)])
def test_too_many_secrets_that_begin_alike_are_left_out(rounds, most):
    hashes = [an_imported_hash(f"same{number}", rounds) for number in range(most + 4)]
    tokens = tuple(a_token(hashed=one, created_at=NOW + timedelta(hours=n)) for n, one in enumerate(hashes[2:]))
    here = Archive("here", tokens=(a_token(hashed=hashes[0], id="a-0"), a_token(hashed=hashes[1], id="a-1")))
    others = tuple(a_token(hashed=an_imported_hash(f"{n}: of another beginning", rounds)) for n in range(3))
    found = plan(Archive("x", users("ada"), tokens=(*tokens, *others)), here)
    assert len(written(found, Kind.TOKEN)) == most - 2 + 3
    assert found.left_out == {Kind.TOKEN: 4}
    assert {(one.kind, one.subject.partition(",")[0]) for one in found.remarks} == {(Kind.TOKEN, "ada")}
    assert not any(hashed in str(found.remarks) for hashed in hashes)


def test_share_codes_and_tokens_that_begin_alike_are_counted_apart():
    hashes = [an_imported_hash(f"same{number}") for number in range(MOST_OF_ONE_ROUND + 1)]
    source = Archive(
        "x",
        users("ada"),
        servers=(ArchivedServer("ada", created_at=NOW),),
        tokens=tuple(a_token(hashed=one) for one in hashes[1:]),
        share_codes=tuple(ArchivedShareCode("ada", "", one, ("access:servers",), NOW, LATER) for one in hashes),
    )
    assert plan(source).left_out == {Kind.SHARE_CODE: 1}


def test_what_is_here_already_takes_no_place_of_others():
    hashes = [an_imported_hash(f"same{number}") for number in range(MOST_OF_ONE_ROUND)]
    source = Archive("x", users("ada"), tokens=tuple(a_token(hashed=one) for one in hashes))
    marks = {place_of(item): item.digest for item in items_of(source)}
    again = plan(source, source, marks)
    assert (again.steps, again.left_out) == ((), {})


AWAITED = AwaitedLogin("sso", "https://sso.example.org", "ada", LATER)


def awaiting(*, awaited=AWAITED, name="ada", **facts):
    return Archive("x", users=users(name, awaited=awaited, **facts))


def marked(source):
    return {place_of(item): item.digest for item in items_of(source)}


def test_a_new_user_awaits_a_login():
    assert written(plan(awaiting()), Kind.AWAITED) == [("ada",)]


@pytest.mark.parametrize(
    "source",
    [
        awaiting(admin=True),
        awaiting(password_hash="hash"),
        awaiting(identities=(ArchivedIdentity(ExternalId("https://a", "1"), "a", "a", NOW),)),
        awaiting(awaited=replace(AWAITED, until=NOW)),
        awaiting(awaited=replace(AWAITED, name="bob")),
        awaiting(awaited=replace(AWAITED, issuer="")),
        awaiting(awaited=replace(AWAITED, provider="p" * 1000)),
    ],
)
def test_who_has_a_way_in_or_is_an_admin_awaits_no_login(source):
    found = plan(source)
    assert written(found, Kind.USER) == [("ada",)]
    assert written(found, Kind.AWAITED) == []
    assert found.left_out[Kind.AWAITED] == 1


def test_who_is_renamed_by_the_import_awaits_no_login():
    found = plan(awaiting(), renames={"ada": "countess"})
    assert (written(found, Kind.USER), written(found, Kind.AWAITED)) == ([("countess",)], [])


def test_a_user_of_here_never_awaits_the_login_of_one_there():
    here = Archive("here", users=(ArchivedUser("ada", created_at=LATER),))
    for marks in ({}, marked(Archive("x", users=users("ada")))):  # also not after an import made them one
        found = plan(awaiting(), here=here, marks=marks, joined=frozenset({"ada"}))
        assert (written(found, Kind.AWAITED), ("awaited login", "ada") in left_out(found)) == ([], True)


@pytest.mark.parametrize(
    "now_here",
    [
        {"password_hash": "set here"},
        {"admin": True},
        {"identities": (ArchivedIdentity(ExternalId("i", "s"), "p", "", NOW),)},
    ],
)
def test_a_later_import_leaves_alone_who_got_a_way_in_here(now_here):
    before = Archive("x", users=users("ada"))
    found = plan(awaiting(), here=Archive("here", users=users("ada", **now_here)), marks=marked(before))
    assert (written(found, Kind.AWAITED), ("awaited login", "ada") in left_out(found)) == ([], True)


def test_a_later_import_with_a_provider_lets_earlier_users_await_it():
    before = Archive("x", users=users("ada"))
    assert written(plan(awaiting(), here=before, marks=marked(before)), Kind.AWAITED) == [("ada",)]


def test_a_login_that_was_awaited_is_not_awaited_again():
    later = awaiting(awaited=replace(AWAITED, until=LATER + timedelta(days=9)))
    found = plan(later, here=Archive("here", users=users("ada")), marks=marked(awaiting()))
    assert (found.steps, found.remarks) == ((), ())


BOTH = [
    (Kind.USER, ArchivedUser("ada", created_at=NOW), "user_info", [None, {"there": 1}, {"here": 1}]),
    (Kind.GROUP, ArchivedGroup("g"), "properties", [{}, {"there": 1}, {"here": 1}]),
    (Kind.SERVICE, ArchivedService("dash"), "url", [None, "http://there", "http://here"]),
    (Kind.SERVICE, ArchivedService("dash"), "client_secret_hash", [None, "hash-1", "hash-2"]),
    (Kind.SERVER, ArchivedServer("ada"), "user_options", [{}, {"there": 1}, {"here": 1}]),
    (Kind.SERVER, ArchivedServer("ada"), "display_name", ["", "name-1", "name-2"]),
    (Kind.TOKEN, a_token(id="a-1"), "scopes", [("self",), ("list:users",), ("read:users",)]),
    (Kind.SHARE, ArchivedShare("ada", "", ("access:servers",), NOW, user="ada"), "scopes",
     [("access:servers",), ("access:servers", "start:servers"), ("access:servers", "stop:servers")]),
    (Kind.SIGN_UP, ArchivedSignUp("zoe", "h"), "address", ["", "a@there", "a@here"]),
]  # fmt: skip
EMPTY_HUB = Archive("x", users=users("ada"), servers=(ArchivedServer("ada"),))
HOLDERS = {
    Kind.USER: "users", Kind.GROUP: "groups", Kind.SERVICE: "services", Kind.SERVER: "servers",
    Kind.TOKEN: "tokens", Kind.SHARE: "shares", Kind.SIGN_UP: "sign_ups",
}  # fmt: skip


def with_record(kind, record, **facts):
    return replace(EMPTY_HUB, **{HOLDERS[kind]: (replace(record, **facts),)})


def changes_of(found):
    return [step.item.record for step in found.steps if step.action in {Action.ADD, Action.CHANGE}]


@pytest.mark.parametrize(("kind", "record", "name", "values"), BOTH)
def test_what_changed_there_alone_comes(kind, record, name, values):
    before, there, _ = values
    base = with_record(kind, record, **{name: before})
    found = plan(with_record(kind, record, **{name: there}), base, marks_of(base))
    assert [getattr(one, name) for one in changes_of(found)] == [there]
    assert (found.remarks, found.kept) == ((), {})


@pytest.mark.parametrize(("kind", "record", "name", "values"), BOTH)
def test_what_changed_here_alone_stays(kind, record, name, values):
    before, _, here = values
    base = with_record(kind, record, **{name: before})
    ours = with_record(kind, record, **{name: here})
    assert plan(base, ours, marks_of(base)).steps == ()
    if kind in {Kind.SERVICE, Kind.SERVER, Kind.TOKEN}:  # also when another part changed there
        other = {Kind.SERVICE: {"admin": True}, Kind.SERVER: {"profile": "p"}, Kind.TOKEN: {"note": "n"}}[kind]
        found = plan(with_record(kind, record, **{name: before} | other), ours, marks_of(base))
        (changed,) = changes_of(found)
        assert getattr(changed, name) == here
        assert {part: getattr(changed, part) for part in other} == other
        assert found.remarks == ()


@pytest.mark.parametrize(("kind", "record", "name", "values"), BOTH)
def test_what_changed_on_both_sides_stays_and_is_named(kind, record, name, values):
    before, there, here = values
    base = with_record(kind, record, **{name: before})
    source, ours = with_record(kind, record, **{name: there}), with_record(kind, record, **{name: here})
    found = plan(source, ours, marks_of(base))
    assert changes_of(found) == []
    (remark,) = found.remarks
    assert (remark.kind, f"`{name}` changed there, and here too" in remark.what) == (kind, True)
    assert found.kept == {kind: 1}
    assert not any(str(one) in f"{remark}" for one in (there, here))

    later = marks_of(base) | {place_of(step.item): step.item.digest for step in found.steps}
    assert plan(source, ours, later).remarks == found.remarks  # as long as the two differ
    again = plan(source, ours, later)
    assert again.changes == 0
    assert changes_of(plan(source, source, later)) == []
    assert plan(source, source, later).remarks == ()


def test_an_item_that_both_sides_changed_alike_is_the_same():
    base = with_record(Kind.GROUP, ArchivedGroup("g"))
    both = with_record(Kind.GROUP, ArchivedGroup("g"), properties={"n": 1})
    found = plan(both, both, marks_of(base))
    assert [step.action for step in found.steps] == [Action.MARK]
    assert found.remarks == ()


def test_an_archive_without_secrets_changes_no_secret_of_a_service():
    base = with_record(Kind.SERVICE, ArchivedService("dash"), token_hash="h", client_secret_hash="c")
    plain = with_record(Kind.SERVICE, ArchivedService("dash"), url="http://there")
    found = plan(replace(plain, has_secrets=False), base, marks_of(base))
    (changed,) = changes_of(found)
    assert (changed.url, changed.token_hash, changed.client_secret_hash) == ("http://there", "h", "c")
    assert found.remarks == ()


def with_members(*names):
    return Archive("x", users=users("ada", "bob", "eve"), groups=(ArchivedGroup("g", names),))


def test_members_who_came_and_left_on_both_sides_are_merged():
    base = with_members("ada", "bob")
    found = plan(with_members("bob", "eve"), with_members("ada"), marks_of(base))  # bob left here, ada there
    assert written(found, Kind.MEMBER) == [("g", "eve")]
    assert written(found, Kind.MEMBER, Action.REMOVE) == [("g", "ada")]
    assert found.gone == ()


def test_a_group_that_was_here_before_is_named_for_its_new_members():
    here = Archive("here", users=users("ada"), groups=(ArchivedGroup("staff"),))
    source = Archive("x", users=users("ada"), groups=(ArchivedGroup("staff", ("ada",)), ArchivedGroup("new", ("ada",))))
    found = plan(source, here)
    assert [(one.kind, one.subject, one.is_left_out) for one in found.remarks] == [(Kind.GROUP, "staff", False)]
    joined = replace(here, groups=(ArchivedGroup("staff", ("ada",)), ArchivedGroup("new", ("ada",))))
    assert plan(source, joined, after(found, {})).remarks == ()
    later = replace(source, groups=(ArchivedGroup("staff", ("ada",), {"n": 1}), source.groups[1]))
    assert plan(later, joined, after(found, {})).remarks == ()


def test_who_was_taken_out_of_a_group_here_does_not_come_back():
    base = with_members("ada", "bob")
    changed = replace(base, groups=(ArchivedGroup("g", ("ada", "bob"), {"n": 1}),))
    assert written(plan(changed, with_members("ada"), marks_of(base)), Kind.MEMBER) == []


def test_who_joined_a_group_here_stays_in_it():
    found = plan(with_members("ada"), with_members("ada", "eve"), marks_of(with_members("ada")), delete=True)
    assert (found.steps, found.gone) == ((), ())


def test_no_membership_ends_for_a_group_or_user_that_the_source_lost():
    base = with_members("ada")
    for left in (replace(base, groups=()), replace(base, users=users("bob", "eve"), groups=(ArchivedGroup("g"),))):
        found = plan(left, base, marks_of(base))
        assert found.steps == ()
        assert (Kind.MEMBER, ("g", "ada")) in {(one.kind, one.key) for one in found.gone}


def test_a_token_whose_owner_changed_there_moves_with_a_line():
    base = Archive("x", users=users("ada", "bob"), tokens=(a_token("ada", id="a-1", note="cron"),))
    found = plan(replace(base, tokens=(a_token("bob", id="a-1", note="cron"),)), base, marks_of(base))
    (step,) = [step for step in found.steps if step.action is not Action.MARK]
    assert (step.action, step.item.record.owner, step.item.before.owner) == (Action.CHANGE, "bob", "ada")
    assert [(one.kind, "from 'ada' to 'bob'" in one.what) for one in found.remarks] == [(Kind.TOKEN, True)]


def test_a_token_of_a_user_who_was_renamed_here_stays_with_that_user():
    base = Archive("x", users=users("ada", "bob"), tokens=(a_token("ada", id="a-1"),))
    here = Archive("x", users=users("ada2", "bob"), tokens=(a_token("ada2", id="a-1"),))
    noted = plan(replace(base, tokens=(a_token("ada", id="a-1", note="n"),)), here, marks_of(base))
    assert [(one.owner, one.note) for one in changes_of(noted)] == [("ada2", "n")]
    moved = plan(replace(base, tokens=(a_token("bob", id="a-1"),)), here, marks_of(base))
    assert changes_of(moved) == []
    assert moved.kept == {Kind.TOKEN: 1}


def test_a_token_that_moved_there_to_somebody_who_is_not_here_is_left_out():
    base = Archive("x", users=users("ada", "bob"), tokens=(a_token("ada", id="a-1"),))
    here = replace(base, users=users("ada"))  # bob was removed here
    found = plan(replace(base, tokens=(a_token("bob", id="a-1"),)), here, marks_of(base))
    assert (found.steps, found.left_out) == ((), {Kind.TOKEN: 1})


def after(found, marks):
    """Return the marks that an import by this plan leaves."""
    return marks | found.name_marks | {place_of(step.item): step.item.digest for step in found.steps}


def test_a_new_name_holds_for_later_imports():
    source = Archive("x", users=users("Bob", "bob"), tokens=(a_token("Bob", id="a-1"),))
    first = plan(source, renames={"Bob": "bob2"})
    here = Archive("here", users=users("bob", "bob2"), tokens=(a_token("bob2", id="a-1"),))
    again = plan(source, here, after(first, {}))
    assert (again.steps, again.remarks, again.gone) == ((), (), ())
    assert again.names == {"Bob": "bob2", "bob": "bob"}
    assert plan(source, here, after(first, {}), renames={"Bob": "bob2"}).steps == ()
    assert "bob2" not in f"{first.name_marks}"


@pytest.mark.parametrize("earlier", [{}, {"ada": "countess"}])
def test_a_new_name_that_contradicts_an_earlier_import_is_refused(earlier):
    source = Archive("x", users=users("ada"), tokens=(a_token(id="a-1"),))
    first = plan(source, renames=earlier)
    here = Archive("here", users=users(earlier.get("ada", "ada")))
    with pytest.raises(InvalidRequestError, match=f"became '{earlier.get('ada', 'ada')}' here"):
        plan(source, here, after(first, {}), renames={"ada": "lovelace"})


@pytest.mark.parametrize("earlier", [{}, {"ada": "countess"}])
def test_who_was_renamed_here_since_gets_that_name_at_imports_too(earlier):
    source = Archive("x", users=users("ada"), tokens=(a_token(id="a-1"),))
    first = plan(source, renames=earlier)
    here = Archive("here", users=users("lovelace"), tokens=(a_token("lovelace", id="a-1"),))
    found = plan(source, here, after(first, {}), renames={"ada": "lovelace"})
    assert changes_of(found) == []
    assert (found.names, found.kept, found.gone) == ({"ada": "lovelace"}, {}, ())
    assert plan(source, here, after(found, after(first, {}))).names == {"ada": "lovelace"}


def test_who_got_a_new_name_and_was_removed_here_does_not_come_back():
    source = Archive("x", users=users("ada"), tokens=(a_token(id="a-1"),))
    first = plan(source, renames={"ada": "countess"})
    found = plan(source, EMPTY, after(first, {}))
    assert found.steps == ()
    assert left_out(found) == [(Kind.USER, "ada")]
    # After an import that broke off before the user was made, the same choice goes on.
    assert written(plan(source, EMPTY, first.name_marks, renames={"ada": "countess"}), Kind.USER) == [("countess",)]


def own(name="ada", **facts):
    """Return a hub with a user who was here before any import."""
    return Archive("here", users=(ArchivedUser(name, created_at=LATER, **facts),))


def test_who_was_here_before_is_not_joined_unasked():
    source = Archive(
        "x",
        users=users("ada", password_hash="h"),
        tokens=(a_token(),),
        groups=(ArchivedGroup("g", ("ada",)),),
        servers=(ArchivedServer("ada"),),
    )
    found = plan(source, own(), delete=True)
    assert [step.item.kind for step in found.steps] == [Kind.GROUP]
    (remark,) = found.remarks
    assert (remark.subject, remark.is_left_out) == ("ada", True)
    assert [way for way in ("--join NAME", "--join-all", "--rename NAME=NEW") if way not in remark.to_do] == []
    assert found.left_out == {Kind.USER: 1, Kind.TOKEN: 1, Kind.MEMBER: 1, Kind.SERVER: 1}


@pytest.mark.parametrize("choice", [{"joined": frozenset({"ada"})}, {"joins_all": True}])
def test_who_is_the_same_person_is_joined_when_asked_for_and_for_later(choice):
    source = Archive("x", users=users("ada", password_hash="h", user_info={"n": 1}))
    found = plan(source, own(), **choice)
    assert written(found, Kind.PASSWORD) == [("ada",)]
    assert [one.subject for one in found.remarks] == ["ada"]
    joined = own(password_hash="h", user_info={"n": 1})
    assert plan(source, joined, after(found, {})).steps == ()


@pytest.mark.parametrize(("there", "here"), [(True, False), (False, True), (True, True)])
def test_admins_are_joined_by_name_only(there, here):
    source = Archive("x", users=users("ada", admin=there))
    found = plan(source, own(admin=here), joins_all=True)
    assert (found.steps, found.admins) == ((), ())
    assert "--join-all" not in found.remarks[0].to_do
    assert plan(source, own(admin=here), joined=frozenset({"ada"})).changes == 1


def test_whom_settings_made_and_nobody_used_is_joined_with_a_line():
    named = frozenset({"ada"})
    source = Archive("x", users=users("ada", admin=True))
    found = plan(source, own(admin=True), users_of_settings=named)
    assert (found.changes, [one.is_left_out for one in found.remarks]) == (1, [False])
    assert plan(Archive("x", users=users("ada")), own(admin=True), users_of_settings=named).changes == 0
    assert plan(source, own(admin=True, password_hash="h"), users_of_settings=named).changes == 0
    assert plan(source, own(admin=True, last_activity_at=NOW), users_of_settings=named).changes == 0
    with_token = replace(own(admin=True), tokens=(a_token(),))
    assert plan(source, with_token, users_of_settings=named).changes == 0


def test_who_was_made_anew_there_may_be_another_person():
    first = Archive("x", users=users("ada"))
    anew = Archive("x", users=(ArchivedUser("ada", created_at=LATER, password_hash="h"),))
    found = plan(anew, first, marks_of(first), delete=True)
    assert (found.steps, left_out(found)) == ((), [(Kind.USER, "ada")])
    joined = plan(anew, first, marks_of(first), joined=frozenset({"ada"}))
    assert written(joined, Kind.PASSWORD) == [("ada",)]
    assert plan(anew, first, after(joined, marks_of(first))).left_out == {}


def test_a_join_of_nobody_is_named():
    found = plan(Archive("x", users=users("ada")), joined=frozenset({"adda"}))
    assert [(one.subject, "--join" in one.what) for one in found.remarks] == [("adda", True)]


def test_a_share_code_in_another_form_stays():
    code = ArchivedShareCode("ada", "", "h", ("access:servers",), NOW, LATER, id="sc_1")
    base = replace(EMPTY_HUB, share_codes=(code,))
    source = replace(EMPTY_HUB, share_codes=(replace(code, expires_at=LATER + timedelta(days=1)),))
    found = plan(source, base, marks_of(base))
    assert (found.steps, found.kept) == ((), {Kind.SHARE_CODE: 1})


def test_an_identity_that_went_over_to_another_user_there_stays_here():
    identity = ArchivedIdentity(ExternalId("https://id", "1"), "campus", "", NOW)
    base = Archive("x", users=(*users("ada", identities=(identity,)), *users("bob")))
    source = Archive("x", users=(*users("ada"), *users("bob", identities=(identity,))))
    found = plan(source, base, marks_of(base))
    assert (found.steps, left_out(found)) == ((), [(Kind.IDENTITY, "bob at https://id")])


def test_an_identity_that_is_read_again_is_the_same():
    identity = ArchivedIdentity(ExternalId("https://id", "1"), "campus", "", NOW)
    base = Archive("x", users=users("ada", identities=(identity,)))
    source = Archive("x", users=users("ada", identities=(replace(identity, linked_at=LATER),)))
    assert plan(source, base, marks_of(base)).steps == ()


def test_a_service_of_the_settings_is_kept_and_not_left_out():
    found = plan(Archive("x", services=(ArchivedService("dash"),)), services=frozenset({"dash"}))
    assert (found.left_out, found.kept) == ({}, {Kind.SERVICE: 1})


def test_a_remark_counts_all_that_it_is_about():
    remark = Remark("token", "", "Tokens that belong to servers: 12", is_left_out=True, number=12)
    assert plan(Archive("x", remarks=(remark,))).left_out == {"token": 12}


LAB = ArchivedSchedule("lab", "08:50", "10:30", "Europe/Berlin", ("class",), (0,))
CLASS = Archive("x", groups=(ArchivedGroup("class"),))


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"groups": ("class", "gone")}, "needs the group 'gone'"),
        ({"profile": "huge"}, "starts servers of the type 'huge'"),
        ({"zone": "Berlin"}, "is no time zone"),
        ({"begins": "25:00"}, "no time of day"),
        ({"ends": "08:00"}, "choose a later end"),
        ({"days": (7,)}, "Monday to Sunday"),
        ({"on": "2026-02-30"}, "is no date"),
        ({"lead": 2**53}, "120 minutes"),
        ({"lead": -1}, "120 minutes"),
    ],
)
def test_a_schedule_that_cannot_be_here_is_left_out(facts, why):
    found = plan(replace(CLASS, schedules=(replace(LAB, **facts), replace(LAB, name="other"))))
    assert written(found, Kind.SCHEDULE) == [("other",)]
    assert left_out(found) == [(Kind.SCHEDULE, "lab")]
    assert why in found.remarks[0].what


def test_budgets_and_schedules_of_the_settings_are_kept():
    source = replace(CLASS, schedules=(LAB,), budgets=(ArchivedBudget("term", servers=1),))
    found = plan(source, schedules=frozenset({"lab"}), budgets=frozenset({"term"}))
    assert (found.left_out, found.kept) == ({}, {Kind.SCHEDULE: 1, Kind.BUDGET: 1})


def test_a_budget_follows_its_user_and_keeps_to_the_rules():
    budgets = (
        ArchivedBudget("own", user="Ada", servers=1),
        ArchivedBudget("none"),
        ArchivedBudget("gone", user="nobody", servers=1),
    )
    found = plan(Archive("x", users=users("Ada"), budgets=budgets))
    assert [step.item.record.user for step in found.steps if step.item.kind is Kind.BUDGET] == ["ada"]
    assert sorted(left_out(found)) == [(Kind.BUDGET, "gone"), (Kind.BUDGET, "none")]


def test_no_more_budgets_come_than_there_may_be():
    many = tuple(ArchivedBudget(f"b{number}", servers=1) for number in range(MOST_BUDGETS + 1))
    found = plan(Archive("x", budgets=many))
    assert (len(written(found, Kind.BUDGET)), found.left_out) == (MOST_BUDGETS, {Kind.BUDGET: 1})
