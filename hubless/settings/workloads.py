"""The settings of `[[workloads]]`: which programs get short-lived tokens of the hub for a proof of who they are."""

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from hubless.domain import scopes as known_scopes
from hubless.domain.claims import check_expression
from hubless.domain.errors import InvalidRequestError
from hubless.domain.values import value
from hubless.domain.workloads import MAX_LIFETIME, WorkloadKind, WorkloadRule, check_rule
from hubless.settings.types import (
    FLAG,
    NAME,
    SOME,
    TABLE,
    TEXT,
    URL,
    SettingsError,
    SettingType,
    choice,
    duration,
    setting,
    user_name,
)

GITHUB_ISSUER = "https://token.actions.githubusercontent.com"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_LONGEST = f"{MAX_LIFETIME // timedelta(hours=1)}h"


def _conditions(given: Any) -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for claim, wanted in TABLE.read(given).items():
        check_expression(claim)
        texts = [wanted] if isinstance(wanted, str) else wanted
        if not claim or not isinstance(texts, list) or not texts or not all(isinstance(one, str) for one in texts):
            raise ValueError
        found[claim] = tuple(texts)
    return found


def _key_set(given: Any) -> str:
    if not TEXT.read(given):
        return ""
    found = json.loads(given)  # raises ValueError
    if not isinstance(found, dict) or not isinstance(found.get("keys"), list):
        raise ValueError  # noqa: TRY004 of one text, which is no key set
    return str(given)


def _owner(given: Any) -> str:
    return user_name(given) if TEXT.read(given) else ""


_CONDITIONS = SettingType('a table of texts, or of lists of texts, such as { repository = "org/app" }', _conditions)
KEY_SET = SettingType("a JSON Web Key Set as text", _key_set)
_USER_NAME = SettingType("a user's name", _owner)


@value
class WorkloadSettings:
    """One of `[[workloads]]`: a rule by which programs get short-lived tokens."""

    name: str = setting(None, NAME, "The rule's name, which the log names")
    kind: str = setting(
        None, choice("github", "kubernetes", "aws", "oidc"), "Who vouches for the program; `oidc` for other issuers"
    )
    conditions: Mapping[str, tuple[str, ...]] = setting(
        None,
        _CONDITIONS,
        "What all must hold: texts by claim; `*` stands for any characters, `?` for one",
    )
    scopes: tuple[str, ...] = setting(None, SOME, "The scopes of the token, which its owner must have too")
    user: str = setting("", _USER_NAME, "The user who owns the token; the hub does not create it")
    service: str = setting("", TEXT, "The service of `[[services]]` that owns the token, instead of a user")
    issuer: str = setting("", URL, "The issuer of the tokens (`iss`); for `kubernetes` and `oidc`")
    audience: str = setting("", TEXT, "What the proof must be made for (`aud`); empty for the hub's address")
    keys_url: str = setting("", URL, "The address of the issuer's key set; empty for what its metadata say")
    keys: str = setting("", KEY_SET, "The issuer's key set itself, as JSON, for a cluster that the hub does not reach")
    lifetime: timedelta = setting("1h", duration("1m", _LONGEST), "How long the token is valid")
    reuse_proofs: bool = setting(
        False,
        FLAG,
        "Whether a proof with an id counts more than once; always so for `kubernetes`, whose pods keep one for an hour",
    )


@value
class WorkloadIssuer:
    """Where the keys of an issuer are: *keys* is a key set as JSON; without both, its metadata say where."""

    issuer: str
    keys_url: str = ""
    keys: str = ""


@value
class Workloads:
    """The rules, and the issuers that they name."""

    rules: tuple[WorkloadRule, ...] = ()
    issuers: tuple[WorkloadIssuer, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rules)


def workloads_of(given: Iterable[WorkloadSettings], services: Collection[str]) -> Workloads:
    """Return the rules that settings describe; *services* are the names in `[[services]]`.

    Raises:
        SettingsError: naming the key that is missing, wrong, or without effect.
    """
    entries = tuple(given)
    issuers: dict[str, WorkloadIssuer] = {}
    for one in entries:
        issuer = _issuer(one)
        if issuer and issuers.setdefault(issuer.issuer, issuer) != issuer:
            raise SettingsError(
                f"workloads.{one.name} names other keys of {issuer.issuer} than the rules before: they must be the same"
            )
    return Workloads(tuple(_rule(one, services) for one in entries), tuple(issuers.values()))


def _rule(given: WorkloadSettings, services: Collection[str]) -> WorkloadRule:
    where, kind = f"workloads.{given.name}", WorkloadKind(given.kind)
    if bool(given.user) == bool(given.service):
        raise SettingsError(f"{where} needs either {where}.user or {where}.service: one owner of the token")
    if given.service and given.service not in services:
        raise SettingsError(f'{where}.service is "{given.service}", which is not in [[services]]')
    try:
        for scope in given.scopes:
            if not scope.startswith("custom:"):  # those are defined later
                known_scopes.parse(scope)
    except InvalidRequestError as unknown:
        raise SettingsError(f"{where}.scopes: {unknown}") from None
    rule = WorkloadRule(
        name=given.name,
        kind=kind,
        issuer=given.issuer or (GITHUB_ISSUER if kind is WorkloadKind.GITHUB else ""),
        audience=given.audience,
        conditions=given.conditions,
        user=given.user,
        service=given.service,
        scopes=given.scopes,
        lifetime=given.lifetime,
        single_use=not given.reuse_proofs and kind is not WorkloadKind.KUBERNETES,
    )
    try:
        check_rule(rule)
    except ValueError as wrong:
        raise SettingsError(f"{where}.conditions: {wrong}") from None
    return rule


def _issuer(given: WorkloadSettings) -> WorkloadIssuer | None:
    where, kind = f"workloads.{given.name}", WorkloadKind(given.kind)
    if kind is WorkloadKind.AWS:
        for key in ("issuer", "keys_url", "keys"):
            if getattr(given, key):
                raise SettingsError(f'{where}.{key} has no effect if {where}.kind is "aws": remove it')
        return None
    if kind is not WorkloadKind.GITHUB and not given.issuer:
        raise SettingsError(f'{where}.issuer is missing: {where}.kind = "{given.kind}" needs it')
    if given.keys and given.keys_url:
        raise SettingsError(f"{where}.keys and {where}.keys_url exclude each other: set one of them")
    for key, url in (("issuer", given.issuer), ("keys_url", given.keys_url)):
        needs_https = not (key == "issuer" and (given.keys or given.keys_url))  # else nobody asks it
        if url and needs_https and urlsplit(url).scheme != "https" and urlsplit(url).hostname not in _LOOPBACK:
            raise SettingsError(
                f'{where}.{key} is "{url}", but it must start with https:// (only this machine need not)'
            )
    return WorkloadIssuer(given.issuer or GITHUB_ISSUER, given.keys_url, given.keys)
