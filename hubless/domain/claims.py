"""Claims of a login: what a provider says about a person, and which name, groups and rights follow from it.

An e-mail address counts only if the claims say that it is verified, because at many providers people type any address
(CVE-2026-33175). Expressions are JMESPath, which can neither loop nor call anything outside.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from hubless.domain.bounds import MAX_TYPED_NAME
from hubless.domain.errors import InvalidRequestError
from hubless.domain.names import check_group_name
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value

MAX_EXPRESSION: Final = 1024
MAX_GROUPS: Final = 1000  # that one person has at a provider
_NAME = re.compile(r"[A-Za-z0-9_:/.@#~-]+")  # `groups`, `cognito:groups`, `https://hub.example.org/groups`
_PATH = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+")  # `realm_access.roles`
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_EMAIL, _IS_VERIFIED = "email", "email_verified"


@value
class ClaimRules:
    """What of a person's claims becomes the user's name, groups and rights. Each `…_claim` is as in `value_of`."""

    username_claim: str = "preferred_username"
    username_template: str = "{username}"
    strip_domain: str = ""
    groups_claim: str = ""  # empty: logins leave memberships alone
    group_prefix: str = ""  # before each group, where people found groups themselves and name them as they like
    admin_expression: str = ""  # empty: logins leave the admin flag alone
    allow_expression: str = ""  # empty: everybody of this provider may pass on
    domains: tuple[str, ...] = ()  # of verified addresses; empty: an address is not needed
    trusts_email: bool = False  # whether the provider gives only addresses that it has verified


def countable(claims: Mapping[str, Any], rules: ClaimRules) -> dict[str, Any]:
    """Return *claims* without an address that may be somebody else's."""
    said = claims.get(_IS_VERIFIED)
    is_verified = rules.trusts_email or said is True or said == "true"  # Amazon Cognito's userinfo has a text
    return {key: given for key, given in claims.items() if is_verified or key != _EMAIL}


def value_of(claims: Mapping[str, Any], expression: str) -> Any:
    """Return what *expression* finds in *claims*; None if there is nothing.

    A claim with exactly this name comes first, so that `cognito:groups` works; then a path such as
    `realm_access.roles`; then the expression in JMESPath. An expression that fails on these claims finds nothing.
    """
    if expression in claims:
        return claims[expression]
    if _PATH.fullmatch(expression):
        return _at(claims, expression.split("."))
    if _NAME.fullmatch(expression):
        return None
    from jmespath.exceptions import JMESPathError  # noqa: PLC0415 few logins have expressions

    try:
        return _compiled(expression).search(dict(claims))
    except JMESPathError:
        return None


def check_expression(expression: str) -> str:
    """Return *expression* if it is the name of a claim, a path, or valid JMESPath.

    Raises:
        ValueError: saying where it is wrong.
    """
    if len(expression) > MAX_EXPRESSION:
        raise ValueError(f"it has more than {MAX_EXPRESSION} characters")
    if expression and not _NAME.fullmatch(expression):
        from jmespath.exceptions import JMESPathError  # noqa: PLC0415 few settings have expressions

        try:
            _compiled(expression)
        except JMESPathError as error:
            raise ValueError(str(error).splitlines()[0]) from None
    return expression


def check_template(template: str) -> str:
    """Return *template* if each of its braces belongs to a placeholder such as `{username}`.

    Raises:
        ValueError: saying what is wrong.
    """
    if len(template) > MAX_EXPRESSION:
        raise ValueError(f"it has more than {MAX_EXPRESSION} characters")
    placeholders = _PLACEHOLDER.findall(template)
    if not placeholders or not all(placeholders) or set(_PLACEHOLDER.sub("", template)) & {"{", "}"}:
        raise ValueError('it needs a placeholder such as "{username}", and no other braces')
    return template


def user_name_of(claims: Mapping[str, Any], rules: ClaimRules, provider: str) -> str:
    """Return the name that *rules* give a person, as the provider writes it.

    In the template `{username}` is what `username_claim` finds, `{provider}` the provider's name, and every other
    placeholder a claim.

    Raises:
        InvalidRequestError: when a claim that the name needs is missing, or is no text.
    """
    known = countable(claims, rules)

    def filled(placeholder: re.Match[str]) -> str:
        if placeholder[1] == "provider":
            return provider
        claim = rules.username_claim if placeholder[1] == "username" else placeholder[1]
        found = value_of(known, claim)
        if isinstance(found, int) and not isinstance(found, bool):
            found = str(found)
        if not isinstance(found, str) or not found:
            raise InvalidRequestError(_why_missing(claims, claim))
        return _without_domain(found[: MAX_TYPED_NAME + 1], rules.strip_domain)

    return _PLACEHOLDER.sub(filled, rules.username_template)[: MAX_TYPED_NAME + 1]


def groups_of(claims: Mapping[str, Any], rules: ClaimRules) -> tuple[str, ...] | None:
    """Return the groups in *claims*, each after the prefix; None if logins leave memberships alone.

    Texts that are no group's name drop out.

    Microsoft Entra replaces a long list of groups with a link (`_claim_names`): then memberships stay as they are.

    Raises:
        InvalidRequestError: when there are more than `MAX_GROUPS`.
    """
    if not rules.groups_claim:
        return None
    elsewhere = claims.get("_claim_names")
    if rules.groups_claim not in claims and isinstance(elsewhere, Mapping) and rules.groups_claim in elsewhere:
        return None
    found = value_of(countable(claims, rules), rules.groups_claim)
    texts = [found] if isinstance(found, str) else found if isinstance(found, list | tuple) else []
    if len(texts) > MAX_GROUPS:
        raise InvalidRequestError(
            _(
                "The provider names %(texts)s groups of yours, and this hub takes %(max_groups)s. Ask its"
                " operator to narrow groups_claim.",
                texts=len(texts),
                max_groups=MAX_GROUPS,
            )
        )
    named = (rules.group_prefix + one for one in texts if isinstance(one, str) and one)
    return tuple(dict.fromkeys(one for one in named if _is_group_name(one)))


def is_admin(claims: Mapping[str, Any], rules: ClaimRules) -> bool | None:
    """Say whether *claims* make the person an admin; None if logins leave the flag alone."""
    return _holds(claims, rules, rules.admin_expression) if rules.admin_expression else None


def refusal_of(claims: Mapping[str, Any], rules: ClaimRules) -> str | None:
    """Return why *rules* refuse a person with *claims*, in words for that person; None if they do not."""
    if rules.domains and _domain_of(countable(claims, rules).get(_EMAIL)) not in rules.domains:
        return f"Only people with a verified address at {' or '.join(rules.domains)} may log in here."
    if rules.allow_expression and not _holds(claims, rules, rules.allow_expression):
        return "This hub does not let people in to whom its provider gives these groups and rights."
    return None


def _holds(claims: Mapping[str, Any], rules: ClaimRules, expression: str) -> bool:
    """Say whether *expression* finds true or a list with something in it. A text such as "false" is neither."""
    found = value_of(countable(claims, rules), expression)
    return found is True or (isinstance(found, list) and bool(found))


def _why_missing(claims: Mapping[str, Any], claim: str) -> str:
    if claim == _EMAIL and claims.get(_EMAIL):
        return (
            "The provider does not say that your address is verified, so it cannot become your name here. Verify it at"
            " the provider, and log in again."
        )
    return f"The provider gave no text as {claim!r}, from which your name here is made."


def _without_domain(name: str, domain: str) -> str:
    local, at, given = name.rpartition("@")
    return local if domain and at and local and given.lower() == domain.lower() else name


def _domain_of(address: Any) -> str:
    return address.rpartition("@")[2].lower() if isinstance(address, str) and "@" in address else ""


def _at(claims: Any, path: list[str]) -> Any:
    for name in path:
        claims = claims.get(name) if isinstance(claims, Mapping) else None
    return claims


def _is_group_name(text: str) -> bool:
    try:
        check_group_name(text)
    except InvalidRequestError:
        return False
    return True


@lru_cache(maxsize=64)
def _compiled(expression: str) -> Any:
    import jmespath  # noqa: PLC0415 few settings have expressions

    return jmespath.compile(expression)
