"""Asks LMS over HTTP: bounded in time, size and pages, never at an address that its platform does not cover."""

import json
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, Final
from urllib.parse import urlencode, urljoin, urlsplit

from hubless.adapters.jose.fetching import Answer, Fetcher, FetchError, host_of
from hubless.adapters.jose.key_sets import FetchedKeys
from hubless.adapters.jose.tokens import TokenRefusedError, validate
from hubless.domain.errors import LtiRefusedError, LtiServiceError
from hubless.domain.lti_messages import MAX_URL
from hubless.domain.lti_platforms import LtiPlatform
from hubless.domain.lti_scopes import LINE_ITEMS, MEMBERS, RESULTS, SCORES
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.lms import Member

MAX_PAGES: Final = 100
MAX_LISTED: Final = 10_000
_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_LIFETIME = timedelta(minutes=5)
_TOKEN_MARGIN = timedelta(seconds=60)  # before its end, in which it is asked for again
_DEFAULT_LIFETIME = timedelta(minutes=5)
_MAX_ACCESS_TOKEN = 16_384
_NEXT = re.compile(r'<([^<>]{1,4096})>\s*;[^,]*\brel="?next"?', re.IGNORECASE)
_MEMBERSHIP = "application/vnd.ims.lti-nrps.v2.membershipcontainer+json"
_ITEMS = "application/vnd.ims.lis.v2.lineitemcontainer+json"
_ITEM = "application/vnd.ims.lis.v2.lineitem+json"
_SCORE = "application/vnd.ims.lis.v1.score+json"
_RESULTS = "application/vnd.ims.lis.v2.resultcontainer+json"
_UNAUTHORIZED = 401
_MOODLES_KEYS, _MOODLES_OWN = "/mod/lti/certs.php", "/mod/lti/openid-configuration.php"


@value
class _AccessToken:
    text: str
    expires_at: datetime


class HttpLms:
    """Asks LMS over HTTP; threads may share one."""

    def __init__(self, fetcher: Fetcher, clock: Clock, sign: Callable[[Mapping[str, Any]], str]) -> None:
        """Create one; *sign* signs claims with the hub's key."""
        self._fetcher, self._clock, self._sign = fetcher, clock, sign
        self._lock = Lock()
        self._keys: dict[str, FetchedKeys] = {}  # by their address, of which the settings and admins name few
        self._tokens: dict[tuple[str, str, str], _AccessToken] = {}

    def claims_of(self, platform: LtiPlatform, id_token: str, *, nonce: str, now: datetime) -> dict[str, Any]:
        try:
            return validate(
                id_token,
                keys=self._keys_of(platform),
                algorithms=_ALGORITHMS,
                issuer=platform.issuer,
                audience=platform.client_id,
                now=now,
                essential=("exp", "iat", "nonce"),
                nonce=nonce,
                authorized_party=platform.client_id,
            )
        except TokenRefusedError as refused:
            raise LtiRefusedError(
                _(
                    "The message of the LMS proves nothing: %(why)s The hub expects the platform %(name)s with the"
                    " issuer %(issuer)s and the client id %(client_id)s. Compare both, and the key set %(key_set)s,"
                    " with what the LMS shows for this tool.",
                    why=str(refused),
                    name=repr(platform.name),
                    issuer=platform.issuer,
                    client_id=platform.client_id,
                    key_set=platform.key_set_url,
                )
            ) from refused
        except FetchError as error:
            raise LtiRefusedError(
                _(
                    "The hub cannot read the keys of the LMS: %(why)s Check key_set_url of the platform %(name)s.",
                    why=str(error),
                    name=repr(platform.name),
                )
            ) from error

    def check(self, platform: LtiPlatform) -> str | None:
        try:
            FetchedKeys(platform.key_set_url, self._fetcher, self._clock).find(None)
        except FetchError as error:
            return f"{error} Check key_set_url, which is {platform.key_set_url}."
        if not platform.key_set_url.endswith(_MOODLES_KEYS):
            return None
        try:
            said = self.configuration(platform.key_set_url.removesuffix(_MOODLES_KEYS) + _MOODLES_OWN).get("issuer")
        except LtiServiceError:
            return None  # before Moodle 3.10 there is none
        if said == platform.issuer:
            return None
        return f"The issuer is {platform.issuer!r}, and Moodle says that it is {str(said)[:200]!r}. Set it to that."

    def members(self, platform: LtiPlatform, url: str) -> Iterator[Member]:
        for page in self._pages(platform, url, MEMBERS, _MEMBERSHIP):
            found = page.get("members") if isinstance(page, dict) else None
            if not isinstance(found, list):
                raise LtiServiceError(f"{host_of(url)} answered no list of members.")
            for one in found:
                if isinstance(one, dict):
                    yield Member(one, str(one.get("status", "Active")).lower() == "active")

    def line_items(self, platform: LtiPlatform, url: str) -> list[dict[str, Any]]:
        return self._listed(platform, url, LINE_ITEMS, _ITEMS)

    def create_line_item(self, platform: LtiPlatform, url: str, item: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._ask(
            platform, "POST", url, LINE_ITEMS, headers={"Content-Type": _ITEM, "Accept": _ITEM}, body=item
        )
        made = _json_of(answer, url)
        if not isinstance(made, dict):
            raise LtiServiceError(f"{host_of(url)} answered no line item.")
        return made

    def put_score(self, platform: LtiPlatform, line_item: str, score: Mapping[str, Any]) -> None:
        self._ask(platform, "POST", _below(line_item, "scores"), SCORES, headers={"Content-Type": _SCORE}, body=score)

    def results(self, platform: LtiPlatform, line_item: str) -> list[dict[str, Any]]:
        return self._listed(platform, _below(line_item, "results"), RESULTS, _RESULTS)

    def configuration(self, url: str) -> dict[str, Any]:
        try:
            found = self._fetcher.get_json(url)
        except FetchError as error:
            raise LtiServiceError(str(error)) from error
        if not isinstance(found, dict):
            raise LtiServiceError(f"{host_of(url)} answered no OpenID configuration.")
        return found

    def register(self, url: str, token: str, tool: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        answer = self._send("POST", url, headers, json.dumps(tool))
        made = _json_of(answer, url)
        if not isinstance(made, dict):
            raise LtiServiceError(f"{host_of(url)} answered no registration.")
        return made

    # --- services ---

    def _listed(self, platform: LtiPlatform, url: str, scope: str, kind: str) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = []
        for page in self._pages(platform, url, scope, kind):
            if not isinstance(page, list):
                raise LtiServiceError(f"{host_of(url)} answered no list.")
            listed += [one for one in page if isinstance(one, dict)]
            if len(listed) > MAX_LISTED:
                raise LtiServiceError(f"{host_of(url)} lists more than {MAX_LISTED} entries.")
        return listed

    def _pages(self, platform: LtiPlatform, url: str, scope: str, kind: str) -> Iterator[Any]:
        """Yield the JSON of each page; a page names the next one in its header `Link` (RFC 8288)."""
        following: str | None = url
        for _page in range(MAX_PAGES):
            if following is None:
                return
            answer = self._ask(platform, "GET", following, scope, headers={"Accept": kind})
            yield _json_of(answer, url)
            following = _next_page(answer, following)
        if following is not None:
            raise LtiServiceError(f"{host_of(url)} answers with more than {MAX_PAGES} pages.")

    def _ask(
        self,
        platform: LtiPlatform,
        method: str,
        url: str,
        scope: str,
        *,
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
    ) -> Answer:
        """Return the answer to a request with a token; once more with a new token if the LMS takes this one no more."""
        require_covered(platform, url)
        sent = None if body is None else json.dumps(body)
        for is_second in (False, True):
            token = self._token(platform, scope, anew=is_second)
            answer = self._send(
                method, url, {**headers, "Authorization": f"Bearer {token}"}, sent, may_be=(_UNAUTHORIZED,)
            )
            if answer.status != _UNAUTHORIZED:
                return answer
        raise LtiServiceError(f"{host_of(url)} refuses the token that it gave this hub.")

    def _token(self, platform: LtiPlatform, scope: str, *, anew: bool) -> str:
        """Return an access token of this *scope* (client credentials with an assertion, RFC 7523), perhaps a kept one.

        Two threads may ask for one at the same time: both are good.
        """
        key, now = (platform.token_url, platform.client_id, scope), self._clock.now()
        with self._lock:
            kept = self._tokens.get(key)
        if kept is not None and not anew and now < kept.expires_at:
            return kept.text
        made = self._new_token(platform, scope, now)
        with self._lock:
            self._tokens[key] = made
        return made.text

    def _new_token(self, platform: LtiPlatform, scope: str, now: datetime) -> _AccessToken:
        seconds = int(now.timestamp())
        assertion = self._sign(
            {
                "iss": platform.client_id,
                "sub": platform.client_id,
                "aud": platform.audience,
                "iat": seconds,
                "exp": seconds + int(_ASSERTION_LIFETIME.total_seconds()),
                "jti": secrets.token_urlsafe(16),
            }
        )
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": _ASSERTION,
            "client_assertion": assertion,
            "scope": scope,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        answer = self._send("POST", platform.token_url, headers, urlencode(form))
        found = _json_of(answer, platform.token_url)
        text = found.get("access_token") if isinstance(found, dict) else None
        if not isinstance(text, str) or not 0 < len(text) <= _MAX_ACCESS_TOKEN or not text.isprintable():
            raise LtiServiceError(f"{host_of(platform.token_url)} gave no access token.")
        return _AccessToken(text, now + _lifetime_of(found.get("expires_in")) - _TOKEN_MARGIN)

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: str | None = None,
        *,
        may_be: tuple[int, ...] = (),
    ) -> Answer:
        try:
            answer = self._fetcher.request(method, url, headers, body)
        except FetchError as error:
            raise LtiServiceError(str(error)) from error
        if not 200 <= answer.status < 300 and answer.status not in may_be:  # noqa: PLR2004 success (RFC 9110 15.3)
            raise LtiServiceError(
                f"{host_of(url)} answered {answer.status} to {method} {urlsplit(url).path}. Check that the LMS lets"
                " this tool use the service."
            )
        return answer

    def _keys_of(self, platform: LtiPlatform) -> FetchedKeys:
        with self._lock:
            if platform.key_set_url not in self._keys:
                self._keys[platform.key_set_url] = FetchedKeys(platform.key_set_url, self._fetcher, self._clock)
            return self._keys[platform.key_set_url]


def require_covered(platform: LtiPlatform, url: str) -> None:
    """Refuse an address that the hub must not ask with a token of *platform*: only HTTPS, or where the platform is.

    Raises:
        LtiServiceError: when it is another.
    """
    parts, own = urlsplit(url), urlsplit(platform.token_url)
    if parts.scheme != "https" and (parts.scheme, parts.netloc) != (own.scheme, own.netloc):
        raise LtiServiceError(f"The LMS names a service at {host_of(url)[:200]}, which is not reached by https.")


def _next_page(answer: Answer, here: str) -> str | None:
    """Return the address of the next page, which must be at the same host.

    Raises:
        LtiServiceError: when it is elsewhere.
    """
    found = _NEXT.search(answer.headers.get("link", "")[: 4 * MAX_URL])
    if found is None:
        return None
    following = urljoin(here, found[1])
    if urlsplit(following)[:2] != urlsplit(here)[:2]:
        raise LtiServiceError(f"{host_of(here)} names a next page at another host.")
    return str(following)


def _below(line_item: str, part: str) -> str:
    """Return the address of a part of a line item: before the query, which Moodle's have."""
    parts = urlsplit(line_item)
    return parts._replace(path=f"{parts.path.rstrip('/')}/{part}").geturl()


def _json_of(answer: Answer, url: str) -> Any:
    try:
        return answer.json()
    except FetchError:
        raise LtiServiceError(f"{host_of(url)} answered no JSON.") from None


def _lifetime_of(seconds: Any) -> timedelta:
    if isinstance(seconds, str) and seconds.isascii() and seconds.isdigit():
        seconds = int(seconds[:9])
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 10**6:
        return _DEFAULT_LIFETIME
    return timedelta(seconds=seconds)
