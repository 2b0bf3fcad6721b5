"""Logins by OpenID Connect: the code flow with PKCE, and everything that Core 3.1.3 asks of a client."""

import hmac
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from hubless.adapters.jose import tokens
from hubless.adapters.jose.fetching import Fetcher, FetchError, host_of
from hubless.adapters.jose.key_sets import FetchedKeys
from hubless.adapters.jose.tokens import TokenRefusedError
from hubless.adapters.oidc.authorization import authorization_url, code_in
from hubless.adapters.oidc.metadata import Metadata, MetadataError, MetadataSource
from hubless.adapters.oidc.token_requests import TokenAnswer, TokenEndpoint
from hubless.adapters.oidc.vouching import auth_state_of, vouched
from hubless.domain.errors import LoginRefusedError, ProviderUnavailableError
from hubless.domain.providers import Provider
from hubless.domain.translatable import gettext as _
from hubless.ports.clock import Clock
from hubless.ports.login_providers import AuthorizationRequest, LogoutNotice, ProviderCheck, VouchedPerson

LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
MAX_SUBJECT: Final = 255  # characters: Core 2 bounds `sub` to 255 in ASCII
MAX_HINT: Final = 4096  # characters of an ID token in an address
_MAX_LOGOUT_AGE = tokens.LEEWAY * 5
_UNAUTHORIZED = frozenset({401, 403})
_OK = 200


class OpenIdProvider:
    """One OpenID Connect provider; threads may share it."""

    def __init__(self, provider: Provider, fetcher: Fetcher, clock: Clock) -> None:
        self._provider, self._fetcher, self._clock = provider, fetcher, clock
        self._source = MetadataSource(provider.issuer, fetcher, clock)
        self._keys: FetchedKeys | None = None
        self._lock = Lock()

    @property
    def provider(self) -> Provider:
        return self._provider

    def authorization_url(self, request: AuthorizationRequest) -> str:
        with self._in_words():
            metadata = self._source.get()
        return authorization_url(self._provider, metadata.authorization_endpoint, request, nonce=request.nonce)

    def complete(self, request: AuthorizationRequest, answer: Mapping[str, str]) -> VouchedPerson:
        with self._in_words():
            metadata = self._source.get()
            self._check_issuer(metadata, answer)
            code = code_in(answer, self._provider.label)
            endpoint = self._token_endpoint(metadata)
            given = endpoint.redeem(
                code, redirect_uri=request.redirect_uri, verifier=request.verifier, now=self._clock.now()
            )
            if not given.id_token:
                raise LoginRefusedError(
                    _(
                        "%(provider)s gave no ID token, so it proves nothing. Ask the operator of this hub whether the"
                        " scope openid is among its scopes.",
                        provider=self._provider.label,
                    )
                )
            signed = self._validated(metadata, given.id_token, nonce=request.nonce)
            asked = self._claims_at_userinfo(metadata, given.access_token, signed["sub"])
            return self._vouched(given, merged(signed, asked), signed["sub"])

    def refresh(self, subject: str, auth_state: Mapping[str, Any]) -> VouchedPerson | None:
        refresh_token, access_token = auth_state.get("refresh_token"), auth_state.get("access_token")
        with self._in_words():
            metadata = self._source.get()
            if isinstance(refresh_token, str) and refresh_token:
                given = self._token_endpoint(metadata).refresh(refresh_token, now=self._clock.now())
            elif isinstance(access_token, str) and access_token and self._asks_userinfo(metadata):
                given = TokenAnswer(access_token, "", "", {})
            else:
                return None
            asked = self._claims_at_userinfo(metadata, given.access_token, subject)
            if given.id_token:
                signed = self._validated(metadata, given.id_token)
                if signed["sub"] != subject:
                    raise LoginRefusedError(
                        _("%(provider)s answered about another person. Log in again.", provider=self._provider.label)
                    )
                return self._vouched(given, merged(signed, asked), subject)
            before = auth_state.get("id_token")
            kept = replace(given, id_token=before if isinstance(before, str) else "")
            return self._vouched(kept, merged(asked, _claims_in(kept.id_token)), subject)

    def logout_url(self, auth_state: Mapping[str, Any], return_to: str) -> str | None:
        if not self._provider.logout_at_provider:
            return None
        with self._in_words():
            endpoint = self._source.get().end_session_endpoint
        if not endpoint:
            return None
        hint = auth_state.get("id_token")
        facts = {"client_id": self._provider.client_id, self._provider.logout_return_parameter: return_to}
        # A long hint makes an address that servers refuse; the client's id says enough.
        hinted = {"id_token_hint": hint} if isinstance(hint, str) and 0 < len(hint) <= MAX_HINT else {}
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode({**hinted, **facts})}"

    def logout_notice(self, token: str) -> LogoutNotice:
        with self._in_words():
            metadata = self._source.get()
            claims = tokens.validate(
                token,
                keys=self._keys_at(metadata),
                algorithms=self._algorithms(metadata),
                issuer=self._provider.issuer,
                audience=self._provider.client_id,
                now=self._clock.now(),
                essential=("iat", "jti", "events"),
                max_age=_MAX_LOGOUT_AGE,
            )
        events, texts = claims["events"], {name: claims.get(name, "") for name in ("sub", "sid", "jti")}
        if not isinstance(events, Mapping) or LOGOUT_EVENT not in events or "nonce" in claims:
            raise LoginRefusedError("This token is no notice of a logout.")
        if not all(isinstance(text, str) and len(text) <= MAX_SUBJECT for text in texts.values()):
            raise LoginRefusedError("This notice of a logout has a sub, sid or jti that is no short text.")
        if not texts["sub"] and not texts["sid"]:
            raise LoginRefusedError("This notice of a logout says neither whose (sub) nor which (sid).")
        return LogoutNotice(
            self._provider.issuer, texts["sub"], texts["sid"], datetime.fromtimestamp(claims["iat"], UTC)
        )

    def check(self) -> ProviderCheck:
        from hubless.adapters.oidc.checking import check_openid  # noqa: PLC0415 only `hubless check` needs it

        return check_openid(self._provider, self._source.url, self._fetcher, self._clock)

    def _vouched(self, given: TokenAnswer, claims: Mapping[str, Any], subject: str) -> VouchedPerson:
        state = auth_state_of(given, claims, self._provider)
        return vouched(self._provider, claims, subject=subject, auth_state=state)

    def _validated(self, metadata: Metadata, id_token: str, nonce: str | None = None) -> dict[str, Any]:
        claims = tokens.validate(
            id_token,
            keys=self._keys_at(metadata),
            algorithms=self._algorithms(metadata),
            issuer=self._provider.issuer,
            audience=self._provider.client_id,
            now=self._clock.now(),
            essential=("exp", "iat", "sub", *(["nonce"] if nonce is not None else [])),
            nonce=nonce,
            authorized_party=self._provider.client_id,
        )
        if not isinstance(claims["sub"], str) or len(claims["sub"]) > MAX_SUBJECT:
            raise LoginRefusedError(
                _("%(provider)s names people by something that is no short text (sub).", provider=self._provider.label)
            )
        return claims

    def _claims_at_userinfo(self, metadata: Metadata, access_token: str, subject: str) -> Mapping[str, Any]:
        """Return the claims at the userinfo endpoint, whose `sub` must be the same (Core 5.3.2); {} if not asked."""
        if not self._asks_userinfo(metadata):
            return {}
        headers = {"Accept": "application/json", "Authorization": f"Bearer {access_token}"}
        answer = self._fetcher.request("GET", metadata.userinfo_endpoint, headers)
        if answer.status in _UNAUTHORIZED:
            raise LoginRefusedError(
                _("%(provider)s no longer accepts the hub's token. Log in again.", provider=self._provider.label)
            )
        if answer.status != _OK:
            raise FetchError(f"{host_of(metadata.userinfo_endpoint)} answered {answer.status} about the person.")
        found = answer.json()
        if not isinstance(found, Mapping):
            raise FetchError(f"{host_of(metadata.userinfo_endpoint)} gave no JSON object about the person.")
        given = found.get("sub")
        if not isinstance(given, str) or not hmac.compare_digest(given.encode(), subject.encode()):
            raise LoginRefusedError(
                _("%(provider)s answered about another person. Log in again.", provider=self._provider.label)
            )
        return found

    def _asks_userinfo(self, metadata: Metadata) -> bool:
        return self._provider.asks_userinfo and bool(metadata.userinfo_endpoint)

    def _token_endpoint(self, metadata: Metadata) -> TokenEndpoint:
        return TokenEndpoint(self._provider, metadata.token_endpoint, self._fetcher, metadata.client_authentications)

    def _keys_at(self, metadata: Metadata) -> FetchedKeys:
        with self._lock:
            if self._keys is None or self._keys.url != metadata.jwks_uri:
                self._keys = FetchedKeys(metadata.jwks_uri, self._fetcher, self._clock)
            return self._keys

    def _algorithms(self, metadata: Metadata) -> tuple[str, ...]:
        """Return the algorithms that the settings and the metadata allow."""
        offered = metadata.algorithms or self._provider.algorithms
        return tuple(one for one in self._provider.algorithms if one in offered)

    def _check_issuer(self, metadata: Metadata, answer: Mapping[str, str]) -> None:
        """Refuse the answer of another provider, which may lead this one's code astray (RFC 9207 2.4)."""
        given = answer.get("iss")
        if given is None and not metadata.names_issuer:
            return
        if given != self._provider.issuer:
            raise LoginRefusedError(
                _(
                    "This answer is not from %(provider)s: its issuer is missing or another. Log in again.",
                    provider=self._provider.label,
                )
            )

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Translate the errors of adapters into those that the port promises."""
        label = self._provider.label
        try:
            yield
        except TokenRefusedError as refused:
            raise LoginRefusedError(
                _("%(provider)s proved nothing that this hub accepts. %(detail)s", provider=label, detail=str(refused))
            ) from None
        except (FetchError, MetadataError) as error:
            raise ProviderUnavailableError(
                _("%(provider)s does not answer as it should. %(detail)s", provider=label, detail=str(error))
            ) from None


def merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims of *first*, with those of *second* that *first* lacks.

    Whether an address is verified counts for the very address beside it, or the same one: an address from one source
    never borrows the word of the other for a different one.
    """
    claims = {**second, **first}
    own = first if "email" in first else second
    other = second if own is first else first
    if "email_verified" in own:
        claims["email_verified"] = own["email_verified"]
    elif own.get("email") != other.get("email"):
        claims.pop("email_verified", None)
    return claims


def _claims_in(id_token: str) -> Mapping[str, Any]:
    """Return the claims of an ID token that was validated when it came; {} without one."""
    try:
        return tokens.unverified_claims_of(id_token)
    except TokenRefusedError:
        return {}
