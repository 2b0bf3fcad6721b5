"""From claims to the person whom a provider vouches for."""

from collections.abc import Mapping
from typing import Any, Final

from hubless.adapters.oidc.token_requests import TokenAnswer
from hubless.domain import claims as rules_of_claims
from hubless.domain.errors import InvalidRequestError, LoginRefusedError
from hubless.domain.providers import Provider
from hubless.domain.translatable import gettext as _
from hubless.ports.login_providers import VouchedPerson

MAX_LABEL: Final = 255
_LABELS = ("email", "preferred_username", "login", "name", "sub")  # by which people know their accounts


def vouched(
    provider: Provider, claims: Mapping[str, Any], *, subject: str, auth_state: Mapping[str, Any]
) -> VouchedPerson:
    """Return the person of *claims*.

    Raises:
        LoginRefusedError: when the settings refuse people with these claims, or a claim that they need is missing.
    """
    for name, allowed in provider.required_claims.items():
        given = claims.get(name)
        if not isinstance(given, str) or given not in allowed:
            raise LoginRefusedError(
                _(
                    "Your account at %(provider)s is not of an organisation that may log in here. Choose another"
                    " account, or ask the operator of this hub.",
                    provider=provider.label,
                )
            )
    if (why := rules_of_claims.refusal_of(claims, provider.rules)) is not None:
        raise LoginRefusedError(why)
    try:
        name = rules_of_claims.user_name_of(claims, provider.rules, provider.name)
        groups = rules_of_claims.groups_of(claims, provider.rules)
    except InvalidRequestError as missing:
        raise LoginRefusedError(str(missing)) from None
    session_id = claims.get("sid")
    return VouchedPerson(
        issuer=provider.issuer,
        subject=subject,
        name=name,
        label=_label_of(claims, subject),
        admin=rules_of_claims.is_admin(claims, provider.rules),
        groups=groups,
        auth_state=auth_state,
        session_id=session_id if isinstance(session_id, str) and len(session_id) <= MAX_LABEL else "",
    )


def auth_state_of(given: TokenAnswer, claims: Mapping[str, Any], provider: Provider) -> dict[str, Any]:
    """Return what is kept of a login, under the names that JupyterHub's OAuthenticator has for it."""
    scope = given.facts.get("scope")
    return {
        "provider": provider.name,
        "access_token": given.access_token,
        "refresh_token": given.refresh_token or None,
        "id_token": given.id_token or None,
        "scope": scope.split() if isinstance(scope, str) else list(provider.scopes),
        "token_response": dict(given.facts),
        "oauth_user": dict(claims),
    }


def _label_of(claims: Mapping[str, Any], subject: str) -> str:
    for name in _LABELS:
        found = claims.get(name)
        if isinstance(found, str) and found and found.isprintable():
            return found[:MAX_LABEL]
    return subject[:MAX_LABEL]
