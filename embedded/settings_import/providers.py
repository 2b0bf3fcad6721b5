"""OAuthenticator's classes as `[[providers]]`. Issuers are known, or read from the addresses of the old settings."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from embedded.settings_import import conversions
from embedded.settings_import.draft import Draft
from embedded.settings_import.hub import put
from embedded.settings_import.old_settings import Found, Named, Traits, variable_of, variables_in

_AUTHORIZE_PATHS = (
    *("/protocol/openid-connect/auth", "/v1/authorize", "/oauth2/authorize", "/oauth/authorize", "/connect/authorize"),
    *("/authorize", "/auth"),
)
_KEYCLOAK = re.compile(r"/realms/([A-Za-z0-9._~-]+)/protocol/openid-connect/auth")
_ENTRA = re.compile(r"/([A-Za-z0-9._~-]+)/oauth2/(?:v2\.0/)?authorize")
_OKTA = re.compile(r"/oauth2/(?:([A-Za-z0-9._~-]+)/)?v1/authorize")
_OKTA_HOSTS = (".okta.com", ".oktapreview.com", ".okta-emea.com")
_METADATA = "the provider's metadata say it"
_DERIVED = (
    *("token_url", "userdata_url", "userdata_method", "userdata_params", "userdata_token_method", "authorize_url"),
    *("token_params", "extra_userdata_params", "user_auth_state_key", "enable_pkce", "revocation_url"),
)
_NOT_HERE: Mapping[str, tuple[str, str]] = {
    "username_map": ("a name comes from one rule", "Write it into username_claim, as an expression in JMESPath."),
    "tls_verify": ("certificates are always verified", "Give the hub the certificate with SSL_CERT_FILE."),
    "validate_server_cert": ("certificates are always verified", "Give the hub the certificate with SSL_CERT_FILE."),
    "allowed_google_groups": ("Google tells the hub no groups", "Name people in login.allow_users."),
    "admin_google_groups": ("Google tells the hub no groups", "Name people in login.admins."),
    "allowed_gitlab_groups": ("the hub reads groups from a claim", "Set groups_claim, and login.allow_groups."),
    "allowed_project_ids": ("the hub reads no projects", "Set groups_claim, and login.allow_groups."),
    "allowed_globus_groups": ("Globus tells the hub no groups", "Name people in login.allow_users."),
    "admin_globus_groups": ("Globus tells the hub no groups", "Name people in login.admins."),
    "allowed_auth0_roles": ("roles come by a claim", "Set groups_claim, and login.allow_groups."),
    "populate_teams_in_auth_state": ("organizations are asked at each login", ""),
    "logout_redirect_url": ("the hub has a page after logouts", "Set logout_at_provider = true to log out there too."),
    "shown_idps": ("all of identity_providers are shown", ""),
    "modify_auth_state_hook": ("the hub runs no hooks", ""),
    "post_auth_hook": ("the hub runs no hooks", "See username_claim, allow_expression and admin_expression."),
    "http_request_kwargs": ("the hub has no such setting", "Set the usual variables for a proxy."),
}
_DomainOf = Callable[[str], str]


def _host(address: str) -> str:
    return urlsplit(address if "//" in address else f"//{address}").netloc.lower()


# trait, key, conversion
_OF_KIND: Mapping[str, tuple[tuple[str, str, Callable[[Any], Any]], ...]] = {
    "github": (("github_url", "domain", _host), ("allowed_organizations", "organizations", conversions.texts)),
    "google": (),
    "entra": (("tenant_id", "tenant", conversions.text), ("user_groups_claim", "groups_claim", conversions.text)),
    "auth0": (
        ("auth0_domain", "domain", _host),
        ("auth0_subdomain", "domain", lambda given: f"{conversions.text(given)}.auth0.com"),
    ),
    "gitlab": (("gitlab_url", "domain", _host),),
    "cilogon": (),
    "globus": (("identity_provider", "identity_providers", conversions.texts),),
}
_COMMON: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("login_service", "display_name", conversions.text),
    ("extra_authorize_params", "authorize_parameters", lambda given: given),
    ("username_key", "username_claim", conversions.text),
    ("username_claim", "username_claim", conversions.text),
    ("auth_refresh_age", "auth_refresh_age", lambda given: conversions.seconds(given) if given else "never"),
    ("basic_auth", "client_auth", lambda given: "client_secret_basic" if given else "client_secret_post"),
)
_GROUPS = ("claim_groups_key", "auth_state_groups_key")
KINDS: Mapping[str, str] = {
    "GitHubOAuthenticator": "github",
    "GoogleOAuthenticator": "google",
    "AzureAdOAuthenticator": "entra",
    "OktaOAuthenticator": "okta",
    "Auth0OAuthenticator": "auth0",
    "GitLabOAuthenticator": "gitlab",
    "CILogonOAuthenticator": "cilogon",
    "GlobusOAuthenticator": "globus",
    "GenericOAuthenticator": "oidc",
    "EnvGenericOAuthenticator": "oidc",
    "AWSCognitoAuthenticator": "cognito",
}
_SUFFIX = "OAuthenticator"


def bring(known: str, traits: Traits, draft: Draft, chain: tuple[str, ...]) -> None:
    """Write the OAuthenticator class *known* as an entry of `[[providers]]`; *chain* has the classes of its traits."""
    kind = KINDS[known]
    comments: list[str] = []
    table: dict[str, Any] = {"name": "", "kind": kind}
    _where(kind, table, comments, traits, chain)
    _public_url(traits, draft, chain)
    name = {"oidc": "sso"}.get(table["kind"], table["kind"])
    table["name"] = name
    _client(name, table, traits, draft, chain)
    for trait, key, convert in (*_OF_KIND.get(kind, ()), *_COMMON):
        if found := traits.take(trait, *chain):
            _take(key, found, convert, table, comments)
    _claims(traits, table, comments, chain)
    _scopes(traits, table, comments, chain)
    _special(kind, traits, table, comments, chain)
    _organizations(draft, table, comments)
    for trait, (why, to_do) in _NOT_HERE.items():
        if found := traits.take(trait, *chain):
            draft.leave_out("providers", found.label, found.value, why, to_do)
    for trait in _DERIVED:
        if found := traits.take(trait, *chain):
            draft.leave_out("providers", found.label, found.value, _METADATA, "Run `hubless check`.")
    if table.get("username_claim") != "name":  # which is no name of one person
        table["match_existing"] = True
        comments.append(
            "match_existing lets imported users log in with the name that they have. Remove it once all have been here."
        )
    draft.add("providers", table, f"c.{known}", comments)


def _take(key: str, found: Found, convert: Callable[[Any], Any], table: dict[str, Any], comments: list[str]) -> None:
    try:
        table[key] = found.value if variables_in(found.value) else convert(found.value)
    except (ValueError, TypeError, OverflowError):
        comments.append(f"Not brought over: {found.label}: providers.{key} has no such value.")


def _client(name: str, table: dict[str, Any], traits: Traits, draft: Draft, chain: tuple[str, ...]) -> None:
    client_id = traits.take("client_id", *chain)
    given = client_id.value if client_id else ""
    if isinstance(given, str) and given and not variables_in(given):
        table["client_id"] = given
    else:
        table["client_id"] = "CLIENT-ID"
        made_of = f"the variable {variable_of(given)}" if variable_of(given) else "what the provider gave you"
        draft.say("providers", f"The old settings do not say the client id: put {made_of} in place of CLIENT-ID.")
    secret = traits.take("client_secret", *chain)
    known = variable_of(secret.value) if secret else ""
    what = f"the client secret of the provider {name}" + (f" ({secret.label})" if secret else "")
    table["client_secret_env"] = draft.variable(name, "client_secret", known=known, what=what)


def _public_url(traits: Traits, draft: Draft, chain: tuple[str, ...]) -> None:
    found = traits.take("oauth_callback_url", *chain)
    if found and not draft.get("hub", "public_url"):
        put(draft, "hub", "public_url", found, conversions.origin)


def _claims(traits: Traits, table: dict[str, Any], comments: list[str], chain: tuple[str, ...]) -> None:
    for trait in _GROUPS:
        found = traits.take(trait, *chain)
        if found and isinstance(found.value, str):
            path = found.value
            table["groups_claim"] = path.partition(".")[2] if trait == "auth_state_groups_key" else path
        elif found:
            comments.append(f"Not brought over: {found.label}: it is made by a program. Set groups_claim.")
    if isinstance(table.get("username_claim"), Named):
        del table["username_claim"]


def _scopes(traits: Traits, table: dict[str, Any], comments: list[str], chain: tuple[str, ...]) -> None:
    found = traits.take("scope", *chain)
    if found and table["kind"] != "github":  # whose scopes follow from organizations
        _take(
            "scopes", found, lambda given: list(dict.fromkeys(["openid", *conversions.texts(given)])), table, comments
        )


def _where(kind: str, table: dict[str, Any], comments: list[str], traits: Traits, chain: tuple[str, ...]) -> None:
    """Find out from the address where people log in which provider it is, unless *kind* says it all."""
    if kind not in {"oidc", "okta", "cognito"}:
        return
    found = traits.take("authorize_url", *chain)
    address = found.value if found and isinstance(found.value, str) and not variables_in(found.value) else ""
    parts = urlsplit(address) if _is_address(address) else None
    if parts is None:
        table.update(kind="oidc", issuer="https://ISSUER.invalid")
        comments.append("The old settings do not say the issuer: put it in place of https://ISSUER.invalid.")
        return
    host, path = parts.netloc.rpartition("@")[2].lower(), parts.path
    table.update(_recognised(host, path, parts.scheme))
    if table["kind"] == "oidc":
        comments.append("The issuer is a guess from the address of the login. `hubless check` compares it.")


def _is_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _recognised(host: str, path: str, scheme: str) -> dict[str, Any]:
    if matched := _KEYCLOAK.fullmatch(path):
        return {"kind": "keycloak", "domain": host, "tenant": matched[1]}
    if host == "login.microsoftonline.com" and (matched := _ENTRA.fullmatch(path)):
        return {"kind": "entra", "tenant": matched[1]}
    if host.endswith(_OKTA_HOSTS) and (matched := _OKTA.fullmatch(path)):
        return {"kind": "okta", "domain": host} | ({"tenant": matched[1]} if matched[1] else {})
    if host.endswith(".auth0.com"):
        return {"kind": "auth0", "domain": host}
    if host == "accounts.google.com":
        return {"kind": "google"}
    issuer = next((path.removesuffix(one) for one in _AUTHORIZE_PATHS if path.endswith(one)), "")
    return {"kind": "oidc", "issuer": f"{scheme}://{host}{issuer}"}


def _special(kind: str, traits: Traits, table: dict[str, Any], comments: list[str], chain: tuple[str, ...]) -> None:
    if kind == "google":
        _google(traits, table, chain)
    elif kind == "cilogon":
        _cilogon(traits, table, comments, chain)
    elif kind == "entra":
        table.setdefault("username_claim", "name")  # AzureAdOAuthenticator's default
        comments.append(
            "Names come from the claim `name`, as there, unless you change it. Two people may have the same, so that"
            " imported users log in by `hubless user link` only."
        )
    elif kind == "globus" and (found := traits.take("username_from_email", *chain)) and found.value is True:
        table["username_claim"] = "email"


def _organizations(draft: Draft, table: dict[str, Any], comments: list[str]) -> None:
    if table.get("organizations") and not draft.get("login", "allow_users"):
        draft.write("login", "allow_all", True, "allowed_organizations")  # the organisation decides
    elif table.get("organizations"):
        comments.append("Here a person needs an organisation and a rule of [login]; there one of both was enough.")


def _google(traits: Traits, table: dict[str, Any], chain: tuple[str, ...]) -> None:
    found = traits.take("hosted_domain", *chain)
    domains = [one for one in found.value if isinstance(one, str)] if found and isinstance(found.value, list) else []
    if found and isinstance(found.value, str) and found.value:
        domains = [found.value]
    if len(domains) == 1:  # GoogleOAuthenticator cuts the domain then
        table.update(hosted_domain=domains[0], strip_domain=domains[0])
    elif domains:
        table["domains"] = domains


def _cilogon(traits: Traits, table: dict[str, Any], comments: list[str], chain: tuple[str, ...]) -> None:
    found = traits.take("allowed_idps", *chain)
    given = found.value if found and isinstance(found.value, dict) else {}
    table["identity_providers"] = list(given) or ["https://IDENTITY-PROVIDER.invalid"]
    if not given:
        comments.append("Name the identity providers whose people may come, by their entity ids.")
    derivations = [one["username_derivation"] for one in given.values() if _is_derivation(one)]
    claims = {one.get("username_claim") for one in derivations if isinstance(one.get("username_claim"), str)}
    if len(claims) == 1:
        table["username_claim"] = claims.pop()
    elif claims:
        comments.append("Names came from several claims: username_claim takes an expression, such as eppn || email.")
    domains = {str(one.get("domain")) for one in derivations if one.get("action") == "strip_idp_domain"}
    if len(domains) == 1:
        table["strip_domain"] = domains.pop()
    if any(one.get("action") == "prefix" for one in derivations):
        comments.append("Names had a prefix for each identity provider: see username_template.")


def _is_derivation(given: Any) -> bool:
    return isinstance(given, dict) and isinstance(given.get("username_derivation"), dict)
