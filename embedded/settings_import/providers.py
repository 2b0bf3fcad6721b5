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
_OLD_NAMES: Mapping[str, str] = {
    "github_organization_whitelist": "allowed_organizations",
    "github_client_id": "client_id",
    "github_client_secret": "client_secret",
    "google_group_whitelist": "allowed_google_groups",
    "gitlab_group_whitelist": "allowed_gitlab_groups",
    "gitlab_project_id_whitelist": "allowed_project_ids",
    "idps": "allowed_idps",
    "idp_whitelist": "allowed_idps",
}
"""Names that OAuthenticator has given up, or takes since 17.4, by the one that is read here."""
_NEEDED_SCOPES: Mapping[str, tuple[str, ...]] = {
    "gitlab": ("openid", "profile", "email"),
    "globus": ("openid", "profile", "email"),
    "google": ("openid", "email"),
}
"""Scopes of the claims from which names are made: OAuthenticator asked these providers' own APIs instead."""
_COGNITO_HOST = re.compile(r"[^.]+\.auth\.([a-z0-9-]+)\.amazoncognito\.com")
_DOMAIN = re.compile(r"[A-Za-z0-9.-]{1,253}")
_NOT_HERE: Mapping[str, tuple[str, str]] = {
    "username_map": (
        "a name comes from one rule",
        "Let `hubless user link NAME` say who somebody is, or write username_claim as an expression in JMESPath.",
    ),
    "tls_verify": ("certificates are always verified", "Give the hub the certificate with SSL_CERT_FILE."),
    "validate_server_cert": ("certificates are always verified", "Give the hub the certificate with SSL_CERT_FILE."),
    "allowed_google_groups": ("Google tells the hub no groups", "Name people in login.allow_users."),
    "admin_google_groups": ("Google tells the hub no groups", "Name people in login.admins."),
    "allowed_project_ids": ("the hub reads no projects", "Set groups_claim, and login.allow_groups."),
    "allowed_globus_groups": ("Globus tells the hub no groups", "Name people in login.allow_users."),
    "admin_globus_groups": ("Globus tells the hub no groups", "Name people in login.admins."),
    "allowed_auth0_roles": ("roles come by a claim", "Set groups_claim, and login.allow_groups."),
    "populate_teams_in_auth_state": ("organizations are asked at each login", ""),
    "logout_redirect_url": ("the hub has a page after logouts", "Set logout_at_provider = true to log out there too."),
    "shown_idps": ("all of identity_providers are shown", ""),
    "okta_domain": ("it is in the address of the login", "Set domain."),
    "create_system_users": ("a login makes no account of the machine", "See servers.run_as_system_users."),
    "exclude_tokens": ("the hub keeps what a login says only with login.auth_state", ""),
    "revoke_tokens_on_logout": ("the hub revokes no tokens", ""),
    "allow_unverified_email": ("only verified addresses count", "See trust_email."),
    "modify_auth_state_hook": ("the hub runs no hooks", ""),
    "post_auth_hook": ("the hub runs no hooks", "See username_claim, allow_expression and admin_expression."),
    "http_request_kwargs": ("the hub has no such setting", "Set the usual variables for a proxy."),
}
_Take = Callable[[str], Found | None]


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
    "globus": (),
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
    traits.rename(_OLD_NAMES, *chain)
    table: dict[str, Any] = {"name": "", "kind": kind}
    _where(kind, table, comments, traits, chain)
    _public_url(traits, draft, chain)
    name = {"oidc": "sso"}.get(table["kind"], table["kind"])
    table["name"] = name
    _client(name, table, traits, draft, chain)
    for trait, key, convert in (*_OF_KIND.get(kind, ()), *_COMMON):
        if found := traits.take(trait, *chain):
            _take(key, found, convert, table, comments)

    def take(trait: str) -> Found | None:
        return traits.take(trait, *chain)

    has_rule = _claims(traits, table, comments, chain)
    _scopes(traits, table, comments, chain)
    has_rule = _special(kind, take, table, comments, draft) and has_rule
    _groups(kind, take, table, comments, draft)
    _organizations(draft, table, comments)
    _match_existing(table, comments, has_rule)
    _say_the_rest(take, draft)
    draft.add("providers", table, f"c.{known}", comments)


def _say_the_rest(take: _Take, draft: Draft) -> None:
    for trait, (why, to_do) in _NOT_HERE.items():
        if found := take(trait):
            draft.leave_out("providers", found.label, found.value, why, to_do)
    for trait in _DERIVED:
        if found := take(trait):
            draft.leave_out("providers", found.label, found.value, _METADATA, "Run `hubless check`.")


def _match_existing(table: dict[str, Any], comments: list[str], has_rule: bool) -> None:  # noqa: FBT001 a fact, no mode
    """Let imported people log in by their names, if names are made by the rule that the old hub had."""
    if not has_rule:
        comments.append(
            "Names may differ from those of the old hub, so that match_existing is not set: imported users log in by"
            " `hubless user link NAME`, until you have looked at username_claim."
        )
    elif table.get("username_claim") != "name":  # which is no name of one person
        table["match_existing"] = True
        comments.append(
            "match_existing lets imported users log in with the name that they have. Remove it once all have been here."
        )


def _take(key: str, found: Found, convert: Callable[[Any], Any], table: dict[str, Any], comments: list[str]) -> None:
    try:
        is_unknown = isinstance(found.value, Named) or variables_in(found.value)
        table[key] = found.value if is_unknown else convert(found.value)
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


def _claims(traits: Traits, table: dict[str, Any], comments: list[str], chain: tuple[str, ...]) -> bool:
    """Read whence groups and names come; say whether names stay what they were."""
    for trait in _GROUPS:
        found = traits.take(trait, *chain)
        if found and isinstance(found.value, str) and not variables_in(found.value):
            path = found.value
            claim = path.partition(".")[2] if trait == "auth_state_groups_key" else path
            if claim or table["kind"] == "github":
                table["groups_claim"] = claim or "teams"
                continue
        if found:
            comments.append(f"Not brought over: {found.label}: it is made by a program. Set groups_claim.")
    if isinstance(table.get("username_claim"), Named) or variables_in(table.get("username_claim")):
        del table["username_claim"]
        comments.append("Not brought over: the rule for names: it is made by a program. Set username_claim.")
        return False
    return True


def _scopes(traits: Traits, table: dict[str, Any], comments: list[str], chain: tuple[str, ...]) -> None:
    found = traits.take("scope", *chain)
    if found and table["kind"] != "github":  # whose scopes follow from organizations
        needed = _NEEDED_SCOPES.get(table["kind"], ("openid",))
        _take("scopes", found, lambda given: list(dict.fromkeys([*needed, *conversions.texts(given)])), table, comments)


def _where(kind: str, table: dict[str, Any], comments: list[str], traits: Traits, chain: tuple[str, ...]) -> None:
    """Find out from the address where people log in which provider it is, unless *kind* says it all."""
    if kind not in {"oidc", "okta", "cognito"}:
        return
    found = traits.take("authorize_url", *chain) or _okta(traits, chain)
    address = found.value if found and isinstance(found.value, str) and not variables_in(found.value) else ""
    parts = urlsplit(address) if _is_address(address) else None
    if parts is None:
        table.update(kind="oidc", issuer="https://ISSUER.invalid")
        comments.append("The old settings do not say the issuer: put it in place of https://ISSUER.invalid.")
        return
    host, path = parts.netloc.rpartition("@")[2].lower(), parts.path
    table.update(_recognised(host, path, parts.scheme))
    if table["kind"] == "cognito":
        comments.append(f"The old settings do not say the user pool: put its id in place of {table['tenant']}.")
    if table["kind"] == "oidc":
        comments.append("The issuer is a guess from the address of the login. `hubless check` compares it.")


def _okta(traits: Traits, chain: tuple[str, ...]) -> Found | None:
    found = traits.take("okta_domain", *chain)
    is_host = found and isinstance(found.value, str) and _DOMAIN.fullmatch(_host(found.value))
    return Found(f"https://{_host(found.value)}/oauth2/v1/authorize", found.label) if found and is_host else None


def _is_address(address: str) -> bool:
    try:
        parts = urlsplit(address)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _recognised(host: str, path: str, scheme: str) -> dict[str, Any]:
    if matched := _KEYCLOAK.fullmatch(path):
        return {"kind": "keycloak", "domain": host, "tenant": matched[1]}
    return _recognised_by_host(host, path) or {"kind": "oidc", "issuer": f"{scheme}://{host}{_before_login(path)}"}


def _recognised_by_host(host: str, path: str) -> dict[str, Any]:
    if host == "login.microsoftonline.com" and (matched := _ENTRA.fullmatch(path)):
        return {"kind": "entra", "tenant": matched[1]}
    if host.endswith(_OKTA_HOSTS) and (matched := _OKTA.fullmatch(path)):
        return {"kind": "okta", "domain": host} | ({"tenant": matched[1]} if matched[1] else {})
    if matched := _COGNITO_HOST.fullmatch(host):
        return {"kind": "cognito", "tenant": f"{matched[1]}_POOL"}
    if host.endswith(".auth0.com"):
        return {"kind": "auth0", "domain": host}
    return {"kind": "google"} if host == "accounts.google.com" else {}


def _before_login(path: str) -> str:
    return next((path.removesuffix(one) for one in _AUTHORIZE_PATHS if path.endswith(one)), "")


def _special(kind: str, take: _Take, table: dict[str, Any], comments: list[str], draft: Draft) -> bool:
    """Read what only one kind has; say whether names stay what they were."""
    if kind == "google":
        _google(take, table)
    elif kind == "cilogon":
        return _cilogon(take, table, comments, draft)
    elif kind == "entra":
        _entra(table, comments)
    elif kind == "globus":
        _globus(take, table, comments)
    return True


def _entra(table: dict[str, Any], comments: list[str]) -> None:
    if table.setdefault("username_claim", "name") == "name":  # AzureAdOAuthenticator's default
        comments.append(
            "Names come from the claim `name`, as there, unless you change it. Two people may have the same, so that"
            " imported users log in by `hubless user link` only."
        )
    elif table["username_claim"] == "unique_name":
        table["username_claim"] = "preferred_username"
        comments.append("Microsoft's newer tokens have preferred_username, where those of the old hub had unique_name.")


def _globus(take: _Take, table: dict[str, Any], comments: list[str]) -> None:
    if (found := take("username_from_email")) and found.value is True:
        table["username_claim"] = "email"
    found = take("identity_provider")
    if found and isinstance(found.value, str) and _DOMAIN.fullmatch(found.value):
        claim = table.get("username_claim", "preferred_username")
        table["strip_domain"] = found.value
        table["allow_expression"] = f"ends_with({claim}, '@{found.value}')"
    elif found and found.value:
        comments.append(f"Not brought over: {found.label}: it is no domain. See identity_providers.")


def _groups(kind: str, take: _Take, table: dict[str, Any], comments: list[str], draft: Draft) -> None:
    """Name groups as this hub does: where everybody may found one, it is named after the provider."""
    if (found := take("allowed_gitlab_groups")) and kind == "gitlab":
        table.setdefault("groups_claim", "groups_direct")
        put(draft, "login", "allow_groups", found, conversions.texts)
        comments.append("groups_direct has the groups of which somebody is a direct member, without subgroups.")
    wanted = any(draft.get("login", key) for key in ("allow_groups", "admin_groups", "managed_groups"))
    if kind == "entra" and wanted:
        table.setdefault("groups_claim", "groups")
    if table["kind"] not in {"github", "gitlab"}:
        return
    if kind == "github" and wanted:
        table.setdefault("groups_claim", "teams")
    for key in ("allow_groups", "admin_groups"):
        if names := draft.get("login", key):
            draft.write("login", key, [f"{table['name']}:{name}" for name in names], f"login.{key}")
            comments.append(f"Groups of {key} are named after the provider here. Teams are organisation:team.")


def _organizations(draft: Draft, table: dict[str, Any], comments: list[str]) -> None:
    if table.get("organizations") and not draft.get("login", "allow_users"):
        draft.write("login", "allow_all", True, "allowed_organizations")  # the organisation decides
    elif table.get("organizations"):
        comments.append("Here a person needs an organisation and a rule of [login]; there one of both was enough.")


def _google(take: _Take, table: dict[str, Any]) -> None:
    found, strip = take("hosted_domain"), take("strip_domain")
    domains = [one for one in found.value if isinstance(one, str)] if found and isinstance(found.value, list) else []
    if found and isinstance(found.value, str) and found.value:
        domains = [found.value]
    if len(domains) == 1:
        table["hosted_domain"] = domains[0]
        if not (strip and strip.value is False):  # GoogleOAuthenticator cuts the domain then
            table["strip_domain"] = domains[0]
    elif domains:
        table["domains"] = domains


def _cilogon(take: _Take, table: dict[str, Any], comments: list[str], draft: Draft) -> bool:
    found = take("allowed_idps")
    given = found.value if found and isinstance(found.value, dict) else {}
    if found and isinstance(found.value, list):
        given = {one: {} for one in found.value if isinstance(one, str)}
    table["identity_providers"] = list(given) or ["https://IDENTITY-PROVIDER.invalid"]
    if not given:
        comments.append("Name the identity providers whose people may come, by their entity ids.")
    _who_of_cilogon(given, comments, draft)
    derivations = [one["username_derivation"] for one in given.values() if _is_derivation(one)]
    if not derivations:
        return True
    first = derivations[0]
    if len(derivations) < len(given) or any(one != first for one in derivations):
        comments.append(
            "Names came from another rule for each identity provider: here one rule counts for all, in username_claim,"
            " such as eppn || email, and username_template."
        )
        return False
    if isinstance(first.get("username_claim"), str):
        table["username_claim"] = first["username_claim"]
    if first.get("action") == "strip_idp_domain" and isinstance(first.get("domain"), str):
        table["strip_domain"] = first["domain"]
    if first.get("action") == "prefix" and isinstance(first.get("prefix"), str):
        table["username_template"] = f"{first['prefix']}:{{username}}"
    return True


def _who_of_cilogon(given: Mapping[str, Any], comments: list[str], draft: Draft) -> None:
    """Let in everybody if each identity provider did; otherwise say what it takes."""
    rules = [one if isinstance(one, dict) else {} for one in given.values()]
    if rules and all(one.get("allow_all") is True for one in rules):
        draft.write("login", "allow_all", True, "allowed_idps")
    elif any(one.get("allow_all") or one.get("allowed_domains") for one in rules):
        comments.append(
            "allow_all and allowed_domains counted for one identity provider each: write allow_expression, such as"
            " idp == 'https://idp.example.org/shibboleth', and set login.allow_all."
        )


def _is_derivation(given: Any) -> bool:
    return isinstance(given, dict) and isinstance(given.get("username_derivation"), dict)
