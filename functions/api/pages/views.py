"""Views of servers and scopes for the pages."""

from typing import Any

from functions.api.pages.chosen_options import chosen_in_words
from functions.api.pages.failures import failure_view
from functions.api.serializers import instant
from hubless.domain import jupyterhub_versions, names, scopes
from hubless.domain.errors import InvalidRequestError
from hubless.domain.lifecycle import Server, State
from hubless.domain.limits import limit_in_words
from hubless.domain.origins import Origins
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.services.spawning import Spawning


def scope_view(raw: str) -> dict[str, str]:
    """Return a scope and a sentence about what it allows, "" if settings no longer define it."""
    try:
        return {"raw": raw, "words": scopes.described(raw)}
    except InvalidRequestError:
        return {"raw": raw, "words": ""}


def url_part(owner: User, server_name: str) -> str:
    """Return `<user>` or `<user>/<server>` as the pages' addresses have it."""
    return names.url_name(owner.name) + (f"/{names.url_name(server_name)}" if server_name else "")


def version_of(server: Server) -> str:
    """Return what changes with each write of the server's record; activity is none."""
    return str(server.revision)


def server_view(spawning: Spawning, origins: Origins, owner: User, server: Server) -> dict[str, Any]:
    """Return what the pages show of *server*."""
    where = url_part(owner, server.name)
    profile = spawning.profiles.get(server.profile)
    return {
        "name": server.name,
        "display_name": server.display_name or server.name or _("Main server"),
        "state": server.state.value,
        "url": origins.link_to(names.server_prefix(owner.name, server.name)),
        "spawn_url": f"/hub/spawn/{where}",
        "stop_url": f"/hub/stop/{where}",
        "delete_url": f"/hub/delete/{where}",
        "failure": failure_view(server),
        "share_url": f"/hub/share/{where}",
        "version": version_of(server),
        "frozen": instant(server.frozen_at),
        "limits_reached": [
            {
                "resource": one.resource.value,
                "limit": limit_in_words(one.resource, one.limit),
                "count": one.count,
                "at": instant(one.at),
            }
            for one in server.limits_reached
        ],
        "other_version": server.jupyterhub_version if jupyterhub_versions.is_other(server.jupyterhub_version) else "",
        "stopped_because": server.stop_reason.sentence if server.state is State.STOPPED and server.stop_reason else "",
        "since": instant(server.entered_at),
        "started": instant(server.started_at),
        "last_activity": instant(server.last_activity_at),
        "chosen": chosen_in_words(profile, server.user_options) if profile else [],
        "profile": (profile.display_name or profile.name) if profile and len(spawning.profiles) > 1 else "",
    }
