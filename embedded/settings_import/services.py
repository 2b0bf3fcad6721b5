"""Services, roles and groups, and the idle culler, which is no service here."""

from collections.abc import Container, Mapping
from typing import Any

from embedded.settings_import import conversions
from embedded.settings_import.draft import Draft
from embedded.settings_import.hub import put
from embedded.settings_import.old_settings import Found, Traits, variable_of
from hubless.domain import scopes
from hubless.domain.errors import InvalidRequestError
from hubless.domain.roles import DEFAULTS

_HUB = "JupyterHub"
_CULLERS = ("idle_culler", "idle-culler", "cull_idle", "cull-idle")
_SAME = ("admin", "oauth_redirect_uri", "oauth_no_confirm", "oauth_client_allowed_scopes", "info", "display")
_ARGUMENTS = {"--timeout": "idle_after", "--max-age": "max_age", "--cull-every": "sweep_every"}
_NOT_CULLED = {
    "cull_users": "the hub removes no users",
    "remove_named_servers": "a named server that has stopped stays in its user's list",
}
_OWN_CLIENT_ID = "service-"


def bring(traits: Traits, draft: Draft, imported: Container[str] = ()) -> tuple[set[str], list[str]]:
    """Bring over `[[services]]` and `[groups]`, and the culler as `[culling]`.

    Args:
        traits: the old settings.
        draft: gets them.
        imported: names of services in the database, whose tokens an import brings.

    Returns:
        the names of all services that *traits* have, also of those that are none here, and those of cullers.
    """
    names: set[str] = set()
    cullers: list[str] = []
    cull(traits.take_all("Cull"), draft)
    if found := traits.take("services", _HUB):
        for given, label in _entries(found, "services", draft):
            names.add(given["name"])
            if _is_culler(given):
                cullers.append(str(given.get("name")))
                _culler(Found(given, label), draft)
            else:
                _service(given, label, draft, has_tokens=given["name"] in imported)
    if found := traits.take("load_groups", _HUB):
        _groups(found, draft)
    return names, cullers


def bring_roles(traits: Traits, draft: Draft, gone: list[str]) -> set[str]:
    """Bring over `[[roles]]`, when the draft has all services; *gone* are services that are none here.

    Returns:
        the names of all roles that *traits* have, also of those that are left out.
    """
    names: set[str] = set()
    if found := traits.take("load_roles", _HUB):
        for given, label in _entries(found, "roles", draft):
            names.add(given["name"])
            role(given, label, draft, gone)
    return names


def _entries(found: Found, section: str, draft: Draft) -> list[tuple[dict[str, Any], str]]:
    if not isinstance(found.value, list):
        draft.leave_out(section, found.label, found.value, "it is no list")
        return []
    entries = []
    for number, one in enumerate(found.value):
        name = one.get("name") if isinstance(one, dict) else None
        has_name = isinstance(name, str) and name
        label = f"{found.label}[{name if has_name else number}]"  # what is no name may hold a secret
        if has_name and not variable_of(name):
            entries.append((one, label))
        else:
            draft.leave_out(section, label, one, "it has no name")
    return entries


def _is_culler(given: Mapping[str, Any]) -> bool:
    words = given.get("command")
    parts = [one for one in words if isinstance(one, str)] if isinstance(words, list) else [str(words or "")]
    return any(culler in part for part in parts for culler in _CULLERS)


def _culler(found: Found, draft: Draft) -> None:
    """Write the arguments of jupyterhub-idle-culler as `[culling]`."""
    words = found.value.get("command")
    parts = [str(one) for one in words] if isinstance(words, list) else str(words).split()
    arguments = {
        name: after
        for part, following in zip(parts, [*parts[1:], ""], strict=True)
        for name, _, own in [part.partition("=")]
        for after in [own or following]
        if name.startswith("--")
    }
    arguments.setdefault("--timeout", "600")  # jupyterhub-idle-culler's default
    for name, key in _ARGUMENTS.items():
        given = arguments.get(name, "")
        if given.isdecimal() and len(given) < 12 and int(given):  # noqa: PLR2004 seconds of some thousand years
            draft.write("culling", key, conversions.seconds(int(given)), f"{found.label} {name}")
    draft.say("culling", f"The hub culls by itself, so that {found.label} is no service here.")
    for name, why in _NOT_CULLED.items():
        if arguments.get(f"--{name.replace('_', '-')}", "false").lower() != "false":
            draft.say("culling", f"Not brought over: {found.label} --{name.replace('_', '-')}: {why}.")
    if arguments.get("--cull-admin-users", "").lower() == "false":
        _spare_admins(f"{found.label} --cull-admin-users", draft)


def _spare_admins(label: str, draft: Draft) -> None:
    """Let servers of admins live, as an old hub did; whoever becomes an admin otherwise is not spared."""
    limits = {"idle_after": "never", "max_age": "never"}
    if names := draft.get("login", "admins", []):
        draft.write("culling", "users", dict.fromkeys(names, limits), label)
    draft.say("culling", f"{label}: servers of admins stay. Name further admins in culling.users.")


def _service(given: Mapping[str, Any], label: str, draft: Draft, *, has_tokens: bool) -> None:
    table: dict[str, Any] = {"name": given["name"], **{key: given[key] for key in _SAME if key in given}}
    comments: list[str] = []
    _address(given, label, table, comments)
    name = given["name"]
    has_client = "url" in table or "oauth_client_id" in given or "oauth_redirect_uri" in given
    chose_token = "api_token" in given or "apiToken" in given
    if chose_token and has_tokens and not has_client and not given.get("command"):
        comments.append("Its tokens come with the import. Name a new one as token_env.")
    elif chose_token or has_client or "command" in given:
        known = variable_of(given.get("api_token"))
        table["token_env"] = draft.variable(
            name, "token", known=known, what=f"the token of the service {name}, of 8 to 64 characters ({label})"
        )
    _client_id(given, label, table, comments)
    if given.get("command"):
        comments.append(
            f"Not brought over: {label}.command: the hub starts no programs. Run it by systemd or alike, with"
            " JUPYTERHUB_API_URL and JUPYTERHUB_API_TOKEN."
        )
    known_keys = {*_SAME, "name", "url", "api_token", "apiToken", "command", "oauth_client_id"}
    comments += [
        f"Not brought over: {label}.{key}: only the old hub, which starts the service, needs it."
        for key in given
        if key not in known_keys
    ]
    draft.add("services", table, label, comments)


def _address(given: Mapping[str, Any], label: str, table: dict[str, Any], comments: list[str]) -> None:
    url = given.get("url")
    if isinstance(url, str) and url.startswith(("http://", "https://")):
        table["url"] = url
    elif url:
        comments.append(f"Not brought over: {label}.url: it is no address that starts with http:// or https://.")


def _client_id(given: Mapping[str, Any], label: str, table: dict[str, Any], comments: list[str]) -> None:
    client = given.get("oauth_client_id")
    if isinstance(client, str) and client.startswith(_OWN_CLIENT_ID):
        table["oauth_client_id"] = client
    elif client:
        comments.append(
            f"Not brought over: {label}.oauth_client_id: it must start with {_OWN_CLIENT_ID}. Tell the service."
        )


def _groups(found: Found, draft: Draft) -> None:
    if not isinstance(found.value, dict):
        draft.leave_out("groups", found.label, found.value, "it is no table")
        return
    for name, given in found.value.items():
        table = given if isinstance(given, dict) else {"users": given}
        known = {key: table[key] for key in ("users", "properties") if table.get(key)}
        draft.add("groups", {"name": name, **known}, f"{found.label}[{name}]")


def role(given: Mapping[str, Any], label: str, draft: Draft, gone: list[str]) -> None:
    """Add a role to the draft; *gone* are services that are none here."""
    name = given["name"]
    comments: list[str] = []
    if name == "token":
        draft.leave_out("roles", label, given, "tokens have the scopes with which they were made")
        return
    table = {key: given[key] for key in ("name", "description", "users", "groups") if given.get(key)}
    wanted = given.get("services")
    services = wanted if isinstance(wanted, list) else []
    table["services"] = [one for one in services if one in draft.names("services")]
    comments += [
        f"Not brought over: {label}.services: one of them is no service here."
        for one in services
        if one not in table["services"] and one not in gone
    ]
    if services and all(one in gone for one in services) and not (table.get("users") or table.get("groups")):
        draft.say("roles", f"{label} is not needed: only the culler had it.")
        return
    table["scopes"] = _scopes(given, label, draft, comments)
    draft.add("roles", {key: one for key, one in table.items() if one}, label, comments)


def _scopes(given: Mapping[str, Any], label: str, draft: Draft, comments: list[str]) -> list[str]:
    scopes_given = given.get("scopes")
    wanted = scopes_given if isinstance(scopes_given, list) else []
    if given["name"] == "admin":
        if wanted:
            comments.append(f"Not brought over: {label}.scopes: the scopes of admins cannot be changed.")
        return []
    kept = [one for one in wanted if isinstance(one, str) and _exists(one, draft)]
    if len(kept) < len(wanted):
        unknown = len(wanted) - len(kept)
        comments.append(f"Not brought over: {label}.scopes: {unknown} of them do not exist here (docs/rest-api.md).")
    if given["name"] in DEFAULTS and not kept and "scopes" in given:
        comments.append(f"{label} had no scopes. Here the role {given['name']} has its default ones then.")
    return kept


def _exists(scope: str, draft: Draft) -> bool:
    if scope.startswith("custom:"):
        return scope.partition("!")[0] in draft.names("custom_scopes")
    try:
        scopes.parse(scope)
    except InvalidRequestError:
        return False
    return True


def cull(given: Mapping[str, Found], draft: Draft) -> None:
    """Write TLJH's or Zero to JupyterHub's settings of its culler as `[culling]`."""
    if (found := given.get("enabled")) and found.value is not True:
        return
    for name, key in (("timeout", "idle_after"), ("max_age", "max_age"), ("every", "sweep_every")):
        if (found := given.get(name)) and found.value:
            put(draft, "culling", key, found, conversions.seconds)
    for name, why in _NOT_CULLED.items():
        if (found := given.get(name.removeprefix("cull_"))) and found.value:
            draft.leave_out("culling", found.label, found.value, why)
    if (found := given.get("admin_users")) and found.value is False:
        _spare_admins(found.label, draft)
