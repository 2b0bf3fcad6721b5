"""Messages of LTI 1.3: what an LMS says about a person, a course and a link, in the claims of an id_token.

The signature, `iss`, `aud`, `exp` and the nonce were checked before. All texts come from outside: each is bounded, and
a variable that the LMS did not expand (`$CourseSection.sourcedId`) is no text.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from hubless.domain.errors import InvalidRequestError, LtiRefusedError
from hubless.domain.lti_courses import MAX_TITLE
from hubless.domain.lti_platforms import LtiPlatform
from hubless.domain.lti_roles import membership_roles
from hubless.domain.names import check_user_name, normalise_user_name
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value

CLAIM: Final = "https://purl.imsglobal.org/spec/lti/claim/"
DEEP_LINKING: Final = "https://purl.imsglobal.org/spec/lti-dl/claim/"
GRADES: Final = "https://purl.imsglobal.org/spec/lti-ags/claim/endpoint"
NAMES_AND_ROLES: Final = "https://purl.imsglobal.org/spec/lti-nrps/claim/namesroleservice"
VERSION: Final = "1.3.0"
RESOURCE_LINK, DEEP_LINK = "LtiResourceLinkRequest", "LtiDeepLinkingRequest"
MAX_SUBJECT: Final = 255  # characters of `sub` (OpenID Connect Core 2)
MAX_TEXT: Final = 1024
MAX_URL: Final = 4096
MAX_DATA: Final = 16_384  # of what an LMS wants back with the answer to a deep linking request
MAX_ROLES: Final = 200
_VARIABLE = re.compile(r"\$[A-Za-z][\w.<>-]*")
_SHORT_NAMES = ("custom", "lis", "ext", "context", "tool_platform")
_NAMES = ("preferred_username", "ext.user_username", "custom.username", "email")  # in this order
_DIGITS = 10  # of a hash in a name


@value
class Person:
    """Whom an LMS names. *subject* identifies the person at the issuer; all else may change, and proves nothing."""

    subject: str
    roles: frozenset[str] = frozenset()  # in the course; see `lti_roles`
    full_name: str = ""
    wished_name: str = ""


@value
class CourseFacts:
    """What a message says about its course."""

    context_id: str
    label: str = ""
    title: str = ""
    memberships_url: str = ""
    line_items_url: str = ""
    grade_scopes: tuple[str, ...] = ()


@value
class DeepLinkRequest:
    """Where the answer to a deep linking request goes. *data* goes back as it came."""

    return_url: str
    data: str = ""
    takes_links: bool = True  # whether `ltiResourceLink` is among the accepted types


@value
class LtiMessage:
    """A message that an LMS sent with a person's browser."""

    deployment_id: str
    person: Person
    course: CourseFacts | None = None
    target: str = ""  # the address that the LMS wants to show
    custom: Mapping[str, str] = field(default_factory=dict, hash=False)
    deep_link: DeepLinkRequest | None = None


def read_message(claims: Mapping[str, Any], platform: LtiPlatform) -> LtiMessage:
    """Return the message in *claims*.

    Raises:
        LtiRefusedError: saying which claim is missing or wrong, and what to set in the LMS.
    """
    version, kind = text(claims, CLAIM + "version"), text(claims, CLAIM + "message_type")
    if version != VERSION:
        raise LtiRefusedError(
            _(
                "The LMS sent LTI version %(version)s, and this hub speaks %(version2)s. Register the tool as LTI 1.3.",
                version=repr(version[:60] or "nothing"),
                version2=VERSION,
            )
        )
    if kind not in {RESOURCE_LINK, DEEP_LINK}:
        raise LtiRefusedError(
            _(
                "The LMS sent a message of type %(kind)s, and this hub takes %(resource_link)s and %(deep_link)s.",
                kind=repr(kind[:60] or "nothing"),
                resource_link=RESOURCE_LINK,
                deep_link=DEEP_LINK,
            )
        )
    return LtiMessage(
        deployment_id=_deployment(claims, platform),
        person=_person(claims, platform),
        course=_course(claims),
        target=text(claims, CLAIM + "target_link_uri", MAX_URL),
        custom=_custom(claims),
        deep_link=_deep_link(claims) if kind == DEEP_LINK else None,
    )


def _deployment(claims: Mapping[str, Any], platform: LtiPlatform) -> str:
    given = text(claims, CLAIM + "deployment_id")
    if not given:
        raise LtiRefusedError("The LMS sent no deployment_id. Deploy the tool in the LMS, then open it from a course.")
    if not platform.takes_deployment(given):
        raise LtiRefusedError(
            _(
                "The deployment %(given)s of the LMS may not use this hub. Add it to deployment_ids of the"
                " platform %(platform)s in the hub's settings, or leave that list empty for all deployments.",
                given=repr(given[:100]),
                platform=repr(platform.name),
            )
        )
    return given


def _person(claims: Mapping[str, Any], platform: LtiPlatform) -> Person:
    subject = text(claims, "sub", MAX_SUBJECT)
    if not subject:
        raise LtiRefusedError(
            "The LMS does not say who you are. Log in to the LMS before you open the link, and let the LMS send the"
            " user's id to the tool."
        )
    roles = claims.get(CLAIM + "roles")
    return Person(
        subject,
        membership_roles(texts(roles)),
        text(claims, "name"),
        wished_name(claims, platform, subject),
    )


def _course(claims: Mapping[str, Any]) -> CourseFacts | None:
    context = table(claims, CLAIM + "context")
    context_id = text(context, "id", MAX_SUBJECT)
    if not context_id:
        return None
    grades, names_and_roles = table(claims, GRADES), table(claims, NAMES_AND_ROLES)
    return CourseFacts(
        context_id,
        label=text(context, "label", MAX_TITLE),
        title=text(context, "title", MAX_TITLE),
        memberships_url=url(names_and_roles, "context_memberships_url"),
        line_items_url=url(grades, "lineitems"),
        grade_scopes=texts(grades.get("scope")),
    )


def _custom(claims: Mapping[str, Any]) -> dict[str, str]:
    given = table(claims, CLAIM + "custom")
    return {key: found for key in given if (found := text(given, key, MAX_URL))}


def _deep_link(claims: Mapping[str, Any]) -> DeepLinkRequest:
    asked = table(claims, DEEP_LINKING + "deep_linking_settings")
    return_url = url(asked, "deep_link_return_url")
    if not return_url:
        raise LtiRefusedError("The LMS asks for a link and does not say where it goes (deep_link_return_url).")
    data = asked.get("data", "")
    if not isinstance(data, str) or len(data) > MAX_DATA:
        raise LtiRefusedError(
            _(
                "The LMS asks for a link with data that are no text of at most %(max_data)s characters.",
                max_data=MAX_DATA,
            )
        )
    return DeepLinkRequest(return_url, data, "ltiResourceLink" in texts(asked.get("accept_types")))


def wished_name(claims: Mapping[str, Any], platform: LtiPlatform, subject: str) -> str:
    """Return the name that the person gets at a first login if it is free: from a claim, or else from a hash.

    `custom.…`, `lis.…` and `ext.…` are LTI's own claims without their long prefix. Of an address only what is before
    the @ counts. It is a wish: the person is recognised by the subject.
    """
    known = {**claims, **{short: table(claims, CLAIM + short) for short in _SHORT_NAMES}}
    for claim in (platform.username_claim,) if platform.username_claim else _NAMES:
        if name := _as_name(_at(known, claim)):
            return name
    return nameless(platform.issuer, subject)


def _at(known: Mapping[str, Any], claim: str) -> str:
    """Return the text of the claim of this name, or else of this path, such as `custom.username`."""
    if claim in known:
        return text(known, claim)
    first, _, rest = claim.partition(".")
    return text(table(known, first), rest)


def _as_name(found: str) -> str:
    local, at, _ = found.strip().partition("@")
    name = normalise_user_name(local if at else found.strip())
    try:
        return check_user_name(name)
    except InvalidRequestError:
        return ""


def nameless(issuer: str, subject: str) -> str:
    """Return a name for a person of whom the LMS sends no usable one."""
    return f"lti-{person_hash(issuer, subject)}"


def person_hash(issuer: str, subject: str) -> str:
    """Return a short text that no other person has, for a name that is taken."""
    return hashlib.sha256(f"{len(issuer)}:{issuer}{subject}".encode()).hexdigest()[:_DIGITS]


def text(claims: Mapping[str, Any], key: str, longest: int = MAX_TEXT) -> str:
    """Return the text of *key*; "" if there is none, or one that cannot be stored, is longer, or is a variable."""
    found = claims.get(key)
    if isinstance(found, int) and not isinstance(found, bool):
        found = str(found)  # Moodle's older versions send some ids so
    if not isinstance(found, str) or len(found) > longest or _is_variable(found) or not _is_storable(found):
        return ""
    return found


def texts(found: Any) -> tuple[str, ...]:
    """Return the texts in a list of claims, at most `MAX_ROLES` of them."""
    if not isinstance(found, list):
        return ()
    return tuple(
        one for one in found[:MAX_ROLES] if isinstance(one, str) and len(one) <= MAX_TEXT and _is_storable(one)
    )


def table(claims: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Return the object of *key*, {} if there is none."""
    found = claims.get(key)
    return found if isinstance(found, Mapping) else {}


def url(claims: Mapping[str, Any], key: str) -> str:
    """Return the address of *key*; "" if it is no http address."""
    found = text(claims, key, MAX_URL)
    return found if found.startswith(("https://", "http://")) and not any(map(str.isspace, found)) else ""


def _is_variable(found: str) -> bool:
    return _VARIABLE.fullmatch(found.strip()) is not None


def _is_storable(found: str) -> bool:
    """Say whether *found* is Unicode: JSON can also write halves of characters, which no store takes."""
    return not any("\ud800" <= character <= "\udfff" for character in found)


def member_of(member: Mapping[str, Any], platform: LtiPlatform) -> Person | None:
    """Return the person of a list of members (NRPS 2.0 2.2), None if it names nobody.

    A member's facts are called as in a message, but for the id, and `lis_person_sourcedid`, which a message has deeper.
    """
    subject = text(member, "user_id", MAX_SUBJECT)
    if not subject:
        return None
    known = {**member, CLAIM + "lis": {"person_sourcedid": member.get("lis_person_sourcedid")}}
    return Person(
        subject,
        membership_roles(texts(member.get("roles"))),
        text(member, "name"),
        wished_name(known, platform, subject),
    )
