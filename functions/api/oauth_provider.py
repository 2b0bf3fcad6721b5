"""The OAuth 2.0 provider for servers and services: oauthlib's authorization code grant over the hub's stores.

RFC 6749 4.1 with PKCE (RFC 7636). As in JupyterHub a redirect URI may be a path; it is compared byte for byte.
"""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from oauthlib.oauth2 import (
    AuthorizationCodeGrant,
    AuthorizationEndpoint,
    BearerToken,
    RequestValidator,
    TokenEndpoint,
)
from oauthlib.oauth2.rfc6749 import errors as oauth_errors

from functions.api.oauth_clients import clients_of
from hubless.bootstrap.hub import Hub
from hubless.domain import imported_secrets, tokens
from hubless.domain.bounds import MAX_SECRET_LENGTH
from hubless.domain.client_addresses import network_of
from hubless.domain.origins import Origins
from hubless.domain.tokens import Client
from hubless.domain.users import User
from hubless.services.authorizations import Grant


@lru_cache(maxsize=1)
def provider_of(hub: Hub) -> "Provider":
    """Return the provider of *hub*."""
    return Provider(hub)


class Provider(AuthorizationEndpoint, TokenEndpoint):  # type: ignore[misc]  # oauthlib has no types
    """The two endpoints, with the one grant that servers and services use."""

    Error = oauth_errors.OAuth2Error
    FatalClientError = oauth_errors.FatalClientError

    def __init__(self, hub: Hub) -> None:
        validator = _Validator(hub)
        grant = _PathGrant(validator)
        bearer = BearerToken(validator, expires_in=int(hub.settings.hub.cookie_max_age.total_seconds()))
        AuthorizationEndpoint.__init__(
            self, default_response_type="code", default_token_type=bearer, response_types={"code": grant}
        )
        TokenEndpoint.__init__(
            self,
            default_grant_type="authorization_code",
            default_token_type=bearer,
            grant_types={"authorization_code": grant},
        )


class _PathGrant(AuthorizationCodeGrant):  # type: ignore[misc]  # oauthlib has no types
    """The code grant, for clients whose redirect URI may be a path on this very host; no refresh tokens."""

    def __init__(self, validator: RequestValidator) -> None:
        super().__init__(validator, refresh_token=False)
        self.refresh_token = False

    def _handle_redirects(self, request: Any) -> None:
        """Accept exactly the registered URI. oauthlib's own method refuses relative ones."""
        request.using_default_redirect_uri = request.redirect_uri is None
        if request.redirect_uri is None:
            request.redirect_uri = request.client.redirect_uri
        elif not self._is_registered(request.redirect_uri, request.client.redirect_uri):
            raise oauth_errors.MismatchingRedirectURIError(request=request)
        request.redirect_uri = request.client.redirect_uri

    def _is_registered(self, given: str, registered: str) -> bool:
        return is_registered(given, registered, self.request_validator.hub.origins)


class _Validator(RequestValidator):  # type: ignore[misc]  # oauthlib has no types
    """Answers oauthlib's questions from the hub's stores."""

    def __init__(self, hub: Hub) -> None:
        super().__init__()
        self.hub = hub

    def validate_client_id(self, client_id: str, request: Any, *_: Any, **__: Any) -> bool:
        request.client = clients_of(self.hub).find(client_id)
        return request.client is not None

    def validate_response_type(self, _client_id: str, response_type: str, *_: Any, **__: Any) -> bool:
        return response_type == "code"

    def get_default_scopes(self, _client_id: str, request: Any, *_: Any, **__: Any) -> list[str]:
        return list(request.client.allowed_scopes)

    def validate_scopes(self, _client_id: str, scopes: Iterable[str], client: Client, *_: Any, **__: Any) -> bool:
        return self.hub.authorizations.may_request(client, scopes)

    def save_authorization_code(
        self, _client_id: str, code: Mapping[str, str], request: Any, *_: Any, **__: Any
    ) -> None:
        user: User = request.user
        self.hub.authorizations.store_code(
            code["code"],
            Grant(request.client, user, request.session_id, tuple(request.scopes)),
            challenge=request.code_challenge,
            challenge_method=request.code_challenge_method,
        )

    def client_authentication_required(self, *_: Any, **__: Any) -> bool:
        return True

    def authenticate_client(self, request: Any, *_: Any, **__: Any) -> bool:
        client_id, secret = request.client_id, request.client_secret
        if not client_id or not secret or len(secret) > MAX_SECRET_LENGTH:
            return False
        client = clients_of(self.hub).find(client_id)
        if client is None:
            return False
        if not imported_secrets.is_imported(client.secret_sha256):
            if not tokens.is_same(client.secret_sha256, secret):
                return False
        else:
            sender, now = network_of(request.extra_credentials["address"]), self.hub.clock.now()
            if self.hub.imported_secret_checks.matching([client.secret_sha256], secret, sender, now) is None:
                return False
            self.hub.services.adopt_client_secret(client, tokens.sha256(secret))
        if client.service is not None:  # the only way in which some services speak to the hub as themselves
            self.hub.services.note_activity(client.service, self.hub.clock.now())
        request.client = _ClientView(client)
        return True

    def validate_code(self, _client_id: str, code: str, client: Any, request: Any, *_: Any, **__: Any) -> bool:
        # Reading the code removes it: of two requests with one code only one finds it. A wrong verifier uses it up.
        kept = self.hub.authorizations.take_code(code, client.client) if len(code) <= MAX_SECRET_LENGTH else None
        if kept is None:
            return False
        request.kept_code = kept
        request.user = self.hub.users.get(kept.user_id)
        request.scopes = list(kept.scopes)
        request.code_challenge, request.code_challenge_method = kept.challenge, kept.challenge_method
        return request.user is not None

    def validate_grant_type(self, _client_id: str, grant_type: str, *_: Any, **__: Any) -> bool:
        return grant_type == "authorization_code"

    def confirm_redirect_uri(
        self, _client_id: str, _code: str, redirect_uri: str | None, _client: Any, request: Any, *_: Any, **__: Any
    ) -> bool:
        return redirect_uri is None or is_registered(redirect_uri, request.kept_code.redirect_uri, self.hub.origins)

    def get_default_redirect_uri(self, _client_id: str, request: Any, *_: Any, **__: Any) -> str:
        uri: str = request.client.redirect_uri
        return uri

    def is_pkce_required(self, *_: Any, **__: Any) -> bool:
        return False

    def get_code_challenge(self, _code: str, request: Any) -> str | None:
        challenge: str | None = request.kept_code.challenge
        return challenge

    def get_code_challenge_method(self, _code: str, request: Any) -> str | None:
        method: str | None = request.kept_code.challenge_method
        return method

    def save_bearer_token(self, token: dict[str, Any], request: Any, *_: Any, **__: Any) -> None:
        kept = request.kept_code
        granted = Grant(request.client.client, request.user, kept.session_id, tuple(request.scopes))
        self.hub.authorizations.store_token(
            token["access_token"], granted, lifetime=self.hub.settings.hub.cookie_max_age
        )

    def invalidate_authorization_code(self, *_: Any, **__: Any) -> None:
        """Do nothing: `validate_code` has removed the code."""


def is_registered(given: str, registered: str, origins: Origins) -> bool:
    """Say whether *given* is the *registered* redirect URI, or its path if the hub added the host."""
    return given == registered or (given.startswith("/") and origins.link_to(given) == registered)


class _ClientView:
    """A client for oauthlib, with its id under the name that oauthlib reads."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.client_id = client.id
        self.redirect_uri = client.redirect_uri
