"""`[[providers]]`: presets that need little, and contradictions that are named."""

from pathlib import Path

import pytest

from hubless.domain.providers import ClientAuthentication, Protocol, callback_path
from hubless.settings import SettingsError, parse
from hubless.settings.cloud import check_for_deployment


def read(lines, secret="a+secret", more=""):
    text = f'[[providers]]\nname = "sso"\nclient_id = "hub"\nclient_secret_env = "SSO"\n{lines}\n{more}'
    return parse(text, Path("/srv/hub"), {}, secrets={"SSO": secret}).providers


def one(lines, **more):
    (provider,) = read(lines, **more)
    return provider


def complaint(text, **secrets):
    with pytest.raises(SettingsError) as caught:
        parse(text, Path("/srv/hub"), {}, secrets=secrets)
    return str(caught.value).removeprefix("hubless.toml: ")


@pytest.mark.parametrize(
    ("lines", "issuer"),
    [
        ('kind = "oidc"\nissuer = "https://sso.example.org"', "https://sso.example.org"),
        ('kind = "oidc"\nissuer = "https://sso.example.org/"', "https://sso.example.org/"),
        (
            'kind = "oidc"\nissuer = "https://sso.example.org/.well-known/openid-configuration"',
            "https://sso.example.org",
        ),
        ('kind = "oidc"\nissuer = "http://127.0.0.1:3000"', "http://127.0.0.1:3000"),
        (
            'kind = "cognito"\ntenant = "eu-central-1_AbCd1234"',
            "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCd1234",
        ),
        (
            'kind = "cognito"\ntenant = "us-gov-west-1_AbCd1234"',
            "https://cognito-idp.us-gov-west-1.amazonaws.com/us-gov-west-1_AbCd1234",
        ),
        ('kind = "google"', "https://accounts.google.com"),
        (
            'kind = "entra"\ntenant = "11111111-2222-3333-4444-555555555555"',
            "https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0",
        ),
        ('kind = "okta"\ndomain = "x.okta.com"', "https://x.okta.com"),
        ('kind = "okta"\ndomain = "x.okta.com"\ntenant = "default"', "https://x.okta.com/oauth2/default"),
        ('kind = "auth0"\ndomain = "x.eu.auth0.com"', "https://x.eu.auth0.com/"),
        ('kind = "keycloak"\ndomain = "sso.example.org"\ntenant = "main"', "https://sso.example.org/realms/main"),
        ('kind = "keycloak"\ndomain = "localhost:8080"\ntenant = "main"', "http://localhost:8080/realms/main"),
        ('kind = "gitlab"', "https://gitlab.com"),
        ('kind = "gitlab"\ndomain = "git.example.org"', "https://git.example.org"),
        ('kind = "cilogon"\nidentity_providers = ["https://idp.example.org/shibboleth"]', "https://cilogon.org"),
        ('kind = "globus"', "https://auth.globus.org"),
        (
            'kind = "authentik"\ndomain = "auth.example.org"\ntenant = "hub"',
            "https://auth.example.org/application/o/hub/",
        ),
        ('kind = "github"', "https://github.com"),
        ('kind = "github"\ndomain = "github.example.org"', "https://github.example.org"),
    ],
)
def test_a_kind_needs_only_what_is_yours_to_know_its_issuer(lines, issuer):
    provider = one(lines)
    assert provider.issuer == issuer
    assert provider.client_secret == "a+secret"
    assert provider.protocol is (Protocol.GITHUB if "github" in lines else Protocol.OPENID_CONNECT)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('kind = "oidc"', "providers.sso.issuer is missing"),
        ('kind = "oidc"\nissuer = "http://sso.example.org"', "must start with https://"),
        ('kind = "oidc"\nissuer = "https://sso.example.org?a=1"', "an issuer has no query"),
        ('kind = "oidc"\nissuer = "https://u:p@sso.example.org"', "an issuer has no query, fragment or password"),
        ('kind = "keycloak"\ndomain = "sso.example.org"', "providers.sso.tenant is missing"),
        ('kind = "keycloak"\ndomain = "https://sso.example.org"\ntenant = "a"', "must be a host such as"),
        ('kind = "keycloak"\ndomain = "sso.example.org"\ntenant = "a/b"', "may have only letters"),
        ('kind = "cognito"\ntenant = "pool"', 'must be a user pool such as "eu-central-1_AbCd1234"'),
        ('kind = "entra"\ntenant = "common"', "name your own tenant"),
        ('kind = "google"\ntenant = "x"', 'has no effect if providers.sso.kind is "google"'),
        ('kind = "google"\norganizations = ["x"]', "has no effect"),
        ('kind = "github"\nlogout_at_provider = true', 'has no effect if providers.sso.kind is "github"'),
        ('kind = "cilogon"', "providers.sso.identity_providers is missing"),
        ('kind = "google"\nclient_secret = "x"', "exclude each other"),
        ('kind = "google"\nclient_auth = "private_key_jwt"', "providers.sso.private_key_env is missing"),
        ('kind = "google"\nclient_auth = "client_secret_jwt"', "providers.sso.client_auth is"),
        ('kind = "google"\nalgorithms = ["HS256"]', "providers.sso.algorithms is"),
        ('kind = "google"\nalgorithms = ["none"]', "providers.sso.algorithms is"),
        ('kind = "google"\nadmin_expression = "groups[?"', "providers.sso.admin_expression is"),
        ('kind = "google"\nusername_template = "ada"', "providers.sso.username_template is"),
        ('kind = "google"\nauthorize_parameters = { state = "x" }', "is set by the hub itself"),
        ('kind = "saml"', "providers.sso.kind is"),
    ],
)
def test_contradictions_are_named_with_what_to_do(lines, said):
    text = f'[[providers]]\nname = "sso"\nclient_id = "hub"\nclient_secret_env = "SSO"\n{lines}'
    assert said in complaint(text, SSO="x")


def test_a_name_that_is_unfit_for_an_address_is_refused():
    for name in ("A", "a/b", "a.b", "-a", "a" * 33):
        text = f'[[providers]]\nname = "{name}"\nclient_id = "hub"\nclient_secret = "x"\nkind = "google"'
        assert "must be 1 to 32 of a-z" in complaint(text)


def test_the_client_secret_is_needed_and_comes_from_the_environment():
    google = '[[providers]]\nname = "sso"\nclient_id = "hub"\nkind = "google"\n'
    assert "client_secret_env is missing" in complaint(google)
    named = google + 'client_secret_env = "SSO"'
    assert complaint(named) == "providers.sso.client_secret_env names SSO, which is not in the environment"
    assert "not in the environment" in complaint(named, SSO="")


def test_a_public_client_and_one_with_a_key_need_no_secret():
    base = '[[providers]]\nname = "sso"\nclient_id = "hub"\nkind = "google"\n'
    (public,) = parse(base + 'client_auth = "none"', Path("/srv/hub"), {}).providers
    (signing,) = parse(base + 'private_key_env = "KEY"', Path("/srv/hub"), {}, secrets={"KEY": "pem"}).providers
    assert public.client_authentication is ClientAuthentication.NONE
    assert signing.client_authentication is ClientAuthentication.PRIVATE_KEY


def test_secrets_are_in_no_representation():
    assert "s3cret" not in repr(read('kind = "google"', secret="s3cret"))


def test_a_deployed_file_has_no_client_secret(tmp_path):
    file = tmp_path / "hubless.toml"
    base = '[[providers]]\nname = "sso"\nkind = "google"\nclient_id = "hub"\n'
    file.write_text(base + 'client_secret = "s3cret"')
    with pytest.raises(SettingsError, match=r"providers\.sso\.client_secret is a secret"):
        check_for_deployment(file)
    file.write_text(base + 'client_secret_env = "SSO"')
    assert check_for_deployment(file).providers[0].client_id == "hub"


def test_an_organisation_binds_its_people_and_is_told_to_the_provider():
    google = one('kind = "google"\nhosted_domain = "Example.org"')
    assert google.required_claims == {"hd": ("example.org",)}
    assert google.authorize_parameters["hd"] == "Example.org"
    cilogon = one('kind = "cilogon"\nidentity_providers = ["https://a", "https://b"]')
    assert cilogon.required_claims == {"idp": ("https://a", "https://b")}
    assert cilogon.authorize_parameters["selected_idp"] == "https://a,https://b"


def test_github_asks_for_organisations_only_where_they_count():
    assert "read:org" not in one('kind = "github"').scopes
    github = one('kind = "github"\norganizations = ["Org:Team"]')
    assert "read:org" in github.scopes
    assert github.organizations == ("org:team",)


def test_each_provider_has_a_redirect_uri_of_its_own():
    names = ("sso", "github")
    assert callback_path(names, "sso") == "/hub/oauth_callback"
    assert callback_path(names, "github") == "/hub/oauth_callback/github"


@pytest.mark.parametrize(
    ("lines", "prefix"),
    [
        ('kind = "github"', "sso:"),
        ('kind = "gitlab"\ndomain = "git.example.org"', "sso:"),
        ('kind = "github"\ngroup_prefix = "gh-"', "gh-"),
        ('kind = "google"', ""),
    ],
)
def test_groups_that_anybody_may_found_are_named_after_the_provider(lines, prefix):
    assert one(lines).rules.group_prefix == prefix
