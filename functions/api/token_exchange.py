"""Token exchange (RFC 8693) at the token endpoint: the proof of a workload for a short-lived token of the hub."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from functions.api.dependencies import address_of
from functions.api.error_handlers import retry_later
from functions.api.json_codec import JSONResponse
from functions.api.provider_pool import in_provider_pool
from hubless.bootstrap.hub import Hub
from hubless.domain.errors import ProviderUnavailableError
from hubless.services.token_exchange import (
    INVALID_REQUEST,
    INVALID_TARGET,
    ExchangedToken,
    ExchangeRefusal,
    ExchangeRequest,
)

TOKEN_EXCHANGE: Final = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 a grant type
ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 a token type
_SAFE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_KNOWN = frozenset({"grant_type", "subject_token", "subject_token_type", "requested_token_type", "scope", "rule"})


async def exchange(request: Request, hub: Hub, form: FormData) -> Response:
    """Answer a request for token exchange, with errors as in RFC 6749 5.2."""
    asked = _request_in(form, has_rules=bool(hub.settings.workloads))
    if isinstance(asked, ExchangeRefusal):
        return _refusal(asked)
    try:
        done = await in_provider_pool(hub.token_exchange.exchange, asked, address_of(request))
    except ProviderUnavailableError as away:
        return _problem("temporarily_unavailable", f"{away} Try again in a moment.", 503)
    match done:
        case ExchangedToken():
            return JSONResponse(_token(done), 200, _SAFE)
        case ExchangeRefusal():
            return _refusal(done)
        case _:
            why = f"Too many proofs from this address were refused. Wait up to {done.minutes} minutes."
            return _problem("slow_down", why, 429, retry_later(hub))


def _request_in(form: FormData, *, has_rules: bool) -> ExchangeRequest | ExchangeRefusal:
    fields = form.multi_items()
    if not has_rules:
        no_rules = "This hub has no rules for workloads: its operator adds them as [[workloads]]."
        return ExchangeRefusal("unsupported_grant_type", no_rules)
    if len({name for name, _ in fields}) != len(fields):
        return ExchangeRefusal(INVALID_REQUEST, "Each parameter must be there once.")
    given = {name: text for name, text in fields if isinstance(text, str) and text}
    if {"audience", "resource"} & given.keys():
        return ExchangeRefusal(INVALID_TARGET, "Tokens are for this hub alone: leave out audience and resource.")
    if why := _fault_in(given):
        return ExchangeRefusal(INVALID_REQUEST, why)
    return ExchangeRequest(
        proof=given["subject_token"],
        proof_type=given["subject_token_type"],
        scopes=tuple(given.get("scope", "").split()),
        rule=given.get("rule", ""),
    )


def _fault_in(given: Mapping[str, str]) -> str | None:
    if unknown := sorted(given.keys() - _KNOWN):
        return f"The parameter {unknown[0][:60]!r} is not known here."
    if missing := [name for name in ("subject_token", "subject_token_type") if name not in given]:
        return f"The parameter {missing[0]} is missing."
    if given.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        return f"The hub gives tokens of the type {ACCESS_TOKEN} alone."
    return None


def _token(done: ExchangedToken) -> dict[str, Any]:
    token, expires_at = done.token, done.token.expires_at
    assert expires_at is not None  # noqa: S101 rules have lifetimes
    return {
        "access_token": done.secret,
        "issued_token_type": ACCESS_TOKEN,
        "token_type": "Bearer",
        "expires_in": int((expires_at - token.created_at).total_seconds()),
        "scope": " ".join(token.scopes),
    }


def _refusal(refusal: ExchangeRefusal) -> Response:
    return _problem(refusal.error, refusal.why, 400)


def _problem(error: str, why: str, status: int, more: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": error, "error_description": _plain(why)}, status, _SAFE | (more or {}))


def _plain(text: str) -> str:
    r"""Return *text* with the characters that RFC 6749 5.2 allows: no quotes, backslashes or letters beyond ASCII."""
    return "".join("'" if one == '"' else one if " " <= one <= "~" and one != "\\" else "?" for one in text)
