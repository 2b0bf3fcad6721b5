"""Logins at GitHub, or at a GitHub Enterprise Server: OAuth 2 and the REST API, as GitHub has no ID tokens."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote

from hubless.adapters.jose.fetching import Fetcher, FetchError
from hubless.adapters.oidc.authorization import authorization_url, code_in
from hubless.adapters.oidc.token_requests import TokenAnswer, TokenEndpoint
from hubless.adapters.oidc.vouching import auth_state_of, vouched
from hubless.domain.errors import LoginRefusedError, ProviderUnavailableError
from hubless.domain.providers import ClientAuthentication, Provider
from hubless.domain.translatable import gettext as _
from hubless.ports.clock import Clock
from hubless.ports.login_providers import AuthorizationRequest, LogoutNotice, ProviderCheck, VouchedPerson

PUBLIC: Final = "https://github.com"
_PER_PAGE, _MAX_PAGES = 100, 10  # GitHub gives at most 100 a page; a person in more than 1,000 teams is refused
_UNAUTHORIZED, _OK = 401, 200
_MEMBERSHIPS = ("organizations", "teams")  # claims of ours


class GithubProvider:
    """GitHub; threads may share it. Claims are those of `GET /user`, a verified `email`, organisations and teams."""

    def __init__(self, provider: Provider, fetcher: Fetcher, clock: Clock) -> None:
        self._provider, self._fetcher, self._clock = provider, fetcher, clock
        self._api = "https://api.github.com" if provider.issuer == PUBLIC else f"{provider.issuer}/api/v3"

    @property
    def provider(self) -> Provider:
        return self._provider

    def authorization_url(self, request: AuthorizationRequest) -> str:
        return authorization_url(self._provider, f"{self._provider.issuer}/login/oauth/authorize", request)

    def complete(self, request: AuthorizationRequest, answer: Mapping[str, str]) -> VouchedPerson:
        with self._in_words():
            code = code_in(answer, self._provider.label)
            given = self._token_endpoint.redeem(
                code, redirect_uri=request.redirect_uri, verifier=request.verifier, now=self._clock.now()
            )
            return self._vouched(given)

    def refresh(self, subject: str, auth_state: Mapping[str, Any]) -> VouchedPerson | None:
        """Ask again with the token of the login: those of OAuth apps do not expire, those of GitHub apps may."""
        refresh_token, access_token = auth_state.get("refresh_token"), auth_state.get("access_token")
        with self._in_words():
            if isinstance(refresh_token, str) and refresh_token:
                given = self._token_endpoint.refresh(refresh_token, now=self._clock.now())
            elif isinstance(access_token, str) and access_token:
                given = TokenAnswer(access_token, "", "", {})
            else:
                return None
            found = self._vouched(given)
        if found.subject != subject:
            raise LoginRefusedError(
                _("%(provider)s answered about another person. Log in again.", provider=self._provider.label)
            )
        return found

    def logout_url(self, auth_state: Mapping[str, Any], return_to: str) -> str | None:  # noqa: ARG002 GitHub has none
        return None

    def logout_notice(self, token: str) -> LogoutNotice:  # noqa: ARG002 GitHub sends none
        raise LoginRefusedError("GitHub sends no notices of logouts.")

    def check(self) -> ProviderCheck:
        from hubless.adapters.oidc.checking import check_github  # noqa: PLC0415 only `hubless check` needs it

        return check_github(self._provider, self._api, self._fetcher, self._clock)

    @property
    def _token_endpoint(self) -> TokenEndpoint:
        url = f"{self._provider.issuer}/login/oauth/access_token"
        return TokenEndpoint(self._provider, url, self._fetcher, (ClientAuthentication.POST.value,))

    def _vouched(self, given: TokenAnswer) -> VouchedPerson:
        token = given.access_token
        user = self._get("/user", token)
        if not isinstance(user, Mapping) or not isinstance(user.get("id"), int) or isinstance(user["id"], bool):
            raise FetchError("GitHub gave no user with an id.")
        claims = {key: known for key, known in user.items() if key not in {"email", "email_verified"}}
        claims |= self._address(token)
        if self._provider.organizations or self._rules_name_memberships:
            claims |= self._memberships(token)
        self._require_organization(claims)
        state = auth_state_of(given, claims, self._provider)
        return vouched(self._provider, claims, subject=str(user["id"]), auth_state=state)

    def _address(self, token: str) -> dict[str, Any]:
        """Return the person's primary address if GitHub has verified it; the one of the profile may be anything."""
        if "user:email" not in self._provider.scopes and "user" not in self._provider.scopes:
            return {}
        found = self._get("/user/emails", token)
        for one in found if isinstance(found, list) else []:
            if isinstance(one, Mapping) and one.get("primary") is True and one.get("verified") is True:
                return {"email": one.get("email"), "email_verified": True}
        return {}

    def _memberships(self, token: str) -> dict[str, list[str]]:
        organizations = [_text(one, "login") for one in self._all("/user/orgs", token)]
        teams = [
            (_text(one.get("organization"), "login"), _text(one, "slug")) for one in self._all("/user/teams", token)
        ]
        return {
            "organizations": [one for one in organizations if one],
            "teams": [f"{organization}:{team}" for organization, team in teams if organization and team],
        }

    @property
    def _rules_name_memberships(self) -> bool:
        rules = self._provider.rules
        return any(
            claim in expression
            for expression in (rules.groups_claim, rules.admin_expression, rules.allow_expression)
            for claim in _MEMBERSHIPS
        )

    def _require_organization(self, claims: Mapping[str, Any]) -> None:
        wanted = self._provider.organizations
        held = {one.lower() for claim in _MEMBERSHIPS for one in claims.get(claim, ())}
        if wanted and held.isdisjoint(wanted):
            raise LoginRefusedError(
                _(
                    "Your account at %(provider)s is not in an organisation or team that may log in here. If it is, let"
                    " this hub see the organisation: GitHub asks about that when you log in.",
                    provider=self._provider.label,
                )
            )

    def _all(self, path: str, token: str) -> list[Mapping[str, Any]]:
        """Return all entries of a list."""
        entries: list[Mapping[str, Any]] = []
        for page in range(1, _MAX_PAGES + 1):
            found = self._get(f"{path}?per_page={_PER_PAGE}&page={quote(str(page))}", token)
            if not isinstance(found, list):
                raise FetchError(f"GitHub gave no list at {path}.")
            entries += [one for one in found if isinstance(one, Mapping)]
            if len(found) < _PER_PAGE:
                return entries
        raise LoginRefusedError(
            _(
                "You are in more than %(number)s organisations or teams at %(provider)s, and this hub reads no more.",
                number=_PER_PAGE * _MAX_PAGES,
                provider=self._provider.label,
            )
        )

    def _get(self, path: str, token: str) -> Any:
        headers = {
            "Accept": "application/vnd.github+json",
            "Authorization": f"Bearer {token}",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        answer = self._fetcher.request("GET", f"{self._api}{path}", headers)
        if answer.status == _UNAUTHORIZED:
            raise LoginRefusedError(
                _("%(provider)s no longer accepts the hub's token. Log in again.", provider=self._provider.label)
            )
        if answer.status != _OK:
            raise FetchError(f"GitHub answered {answer.status} to GET {path.partition('?')[0]}.")
        return answer.json()

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        try:
            yield
        except FetchError as error:
            raise ProviderUnavailableError(
                _(
                    "%(provider)s does not answer as it should. %(detail)s",
                    provider=self._provider.label,
                    detail=str(error),
                )
            ) from None


def _text(given: Any, name: str) -> str:
    found = given.get(name) if isinstance(given, Mapping) else None
    return found if isinstance(found, str) else ""
