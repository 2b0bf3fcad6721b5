"""The section of LTI platforms: the learning management systems (LMS) whose users may log in."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from hubless.domain.lti_platforms import TEACHER, LtiPlatform
from hubless.domain.values import value
from hubless.settings.types import FLAG, NAME, TEXT, TEXTS, URL, SettingsError, SettingType, choice, setting

_PLATFORM_NAME = re.compile(r"[a-z0-9](?:[a-z0-9]|-(?=[a-z0-9])){0,39}")
_ROLE = re.compile(r"[A-Za-z]+(?:#[A-Za-z]+)?")


def _roles(given: Any) -> tuple[str, ...]:
    if not all(map(_ROLE.fullmatch, TEXTS.read(given))):
        raise ValueError
    return tuple(given)


def _name(given: Any) -> str:
    if not _PLATFORM_NAME.fullmatch(TEXT.read(given)):
        raise ValueError
    return str(given)


_ROLES = SettingType('a list of roles such as "Instructor" or "Instructor#TeachingAssistant"', _roles)
_LABEL = SettingType("1 to 40 of a-z, 0-9 and single hyphens", _name)


@value
class LtiPlatformSettings:
    """One of `[[lti_platforms]]`: a learning management system (LMS) whose users log in by LTI 1.3."""

    name: str = setting(None, _LABEL, "The platform's name in the hub, which never changes")
    client_id: str = setting(None, NAME, "The client id that the LMS gave this hub")
    kind: str = setting(
        "other",
        choice("canvas", "moodle", "blackboard", "brightspace", "other"),
        "The LMS, which gives the addresses below their defaults",
    )
    url: str = setting("", URL, "The address of the LMS; needed by `moodle` and `brightspace`")
    issuer: str = setting("", TEXT, "The platform's issuer (`iss`), exactly as the LMS shows it")
    authorization_url: str = setting("", URL, "The platform's authentication request URL")
    token_url: str = setting("", URL, "The platform's access token URL")
    token_audience: str = setting("", TEXT, "The `aud` of requests for a token; empty for `token_url`")
    key_set_url: str = setting("", URL, "The platform's public key set URL")
    deployment_ids: tuple[str, ...] = setting([], TEXTS, "Deployments that may be used; empty for all")
    username_claim: str = setting(
        "",
        TEXT,
        "The claim that gives a new user's name, such as `custom.username` or `email` (what is before the @); empty for"
        " the first of several that is there",
    )
    match_existing: bool = setting(
        False, FLAG, "Whether a user of that name who has never logged in belongs to the person who comes first"
    )
    course_groups: bool = setting(True, FLAG, "Whether each course has a group, and one for its teachers")
    teacher_roles: tuple[str, ...] = setting(
        list(TEACHER), _ROLES, "Roles in a course whose holders join the group of its teachers"
    )
    roster: bool = setting(
        False, FLAG, "Whether the login of a teacher adds all people of the course as users, and to its group"
    )


_CANVAS: Final = {
    "issuer": "https://canvas.instructure.com",
    "authorization_url": "https://sso.canvaslms.com/api/lti/authorize_redirect",
    "token_url": "https://sso.canvaslms.com/login/oauth2/token",
    "key_set_url": "https://sso.canvaslms.com/api/lti/security/jwks",
}
_MOODLE: Final = {
    "issuer": "{url}",
    "authorization_url": "{url}/mod/lti/auth.php",
    "token_url": "{url}/mod/lti/token.php",
    "key_set_url": "{url}/mod/lti/certs.php",
}
_BLACKBOARD: Final = {
    "issuer": "https://blackboard.com",
    "authorization_url": "https://developer.blackboard.com/api/v1/gateway/oidcauth",
    "token_url": "https://developer.blackboard.com/api/v1/gateway/oauth2/jwttoken",
    "key_set_url": "https://developer.blackboard.com/api/v1/management/applications/{client_id}/jwks.json",
}
_BRIGHTSPACE: Final = {
    "issuer": "{url}",
    "authorization_url": "{url}/d2l/lti/authenticate",
    "token_url": "https://auth.brightspace.com/core/connect/token",
    "token_audience": "https://api.brightspace.com/auth/token",
    "key_set_url": "{url}/d2l/.well-known/jwks",
}
# The vendors' own documents give these addresses (docs/login-lti.md).
PRESETS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {"canvas": _CANVAS, "moodle": _MOODLE, "blackboard": _BLACKBOARD, "brightspace": _BRIGHTSPACE, "other": {}}
)


def platform_of(given: LtiPlatformSettings) -> LtiPlatform:
    """Return the platform with the addresses of its kind where settings name none.

    Raises:
        SettingsError: naming the key that is missing.
    """
    preset = PRESETS[given.kind]
    if any("{url}" in address for address in preset.values()) and not given.url:
        raise SettingsError(f'lti_platforms.{given.name}.url is missing: kind = "{given.kind}" needs it')
    known = {"url": given.url.rstrip("/"), "client_id": given.client_id}

    def value_of(key: str) -> str:
        return getattr(given, key) or preset.get(key, "").format_map(known)

    if given.kind == "blackboard" and not given.deployment_ids:
        raise SettingsError(
            f"lti_platforms.{given.name}.deployment_ids is missing: all sites of Blackboard have one issuer, and each"
            " may add this client id. Name the deployments of yours"
        )
    if given.match_existing and not given.username_claim:
        raise SettingsError(
            f"lti_platforms.{given.name}.username_claim is missing: match_existing needs a claim that nobody in the LMS"
            " chooses for themselves"
        )
    for key in ("issuer", "authorization_url", "token_url", "key_set_url"):
        if not value_of(key):
            raise SettingsError(f'lti_platforms.{given.name}.{key} is missing: kind = "{given.kind}" does not give it')
    return LtiPlatform(
        name=given.name,
        issuer=value_of("issuer"),
        client_id=given.client_id,
        authorization_url=value_of("authorization_url"),
        token_url=value_of("token_url"),
        key_set_url=value_of("key_set_url"),
        kind=given.kind,
        token_audience=value_of("token_audience"),
        deployment_ids=given.deployment_ids,
        username_claim=given.username_claim,
        match_existing=given.match_existing,
        course_groups=given.course_groups,
        teacher_roles=given.teacher_roles,
        roster=given.roster,
    )
