"""Messages of an LMS: what is signed is taken, and nothing else (the class of CVE-2023-25574)."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.domain.errors import LtiRefusedError
from hubless.domain.lti_messages import read_message
from hubless.domain.lti_roles import has_role
from tests.doubles.lms import CANVAS_TEACHER, MOODLE_ADMIN
from tests.doubles.signers import ec_key, part, rsa_key, signed

NONCE = "n-1"


def claims_of(tool, token=None, **more):
    token = token if token is not None else tool.double.message(NONCE, more)
    return tool.lms.claims_of(tool.platform, token, nonce=NONCE, now=tool.clock.now())


def refusal(tool, token=None, **more):
    with pytest.raises(LtiRefusedError) as refused:
        claims_of(tool, token, **more)
    return str(refused.value)


@pytest.mark.parametrize("kind", ["canvas", "moodle", "blackboard"])
def test_a_message_is_taken_as_each_lms_signs_it(tool, kind):
    tool.double.kind = kind
    assert claims_of(tool)["sub"] == tool.double.person["sub"]


def test_a_teaching_assistant_of_canvas_teaches(tool):
    tool.double.kind, tool.double.roles = "canvas", CANVAS_TEACHER
    message = read_message(claims_of(tool), tool.platform)
    assert has_role(message.person.roles, ["Instructor"])
    assert has_role(message.person.roles, ["Instructor#TeachingAssistant"])


def test_an_administrator_of_moodle_who_takes_a_course_does_not_teach_it(tool):
    tool.double.roles = MOODLE_ADMIN
    assert not has_role(read_message(claims_of(tool), tool.platform).person.roles, ["Instructor", "Administrator"])


def test_a_message_without_an_address_names_somebody(tool):
    del tool.double.person["email"]
    assert read_message(claims_of(tool), tool.platform).person.wished_name.startswith("lti-")


def test_moodles_minute_is_not_cut_by_a_clock_that_is_half_a_minute_off(tool):
    token = tool.double.message(NONCE)
    tool.clock.advance(timedelta(seconds=90))
    assert claims_of(tool, token)["nonce"] == NONCE
    tool.clock.advance(timedelta(seconds=30))
    assert "expired" in refusal(tool, token)


def test_an_unsigned_message_is_refused(tool):
    _, body, _ = tool.double.message(NONCE).split(".")
    for header in ({"alg": "none"}, {"alg": "None", "typ": "JWT"}):
        assert "proves nothing" in refusal(tool, f"{part(header)}.{body}.")
        assert "proves nothing" in refusal(tool, f"{part(header)}.{body}.x")


def test_a_message_under_another_key_is_refused(tool):
    good = tool.double.key
    tool.double.key, tool.double.published = rsa_key("other"), [good]
    assert "key that its issuer does not publish" in refusal(tool)
    tool.double.key, tool.double.published = rsa_key("rsa-1", 3072), [good]  # under the known name
    assert "signature is wrong" in refusal(tool)


def test_a_message_whose_body_was_changed_is_refused(tool):
    header, _, signature = tool.double.message(NONCE).split(".")
    _, body, _ = tool.double.message(NONCE, {"sub": "somebody-else"}).split(".")
    assert "signature is wrong" in refusal(tool, f"{header}.{body}.{signature}")


def test_a_public_key_is_no_secret_under_which_others_sign(tool):
    claims_of(tool)
    _, body, _ = tool.double.message(NONCE).split(".")
    assert "HS256" in refusal(tool, f"{part({'alg': 'HS256', 'kid': 'rsa-1'})}.{body}.{part('x')}")


def test_keys_that_the_lms_replaced_are_read_again(tool):
    claims_of(tool)
    tool.double.key = rsa_key("new")
    assert claims_of(tool)["nonce"] == NONCE


def test_another_algorithm_of_the_key_set_is_taken(tool):
    tool.double.key, tool.double.algorithm = ec_key(), "ES256"
    assert claims_of(tool)["nonce"] == NONCE


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"aud": "another-tool"}, "audience"),
        ({"aud": None}, "lacks aud"),
        ({"aud": ["another-tool"]}, "audience"),
        ({"aud": ["another-tool", "10000000000042"], "azp": None}, "azp"),
        ({"azp": "another-tool"}, "azp"),
        ({"iss": "https://other.example.org"}, "issuer"),
        ({"iss": None}, "lacks iss"),
        ({"nonce": "n-2"}, "nonce"),
        ({"nonce": None}, "lacks nonce"),
        ({"exp": None}, "lacks exp"),
        ({"iat": None}, "lacks iat"),
        ({"exp": 1}, "expired"),
        ({"exp": "soon"}, "exp is no time"),
    ],
)
def test_a_claim_that_is_missing_or_wrong_is_refused_in_words(tool, change, words):
    said = refusal(tool, **change)
    assert words in said
    assert "Compare both" in said


def test_the_hub_as_one_of_several_audiences_needs_azp(tool):
    assert claims_of(tool, aud=["another-tool", "10000000000042"])["azp"] == "10000000000042"


def test_a_refusal_names_the_platform_and_what_to_compare(tool):
    said = refusal(tool, aud="another-tool")
    for part_of_it in ("'school'", tool.double.issuer, tool.double.client_id, f"{tool.double.issuer}/keys"):
        assert part_of_it in said


def test_an_lms_whose_keys_are_not_there_is_named(tool):
    tool.double.down = {"/keys"}
    assert "key_set_url of the platform 'school'" in refusal(tool)
    assert "lms.example.org" in tool.lms.check(tool.platform)


def test_a_whole_platform_passes_the_check(tool):
    assert tool.lms.check(tool.platform) is None


def test_moodles_own_issuer_is_compared(tool):
    base, answer = tool.double.issuer, tool.double.answer
    moodle = replace(tool.platform, key_set_url=f"{base}/mod/lti/certs.php")
    paths = {"/mod/lti/certs.php": "/keys", "/mod/lti/openid-configuration.php": "/openid-configuration"}
    tool.double.answer = lambda method, path, *rest: answer(method, paths.get(path, path), *rest)
    assert tool.lms.check(moodle) is None
    assert f"Moodle says that it is '{base}'" in tool.lms.check(replace(moodle, issuer=f"{base}/"))
    del paths["/mod/lti/openid-configuration.php"]
    assert tool.lms.check(replace(moodle, issuer=f"{base}/")) is None


def test_what_is_no_token_is_refused(tool):
    for text in ("", "x", "a.b.c", signed(b"[]"), "x" * 70_000):
        assert "proves nothing" in refusal(tool, text)
