"""Logins by a proxy's header as `[[login_proxies]]`: sketches, because the old settings never say whom to trust."""

from typing import Any

from embedded.settings_import import conversions
from embedded.settings_import.draft import Draft
from embedded.settings_import.old_settings import Found, Traits, variables_in

_JWT = ("JWT", "JSONWEBTOKEN")
_NAMES = ("REMOTEUSER", "REMOTE_USER", "HEADER", "PROXYAUTH")
_TAKEN_HEADERS = ("authorization", "cookie")
_DEFAULT_HEADER = "X-Remote-User"
_DEFAULT_TOKEN_HEADER = "X-Auth-Request-Jwt"  # noqa: S105 a header's name
_SECRET_VARIABLE = "LOGIN_PROXY_SECRET"  # noqa: S105 a variable's name
_SKETCH = "It is a sketch: fill in what only you know, remove the # before each line, and read docs/login-proxy.md."
_PLACE = "[[login_proxies]] takes its place (docs/login-proxy.md)."


def is_one(name: str) -> bool:
    """Say whether the class *name* believes a header."""
    return any(word in name.upper() for word in (*_JWT, *_NAMES))


def bring(name: str, chosen: Found, traits: Traits, draft: Draft, chain: tuple[str, ...]) -> None:
    """Write a sketch of the proxy in front of the old hub."""
    draft.leave_out("login_proxies", chosen.label, chosen.value, "the hub has to know the proxy", _PLACE)
    is_signed = any(word in name.upper() for word in _JWT)
    comments: list[str] = [_SKETCH]
    table = _signed(traits, comments, chain) if is_signed else _bare(traits, comments, chain)
    draft.add("login_proxies", table, f"c.{name}", comments, sketch=True)
    why = "the proxy proves itself in another way here"
    for class_ in chain[:-2]:  # not those of all authenticators
        for found in traits.take_all(class_).values():
            draft.leave_out("login_proxies", found.label, found.value, why)


def _signed(traits: Traits, comments: list[str], chain: tuple[str, ...]) -> dict[str, Any]:
    if traits.take("secret", *chain):
        comments.append("The hub takes no tokens that a shared secret signs: let the proxy sign with a private key.")
    header = _header(traits, ("header_name",), _DEFAULT_TOKEN_HEADER, comments, chain)
    audience = _text(traits, ("expected_audience",), chain) or "AUDIENCE"
    claim = _text(traits, ("username_claim_field", "username_claim"), chain)
    return {
        "name": "proxy",
        "kind": "jwt",
        "header": header,
        "issuer": "https://ISSUER.invalid",
        "audience": audience,
        "keys_url": "https://KEYS.invalid",
        **({"username_claim": claim} if claim else {}),
        "logout_url": "https://LOGOUT.invalid",
        "match_existing": True,
    }


def _bare(traits: Traits, comments: list[str], chain: tuple[str, ...]) -> dict[str, Any]:
    comments.append(
        "Name the proxy's network in hub.trusted_proxies: nothing else says who may send a bare name. Set the variable"
        f" {_SECRET_VARIABLE} to a new secret of at least 16 characters, which the proxy sends in secret_header."
    )
    return {
        "name": "proxy",
        "kind": "header",
        "header": _header(traits, ("header_name", "header_names", "header"), _DEFAULT_HEADER, comments, chain),
        "secret_header": "X-Remote-Secret",
        "secret_env": _SECRET_VARIABLE,
        "logout_url": "https://LOGOUT.invalid",
        "match_existing": True,
    }


def _header(traits: Traits, names: tuple[str, ...], default: str, comments: list[str], chain: tuple[str, ...]) -> str:
    given = _text(traits, names, chain).replace("_", "-")
    if given and given.lower() not in _TAKEN_HEADERS and given.replace("-", "").isalnum() and given.isascii():
        return given
    comments.append(f"Let the proxy send the header {default}, or name another one here.")
    return default


def _text(traits: Traits, names: tuple[str, ...], chain: tuple[str, ...]) -> str:
    for name in names:
        if found := traits.take(name, *chain):
            try:
                given = conversions.texts(found.value)
            except ValueError:
                continue
            return next((one for one in given if one and not variables_in(one)), "")
    return ""
