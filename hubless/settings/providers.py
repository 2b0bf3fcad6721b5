"""The settings of `[[providers]]`: OpenID Connect providers and GitHub, and what is known of each kind beforehand."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from hubless.domain.claims import ClaimRules
from hubless.domain.providers import ALGORITHMS, ClientAuthentication, Protocol, Provider
from hubless.domain.values import value
from hubless.settings.claims import EXPRESSION, TEMPLATE
from hubless.settings.types import (
    FLAG,
    LIMIT,
    NAME,
    NEVER,
    SECRET,
    TEXT,
    TEXT_TABLE,
    TEXTS,
    URL,
    SettingsError,
    SettingType,
    choice,
    setting,
)

_PROVIDER_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?")
_PART = re.compile(r"[A-Za-z0-9._~-]+")
_POOL = re.compile(r"[a-z]{2}(?:-[a-z]+)+-[0-9]_[A-Za-z0-9]+")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_SHARED_TENANTS = frozenset({"common", "organizations", "consumers"})
_OWN_PARAMETERS = frozenset(
    {"client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "code_challenge", "code_challenge_method"}
    | {"response_mode", "request", "request_uri", "client_secret"}
)


def _algorithms(given: Any) -> tuple[str, ...]:
    if not set(TEXTS.read(given)) <= set(ALGORITHMS):
        raise ValueError
    return tuple(given)


_ALGORITHMS = SettingType(f"a list of {', '.join(ALGORITHMS)}", _algorithms)


@value
class ProviderSettings:
    """One of `[[providers]]`: whom the hub asks who somebody is."""

    name: str = setting(None, NAME, "The provider's name in addresses: a-z, 0-9 and hyphens; keep it for ever")
    kind: str = setting(
        None,
        choice(
            "oidc",
            "github",
            "cognito",
            "google",
            "entra",
            "okta",
            "auth0",
            "keycloak",
            "gitlab",
            "cilogon",
            "globus",
            "authentik",
        ),
        "What the provider is; `oidc` for any other with OpenID Connect",
    )
    client_id: str = setting(None, NAME, "The client id that the provider gave the hub")
    display_name: str = setting("", TEXT, "The provider's name on the login page; empty for the kind's")
    issuer: str = setting("", URL, "The issuer, exactly as the provider's metadata write it; only for `oidc`")
    domain: str = setting(
        "", TEXT, "The provider's host, for `okta`, `auth0`, `keycloak`, `authentik`, and your own `gitlab` or `github`"
    )
    tenant: str = setting(
        "",
        TEXT,
        "The part of the provider that is yours: `cognito`'s user pool, `entra`'s tenant, `keycloak`'s realm,"
        " `authentik`'s application, `okta`'s authorization server",
    )
    client_secret: str = setting("", SECRET, "The client secret")
    client_secret_env: str = setting(
        "", TEXT, "The environment variable with the client secret, instead of `client_secret`"
    )
    private_key_env: str = setting(
        "", TEXT, "The environment variable with the private key (PEM or JWK) of `private_key_jwt`"
    )
    client_auth: str = setting(
        "",
        choice("client_secret_basic", "client_secret_post", "private_key_jwt", "none", ""),
        "How the hub proves at the token endpoint who it is; empty for what the provider's metadata say",
    )
    scopes: tuple[str, ...] = setting([], TEXTS, "The scopes to ask for; empty for those that the kind needs")
    username_claim: str = setting("", EXPRESSION, "The claim from which the user's name is made; empty for the kind's")
    username_template: str = setting(
        "{username}",
        TEMPLATE,
        "The user's name: `{username}` is the claim, `{provider}` the provider's name, and others are claims too",
    )
    strip_domain: str = setting("", TEXT, "The domain that is cut from names such as `ada@example.org`")
    groups_claim: str = setting(
        "", EXPRESSION, "The claim with the user's groups; empty: logins leave memberships alone"
    )
    group_prefix: str = setting(
        "",
        TEXT,
        "What comes before the name of each group of this provider here; empty for the kind's: the provider's name and"
        " a colon for `github` and `gitlab`, where everybody may found groups",
    )
    admin_expression: str = setting(
        "", EXPRESSION, "Who is an admin: true, or a list with something in it; empty: logins leave admins alone"
    )
    allow_expression: str = setting("", EXPRESSION, "Who may pass on to `[login]`'s lists; empty for everybody")
    domains: tuple[str, ...] = setting([], TEXTS, "Domains of verified e-mail addresses, one of which a person needs")
    hosted_domain: str = setting("", TEXT, "The organisation's domain, for `google`: personal accounts are refused")
    identity_providers: tuple[str, ...] = setting(
        [],
        TEXTS,
        "The identity providers (`idp` or `identity_provider`) whose people may come, for `cilogon` and `globus`",
    )
    organizations: tuple[str, ...] = setting(
        [], TEXTS, "Organisations (`org`) and teams (`org:team`), one of which a person needs, for `github`"
    )
    trust_email: bool = setting(
        False, FLAG, "Whether the provider verifies each address but does not say so; otherwise `email_verified` counts"
    )
    match_existing: bool = setting(
        False,
        FLAG,
        "Whether a first login takes over the user of that name whom an admin added, who has no other way in",
    )
    algorithms: tuple[str, ...] = setting(
        [], _ALGORITHMS, "The signatures to accept; empty for those of the provider's metadata"
    )
    userinfo: bool = setting(True, FLAG, "Whether the hub asks for the claims of userinfo too; `entra` is never asked")
    authorize_parameters: Mapping[str, str] = setting(
        {}, TEXT_TABLE, 'More parameters of the login at the provider, as in `{ prompt = "select_account" }`'
    )
    auth_refresh_age: timedelta | None = setting(
        "5m", LIMIT, "How old a login's facts may grow before the provider is asked again; `never` for not at all"
    )
    logout_at_provider: bool = setting(False, FLAG, "Whether a logout here also ends the session at the provider")


@value
class _Kind:
    """What is known of a kind of provider. *issuer* is written without its scheme."""

    label: str
    issuer: str = "{domain}"
    username_claim: str = "preferred_username"
    domain: str = ""  # where settings name none
    issuer_of_tenant: str = ""  # where settings name a tenant, which they need not
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    needs: tuple[str, ...] = ()
    takes: tuple[str, ...] = ()  # besides
    asks_userinfo: bool = True
    logout_return_parameter: str = "post_logout_redirect_uri"
    has_groups_of_anybody: bool = False  # whether everybody may found groups, and choose their names


_KINDS: Mapping[str, _Kind] = {
    "oidc": _Kind("single sign-on", needs=("issuer",)),
    "github": _Kind(
        "GitHub",
        username_claim="login",
        domain="github.com",
        scopes=("read:user", "user:email"),
        takes=("domain", "organizations"),
        has_groups_of_anybody=True,
    ),
    "cognito": _Kind(
        "Amazon Cognito",
        "cognito-idp.{region}.amazonaws.com/{tenant}",
        "cognito:username",
        needs=("tenant",),
        logout_return_parameter="logout_uri",
    ),
    "google": _Kind("Google", "accounts.google.com", "email", takes=("hosted_domain",)),
    "entra": _Kind("Microsoft", "login.microsoftonline.com/{tenant}/v2.0", needs=("tenant",), asks_userinfo=False),
    "okta": _Kind("Okta", issuer_of_tenant="{domain}/oauth2/{tenant}", needs=("domain",), takes=("tenant",)),
    "auth0": _Kind("Auth0", "{domain}/", "email", needs=("domain",)),
    "keycloak": _Kind("Keycloak", "{domain}/realms/{tenant}", needs=("domain", "tenant")),
    "gitlab": _Kind(
        "GitLab", "{domain}", "nickname", domain="gitlab.com", takes=("domain",), has_groups_of_anybody=True
    ),
    "cilogon": _Kind(
        "CILogon",
        "cilogon.org",
        "eppn",
        scopes=("openid", "email", "profile", "org.cilogon.userinfo"),
        needs=("identity_providers",),
    ),
    "globus": _Kind("Globus", "auth.globus.org", takes=("identity_providers",)),
    "authentik": _Kind("authentik", "{domain}/application/o/{tenant}/", needs=("domain", "tenant")),
}
_SOME_KINDS_ONLY = ("issuer", "domain", "tenant", "hosted_domain", "identity_providers", "organizations")
_OPENID_ONLY = ("algorithms", "logout_at_provider", "private_key_env")


def providers_of(given: Iterable[ProviderSettings], secrets: Mapping[str, str]) -> tuple[Provider, ...]:
    """Return the providers that settings describe; *secrets* has secrets by the name of their variable.

    Raises:
        SettingsError: naming the key that is missing, wrong, or without effect.
    """
    return tuple(_provider(one, secrets) for one in given)


def _provider(given: ProviderSettings, secrets: Mapping[str, str]) -> Provider:
    where, kind = f"providers.{given.name}", _KINDS[given.kind]
    if not _PROVIDER_NAME.fullmatch(given.name):
        raise SettingsError(f"{where}.name must be 1 to 32 of a-z, 0-9 and hyphens, and start with a letter")
    _check_keys(given, kind, where)
    made = Provider(
        name=given.name,
        label=given.display_name or kind.label,
        protocol=Protocol.GITHUB if given.kind == "github" else Protocol.OPENID_CONNECT,
        issuer=_issuer(given, kind, where),
        client_id=given.client_id,
        scopes=given.scopes or _scopes(given, kind),
        rules=_rules(given, kind),
        required_claims=_required_claims(given),
        algorithms=given.algorithms or ALGORITHMS,
        asks_userinfo=given.userinfo and kind.asks_userinfo,
        authorize_parameters=_authorize_parameters(given, where),
        organizations=tuple(one.lower() for one in given.organizations),
        match_existing=given.match_existing,
        auth_refresh_age=None if given.auth_refresh_age == NEVER else given.auth_refresh_age,
        logout_at_provider=given.logout_at_provider,
        logout_return_parameter=kind.logout_return_parameter,
    )
    return _with_credentials(made, given, secrets, where)


def _check_keys(given: ProviderSettings, kind: _Kind, where: str) -> None:
    for key in kind.needs:
        if not getattr(given, key):
            raise SettingsError(f'{where}.{key} is missing: {where}.kind = "{given.kind}" needs it')
    useless = [key for key in _SOME_KINDS_ONLY if key not in (*kind.needs, *kind.takes)]
    for key in (*useless, *(_OPENID_ONLY if given.kind == "github" else ())):
        if getattr(given, key):
            raise SettingsError(f'{where}.{key} has no effect if {where}.kind is "{given.kind}": remove it')
    if given.domain and not _HOST.fullmatch(given.domain):
        raise SettingsError(f'{where}.domain is "{given.domain}", but it must be a host such as "sso.example.org"')
    if given.tenant and not _PART.fullmatch(given.tenant):
        raise SettingsError(f'{where}.tenant is "{given.tenant}", but it may have only letters, digits and . _ ~ -')


def _issuer(given: ProviderSettings, kind: _Kind, where: str) -> str:
    domain, tenant = given.domain or kind.domain, given.tenant
    if given.kind == "oidc":
        return _own_issuer(given.issuer, where)
    if given.kind == "cognito" and not _POOL.fullmatch(tenant):
        raise SettingsError(f'{where}.tenant is "{tenant}", but it must be a user pool such as "eu-central-1_AbCd1234"')
    if given.kind == "entra" and tenant.lower() in _SHARED_TENANTS:
        raise SettingsError(
            f'{where}.tenant is "{tenant}", which is for all accounts of Microsoft: name your own tenant'
        )
    scheme = "http" if domain.partition(":")[0] in _LOOPBACK else "https"
    issuer = kind.issuer_of_tenant if tenant and kind.issuer_of_tenant else kind.issuer
    return f"{scheme}://" + issuer.format(domain=domain, tenant=tenant, region=tenant.partition("_")[0])


def _own_issuer(issuer: str, where: str) -> str:
    parts = urlsplit(issuer)
    if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise SettingsError(
            f'{where}.issuer is "{issuer}", but it must start with https:// (only this machine need not)'
        )
    if parts.query or parts.fragment or parts.username is not None:
        raise SettingsError(f'{where}.issuer is "{issuer}", but an issuer has no query, fragment or password')
    return issuer.removesuffix("/.well-known/openid-configuration")


def _scopes(given: ProviderSettings, kind: _Kind) -> tuple[str, ...]:
    return (*kind.scopes, "read:org") if given.kind == "github" and given.organizations else kind.scopes


def _rules(given: ProviderSettings, kind: _Kind) -> ClaimRules:
    return ClaimRules(
        username_claim=given.username_claim or kind.username_claim,
        username_template=given.username_template,
        strip_domain=given.strip_domain,
        groups_claim=given.groups_claim,
        group_prefix=given.group_prefix or (f"{given.name}:" if kind.has_groups_of_anybody else ""),
        admin_expression=given.admin_expression,
        allow_expression=given.allow_expression,
        domains=tuple(one.lower().removeprefix("@") for one in given.domains),
        trusts_email=given.trust_email,
    )


def _required_claims(given: ProviderSettings) -> dict[str, tuple[str, ...]]:
    if given.hosted_domain:
        return {"hd": (given.hosted_domain.lower(),)}
    if given.identity_providers:
        return {"idp" if given.kind == "cilogon" else "identity_provider": given.identity_providers}
    return {}


def _authorize_parameters(given: ProviderSettings, where: str) -> dict[str, str]:
    for key in given.authorize_parameters:
        if key in _OWN_PARAMETERS:
            raise SettingsError(f"{where}.authorize_parameters.{key} is set by the hub itself: remove it")
    of_kind = {"hd": given.hosted_domain} if given.hosted_domain else {}
    if given.kind == "cilogon":
        of_kind = {"selected_idp": ",".join(given.identity_providers)}
    return {**of_kind, **given.authorize_parameters}


def _with_credentials(made: Provider, given: ProviderSettings, secrets: Mapping[str, str], where: str) -> Provider:
    if given.client_secret and given.client_secret_env:
        raise SettingsError(f"{where}.client_secret and {where}.client_secret_env exclude each other: set one of them")
    secret = given.client_secret or _secret(given.client_secret_env, secrets, f"{where}.client_secret_env")
    key = _secret(given.private_key_env, secrets, f"{where}.private_key_env")
    method = ClientAuthentication(given.client_auth) if given.client_auth else None
    if method is None and key:
        method = ClientAuthentication.PRIVATE_KEY
    if method is ClientAuthentication.PRIVATE_KEY and not key:
        raise SettingsError(f"{where}.private_key_env is missing: private_key_jwt needs it")
    if not secret and method not in {ClientAuthentication.PRIVATE_KEY, ClientAuthentication.NONE}:
        raise SettingsError(f"{where}.client_secret_env is missing: name the variable with the client secret")
    return replace(made, client_secret=secret, private_key=key, client_authentication=method)


def _secret(variable: str, secrets: Mapping[str, str], where: str) -> str:
    if variable and not secrets.get(variable):
        raise SettingsError(f"{where} names {variable}, which is not in the environment")
    return secrets[variable] if variable else ""
