"""Second factors as stores keep them: a JSON object beside the user's id and the revision."""

import base64
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from hubless.domain.second_factors import AuthenticatorApp, Factors, Passkey

_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


def to_facts(factors: Factors) -> dict[str, Any]:
    """Return the record as JSON; instants are microseconds since 1970 in UTC, bytes are base64."""
    app = factors.app
    return {
        "app": None
        if app is None
        else {
            "secret": _text(app.sealed_secret),
            "added_at": _number(app.added_at),
            "last_step": app.last_step,
            "is_imported": app.is_imported,
        },
        "passkeys": [
            {
                "id": one.id,
                "public_key": _text(one.public_key),
                "sign_count": one.sign_count,
                "rp_id": one.rp_id,
                "name": one.name,
                "added_at": _number(one.added_at),
                "last_used_at": _number(one.last_used_at),
            }
            for one in factors.passkeys
        ],
        "recovery_codes": list(factors.recovery_codes),
        "failures": factors.failures,
        "failed_at": _number(factors.failed_at),
        "reset_at": _number(factors.reset_at),
        "reset_by": factors.reset_by,
    }


def of_facts(user_id: str, revision: int, facts: Mapping[str, Any]) -> Factors:
    """Return the record that `to_facts` wrote."""
    app = facts["app"]
    return Factors(
        user_id,
        revision,
        app=None
        if app is None
        else AuthenticatorApp(
            base64.b64decode(app["secret"]), _instant(app["added_at"]), app["last_step"], app["is_imported"]
        ),
        passkeys=tuple(
            Passkey(
                one["id"],
                base64.b64decode(one["public_key"]),
                one["sign_count"],
                one["rp_id"],
                one["name"],
                _instant(one["added_at"]),
                _maybe_instant(one["last_used_at"]),
            )
            for one in facts["passkeys"]
        ),
        recovery_codes=tuple(facts["recovery_codes"]),
        failures=facts["failures"],
        failed_at=_maybe_instant(facts["failed_at"]),
        reset_at=_maybe_instant(facts["reset_at"]),
        reset_by=facts["reset_by"],
    )


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _number(at: datetime | None) -> int | None:
    return None if at is None else (at - _EPOCH) // _MICROSECOND


def _instant(number: int) -> datetime:
    return _EPOCH + number * _MICROSECOND


def _maybe_instant(number: int | None) -> datetime | None:
    return None if number is None else _instant(number)
