"""Roles and services of an archive as settings, because they live there."""

from collections.abc import Iterable

from embedded.settings_import import services as services_
from embedded.settings_import.draft import Draft, ImportedSettings
from embedded.settings_import.old_settings import cleaned
from hubless.domain.archive import ArchivedRole, ArchivedService
from hubless.domain.roles import DEFAULTS

_OWN_CLIENT_ID = "service-"


def settings_of(roles: Iterable[ArchivedRole], services: Iterable[ArchivedService]) -> ImportedSettings:
    """Return the `[[services]]` and `[[roles]]` that say what the records say.

    JupyterHub gives everybody the role `user` and admins the role `admin`; so does this hub, and no setting names them.
    Tokens of services are records of their own, so that a service needs a variable only for its OAuth client.

    Raises:
        SettingsError: when the records are too many for settings.
    """
    draft = Draft("Roles and services of the imported hub, which are settings here.")
    bring_services(services, draft)
    bring_roles(roles, draft, gone=[])
    return draft.finish()


def bring_services(services: Iterable[ArchivedService], draft: Draft) -> None:
    """Bring over *services* as `[[services]]`."""
    for service in services:
        _service(service, draft)


def bring_roles(roles: Iterable[ArchivedRole], draft: Draft, gone: list[str]) -> None:
    """Bring over *roles* as `[[roles]]`, when the draft has all services; *gone* are services that are none here."""
    for role in roles:
        _role(role, draft, gone)


def _service(service: ArchivedService, draft: Draft) -> None:
    label = f"service {service.name}"
    comments: list[str] = []
    table = {
        "name": service.name,
        "url": service.url,
        "admin": service.admin or None,
        "oauth_redirect_uri": service.oauth_redirect_uri,
        "oauth_no_confirm": service.oauth_no_confirm or None,
        "oauth_client_allowed_scopes": list(service.oauth_client_allowed_scopes) or None,
        "info": cleaned(service.info) or None,
        "display": None if service.display else False,
    }
    client = service.oauth_client_id
    if client and client.startswith(_OWN_CLIENT_ID):
        table["oauth_client_id"] = client
    elif client:
        comments.append(f"Its OAuth client id must start with {_OWN_CLIENT_ID} here. Tell the service.")
    if client or service.oauth_redirect_uri or service.url:
        what = f"the OAuth client secret and token of the service {service.name}, as the old hub's settings have it"
        table["token_env"] = draft.variable(service.name, "token", what=what)
    else:
        comments.append("Its tokens come with the import. Name a new one as token_env.")
    draft.add("services", {key: one for key, one in table.items() if one is not None}, label, comments)


def _role(role: ArchivedRole, draft: Draft, gone: list[str]) -> None:
    label = f"role {role.name}"
    is_for_all = role.name == "user"
    own_scopes = () if role.name in DEFAULTS and _is_default(role) else role.scopes
    table = {
        "name": role.name,
        "description": "" if role.name in DEFAULTS else role.description,
        "scopes": list(own_scopes),
        "users": [] if is_for_all or role.name == "admin" else list(role.users),
        "groups": list(role.groups),
        "services": list(role.services),
    }
    if role.managed_by_auth:
        draft.leave_out("roles", label, table, "a login gave and took it", "See login.admin_groups and managed_groups.")
        return
    if role.name == "admin":
        table["scopes"] = []
    if len([one for one in table.values() if one]) > 1:
        services_.role({key: one for key, one in table.items() if one}, label, draft, gone)


def is_told(role: ArchivedRole) -> bool:
    """Return whether the hub needs a setting to have the role: it has the default ones, and a login's own, without."""
    return not role.managed_by_auth and role.name != "admin" and not (role.name in DEFAULTS and _is_default(role))


def _is_default(role: ArchivedRole) -> bool:
    return set(role.scopes) in (set(DEFAULTS[role.name].scopes), _JUPYTERHUBS.get(role.name, set()))


_JUPYTERHUBS = {
    "user": {"self"},
    "server": {"users:activity!user", "access:servers!server"},
}
