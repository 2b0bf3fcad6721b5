"""What `c.JupyterHub` says of the hub as a whole: addresses, cookies, limits, tokens."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from embedded.settings_import import conversions
from embedded.settings_import.draft import Draft
from embedded.settings_import.old_settings import Found, Traits, variables_in

_HUB = "JupyterHub"
_HTTPS = 443
_ANNOUNCEMENTS = tuple(f"announcement{page}" for page in ("", "_login", "_home", "_spawn", "_logout"))
_NO_LIMIT_OF_NAMED = 1000  # here a limit is needed; nobody reaches this one
_SIMPLE: tuple[tuple[str, str, str, Callable[[Any], Any]], ...] = (
    ("cookie_max_age_days", "hub", "cookie_max_age", conversions.days),
    ("log_level", "hub", "log_level", conversions.log_level),
    ("active_server_limit", "servers", "active_limit", conversions.count),
    ("api_page_default_limit", "servers", "api_page_limit", conversions.count),
    ("api_page_max_limit", "servers", "api_page_max_limit", conversions.count),
    ("token_expires_in_max_seconds", "tokens", "max_lifetime", conversions.seconds),
    ("cleanup_servers", "servers", "stop_on_exit", conversions.flag),
)


def bring(traits: Traits, draft: Draft) -> None:
    """Bring over the hub's own settings."""
    _addresses(traits, draft)
    for trait, section, key, convert in _SIMPLE:
        if found := traits.take(trait, _HUB, "Application"):
            put(draft, section, key, found, convert)
    _named_servers(traits, draft)
    _custom_scopes(traits, draft)
    _announcements(traits, draft)


def put(draft: Draft, section: str, key: str, found: Found, convert: Callable[[Any], Any]) -> bool:
    """Set a key to the value that *convert* makes of *found*, or say in a comment why not."""
    try:
        made = found.value if variables_in(found.value) else convert(found.value)
    except (ValueError, TypeError, OverflowError):
        draft.leave_out(section, found.label, found.value, f"{section}.{key} has no such value")
        return False
    return draft.write(section, key, made, found.label)


def _addresses(traits: Traits, draft: Draft) -> None:
    has_tls = traits.has(_HUB, "ssl_key", "ssl_cert")
    for trait, key in (("ip", "host"), ("port", "port")):
        if (found := traits.take(trait, _HUB)) and found.value != "" and not _is_of_tls(found, draft, has_tls=has_tls):
            put(draft, "hub", key, found, lambda given: given)
    for trait in ("bind_url", "public_url", "subdomain_host"):
        if found := traits.take(trait, _HUB):
            _address(trait, found, draft, has_tls=has_tls)
    if (found := traits.take("base_url", _HUB)) and str(found.value).strip("/"):
        _say_base_url(found, draft)


def _is_of_tls(found: Found, draft: Draft, *, has_tls: bool) -> bool:
    if not has_tls or found.value != _HTTPS:
        return False
    why = "a proxy in front of the hub does TLS, and listens there"
    draft.leave_out("hub", found.label, found.value, why, "Let it ask the hub at hub.port.")
    return True


def _address(trait: str, found: Found, draft: Draft, *, has_tls: bool) -> None:
    try:
        parts = urlsplit(conversions.text(found.value))
        host, port, path = parts.hostname, parts.port, parts.path
    except (ValueError, TypeError):
        draft.leave_out("hub", found.label, found.value, "it is no address")
        return
    if path.strip("/"):
        _say_base_url(found, draft)
    if trait == "bind_url":
        draft.write("hub", "host", host or "0.0.0.0", found.label)  # noqa: S104 what the old hub listens on
        if port and not _is_of_tls(Found(port, found.label), draft, has_tls=has_tls):
            draft.write("hub", "port", port, found.label)
        return
    if put(draft, "hub", "public_url", found, conversions.origin) and trait == "subdomain_host":
        draft.write("hub", "subdomains", True, found.label)


def _say_base_url(found: Found, draft: Draft) -> None:
    draft.leave_out(
        "hub",
        found.label,
        found.value,
        "this hub always is at the root of its host",
        "Give it a host of its own, and redirect the old path there.",
    )


def _named_servers(traits: Traits, draft: Draft) -> None:
    allowed, limit = traits.take("allow_named_servers", _HUB), traits.take("named_server_limit_per_user", _HUB)
    if not allowed or allowed.value is False:
        draft.write("servers", "named_limit", 0, "c.JupyterHub.allow_named_servers")
    elif not limit or limit.value == 0:
        draft.write("servers", "named_limit", _NO_LIMIT_OF_NAMED, allowed.label)
    else:
        put(draft, "servers", "named_limit", limit, conversions.count)


def _custom_scopes(traits: Traits, draft: Draft) -> None:
    found = traits.take("custom_scopes", _HUB)
    if not found:
        return
    if not isinstance(found.value, dict):
        draft.leave_out("custom_scopes", found.label, found.value, "it is no table")
        return
    for name, scope in found.value.items():
        given = scope if isinstance(scope, dict) else {}
        label = f"{found.label}[{name}]"
        known = {key: given[key] for key in ("description", "subscopes") if key in given}
        draft.add("custom_scopes", {"name": name, **known}, label)


def _announcements(traits: Traits, draft: Draft) -> None:
    """Bring over the announcements among the variables of templates; JupyterHub's templates show them as HTML."""
    found = traits.take("template_vars", _HUB)
    if not found:
        return
    given = found.value if isinstance(found.value, dict) else {}
    for name in _ANNOUNCEMENTS:
        if given.get(name):
            put(draft, "hub", name, Found(given[name], f"{found.label}[{name}]"), conversions.markdown)
    rest = {name: one for name, one in given.items() if name not in _ANNOUNCEMENTS} if given else found.value
    if rest:
        why = "only templates of the old hub know these variables"
        draft.leave_out("hub", found.label, rest, why, "docs/theming.md says what pages show.")
