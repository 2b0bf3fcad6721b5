"""LTI platforms in settings: what a kind of LMS gives, and what is refused."""

from pathlib import Path

import pytest

from hubless.domain.lti_platforms import LtiPlatform
from hubless.settings import SettingsError, parse


def platforms(text: str) -> tuple[LtiPlatform, ...]:
    return parse(text, Path("/srv/hub"), {}).lti_platforms


def one(**keys: str) -> str:
    lines = [f"{key} = {value}" for key, value in {"name": '"lms"', "client_id": '"the-hub"', **keys}.items()]
    return "\n".join(["[[lti_platforms]]", *lines])


def complaint(text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        platforms(text)
    return str(caught.value).removeprefix("hubless.toml: ")


def test_a_hub_has_no_platform_by_itself() -> None:
    assert platforms("") == ()


def test_moodle_needs_its_address_alone() -> None:
    (moodle,) = platforms(one(kind='"moodle"', url='"https://moodle.example.org/lms/"'))

    assert moodle.issuer == "https://moodle.example.org/lms"
    assert moodle.authorization_url == "https://moodle.example.org/lms/mod/lti/auth.php"
    assert moodle.token_url == moodle.audience == "https://moodle.example.org/lms/mod/lti/token.php"
    assert moodle.key_set_url == "https://moodle.example.org/lms/mod/lti/certs.php"


def test_canvas_and_blackboard_need_no_address() -> None:
    (canvas,) = platforms(one(kind='"canvas"'))
    (blackboard,) = platforms(one(kind='"blackboard"', deployment_ids='["_1"]'))

    assert canvas.issuer == "https://canvas.instructure.com"
    assert canvas.key_set_url == "https://sso.canvaslms.com/api/lti/security/jwks"
    assert blackboard.key_set_url.endswith("/applications/the-hub/jwks.json")


def test_brightspace_has_another_audience_for_tokens() -> None:
    (brightspace,) = platforms(one(kind='"brightspace"', url='"https://d2l.example.org"'))

    assert brightspace.audience == "https://api.brightspace.com/auth/token"


def test_a_key_replaces_what_the_kind_gives() -> None:
    (canvas,) = platforms(
        one(kind='"canvas"', issuer='"https://canvas.example.org"', key_set_url='"http://localhost/k"')
    )

    assert (canvas.issuer, canvas.key_set_url) == ("https://canvas.example.org", "http://localhost/k")
    assert canvas.token_url == "https://sso.canvaslms.com/login/oauth2/token"


def test_two_registrations_at_one_issuer_are_two_platforms() -> None:
    both = platforms(one(kind='"canvas"') + "\n" + one(name='"lab"', kind='"canvas"', client_id='"2"'))

    assert [platform.name for platform in both] == ["lms", "lab"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (one(kind='"moodle"'), 'lti_platforms.lms.url is missing: kind = "moodle" needs it'),
        (one(), 'lti_platforms.lms.issuer is missing: kind = "other" does not give it'),
        (one(kind='"sakai"'), 'lti_platforms.lms.kind is "sakai", but it must be'),
        (one(name='"My LMS"'), 'lti_platforms.My LMS.name is "My LMS", but it must be 1 to 40'),
        (one(kind='"canvas"', teacher_roles='["a/b"]'), "lti_platforms.lms.teacher_roles"),
        (one(kind='"canvas"') + "\n" + one(kind='"canvas"'), 'lti_platforms: the name "lms" is used twice'),
        (
            one(kind='"canvas"') + "\n" + one(name='"b"', kind='"canvas"'),
            "lti_platforms: the issuer with its client_id",
        ),
        ('[[lti_platforms]]\nname = "x"', "lti_platforms.x.client_id is missing"),
    ],
)
def test_what_is_missing_or_wrong_is_named(text: str, words: str) -> None:
    assert words in complaint(text)


def test_strangers_sites_at_blackboard_are_no_platform() -> None:
    assert "deployment_ids is missing: all sites of Blackboard" in complaint(one(kind='"blackboard"'))


def test_names_that_people_choose_take_over_no_user() -> None:
    moodle = {"kind": '"moodle"', "url": '"https://moodle.example.org"', "match_existing": "true"}

    assert "username_claim is missing: match_existing needs" in complaint(one(**moodle))
    assert platforms(one(**moodle, username_claim='"ext.user_username"'))[0].match_existing
