"""What the pages of LTI carry from one request to the next without a cookie, and what a teacher's choice becomes."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from itsdangerous import BadData, URLSafeTimedSerializer

from hubless.domain.errors import LtiRefusedError
from hubless.domain.lti_messages import MAX_DATA, MAX_URL
from hubless.domain.lti_paths import DEEP_LINK_PATH, KEY_SET_PATH, LOGIN_PATH, MESSAGE_PATH
from hubless.domain.lti_scopes import ALL_SCOPES
from hubless.domain.tokens import sha256
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value
from hubless.services.identifiers import new_secret

FIELDS: Final = ("kind", "path", "repository", "branch", "title")
REGISTRATION_LIFETIME: Final = timedelta(days=1)
_CHOICE_SECONDS = 3600
_MAX_TICKET = 4 * (MAX_DATA + MAX_URL)  # characters
_MAX_KEY = 512  # characters
_MAX_CHOICE = 2000  # characters of a path or a repository
_MAX_TITLE = 200


@value
class LinkTicket:
    """Where the answer to a deep linking request goes."""

    platform: str
    deployment_id: str
    return_url: str
    data: str


def sealed(key: bytes, ticket: LinkTicket) -> str:
    """Return *ticket* as a text for a form; it is signed and can be read."""
    facts = [ticket.platform, ticket.deployment_id, ticket.return_url, ticket.data]
    return str(_serializer(key, "link").dumps(facts))


def opened(key: bytes, text: str) -> LinkTicket | None:
    """Return the ticket in *text*; None if it is not ours, or older than an hour."""
    if len(text) > _MAX_TICKET:
        return None
    try:
        return LinkTicket(*_serializer(key, "link").loads(text, max_age=_CHOICE_SECONDS))
    except BadData:
        return None


def new_registration_key(key: bytes) -> str:
    """Return the key of a link with which one LMS may register itself, within a day."""
    return str(_serializer(key, "register").dumps(new_secret()))


def is_registration_key(key: bytes, text: str) -> bool:
    """Say whether *text* is such a key; it may have been used."""
    if len(text) > _MAX_KEY:
        return False
    try:
        _serializer(key, "register").loads(text, max_age=int(REGISTRATION_LIFETIME.total_seconds()))
    except BadData:
        return False
    return True


def registration_use(text: str, now: datetime) -> tuple[str, datetime]:
    """Return under which key the use of a registration key is remembered, and until when."""
    return f"lti-register#{sha256(text)}", now + 2 * REGISTRATION_LIFETIME


def chosen(fields: Mapping[str, str], safe: Callable[[str], str | None]) -> tuple[str, str]:
    """Return the path that a teacher chose, and the link's title.

    Args:
        fields: what the form has.
        safe: returns a path if it is one of this hub.

    Raises:
        LtiRefusedError: saying what to fill in.
    """
    path, repository = fields.get("path", "").strip(), fields.get("repository", "").strip()
    if len(path) > _MAX_CHOICE or len(repository) > _MAX_CHOICE:
        raise LtiRefusedError(
            _("Choose a path and an address of at most %(max_choice)s characters.", max_choice=_MAX_CHOICE)
        )
    if fields.get("kind") == "repository":
        following = _git_pull(repository, fields.get("branch", "").strip(), path)
    elif path.startswith("/"):
        following = path
    else:
        following = f"/hub/user-redirect/lab{f'/tree/{quote(path)}' if path else ''}"
    found = safe(following)
    if found is None:
        raise LtiRefusedError("Choose a path on this hub, such as /hub/user-redirect/lab or lessons/first.ipynb.")
    title = fields.get("title", "").strip() or path.rpartition("/")[2] or repository.rpartition("/")[2] or "Jupyter"
    return found, title[:_MAX_TITLE]


def _git_pull(repository: str, branch: str, path: str) -> str:
    """Return an nbgitpuller link (https://nbgitpuller.readthedocs.io)."""
    if not repository.startswith(("https://", "http://")) or any(map(str.isspace, repository)):
        raise LtiRefusedError("Enter the address of the repository; it begins with https://")
    folder = repository.rstrip("/").rpartition("/")[2].removesuffix(".git")
    query = {"repo": repository, **({"branch": branch} if branch else {})}
    query["urlpath"] = f"lab/tree/{folder}/{path.lstrip('/')}".rstrip("/")
    return f"/hub/user-redirect/git-pull?{urlencode(query)}"


def canvas_configuration(url: str, hub_name: str) -> dict[str, Any]:
    """Return the hub as Canvas's developer keys describe a tool (method «Enter URL»)."""
    placements = (
        ("course_navigation", "LtiResourceLinkRequest", MESSAGE_PATH),
        ("link_selection", "LtiDeepLinkingRequest", DEEP_LINK_PATH),
        ("assignment_selection", "LtiDeepLinkingRequest", DEEP_LINK_PATH),
    )
    return {
        "title": hub_name,
        "description": "Jupyter notebooks",
        "oidc_initiation_url": url + LOGIN_PATH,
        "target_link_uri": url + MESSAGE_PATH,
        "public_jwk_url": url + KEY_SET_PATH,
        "scopes": list(ALL_SCOPES),
        "custom_fields": {"username": "$Canvas.user.loginId"},
        "extensions": [
            {
                "platform": "canvas.instructure.com",
                "privacy_level": "public",
                "settings": {
                    "placements": [
                        {
                            "placement": placement,
                            "message_type": message,
                            "target_link_uri": url + path,
                            "text": hub_name,
                            **({"windowTarget": "_blank"} if placement == "course_navigation" else {}),
                        }
                        for placement, message, path in placements
                    ]
                },
            }
        ],
    }


def _serializer(key: bytes, purpose: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(key, salt=f"hubless.lti.{purpose}")
