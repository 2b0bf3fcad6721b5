"""Logins by OpenID Connect against a provider that misbehaves in every way that we know of."""

import base64
import json
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, parse_qsl, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from hubless.adapters.oidc.openid_provider import LOGOUT_EVENT, MAX_HINT, OpenIdProvider, merged
from hubless.domain.claims import ClaimRules
from hubless.domain.errors import LoginRefusedError, ProviderUnavailableError
from hubless.domain.providers import ClientAuthentication, Protocol, Provider
from hubless.ports.login_providers import AuthorizationRequest
from tests.doubles.openid import ADA, ISSUER, SECRET, DoubleFetcher, OpenIdDouble
from tests.doubles.signers import ec_key, rsa_key, signed
from tests.support.builders import NOW
from tests.support.fakes import StoppedClock

REQUEST = AuthorizationRequest("https://hub.test/hub/oauth_callback", "state", "nonce", "v" * 43)
SSO = Provider("sso", "Our SSO", Protocol.OPENID_CONNECT, ISSUER, "hub", SECRET, scopes=("openid", "email"))


@pytest.fixture
def clock():
    return StoppedClock(NOW)


@pytest.fixture
def double(clock):
    return OpenIdDouble(clock)


def of(double, **facts):
    return OpenIdProvider(replace(SSO, **facts), DoubleFetcher(double), double.clock)


def log_in(provider, double, **changed):
    answer = double.browse(provider.authorization_url(REQUEST))
    return provider.complete(replace(REQUEST, **changed), answer)


def refusal(double, *, provider=None, **changed):
    with pytest.raises(LoginRefusedError) as refused:
        log_in(provider or of(double), double, **changed)
    return str(refused.value)


def outage(double, provider=None):
    with pytest.raises(ProviderUnavailableError) as failed:
        log_in(provider or of(double), double)
    return str(failed.value)


class TestLogin:
    def test_a_person_comes_home_with_issuer_subject_and_claims(self, double):
        double.person |= {"groups": ["staff"], "sid": "s-1"}
        rules = ClaimRules(groups_claim="groups", admin_expression="contains(groups, 'staff')")
        found = log_in(of(double, rules=rules), double)

        assert (found.issuer, found.subject, found.name, found.label) == (ISSUER, "sub-ada", "ada", "ada@example.org")
        assert (found.groups, found.admin, found.session_id) == (("staff",), True, "s-1")
        assert found.auth_state["access_token"] == "access"
        assert found.auth_state["oauth_user"]["email"] == "ada@example.org"

    def test_the_browser_is_sent_with_state_nonce_and_challenge(self, double):
        provider = of(double, authorize_parameters={"prompt": "select_account", "state": "theirs"})
        asked = dict(parse_qsl(urlsplit(provider.authorization_url(REQUEST)).query))

        assert asked["state"] == "state"
        assert asked["nonce"] == "nonce"
        assert asked["scope"] == "openid email"
        assert asked["prompt"] == "select_account"
        assert asked["code_challenge_method"] == "S256"
        assert REQUEST.verifier not in str(asked)

    def test_parameters_of_the_endpoint_itself_stay(self, double):
        double.metadata = {"authorization_endpoint": f"{ISSUER}/auth?policy=b2c"}
        assert f"{ISSUER}/auth?policy=b2c&response_type=code" in of(double).authorization_url(REQUEST)

    def test_nothing_secret_is_in_a_representation(self, double):
        shown = repr(log_in(of(double), double)) + repr(REQUEST) + repr(SSO)
        assert not any(secret in shown for secret in ("access", "nonce'", REQUEST.verifier, SECRET))

    def test_metadata_and_keys_are_fetched_once_for_many_logins(self, double):
        provider = of(double)
        for _ in range(5):
            log_in(provider, double)
        paths = [urlsplit(url).path for _, url in double.requests]
        assert paths.count("/.well-known/openid-configuration") == paths.count("/jwks") == 1

    def test_an_issuer_with_a_path_and_a_slash_is_taken_as_it_is(self, clock):
        double = OpenIdDouble(clock, issuer="https://auth.example.org/application/o/hub/")
        assert log_in(of(double, issuer=double.issuer), double).issuer == double.issuer


class TestIdTokens:
    @pytest.mark.parametrize(
        ("claims", "said"),
        [
            ({"nonce": "another"}, "nonce"),
            ({"nonce": None}, "nonce"),
            ({"aud": "another"}, "audience"),
            ({"aud": ["hub", "another"]}, "azp"),
            ({"aud": None}, "aud"),
            ({"azp": "another"}, "azp"),
            ({"iss": "https://another.example.org"}, "issuer"),
            ({"iss": None}, "iss"),
            ({"exp": int(NOW.timestamp()) - 61}, "expired"),
            ({"exp": None}, "exp"),
            ({"iat": int(NOW.timestamp()) + 120}, "future"),
            ({"iat": None}, "iat"),
            ({"sub": None}, "sub"),
            ({"sub": 7}, "no short text"),
            ({"sub": "x" * 256}, "no short text"),
        ],
    )
    def test_a_wrong_claim_is_refused_and_named(self, double, claims, said):
        double.token_claims = claims
        assert said in refusal(double)

    @pytest.mark.parametrize("claims", [{"exp": int(NOW.timestamp()) - 59}, {"aud": ["hub", "b"], "azp": "hub"}])
    def test_small_differences_between_clocks_and_several_audiences_pass(self, double, claims):
        double.token_claims = claims
        assert log_in(of(double), double).name == "ada"

    def test_rotated_keys_with_a_new_kid_are_fetched(self, double):
        provider = of(double)
        log_in(provider, double)
        double.key = rsa_key("rsa-2")
        assert log_in(provider, double).name == "ada"

    def test_rotated_keys_under_the_old_kid_are_fetched(self, double):
        provider = of(double)
        log_in(provider, double)
        double.key = ec_key("rsa-1")  # the same kid, and not even the same kind
        double.algorithm, double.metadata = "ES256", {"id_token_signing_alg_values_supported": ["RS256", "ES256"]}
        provider = of(double)
        log_in(provider, double)
        double.key, double.algorithm = rsa_key(), "RS256"
        assert log_in(provider, double).name == "ada"

    def test_a_key_that_is_not_published_is_refused(self, double):
        double.published = [rsa_key("other")]
        assert "signature is wrong" in refusal(double) or "does not publish" in refusal(double)

    def test_short_keys_prove_nothing(self, double):
        double.key = rsa_key("short", 1024)
        assert "key set" in outage(double)

    @pytest.mark.parametrize("algorithm", ["none", "HS256"])
    def test_signatures_that_anybody_can_make_are_refused(self, double, algorithm):
        claims = {"iss": ISSUER, "aud": "hub", "sub": "sub-ada", "nonce": "nonce"}
        claims |= {"iat": int(NOW.timestamp()), "exp": int(NOW.timestamp()) + 60}
        if algorithm == "HS256":
            token = signed(claims, OctKey.import_key(SECRET.ljust(32, "x")), "HS256")
        else:
            head = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
            token = f"{head}.{signed(claims).split('.')[1]}."
        double.token_answer = {"id_token": token}
        assert refusal(double)

    def test_an_algorithm_beyond_metadata_or_settings_is_refused(self, double):
        double.algorithm = "PS256"
        assert "PS256" in refusal(double)
        double.metadata = {"id_token_signing_alg_values_supported": ["PS256", "RS256"]}
        assert "PS256" in refusal(double, provider=of(double, algorithms=("RS256",)))
        assert log_in(of(double), double).name == "ada"

    def test_without_an_id_token_nothing_is_proved(self, double):
        double.token_answer = {"id_token": None}
        assert "no ID token" in refusal(double)


class TestAnswers:
    def test_an_answer_of_another_issuer_is_refused(self, double):
        double.authorization = {"iss": "https://another.example.org"}
        assert "not from Our SSO" in refusal(double)

    def test_an_issuer_that_is_missing_is_refused_where_it_is_promised(self, double):
        provider = of(double)
        answer = double.browse(provider.authorization_url(REQUEST))
        del answer["iss"]
        with pytest.raises(LoginRefusedError, match="not from Our SSO"):
            provider.complete(REQUEST, answer)

    def test_an_issuer_need_not_be_named_where_it_is_not_promised(self, double):
        double.metadata = {"authorization_response_iss_parameter_supported": None}
        provider = of(double)
        answer = double.browse(provider.authorization_url(REQUEST))
        del answer["iss"]
        assert provider.complete(REQUEST, answer).name == "ada"

    def test_a_code_that_was_used_is_refused(self, double):
        provider = of(double)
        answer = double.browse(provider.authorization_url(REQUEST))
        provider.complete(REQUEST, answer)
        with pytest.raises(LoginRefusedError, match="invalid_grant"):
            provider.complete(REQUEST, answer)

    @pytest.mark.parametrize("changed", [{"verifier": "w" * 43}, {"redirect_uri": "https://hub.test/elsewhere"}])
    def test_a_code_of_another_login_is_refused(self, double, changed):
        assert "invalid_grant" in refusal(double, **changed)

    @pytest.mark.parametrize(
        ("error", "said"),
        [
            ("access_denied", "was cancelled"),
            ("invalid_scope", "(invalid_scope)"),
            ("<b>x</b>" * 50, "(bxbbxbbxb"),
            ("", "(no reason)"),
        ],
    )
    def test_an_error_is_said_in_words_and_shown_in_plain_characters(self, double, error, said):
        double.authorization = {"error": error, "error_description": "<script>"}
        shown = refusal(double)
        assert said in shown
        assert "<" not in shown

    @pytest.mark.parametrize("code", ["", "x" * 4097])
    def test_a_code_that_is_none_is_refused(self, double, code):
        double.authorization = {"code": code}
        assert "no code" in refusal(double)

    @pytest.mark.parametrize("kind", [None, "bearer", "BEARER"])
    def test_the_type_of_the_token_may_be_missing(self, double, kind):
        double.token_answer = {"token_type": kind}
        assert log_in(of(double), double).name == "ada"

    @pytest.mark.parametrize(
        "answer",
        [
            {"token_type": "DPoP"},
            {"access_token": None},
            {"access_token": 7},
            {"access_token": "x" * 65_537},
            {"expires_in": "soon"},
            {"expires_in": [1]},
        ],
    )
    def test_an_answer_that_is_no_token_is_an_outage(self, double, answer):
        double.token_answer = answer
        assert "Our SSO gave" in outage(double)

    @pytest.mark.parametrize("given", [b"", b"[]", b"<html>", b'{"error": {"a": 1}}', b'{"error": null}', b"[" * 10**5])
    def test_nonsense_of_the_token_endpoint_is_no_crash(self, double, given, monkeypatch):
        monkeypatch.setattr(double, "given", lambda _more: (200, given))
        with pytest.raises((ProviderUnavailableError, LoginRefusedError)):
            log_in(of(double), double)

    def test_null_as_the_type_of_the_token_is_no_crash(self, double, monkeypatch):
        given = double.given

        def with_null(more):
            status, answer = given(more)
            return status, answer | {"token_type": None}

        monkeypatch.setattr(double, "given", with_null)
        assert log_in(of(double), double).name == "ada"


class TestUserinfo:
    def test_fills_up_what_the_id_token_lacks(self, double):
        double.in_id_token = ("sub",)
        assert log_in(of(double), double).name == "ada"

    @pytest.mark.parametrize("subject", ["sub-bob", None, 7])
    def test_of_another_person_is_refused(self, double, subject):
        double.userinfo = {"sub": subject}
        assert "about another person" in refusal(double)

    def test_is_not_asked_where_settings_say_so(self, double):
        double.down = {"/userinfo"}
        assert log_in(of(double, asks_userinfo=False), double).name == "ada"

    def test_that_does_not_answer_is_an_outage(self, double):
        double.down = {"/userinfo"}
        assert "it is down" in outage(double)
        double.down, double.userinfo_status = set(), 500
        assert "answered 500" in outage(double)

    @pytest.mark.parametrize("status", [401, 403])
    def test_that_refuses_the_token_refuses_the_login(self, double, status):
        double.userinfo_status = status
        assert "no longer accepts" in refusal(double)

    def test_missing_addresses_are_no_crash_and_no_name(self, double):
        double.person = {"sub": "sub-ada", "preferred_username": "ada"}
        assert log_in(of(double), double).label == "ada"
        assert "'email'" in refusal(double, provider=of(double, rules=ClaimRules(username_claim="email")))

    @pytest.mark.parametrize(
        ("first", "second", "verified"),
        [
            ({"email": "a@x", "email_verified": True}, {"email": "b@x", "email_verified": False}, True),
            ({"email": "a@x"}, {"email": "b@x", "email_verified": True}, None),
            ({"email": "a@x"}, {"email": "a@x", "email_verified": True}, True),
            ({"email_verified": True}, {"email": "b@x"}, None),
            ({"email_verified": True}, {"email": "b@x", "email_verified": False}, False),
            ({}, {"email": "b@x", "email_verified": True}, True),
            ({}, {}, None),
        ],
    )
    def test_no_address_borrows_the_word_that_verifies_another(self, first, second, verified):
        assert merged(first, second).get("email_verified") is verified


class TestPeople:
    @pytest.mark.parametrize("idp", ["https://other", None, ["https://ours"]])
    def test_of_another_organisation_are_refused(self, double, idp):
        provider = of(double, required_claims={"idp": ("https://ours",)})
        double.person["idp"] = idp
        assert "not of an organisation" in refusal(double, provider=provider)
        double.person["idp"] = "https://ours"
        assert log_in(provider, double).name == "ada"

    def test_without_a_verified_address_of_the_domain_are_refused(self, double):
        provider = of(double, rules=ClaimRules(domains=("example.org",)))
        assert log_in(provider, double).name == "ada"
        double.person["email_verified"] = False
        assert "verified address" in refusal(double, provider=provider)


class TestClientAuthentication:
    @pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
    def test_a_secret_with_signs_arrives_whole(self, double, method):
        double.authentication = method
        assert log_in(of(double, client_authentication=ClientAuthentication(method)), double).name == "ada"

    def test_follows_the_metadata_where_settings_say_nothing(self, double):
        double.authentication = "client_secret_post"
        double.metadata = {"token_endpoint_auth_methods_supported": ["private_key_jwt", "client_secret_post"]}
        assert log_in(of(double), double).name == "ada"

    def test_a_public_client_sends_its_id_alone(self, double):
        double.authentication = "none"
        facts = {"client_secret": "", "client_authentication": ClientAuthentication.NONE}
        assert log_in(of(double, **facts), double).name == "ada"

    @pytest.mark.parametrize(("key", "algorithm"), [(rsa_key(), "RS256"), (ec_key(), "ES256")])
    @pytest.mark.parametrize("form", ["jwk", "pem"])
    def test_a_key_signs_an_assertion_for_the_token_endpoint(self, double, key, algorithm, form):
        text = json.dumps(key.as_dict(private=True)) if form == "jwk" else key.as_pem(private=True).decode()
        double.authentication = "private_key_jwt"
        facts = {"private_key": text, "client_authentication": ClientAuthentication.PRIVATE_KEY}
        assert log_in(of(double, **facts), double).name == "ada"
        token = jwt.decode(double.assertion, key, algorithms=[algorithm])
        assert token.claims["iss"] == token.claims["sub"] == "hub"
        assert token.claims["aud"] == f"{ISSUER}/token"
        assert token.claims["exp"] - token.claims["iat"] == 60
        assert token.claims["jti"]

    def test_a_key_that_is_none_is_named_without_its_text(self, double):
        facts = {"private_key": "s3cret", "client_authentication": ClientAuthentication.PRIVATE_KEY}
        said = outage(double, of(double, **facts))
        assert "private key of the provider sso" in said
        assert "s3cret" not in said

    def test_a_wrong_secret_is_refused_in_words(self, double):
        assert "(invalid_client)" in refusal(double, provider=of(double, client_secret="wrong"))


class TestMetadata:
    @pytest.mark.parametrize("issuer", ["https://idp.example.org/", "https://IDP.example.org", None, 7])
    def test_of_another_issuer_are_refused(self, double, issuer):
        double.metadata = {"issuer": issuer}
        assert "the settings name 'https://idp.example.org'" in outage(double)

    @pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
    @pytest.mark.parametrize("address", [None, "http://idp.example.org/x", "javascript:alert(1)", 7, "https://u:p@h/"])
    def test_without_a_safe_endpoint_are_of_no_use(self, double, name, address):
        double.metadata = {name: address}
        assert name in outage(double)

    def test_that_cannot_be_fetched_are_an_outage_and_tried_again_later(self, double, clock):
        double.down = {"/.well-known/openid-configuration"}
        provider = of(double)
        assert "it is down" in outage(double, provider)
        double.down = set()
        assert "it is down" in outage(double, provider)  # a crowd does not ask a thousand times
        clock.advance(timedelta(seconds=10))
        assert log_in(provider, double).name == "ada"

    def test_are_kept_for_a_day_while_the_provider_is_not_reached(self, double, clock):
        provider = of(double)
        log_in(provider, double)
        double.down = {"/.well-known/openid-configuration"}
        clock.advance(timedelta(hours=23))
        provider.authorization_url(REQUEST)
        clock.advance(timedelta(hours=1))
        with pytest.raises(ProviderUnavailableError):
            provider.authorization_url(REQUEST)

    def test_are_fetched_again_after_the_clock_was_set_back(self, double, clock):
        provider = of(double)
        provider.authorization_url(REQUEST)
        clock.advance(timedelta(days=-365))
        provider.authorization_url(REQUEST)
        assert len(double.requests) == 2


class TestRefresh:
    def test_brings_new_groups_and_a_new_refresh_token(self, double):
        provider = of(double, rules=ClaimRules(groups_claim="groups"))
        double.person["groups"] = ["staff"]
        before = log_in(provider, double)
        double.person["groups"] = ["others"]
        after = provider.refresh("sub-ada", before.auth_state)
        assert after.groups == ("others",)
        assert after.auth_state["refresh_token"] not in {None, before.auth_state["refresh_token"]}

    def test_keeps_the_refresh_token_where_no_new_one_comes(self, double):
        provider = of(double)
        before = log_in(provider, double).auth_state
        double.token_answer = {"refresh_token": None}
        assert provider.refresh("sub-ada", before).auth_state["refresh_token"] == before["refresh_token"]

    def test_userinfo_counts_before_an_old_id_token(self, double):
        provider = of(double, rules=ClaimRules(groups_claim="groups", username_claim="only_signed"))
        double.person |= {"groups": ["staff"], "only_signed": "ada"}
        double.in_id_token = (*double.in_id_token, "only_signed")
        before = log_in(provider, double).auth_state
        double.token_answer, double.person["groups"] = {"id_token": None}, ["others"]
        double.userinfo = {"only_signed": None}
        after = provider.refresh("sub-ada", before)
        assert after.groups == ("others",)
        assert after.name == "ada"
        assert after.auth_state["id_token"] == before["id_token"]

    def test_that_is_refused_asks_for_a_new_login(self, double):
        provider = of(double)
        before = log_in(provider, double).auth_state
        double.refresh_tokens.clear()
        with pytest.raises(LoginRefusedError, match="invalid_grant"):
            provider.refresh("sub-ada", before)

    @pytest.mark.parametrize("claims", [{"sub": "sub-bob"}, {"nonce": None, "aud": "another"}])
    def test_about_somebody_else_is_refused(self, double, claims):
        provider = of(double)
        before = log_in(provider, double).auth_state
        double.token_claims = claims
        with pytest.raises(LoginRefusedError):
            provider.refresh("sub-ada", before)

    def test_in_an_outage_is_no_refusal(self, double):
        provider = of(double)
        before = log_in(provider, double).auth_state
        double.down = {"/token"}
        with pytest.raises(ProviderUnavailableError):
            provider.refresh("sub-ada", before)

    def test_without_a_refresh_token_asks_userinfo_with_the_access_token(self, double):
        provider = of(double)
        before = dict(log_in(provider, double).auth_state, refresh_token=None)
        assert provider.refresh("sub-ada", before).name == "ada"
        double.userinfo_status = 401
        with pytest.raises(LoginRefusedError, match="Log in again"):
            provider.refresh("sub-ada", before)

    def test_with_nothing_to_ask_by_says_so(self, double):
        assert of(double).refresh("sub-ada", {}) is None
        assert of(double, asks_userinfo=False).refresh("sub-ada", {"access_token": "x"}) is None


class TestLogout:
    def test_ends_at_the_provider_and_comes_back(self, double):
        provider = of(double, logout_at_provider=True)
        state = log_in(provider, double).auth_state
        url = urlsplit(provider.logout_url(state, "https://hub.test/hub/login"))
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{ISSUER}/logout"
        assert parse_qs(url.query) == {
            "id_token_hint": [state["id_token"]],
            "client_id": ["hub"],
            "post_logout_redirect_uri": ["https://hub.test/hub/login"],
        }

    def test_a_long_hint_is_left_out(self, double):
        provider = of(double, logout_at_provider=True, logout_return_parameter="logout_uri")
        url = provider.logout_url({"id_token": "x" * (MAX_HINT + 1)}, "https://hub.test/")
        assert parse_qs(urlsplit(url).query) == {"client_id": ["hub"], "logout_uri": ["https://hub.test/"]}

    def test_stays_here_where_settings_or_the_provider_have_no_other(self, double):
        assert of(double).logout_url({}, "https://hub.test/") is None
        double.metadata = {"end_session_endpoint": None}
        assert of(double, logout_at_provider=True).logout_url({}, "https://hub.test/") is None

    def notice(self, **changed):
        at = int(NOW.timestamp())
        claims = {"iss": ISSUER, "aud": "hub", "iat": at, "exp": at + 60, "jti": "j-1", "sub": "sub-ada", "sid": "s-1"}
        claims |= {"events": {LOGOUT_EVENT: {}}} | changed
        return signed({name: known for name, known in claims.items() if known is not None}, typ="logout+jwt")

    def test_a_notice_says_whose_and_which_session(self, double):
        found = of(double).logout_notice(self.notice())
        assert (found.issuer, found.subject, found.session_id) == (ISSUER, "sub-ada", "s-1")
        assert found.issued_at == NOW.replace(microsecond=0)
        assert of(double).logout_notice(self.notice(sid=None)).session_id == ""
        assert of(double).logout_notice(self.notice(sub=None)).subject == ""

    @pytest.mark.parametrize(
        "changed",
        [
            {"nonce": "n"},
            {"events": None},
            {"events": []},
            {"events": {"another": {}}},
            {"jti": None},
            {"jti": 7},
            {"iat": None},
            {"iat": int(NOW.timestamp()) - 3600},
            {"exp": int(NOW.timestamp()) - 100},
            {"aud": "another"},
            {"iss": "https://another.example.org"},
            {"sub": None, "sid": None},
            {"sid": "x" * 256},
        ],
    )
    def test_what_is_no_notice_for_this_hub_is_refused(self, double, changed):
        with pytest.raises(LoginRefusedError):
            of(double).logout_notice(self.notice(**changed))

    def test_an_id_token_is_no_notice(self, double):
        log_in(provider := of(double), double)
        with pytest.raises(LoginRefusedError):
            provider.logout_notice(signed({"iss": ISSUER, "aud": "hub", "sub": "sub-ada", "iat": int(NOW.timestamp())}))


class TestCheck:
    def faults(self, double, **facts):
        return " ".join(of(double, **facts).check().faults)

    def test_a_sound_provider_has_no_faults(self, double):
        found = of(double).check()
        assert found.faults == ()
        assert found.clock_skew == timedelta()

    def test_names_each_fault(self, double):
        double.metadata = {"issuer": "https://idp.example.org/"}
        assert "They must be the same, to the last slash" in self.faults(double)
        double.metadata, double.down = {}, {"/.well-known/openid-configuration"}
        assert "way out of this machine" in self.faults(double)
        double.down = {"/jwks"}
        assert "The key set cannot be read" in self.faults(double)
        double.down, double.published = set(), [rsa_key("short", 1024)]
        assert "of no use" in self.faults(double)
        double.published = None
        assert "no OpenID Connect provider" in self.faults(double, issuer=f"{ISSUER}/wrong")

    @pytest.mark.parametrize(("skew", "where"), [(90, "90 seconds ahead of"), (-90, "90 seconds behind")])
    def test_names_a_clock_that_is_off(self, double, skew, where):
        double.skew = timedelta(seconds=skew)
        assert where in self.faults(double)
        double.skew = timedelta(seconds=5)
        assert self.faults(double) == ""

    def test_names_what_client_and_provider_do_not_have_in_common(self, double):
        double.metadata = {"id_token_signing_alg_values_supported": ["HS256"]}
        assert "signs with HS256 only" in self.faults(double)
        double.metadata = {"token_endpoint_auth_methods_supported": ["tls_client_auth"]}
        assert "Set client_auth" in self.faults(double)
        double.metadata = {}
        assert "scope groups" in self.faults(double, scopes=("openid", "groups"))
        key = {"private_key": "none", "client_authentication": ClientAuthentication.PRIVATE_KEY}
        assert "cannot sign" in self.faults(double, **key)
        double.metadata = {"end_session_endpoint": None}
        assert "Remove logout_at_provider" in self.faults(double, logout_at_provider=True)


def test_ada_is_who_the_tests_think_she_is():
    assert ADA["email_verified"] is True
