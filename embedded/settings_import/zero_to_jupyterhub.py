"""Zero to JupyterHub's Helm values, as traits of the classes that they set."""

from collections.abc import Mapping
from typing import Any

from embedded.settings_import import chart_logins
from embedded.settings_import.old_settings import OldRemark, OldSettings, TraitWriter

SECTIONS = frozenset(
    {"hub", "singleuser", "proxy", "ingress", "cull", "scheduling", "prePuller", "auth", "rbac", "global", "debug"}
)
_HUB = "JupyterHub"
_OF_HUB = {
    "baseUrl": "base_url",
    "allowNamedServers": "allow_named_servers",
    "namedServerLimitPerUser": "named_server_limit_per_user",
    "activeServerLimit": "active_server_limit",
    "concurrentSpawnLimit": "concurrent_spawn_limit",
    "consecutiveFailureLimit": "consecutive_failure_limit",
    "shutdownOnLogout": "shutdown_on_logout",
    "redirectToServer": "redirect_to_server",
    "templatePaths": "template_paths",
    "templateVars": "template_vars",
    "publicURL": "public_url",
    "authenticatePrometheus": "authenticate_prometheus",
    "cookieSecret": "cookie_secret",
    "db": "db_url",
}
_LISTS = {"services": "services", "loadRoles": "load_roles"}
_OF_SINGLE_USER = {
    "cmd": "cmd",
    "defaultUrl": "default_url",
    "startTimeout": "start_timeout",
    "profileList": "profile_list",
    "extraEnv": "environment",
    "storage": "volumes",
}
_BOUNDS = {"memory": "mem", "cpu": "cpu", "extraResource": "extra_resource"}
_OF_CULL = {"maxAge": "max_age", "removeNamedServers": "remove_named_servers", "adminUsers": "admin_users"}
_CULL = {"timeout": 3600, "every": 600}  # what the chart does without a word in the file


def read(document: Mapping[str, Any], source: str) -> OldSettings:
    """Return the settings in *document*, or in its `jupyterhub`, where the chart is a dependency of another."""
    inner = document.get("jupyterhub")
    values = inner if isinstance(inner, Mapping) and not SECTIONS & set(document) else document
    writer = TraitWriter()
    writer.put(_HUB, "spawner_class", "kubespawner.KubeSpawner", "the chart's spawner")
    for section, given in values.items():
        reader = _READERS.get(section)
        if reader and isinstance(given, Mapping):
            reader(given, writer)
        elif given is not None:
            writer.put("Chart", section, given, section)
    cull_given = values.get("cull")
    cull = cull_given if isinstance(cull_given, Mapping) else {}
    if cull.get("enabled", True) is True:
        for name, default in _CULL.items():
            if name not in cull:
                writer.put("Cull", name, default, f"cull.{name}")
    database = OldRemark(
        "hub.db",
        "the chart keeps its database in the volume hub-db-dir, as jupyterhub.sqlite, unless hub.db says otherwise",
        "Copy it out of the pod with kubectl cp, and give it to `hubless import`.",
    )
    return OldSettings(source=source, kind="z2jh", traits=writer.traits, labels=writer.labels, remarks=(database,))


def _hub(given: Mapping[str, Any], writer: TraitWriter) -> None:
    for key, one in given.items():
        label = f"hub.{key}"
        if one is None:
            continue
        if key == "config" and isinstance(one, Mapping):
            _config(one, writer)
        elif key in _LISTS and isinstance(one, Mapping):
            writer.put(_HUB, _LISTS[key], [_named(name, inner) for name, inner in one.items()], label)
        elif key == "extraConfig" and isinstance(one, Mapping):
            for name, code in one.items():
                writer.put("Code", f"{label}.{name}", code, f"{label}.{name}")
        elif key in _OF_HUB:
            writer.put(_HUB, _OF_HUB[key], one, label)
        else:
            writer.put("Chart", label, one, label)


def _config(given: Mapping[str, Any], writer: TraitWriter) -> None:
    for name, traits in given.items():
        for trait, one in traits.items() if isinstance(traits, Mapping) else ():
            writer.put(name, trait, one, f"hub.config.{name}.{trait}")


def _named(name: str, given: Any) -> dict[str, Any]:
    table = dict(given) if isinstance(given, Mapping) else {}
    if "apiToken" in table:
        table["api_token"] = table.pop("apiToken")
    return {"name": name, **table}


def _single_user(given: Mapping[str, Any], writer: TraitWriter) -> None:
    for key, one in given.items():
        label = f"singleuser.{key}"
        if one is None:
            continue
        if key == "image" and isinstance(one, Mapping):
            _image(one, writer)
        elif key in _BOUNDS and isinstance(one, Mapping):
            for bound, inner in one.items():
                if inner not in (None, {}):
                    writer.put("KubeSpawner", f"{_BOUNDS[key]}_{bound}", inner, f"{label}.{bound}")
        elif key in _OF_SINGLE_USER:
            writer.put("KubeSpawner", _OF_SINGLE_USER[key], one, label)
        else:
            writer.put("Chart", label, one, label)


def _image(given: Mapping[str, Any], writer: TraitWriter) -> None:
    name, tag = given.get("name"), given.get("tag")
    if isinstance(name, str) and name:
        writer.put("KubeSpawner", "image", f"{name}:{tag}" if tag else name, "singleuser.image")
    for key in given.keys() - {"name", "tag"}:
        writer.put("Chart", f"singleuser.image.{key}", given[key], f"singleuser.image.{key}")


def _proxy(given: Mapping[str, Any], writer: TraitWriter) -> None:
    https = given.get("https")
    hosts = https.get("hosts") if isinstance(https, Mapping) else None
    if isinstance(hosts, list) and hosts and isinstance(hosts[0], str):
        writer.put(_HUB, "public_url", f"https://{hosts[0]}", "proxy.https.hosts")
    for key, one in given.items():
        if one is not None:
            writer.put("ConfigurableHTTPProxy", f"proxy.{key}", one, f"proxy.{key}")


def _ingress(given: Mapping[str, Any], writer: TraitWriter) -> None:
    hosts = given.get("hosts")
    if given.get("enabled") is True and isinstance(hosts, list) and hosts and isinstance(hosts[0], str):
        scheme = "https" if given.get("tls") else "http"
        writer.put(_HUB, "public_url", f"{scheme}://{hosts[0]}", "ingress.hosts")
    writer.put("ConfigurableHTTPProxy", "ingress", dict(given), "ingress")


def _cull(given: Mapping[str, Any], writer: TraitWriter) -> None:
    if given.get("enabled", True) is True:
        for key, one in given.items():
            name = _OF_CULL.get(key, key)
            writer.put("Cull", name, one, f"cull.{key}")


def _debug(given: Mapping[str, Any], writer: TraitWriter) -> None:
    if given.get("enabled") is True:
        writer.put(_HUB, "log_level", "debug", "debug.enabled")


_READERS = {
    "auth": chart_logins.read,
    "hub": _hub,
    "singleuser": _single_user,
    "proxy": _proxy,
    "ingress": _ingress,
    "cull": _cull,
    "debug": _debug,
}
