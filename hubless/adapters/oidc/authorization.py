"""The browser's way to a provider and back (RFC 6749 4.1, with PKCE, RFC 7636)."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode, urlsplit

from hubless.adapters.oidc.token_requests import shown_error
from hubless.domain.errors import LoginRefusedError
from hubless.domain.providers import Provider
from hubless.domain.translatable import gettext as _
from hubless.ports.login_providers import AuthorizationRequest

MAX_CODE: Final = 4096  # characters
_WORDS = {
    "access_denied": "The login at {label} was cancelled, or {label} does not let you use this hub.",
    "temporarily_unavailable": "{label} is busy. Try again in a moment.",
    "server_error": "{label} had an error of its own. Try again in a moment.",
}
_OTHERS = (
    "{label} did not accept the hub's request ({error}). The operator of this hub finds out more with hubless check,"
    " and in the settings of this client at {label}."
)


def authorization_url(provider: Provider, endpoint: str, request: AuthorizationRequest, *, nonce: str = "") -> str:
    """Return *endpoint* with the parameters of one login; without *nonce* where the protocol has none."""
    challenge = base64.urlsafe_b64encode(hashlib.sha256(request.verifier.encode()).digest()).rstrip(b"=").decode()
    parameters = {
        **provider.authorize_parameters,
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": request.redirect_uri,
        "scope": " ".join(provider.scopes),
        "state": request.state,
        "code_challenge": challenge,
        "code_challenge_method": "S256",
        **({"nonce": nonce} if nonce else {}),
    }
    return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(parameters)}"


def code_in(answer: Mapping[str, str], label: str) -> str:
    """Return the code with which the browser came back.

    Raises:
        LoginRefusedError: when the provider sent an error, or nothing of use.
    """
    if (error := answer.get("error")) is not None:
        raise LoginRefusedError(_WORDS.get(error, _OTHERS).format(label=label, error=shown_error(error)))
    code = answer.get("code", "")
    if not 0 < len(code) <= MAX_CODE:
        raise LoginRefusedError(
            _("%(provider)s sent no code with which the login could go on. Log in again.", provider=label)
        )
    return code
