"""Requests to a token endpoint (RFC 6749), by authlib's client over the hub's own bounded connections."""

import base64
import json
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus, urlencode

from hubless.adapters.jose.fetching import Answer, Fetcher
from hubless.domain.errors import LoginRefusedError, ProviderUnavailableError
from hubless.domain.providers import ClientAuthentication, Provider
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value

if TYPE_CHECKING:
    from authlib.oauth2.client import OAuth2Client

MAX_TOKEN: Final = 65_536  # characters of one token
_ASSERTION_LIFETIME: Final = timedelta(minutes=1)
_CLIENT_ERROR, _SERVER_ERROR = 400, 500
_ERROR_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz_-ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.")


@value
class TokenAnswer:
    """What a token endpoint gave. *facts* is its whole answer."""

    access_token: str
    id_token: str
    refresh_token: str
    facts: Mapping[str, Any]


class TokenEndpoint:
    """Asks one token endpoint in the name of one client."""

    def __init__(self, provider: Provider, url: str, fetcher: Fetcher, offered: tuple[str, ...] = ()) -> None:
        self._provider, self._url, self._fetcher, self._offered = provider, url, fetcher, offered

    def redeem(self, code: str, *, redirect_uri: str, verifier: str, now: datetime) -> TokenAnswer:
        """Return what the endpoint gives for an authorization code.

        Raises:
            LoginRefusedError: when it refuses.
            ProviderUnavailableError: when it gives nothing of use.
        """
        client = self._client(now, redirect_uri=redirect_uri)
        return self._asked(
            lambda: client.fetch_token(
                self._url, grant_type="authorization_code", code=code, code_verifier=verifier, headers=_headers()
            )
        )

    def refresh(self, refresh_token: str, *, now: datetime) -> TokenAnswer:
        """Return what the endpoint gives for a refresh token.

        Raises:
            LoginRefusedError: when it refuses, so that the person must log in again.
            ProviderUnavailableError: when it gives nothing of use.
        """
        client = self._client(now)
        return self._asked(
            lambda: client.refresh_token(self._url, refresh_token=refresh_token, headers=_headers()),
            before=refresh_token,
        )

    def _client(self, now: datetime, redirect_uri: str | None = None) -> "OAuth2Client":
        from authlib.oauth2.client import OAuth2Client  # noqa: PLC0415 only logins need it

        client = OAuth2Client(
            _Session(self._fetcher),
            client_id=self._provider.client_id,
            client_secret=self._provider.client_secret or None,
            token_endpoint_auth_method=self.authentication.value,
            redirect_uri=redirect_uri,
        )
        client.register_client_auth_method((ClientAuthentication.BASIC.value, _basic))
        client.register_client_auth_method((ClientAuthentication.PRIVATE_KEY.value, self._signing(now)))
        return client

    @property
    def authentication(self) -> ClientAuthentication:
        """Return how the hub proves who it is: as settings say, or else as the metadata offer, Basic first."""
        if self._provider.client_authentication is not None:
            return self._provider.client_authentication
        if ClientAuthentication.BASIC in self._offered or ClientAuthentication.POST not in self._offered:
            return ClientAuthentication.BASIC
        return ClientAuthentication.POST

    def _signing(self, now: datetime) -> Any:
        """Return what adds an assertion that the hub signs (RFC 7523 2.2)."""

        def add(_client: Any, _method: str, uri: str, headers: dict[str, str], body: str) -> Any:
            fields = {
                "client_id": self._provider.client_id,
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": client_assertion(self._provider, self._url, now),
            }
            return uri, headers, f"{body}&{urlencode(fields)}"

        return add

    def _asked(self, ask: Any, before: str = "") -> TokenAnswer:
        from authlib.oauth2 import OAuth2Error  # noqa: PLC0415 only logins need it

        label = self._provider.label
        try:
            given = ask()
        except OAuth2Error as refused:
            raise LoginRefusedError(
                _(
                    "%(provider)s refused to confirm the login (%(code)s). Log in again; if it is refused again, ask"
                    " the operator of this hub to run hubless check.",
                    provider=label,
                    code=shown_error(refused.error),
                )
            ) from None
        except (ValueError, TypeError, KeyError, OverflowError):
            raise ProviderUnavailableError(
                _("%(provider)s gave an answer that is no token. Try again in a moment.", provider=label)
            ) from None
        return _answer(given, label, before)


def client_assertion(provider: Provider, audience: str, now: datetime) -> str:
    """Return a token that proves to *audience* that the hub is the client, for a minute.

    Raises:
        ProviderUnavailableError: when the private key in the settings cannot sign.
    """
    from joserfc import jwt  # noqa: PLC0415 few providers want it
    from joserfc.errors import JoseError  # noqa: PLC0415 few providers want it
    from joserfc.jwk import JWKRegistry, Key  # noqa: PLC0415 few providers want it

    text = provider.private_key.strip()
    try:
        key: Key = JWKRegistry.import_key(json.loads(text)) if text.startswith("{") else _key_of_pem(text)
        algorithm = key.alg or {"RSA": "RS256", "OKP": "EdDSA"}.get(key.key_type) or _curve_algorithm(key)
        header = {"alg": algorithm, "typ": "JWT"} | ({"kid": key.kid} if key.kid else {})
        claims = {
            "iss": provider.client_id,
            "sub": provider.client_id,
            "aud": audience,
            "jti": secrets.token_urlsafe(16),
            "iat": int(now.timestamp()),
            "exp": int((now + _ASSERTION_LIFETIME).timestamp()),
        }
        return jwt.encode(header, claims, key, algorithms=[algorithm])
    except (JoseError, ValueError, TypeError) as error:
        raise ProviderUnavailableError(
            _(
                "The private key of the provider %(provider)s in the settings cannot sign (%(code)s). It must be one in"
                " PEM, or a JWK.",
                provider=provider.name,
                code=type(error).__name__,
            )
        ) from None


def _key_of_pem(text: str) -> Any:
    from joserfc.errors import JoseError  # noqa: PLC0415 few providers want it
    from joserfc.jwk import ECKey, OKPKey, RSAKey  # noqa: PLC0415 few providers want it

    for kind in (RSAKey, ECKey, OKPKey):
        try:
            return kind.import_key(text)
        except (JoseError, ValueError, TypeError):
            continue
    raise ValueError("no key of RSA, of an elliptic curve, or of Edwards")


def _curve_algorithm(key: Any) -> str:
    return {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[key.curve_name]


def shown_error(code: Any) -> str:
    """Return an error code of OAuth as it may be shown and logged: a few plain characters."""
    text = code if isinstance(code, str) else "no reason"
    return "".join(one for one in text[:64] if one in _ERROR_CHARACTERS) or "no reason"


def _answer(given: Any, label: str, before: str) -> TokenAnswer:
    if not isinstance(given, Mapping):
        raise ProviderUnavailableError(
            _("%(provider)s gave an answer that is no token. Try again in a moment.", provider=label)
        )
    kind = given.get("token_type")  # it may be missing, and then it is Bearer
    if isinstance(kind, str) and kind.lower() != "bearer":
        raise ProviderUnavailableError(
            _(
                "%(provider)s gave a token of the kind %(kind)s, which the hub cannot use.",
                provider=label,
                kind=shown_error(kind),
            )
        )
    texts = {name: given.get(name) for name in ("access_token", "id_token", "refresh_token")}
    found = {name: text if isinstance(text, str) and len(text) <= MAX_TOKEN else "" for name, text in texts.items()}
    if not found["access_token"]:
        raise ProviderUnavailableError(_("%(provider)s gave no access token. Try again in a moment.", provider=label))
    return TokenAnswer(
        found["access_token"],
        found["id_token"],
        found["refresh_token"] or before,
        {str(k): v for k, v in given.items()},
    )


def _headers() -> dict[str, str]:
    return {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}


def _basic(client: Any, _method: str, uri: str, headers: dict[str, str], body: str) -> Any:
    """Authenticate by Basic, with both parts form-encoded as RFC 6749 2.3.1 says: a secret may have `+` or `:`."""
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret or '')}"
    headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return uri, headers, body


class _Session:
    """What authlib's client needs of a session of Requests."""

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def post(self, url: str, data: Mapping[str, str], headers: Mapping[str, str], auth: Any) -> "_Response":
        url, given, body = auth.prepare("POST", url, dict(headers), urlencode(data))
        return _Response(self._fetcher.request("POST", url, given, body))


class _Response:
    """What authlib's client needs of a response of Requests."""

    def __init__(self, answer: Answer) -> None:
        self.status_code = answer.status
        self._body = answer.body

    def json(self) -> Any:
        try:
            return json.loads(self._body)
        except RecursionError:
            raise ValueError("The answer is nested too deep.") from None

    def raise_for_status(self) -> None:
        if self.status_code >= _CLIENT_ERROR:
            raise ValueError(f"HTTP {self.status_code}")
