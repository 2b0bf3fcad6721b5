"""The Littlest JupyterHub's `config.yaml`, as traits of the classes that it sets."""

from collections.abc import Mapping
from typing import Any

from embedded.settings_import.old_settings import OldRemark, OldSettings, TraitWriter

SECTIONS = frozenset(
    {"users", "auth", "limits", "http", "https", "services", "user_environment", "traefik_api", "base_url"}
)
_DEFAULT_CULL_TIMEOUT = 600
_APPS = {"jupyterlab": "/lab", "nteract": "/nteract", "classic": "/tree"}
_USERS = {"admin": "admin_users", "allowed": "allowed_users", "banned": "blocked_users"}


def read(document: Mapping[str, Any], source: str) -> OldSettings:
    """Return the settings in *document*."""
    writer = TraitWriter()
    remarks = [
        OldRemark(
            "jupyterhub_config.d",
            "TLJH also reads the files of /opt/tljh/config/jupyterhub_config.d, which are not in this file",
            "Import each with --run-config.",
        ),
        OldRemark(
            "homes",
            "TLJH keeps files in /home/jupyter-NAME",
            "Name this to `hubless import` as --homes '/home/jupyter-{username}'.",
        ),
    ]
    for section, given in document.items():
        if section in _READERS and isinstance(given, Mapping):
            _READERS[section](given, writer)
        elif section == "base_url":
            writer.put("JupyterHub", "base_url", given, "base_url")
        else:
            writer.put("TLJH", section, given, section)
    _default_cull(writer)
    return OldSettings(source=source, kind="tljh", traits=writer.traits, labels=writer.labels, remarks=tuple(remarks))


def _users(given: Mapping[str, Any], writer: TraitWriter) -> None:
    for key, one in given.items():
        if key == "extra_user_groups":
            writer.put("TLJH", key, one, "users.extra_user_groups")
        else:
            writer.put("Authenticator", _USERS.get(key, key), one, f"users.{key}")


def _auth(given: Mapping[str, Any], writer: TraitWriter) -> None:
    for key, one in given.items():
        if key == "type":
            writer.put("JupyterHub", "authenticator_class", one, "auth.type")
        elif isinstance(one, Mapping):
            for trait, inner in one.items():
                writer.put(key, trait, inner, f"auth.{key}.{trait}")
        else:
            writer.put("TLJH", f"auth.{key}", one, f"auth.{key}")


def _limits(given: Mapping[str, Any], writer: TraitWriter) -> None:
    for key, one in given.items():
        writer.put("Spawner", {"memory": "mem_limit", "cpu": "cpu_limit"}.get(key, key), one, f"limits.{key}")


def _http(given: Mapping[str, Any], writer: TraitWriter) -> None:
    for key, one in given.items():
        trait = {"port": "port", "address": "ip"}.get(key)
        writer.put("JupyterHub" if trait else "TLJH", trait or f"http.{key}", one, f"http.{key}")


def _https(given: Mapping[str, Any], writer: TraitWriter) -> None:
    letsencrypt = given.get("letsencrypt")
    domains = letsencrypt.get("domains") if isinstance(letsencrypt, Mapping) else None
    if isinstance(domains, list) and domains and isinstance(domains[0], str):
        writer.put("JupyterHub", "public_url", f"https://{domains[0]}", "https.letsencrypt.domains")
    writer.put("JupyterHub", "ssl_cert", dict(given), "https")


def _services(given: Mapping[str, Any], writer: TraitWriter) -> None:
    for key, one in given.items():
        if key == "cull" and isinstance(one, Mapping):
            for name, inner in one.items():
                writer.put("Cull", name, inner, f"services.cull.{name}")
        else:
            writer.put("TLJH", f"services.{key}", one, f"services.{key}")


def _user_environment(given: Mapping[str, Any], writer: TraitWriter) -> None:
    for key, one in given.items():
        if key == "default_app" and isinstance(one, str) and one in _APPS:
            writer.put("Spawner", "default_url", _APPS[one], "user_environment.default_app")
        else:
            writer.put("TLJH", f"user_environment.{key}", one, f"user_environment.{key}")


def _default_cull(writer: TraitWriter) -> None:
    """Set what TLJH does without a word in the file: it stops servers after ten minutes."""
    cull = writer.traits.setdefault("Cull", {})
    if "timeout" not in cull:
        writer.put("Cull", "timeout", _DEFAULT_CULL_TIMEOUT, "services.cull.timeout")


_READERS = {
    "users": _users,
    "auth": _auth,
    "limits": _limits,
    "http": _http,
    "https": _https,
    "services": _services,
    "user_environment": _user_environment,
}
