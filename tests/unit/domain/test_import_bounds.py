"""What of an archive is too large for a hub, or no choice here: it is in the plan, and never fails in the midst."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.sealing import FernetSealer
from hubless.domain import import_bounds
from hubless.domain.added_services import MAX_SERVICES
from hubless.domain.archive import (
    Archive,
    ArchivedGroup,
    ArchivedIdentity,
    ArchivedServer,
    ArchivedService,
    ArchivedShare,
    ArchivedShareCode,
    ArchivedToken,
    ArchivedUser,
)
from hubless.domain.bounds import (
    MAX_AUTH_STATE,
    MAX_IDENTITIES,
    MAX_ISSUER,
    MAX_NOTE,
    MAX_OPTIONS,
    MAX_PROPERTIES,
    MAX_SCOPES,
)
from hubless.domain.external_identities import ExternalId
from hubless.domain.import_choices import Choices
from hubless.domain.import_items import Kind, place_of
from hubless.domain.import_plan import Action, plan_of
from hubless.domain.profile_options import Access, Choice, ChoiceOption
from hubless.domain.profiles import Profile
from hubless.domain.shares import MAX_CODES, MAX_SHARES
from hubless.domain.tokens import OwnerKind
from tests.support.builders import NOW, an_imported_hash

ADA = ArchivedUser("ada", created_at=NOW)
LARGE = {"text": "x" * MAX_PROPERTIES}
PROFILES = {
    "small": Profile("small"),
    "large": Profile(
        "large",
        access=Access(groups=("staff",)),
        options=(ChoiceOption("image", (Choice("r"), Choice("py", is_default=True))),),
    ),
}


def plan(source, here=None, **choices):
    return plan_of(source, here or Archive("here"), {}, Choices(keeps_auth_state=True, **choices), NOW)


def added(found, kind):
    return [step.item.record for step in found.steps if (step.item.kind, step.action) == (kind, Action.ADD)]


def said(found):
    return [(one.kind, one.subject) for one in found.remarks]


def hashed(number):
    return an_imported_hash(f"{number:05}")


def test_large_facts_stay_behind_and_their_records_come():
    found = plan(
        Archive(
            "x",
            users=(replace(ADA, user_info=LARGE),),
            groups=(ArchivedGroup("staff", ("ada",), LARGE),),
            services=(ArchivedService("dash", info=LARGE),),
        )
    )
    assert said(found) == [(Kind.USER, "ada"), (Kind.GROUP, "staff"), (Kind.SERVICE, "dash")]
    assert all(str(MAX_PROPERTIES) in one.what for one in found.remarks)
    assert all(one.to_do for one in found.remarks)
    assert added(found, Kind.USER)[0].user_info is None
    assert added(found, Kind.GROUP)[0].properties == {}
    assert added(found, Kind.SERVICE)[0].info == {}
    assert len(added(found, Kind.MEMBER)) == 1


def test_activity_that_is_to_come_stays_behind():
    """Whoever was active in the year 2099 would never be idle."""
    to_come, soon = NOW + timedelta(days=2), NOW + timedelta(hours=3)
    source = Archive(
        "x",
        users=(replace(ADA, last_activity_at=to_come), ArchivedUser("bob", created_at=NOW, last_activity_at=soon)),
        servers=(ArchivedServer("ada", created_at=NOW, last_activity_at=to_come),),
        tokens=(ArchivedToken(OwnerKind.USER, "ada", hashed(1), ("self",), NOW, last_activity_at=to_come),),
    )
    found = plan(source)
    assert [one.last_activity_at for one in added(found, Kind.USER)] == [None, soon]
    assert [one.last_activity_at for kind in (Kind.SERVER, Kind.TOKEN) for one in added(found, kind)] == [None, None]
    assert [one.kind for one in found.remarks] == [Kind.USER, Kind.SERVER, Kind.TOKEN]


def test_facts_of_the_largest_size_come():
    facts = {"text": "x" * (MAX_PROPERTIES - len(json.dumps({"text": ""})))}
    found = plan(Archive("x", groups=(ArchivedGroup("staff", (), facts),)))
    assert found.remarks == ()
    assert added(found, Kind.GROUP)[0].properties == facts


@pytest.mark.parametrize("length", [0, 1, 100, 4096, 48_000])
def test_the_sealed_length_is_what_sealing_gives(length):
    sealer = FernetSealer(lambda: [b"k" * 32], "auth_state")
    assert import_bounds._sealed_length(length) == len(sealer.seal(b"x" * length))


def test_a_large_auth_state_is_left_out_and_its_user_comes():
    found = plan(Archive("x", users=(replace(ADA, auth_state={"token": "x" * MAX_AUTH_STATE}),)))
    assert said(found) == [(Kind.AUTH_STATE, "ada")]
    assert len(added(found, Kind.USER)) == 1
    assert plan(Archive("x", users=(replace(ADA, auth_state={"token": "x" * 40_000}),))).remarks == ()


def test_a_token_of_too_many_scopes_stays_behind_and_a_long_note_is_cut():
    scopes = tuple(f"read:users!user=u{number}" for number in range(MAX_SCOPES + 1))
    tokens = (
        ArchivedToken(OwnerKind.USER, "ada", hashed(1), scopes, NOW),
        ArchivedToken(OwnerKind.USER, "ada", hashed(2), scopes[1:], NOW, "n" * 9999),
    )
    found = plan(Archive("x", users=(ADA,), tokens=tokens))
    assert [one.kind for one in found.remarks] == [Kind.TOKEN]
    assert [len(token.note) for token in added(found, Kind.TOKEN)] == [MAX_NOTE]


def test_a_second_token_of_the_same_hash_stays_behind():
    first = ArchivedToken(OwnerKind.USER, "ada", hashed(1), ("inherit",), NOW, id="a-1")
    found = plan(Archive("x", users=(ADA,), tokens=(first, replace(first, id="a-2"))))
    assert [token.id for token in added(found, Kind.TOKEN)] == ["a-1"]
    assert found.left_out == {Kind.TOKEN: 1}


def test_more_shares_and_codes_than_may_be_stay_behind():
    users = tuple(ArchivedUser(f"n{number:04}", created_at=NOW) for number in range(MAX_SHARES + 2))
    shares = tuple(ArchivedShare("ada", "", ("access:servers",), NOW, user=user.name) for user in users)
    codes = tuple(
        ArchivedShareCode("ada", "", hashed(number), ("access:servers",), NOW, NOW.replace(year=2099))
        for number in range(MAX_CODES + 3)
    )
    source = Archive("x", users=(ADA, *users), servers=(ArchivedServer("ada"),), shares=shares, share_codes=codes)
    found = plan(source)
    assert found.left_out == {Kind.SHARE: 2, Kind.SHARE_CODE: 3}
    assert len(added(found, Kind.SHARE)) == MAX_SHARES
    there = Archive("here", users=(ADA,), servers=(ArchivedServer("ada"),), share_codes=codes[:1])
    assert plan(source, there).left_out[Kind.SHARE_CODE] == 3


def test_more_shares_than_one_user_may_have_stay_behind():
    owners = tuple(ArchivedUser(f"n{number:04}", created_at=NOW) for number in range(MAX_SHARES + 1))
    servers = tuple(ArchivedServer(owner.name) for owner in owners)
    shares = tuple(ArchivedShare(owner.name, "", ("access:servers",), NOW, user="ada") for owner in owners)
    found = plan(Archive("x", users=(ADA, *owners), servers=servers, shares=shares))
    assert found.left_out == {Kind.SHARE: 1}


def test_more_services_than_admins_may_add_stay_behind_with_their_tokens():
    services = tuple(ArchivedService(f"s{number:03}") for number in range(MAX_SERVICES + 1))
    tokens = (ArchivedToken(OwnerKind.SERVICE, f"s{MAX_SERVICES}", hashed(1), ("inherit",), NOW),)
    found = plan(Archive("x", services=services, tokens=tokens))
    assert found.left_out == {Kind.SERVICE: 1, Kind.TOKEN: 1}


def test_identities_that_nobody_can_have_or_too_many_stay_behind():
    some = tuple(
        ArchivedIdentity(ExternalId("https://sso", str(number)), "campus", "", NOW)
        for number in range(MAX_IDENTITIES + 1)
    )
    long = ArchivedIdentity(ExternalId("https://sso" + "o" * MAX_ISSUER, "1"), "campus", "", NOW)
    found = plan(Archive("x", users=(replace(ADA, identities=(long, *some)),)))
    assert found.left_out == {Kind.IDENTITY: 2}
    assert len(added(found, Kind.IDENTITY)) == MAX_IDENTITIES


def test_memberships_and_servers_beyond_a_users_record_stay_behind():
    """Their names are in the record of the user, which is one item of DynamoDB."""
    groups = tuple(ArchivedGroup(f"{number:04}{'g' * 240}", ("ada",)) for number in range(1500))
    found = plan(Archive("x", users=(ADA,), groups=groups))
    assert 0 < found.left_out[Kind.MEMBER] < 500
    assert len(added(found, Kind.GROUP)) == 1500
    assert "the record of 'ada'" in found.remarks[0].what


def servers_of(found):
    return [(one.profile, dict(one.user_options)) for one in added(found, Kind.SERVER)]


CHOSEN = [
    ({"profile": "small"}, {"profile": "small"}, 0),
    ({}, {}, 0),
    ({"profile": "gone", "image": "r"}, {}, 1),
    ({"profile": ["small"]}, {}, 1),
    ({"anything": 1}, {"anything": 1}, 0),
    ({"x": "y" * MAX_OPTIONS}, {}, 1),
    ({"__jupyterhub_x": 1}, {}, 1),
    ({"profile": "large", "image": "r"}, {"profile": "large", "image": "r"}, 0),
    ({"profile": "large", "image": "julia"}, {"profile": "large"}, 1),
    ({"profile": "large", "image--unlisted-choice": "x"}, {"profile": "large", "image--unlisted-choice": "x"}, 0),
]


@pytest.mark.parametrize(("options", "kept", "remarks"), CHOSEN)
def test_a_last_choice_comes_as_far_as_a_start_takes_it(options, kept, remarks):
    source = Archive(
        "x",
        users=(ADA,),
        groups=(ArchivedGroup("staff", ("ada",)),),
        servers=(ArchivedServer("ada", profile="gone", user_options=options),),
    )
    found = plan(source, profiles=PROFILES)
    assert servers_of(found) == [("", kept)]
    assert said(found) == [(Kind.SERVER, "ada/")] * remarks
    assert all("last choice" in one.what for one in found.remarks)
    assert found.left_out == {}


def test_a_last_choice_that_is_not_offered_to_the_user_stays_behind():
    source = Archive("x", users=(ADA,), servers=(ArchivedServer("ada", user_options={"profile": "large"}),))
    assert servers_of(plan(source, profiles=PROFILES)) == [("", {})]
    staff_here = Archive("here", users=(ADA,), groups=(ArchivedGroup("staff", ("ada",)),))
    assert servers_of(plan(source, staff_here, profiles=PROFILES)) == [("", {"profile": "large"})]


def test_a_choice_comes_once_the_settings_have_it():
    source = Archive("x", users=(ADA,), servers=(ArchivedServer("ada", user_options={"profile": "new"}),))
    first = plan(source, profiles=PROFILES)
    marks = {place_of(step.item): step.item.digest for step in first.steps}
    here = Archive("here", users=(ADA,), servers=(ArchivedServer("ada"),))
    choices = Choices(profiles=PROFILES | {"new": Profile("new")})
    again = plan_of(source, here, marks, choices, NOW)
    assert [step.item.record.user_options for step in again.steps] == [{"profile": "new"}]


def test_a_display_name_that_is_not_allowed_stays_behind():
    source = Archive("x", users=(ADA,), servers=(ArchivedServer("ada", display_name="a\nb"),))
    found = plan(source)
    assert added(found, Kind.SERVER)[0].display_name == ""
    assert said(found) == [(Kind.SERVER, "ada/")]
