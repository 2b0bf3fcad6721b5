"""The settings of `[[login_proxies]]`: proxies in front of the hub that log people in."""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from hubless.domain.claims import ClaimRules
from hubless.domain.login_proxies import ASSERTION_HEADERS, LoginProxy, ProxyKind
from hubless.domain.values import value
from hubless.settings.claims import EXPRESSION, TEMPLATE
from hubless.settings.types import FLAG, NAME, TEXT, TEXTS, URL, SettingsError, SettingType, choice, setting
from hubless.settings.workloads import KEY_SET

MIN_SECRET = 16
_PROXY_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_HEADER = re.compile(r"[A-Za-z][A-Za-z0-9-]{1,63}")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_TEAM = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_BALANCER = re.compile(
    r"arn:(aws[a-z-]*):elasticloadbalancing:([a-z]{2}(?:-[a-z]+)+-[0-9]):[0-9]{12}:loadbalancer/app/[A-Za-z0-9-]+/[0-9a-f]+"
)
# Headers that mean something else already.
_TAKEN = frozenset(
    {"authorization", "cookie", "host", "origin", "referer", "user-agent", "content-type", "connection"}
    | {f"x-forwarded-{one}" for one in ("for", "host", "proto", "port")}
)


def _header(given: Any) -> str:
    name = TEXT.read(given).lower()
    if name and (not _HEADER.fullmatch(name) or name in _TAKEN or name.startswith("x-hubless-")):
        raise ValueError
    return str(name)


def _logout(given: Any) -> str:
    text = TEXT.read(given)
    if (
        text.startswith("/")
        and not text.startswith("//")
        and text.isprintable()
        and " " not in text
        and "\\" not in text
    ):
        return str(text)
    return str(URL.read(given))


_HEADER_NAME = SettingType("the name of a header that means nothing else", _header)
_LOGOUT = SettingType("an address that starts with http:// or https://, or a path", _logout)


@value
class LoginProxySettings:
    """One of `[[login_proxies]]`: a proxy in front of the hub that logs people in."""

    name: str = setting(None, NAME, "The proxy's name: a-z, 0-9 and hyphens; keep it for ever")
    kind: str = setting(
        None,
        choice("alb", "cloudflare", "iap", "jwt", "header"),
        "What the proxy is: AWS's Application Load Balancer, Cloudflare Access, Google's IAP, any with a JWT, or one"
        " that sends a bare name",
    )
    load_balancer: str = setting("", TEXT, "The load balancer's ARN, for `alb`")
    client_id: str = setting("", TEXT, "The client id with which the load balancer asks the provider, for `alb`")
    team: str = setting("", TEXT, "The team's name, for `cloudflare`: `example` for `example.cloudflareaccess.com`")
    audience: str = setting("", TEXT, "What the assertion is for (`aud`), for `cloudflare`, `iap` and `jwt`")
    issuer: str = setting("", URL, "Who made the assertion (`iss`): for `jwt`, and optional for `alb`")
    keys_url: str = setting("", URL, "The address of the key set, for `jwt`")
    keys: str = setting("", KEY_SET, "The key set itself, as JSON, for `jwt`")
    header: str = setting("", _HEADER_NAME, "The header with the assertion or the name, for `jwt` and `header`")
    secret_header: str = setting("", _HEADER_NAME, "The header with the proxy's secret, for `header`")
    secret_env: str = setting("", TEXT, "The environment variable with that secret: at least 16 characters")
    logout_url: str = setting(
        "", _LOGOUT, "Where a logout goes on, to log out at the proxy; `cloudflare` and `iap` have one"
    )
    username_claim: str = setting("", EXPRESSION, "The claim from which the user's name is made; empty for the kind's")
    username_template: str = setting(
        "{username}",
        TEMPLATE,
        "The user's name: `{username}` is the claim, `{provider}` the proxy's name, and others are claims too",
    )
    strip_domain: str = setting("", TEXT, "The domain that is cut from names such as `ada@example.org`")
    groups_claim: str = setting(
        "", EXPRESSION, "The claim with the user's groups; empty: logins leave memberships alone"
    )
    group_prefix: str = setting("", TEXT, "What comes before the name of each group that the proxy says")
    admin_expression: str = setting(
        "", EXPRESSION, "Who is an admin: true, or a list with something in it; empty: logins leave admins alone"
    )
    allow_expression: str = setting("", EXPRESSION, "Who may pass on to `[login]`'s lists; empty for everybody")
    domains: tuple[str, ...] = setting([], TEXTS, "Domains of verified e-mail addresses, one of which a person needs")
    trust_email: bool = setting(
        False, FLAG, "Whether addresses count without `email_verified`; always so for `cloudflare` and `iap`"
    )
    match_existing: bool = setting(
        False,
        FLAG,
        "Whether a first login takes over the user of that name whom an admin added, who has no other way in",
    )


class _Kind(NamedTuple):
    """What is known of a kind."""

    needs: tuple[str, ...]
    takes: tuple[str, ...] = ()
    username_claim: str = "email"
    trusts_email: bool = False
    logout_url: str = ""


_KINDS: Mapping[ProxyKind, _Kind] = {
    ProxyKind.ALB: _Kind(("load_balancer", "client_id", "logout_url"), ("issuer",)),
    ProxyKind.CLOUDFLARE: _Kind(("team", "audience"), trusts_email=True, logout_url="/cdn-cgi/access/logout"),
    ProxyKind.IAP: _Kind(("audience",), trusts_email=True, logout_url="/?gcp-iap-mode=CLEAR_LOGIN_COOKIE"),
    ProxyKind.JWT: _Kind(
        ("header", "issuer", "audience", "logout_url"), ("keys_url", "keys"), username_claim="preferred_username"
    ),
    ProxyKind.HEADER: _Kind(("header", "secret_header", "secret_env", "logout_url")),
}
_SOME_KINDS_ONLY = (
    *("load_balancer", "client_id", "team", "audience", "issuer", "keys_url", "keys", "header", "secret_header"),
    "secret_env",
)
_CLAIMS_ONLY = (
    *("username_claim", "strip_domain", "groups_claim", "group_prefix", "admin_expression"),
    *("allow_expression", "domains"),
    "trust_email",
)


def login_proxies_of(
    given: Iterable[LoginProxySettings],
    secrets: Mapping[str, str],
    *,
    trusted_proxies: Collection[str],
    providers: Collection[str],
) -> tuple[LoginProxy, ...]:
    """Return the proxies that settings describe.

    Args:
        given: the entries.
        secrets: secrets by the name of their variable.
        trusted_proxies: the networks of `hub.trusted_proxies`.
        providers: the names in `[[providers]]`, which no proxy may have.

    Raises:
        SettingsError: naming the key that is missing, wrong, or without effect.
    """
    proxies = tuple(_proxy(one, secrets, trusted_proxies, providers) for one in given)
    headers = [name for proxy in proxies for name in proxy.headers]
    if twice := sorted({name for name in headers if headers.count(name) > 1}):
        raise SettingsError(f"login_proxies: the header {twice[0]} is used twice")
    return proxies


def _proxy(
    given: LoginProxySettings, secrets: Mapping[str, str], trusted: Collection[str], providers: Collection[str]
) -> LoginProxy:
    where, kind = f"login_proxies.{given.name}", ProxyKind(given.kind)
    if not _PROXY_NAME.fullmatch(given.name):
        raise SettingsError(f"{where}.name must be 1 to 32 of a-z, 0-9 and hyphens, and start with a letter")
    if given.name in providers:
        raise SettingsError(f'{where}.name is "{given.name}", which one of [[providers]] has: choose another')
    _check_keys(given, kind, where)
    facts = _of_kind(given, kind, where)
    if kind is ProxyKind.HEADER:
        if not trusted:
            raise SettingsError(f"{where} needs hub.trusted_proxies: nothing else says who may send a bare name")
        facts["secret"] = _secret(given, secrets, where)
    return LoginProxy(
        name=given.name,
        kind=kind,
        header=given.header or ASSERTION_HEADERS.get(kind, ""),
        logout_url=given.logout_url or _KINDS[kind].logout_url,
        rules=_rules(given, kind),
        secret_header=given.secret_header,
        match_existing=given.match_existing,
        **facts,
    )


def _check_keys(given: LoginProxySettings, kind: ProxyKind, where: str) -> None:
    known = _KINDS[kind]
    for key in known.needs:
        if not getattr(given, key):
            raise SettingsError(f'{where}.{key} is missing: {where}.kind = "{given.kind}" needs it')
    useless = [key for key in _SOME_KINDS_ONLY if key not in (*known.needs, *known.takes)]
    for key in (*useless, *(_CLAIMS_ONLY if kind is ProxyKind.HEADER else ())):
        if getattr(given, key):
            raise SettingsError(f'{where}.{key} has no effect if {where}.kind is "{given.kind}": remove it')
    if kind is ProxyKind.JWT and bool(given.keys) == bool(given.keys_url):
        raise SettingsError(f"{where} needs either {where}.keys_url or {where}.keys")
    parts = urlsplit(given.keys_url)
    if given.keys_url and parts.scheme != "https" and parts.hostname not in _LOOPBACK:
        raise SettingsError(
            f'{where}.keys_url is "{given.keys_url}", but it must start with https:// (only this machine need not)'
        )


def _of_kind(given: LoginProxySettings, kind: ProxyKind, where: str) -> dict[str, str]:
    """Return issuer, audience, signer and keys."""
    if kind is ProxyKind.ALB:
        found = _BALANCER.fullmatch(given.load_balancer)
        if found is None:
            raise SettingsError(f'{where}.load_balancer is "{given.load_balancer}", but it must be the ARN of an ALB')
        return {
            "issuer": given.issuer,
            "audience": given.client_id,
            "signer": given.load_balancer,
            "keys_url": _keys_of_balancer(found[1], found[2]),
        }
    if kind is ProxyKind.CLOUDFLARE:
        if not _TEAM.fullmatch(given.team):
            raise SettingsError(f'{where}.team is "{given.team}", but it must be a name such as "example"')
        issuer = f"https://{given.team}.cloudflareaccess.com"
        return {"issuer": issuer, "audience": given.audience, "keys_url": f"{issuer}/cdn-cgi/access/certs"}
    if kind is ProxyKind.IAP:
        return {
            "issuer": "https://cloud.google.com/iap",
            "audience": given.audience,
            "keys_url": "https://www.gstatic.com/iap/verify/public_key-jwk",
        }
    return {"issuer": given.issuer, "audience": given.audience, "keys_url": given.keys_url, "keys": given.keys}


def _keys_of_balancer(partition: str, region: str) -> str:
    """Return the address below which the load balancers of a region publish their keys (ELB's guide)."""
    if partition == "aws-us-gov":
        return f"https://s3-{region}.amazonaws.com/aws-elb-public-keys-prod-{region}"
    suffix = ".cn" if partition == "aws-cn" else ""
    return f"https://public-keys.auth.elb.{region}.amazonaws.com{suffix}"


def _rules(given: LoginProxySettings, kind: ProxyKind) -> ClaimRules:
    known = _KINDS[kind]
    return ClaimRules(
        username_claim=given.username_claim or known.username_claim,
        username_template=given.username_template,
        strip_domain=given.strip_domain,
        groups_claim=given.groups_claim,
        group_prefix=given.group_prefix,
        admin_expression=given.admin_expression,
        allow_expression=given.allow_expression,
        domains=tuple(one.lower().removeprefix("@") for one in given.domains),
        trusts_email=given.trust_email or known.trusts_email,
    )


def _secret(given: LoginProxySettings, secrets: Mapping[str, str], where: str) -> str:
    secret = secrets.get(given.secret_env, "")
    if not secret:
        raise SettingsError(f"{where}.secret_env names {given.secret_env}, which is not in the environment")
    if len(secret) < MIN_SECRET or not secret.isascii() or not secret.isprintable():
        raise SettingsError(f"{where}.secret_env: the secret needs at least {MIN_SECRET} printable ASCII characters")
    return secret
