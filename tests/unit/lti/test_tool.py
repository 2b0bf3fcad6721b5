"""The hub as a tool: its keys, its registration, the links that it gives."""

from dataclasses import replace
from datetime import timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from hubless.adapters.lti.sealing import FernetKeySealer
from hubless.domain.errors import (
    LtiRefusedError,
    LtiServiceError,
    NameTakenError,
    NotFoundError,
    StoreConflictError,
    StoreUnavailableError,
)
from hubless.services.lti_keys import LtiKeys
from tests.doubles.lms import CLAIM, DL
from tests.support.concurrency import concurrently


def verified(token, keys):
    return jwt.decode(token, KeySet.import_key_set(keys), algorithms=["RS256"])


class TestKeys:
    def test_the_first_signature_makes_the_key(self, tool):
        token = tool.keys.sign({"a": 1})
        assert verified(token, tool.keys.key_set()).claims == {"a": 1}
        assert len(tool.keys.key_set()["keys"]) == 1

    def test_no_private_part_is_published(self, tool):
        (key,) = tool.keys.key_set()["keys"]
        assert set(key) == {"kty", "use", "alg", "kid", "n", "e"}

    def test_first_signatures_at_once_are_of_one_key(self, tool):
        tokens = concurrently(lambda n: tool.keys.sign({"n": n}), times=4)
        keys = tool.keys.key_set()
        assert [verified(token, keys).claims for token in tokens] == [{"n": n} for n in range(4)]

    def test_after_a_rotation_the_old_key_signs_for_a_day_and_both_are_known(self, tool):
        old = verified(tool.keys.sign({}), tool.keys.key_set()).header["kid"]
        new = tool.keys.rotate().id
        assert {key["kid"] for key in tool.keys.key_set()["keys"]} == {old, new}
        assert verified(tool.keys.sign({}), tool.keys.key_set()).header["kid"] == old
        tool.clock.advance(timedelta(days=1))
        assert verified(tool.keys.sign({}), tool.keys.key_set()).header["kid"] == new

    def test_a_copy_of_the_store_has_no_key_in_it(self, tool):
        tool.keys.sign({})
        sealed = tool.stores.lti.keys().sealed
        (key,) = FernetKeySealer(lambda: b"k" * 32).open(sealed)
        for name in ("d", "p", "q"):
            assert key.jwk[name] not in sealed

    def test_a_hub_with_another_key_says_what_to_do(self, tool):
        tool.keys.sign({})
        other = LtiKeys(tool.stores.lti, tool.keys.signer, FernetKeySealer(lambda: b"o" * 32), tool.clock)
        with pytest.raises(StoreUnavailableError, match="rotate-key --discard"):
            other.sign({})
        with pytest.raises(StoreUnavailableError):
            other.rotate()
        new = other.rotate(discard=True).id
        assert [key["kid"] for key in other.key_set()["keys"]] == [new]
        assert verified(other.sign({}), other.key_set()).header["kid"] == new


class TestPlatforms:
    def test_an_lms_is_found_by_issuer_and_client(self, tool):
        asked = tool.platforms.asked_by
        assert asked(tool.double.issuer, tool.double.client_id, "") == tool.platform
        assert asked(tool.double.issuer, "", "") == tool.platform
        for issuer, client in (("https://other", tool.double.client_id), (tool.double.issuer, "other"), ("", "")):
            with pytest.raises(LtiRefusedError, match=r"lti_platforms"):
                asked(issuer, client, "")

    def test_two_platforms_of_one_issuer_need_a_client_or_a_deployment(self, tool):
        second = replace(tool.platform, name="two", client_id="2", deployment_ids=("d2",))
        both = replace(tool.platforms, from_settings=(tool.platform, second))
        assert both.asked_by(tool.double.issuer, "2", "") == second
        assert both.asked_by(tool.double.issuer, "", "d2") == second
        with pytest.raises(LtiRefusedError, match="Several platforms"):
            both.asked_by(tool.double.issuer, "", "")

    def test_an_lms_registers_itself(self, tool):
        registering = replace(tool.platforms, from_settings=())
        made = registering.register(f"{tool.double.issuer}/openid-configuration", "the-token")
        assert (made.issuer, made.client_id) == (tool.double.issuer, tool.double.client_id)
        assert (made.authorization_url, made.token_url, made.key_set_url) == (
            f"{tool.double.issuer}/auth",
            f"{tool.double.issuer}/token",
            f"{tool.double.issuer}/keys",
        )
        assert registering.asked_by(tool.double.issuer, tool.double.client_id, "") == made
        assert registering.named(made.name) == made
        (sent,) = tool.double.registered
        assert sent["redirect_uris"] == ["https://hub.test/hub/lti/launch"]
        assert sent["jwks_uri"] == "https://hub.test/hub/lti/jwks"
        assert sent["token_endpoint_auth_method"] == "private_key_jwt"
        messages = sent["https://purl.imsglobal.org/spec/lti-tool-configuration"]["messages"]
        assert [one["target_link_uri"] for one in messages] == [
            "https://hub.test/hub/lti/launch",
            "https://hub.test/hub/lti/deep-link",
        ]

    def test_one_registration_cannot_come_twice_and_can_be_removed(self, tool):
        registering = replace(tool.platforms, from_settings=())
        made = registering.register(f"{tool.double.issuer}/openid-configuration", "")
        with pytest.raises((NameTakenError, StoreConflictError)):
            registering.register(f"{tool.double.issuer}/openid-configuration", "")
        registering.remove(made.name)
        assert registering.all() == []
        with pytest.raises(NotFoundError):
            registering.remove(made.name)

    def test_a_platform_of_settings_cannot_be_removed(self, tool):
        with pytest.raises(NotFoundError):
            tool.platforms.remove(tool.platform.name)

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"issuer": "https://somebody-else.org"}, "another host"),
            ({"issuer": None}, "another host"),
            ({"issuer": "https://neighbour.example.org"}, "another host"),
            ({"jwks_uri": "https://lms.example.org/keys-of-others"}, "with other keys"),
            ({"issuer": "https://org"}, "another host"),
            ({"jwks_uri": None, "token_endpoint": "javascript:x"}, "lacks token_endpoint, jwks_uri"),
        ],
    )
    def test_a_configuration_of_others_or_without_something_is_refused(self, tool, changes, words):
        tool.double.configuration = changes
        with pytest.raises(LtiRefusedError, match=words):
            tool.platforms.register(f"{tool.double.issuer}/openid-configuration", "")
        assert tool.stores.lti.platforms() == []

    @pytest.mark.parametrize(
        "address", ["http://127.0.0.1:8081/configuration", "http://lms.example.org/c", "file:///x"]
    )
    def test_an_lms_without_tls_cannot_register(self, tool, address):
        with pytest.raises(LtiRefusedError, match="https://"):
            tool.platforms.register(address, "")
        tool.double.configuration = {"registration_endpoint": "http://127.0.0.1:8081/hub"}
        with pytest.raises(LtiRefusedError, match="8081"):
            tool.platforms.register(f"{tool.double.issuer}/openid-configuration", "")
        assert tool.double.registered == []

    def test_the_issuer_may_be_at_a_sister_host_as_canvass_is(self, tool):
        tool.double.issuer = "https://school.instructure.com"
        tool.double.configuration = {"issuer": "https://canvas.instructure.com"}
        made = tool.platforms.register(f"{tool.double.issuer}/openid-configuration", "")
        assert made.issuer == "https://canvas.instructure.com"

    def test_an_lms_that_does_not_answer_is_not_registered(self, tool):
        tool.double.down = {"/register"}
        with pytest.raises(LtiServiceError):
            tool.platforms.register(f"{tool.double.issuer}/openid-configuration", "")
        assert tool.stores.lti.platforms() == []


class TestLinks:
    def test_the_answer_is_one_link_and_has_what_the_lms_sent(self, tool):
        token = tool.links.answer("school", "3", "opaque", "/hub/user-redirect/lab/tree/a.ipynb", "A")
        claims = verified(token, tool.keys.key_set()).claims
        assert (claims["iss"], claims["aud"]) == (tool.double.client_id, tool.double.issuer)
        assert claims[f"{CLAIM}message_type"] == "LtiDeepLinkingResponse"
        assert claims[f"{CLAIM}deployment_id"] == "3"
        assert claims[f"{DL}data"] == "opaque"
        assert claims[f"{DL}content_items"] == [
            {
                "type": "ltiResourceLink",
                "title": "A",
                "url": "https://hub.test/hub/lti/launch",
                "custom": {"next": "/hub/user-redirect/lab/tree/a.ipynb"},
            }
        ]
        assert claims["exp"] - claims["iat"] == 300

    def test_no_data_came_and_none_goes(self, tool):
        claims = verified(tool.links.answer("school", "3", "", "/x", "A"), tool.keys.key_set()).claims
        assert f"{DL}data" not in claims
