"""LTIAuthenticator as `[[lti_platforms]]`: LTI 1.3 has all that the hub needs, LTI 1.1 nothing of it."""

from typing import Any
from urllib.parse import urlsplit

from embedded.settings_import import conversions
from embedded.settings_import.draft import Draft
from embedded.settings_import.old_settings import Found, Traits, variables_in
from hubless.settings.lti import PRESETS

_CLASSES = ("LTI13Authenticator", "LTI13LaunchValidator")
_OLD_CLASSES = ("LTI11Authenticator", "LTIAuthenticator")
_ADDRESSES = (
    ("issuer", "issuer", "https://ISSUER.invalid"),
    ("authorize_url", "authorization_url", "https://AUTHORIZATION-URL.invalid"),
    ("jwks_endpoint", "key_set_url", "https://KEY-SET-URL.invalid"),
)
_NO_TOKEN_URL = "https://TOKEN-URL.invalid"  # noqa: S105 an address
_CUSTOM = "custom_"
_AT_THE_LMS = "Give the LMS the new addresses, as docs/login-lti.md shows them."


def is_one(name: str) -> bool:
    """Say whether the class *name* logs in people of an LMS."""
    return "LTI1" in name or name in _OLD_CLASSES


def bring(traits: Traits, draft: Draft) -> None:
    """Write an entry for each client id that an LMS gave the old hub."""
    for name in _OLD_CLASSES:
        for found in traits.take_all(name).values():
            to_do = "Register the hub at the LMS anew, by LTI 1.3 (docs/login-lti.md)."
            draft.leave_out("lti_platforms", found.label, found.value, "this hub speaks LTI 1.3 only", to_do)
    clients = traits.take("client_id", *_CLASSES)
    addresses = {trait: traits.take(trait, *_CLASSES) for trait, _, _ in _ADDRESSES}
    key = traits.take("username_key", *_CLASSES)
    if clients is None and not any(addresses.values()):
        draft.say("lti_platforms", "The old settings name no LMS that speaks LTI 1.3: add [[lti_platforms]].")
        return
    comments: list[str] = []
    table = _where(addresses, comments)
    if key and (claim := _claim(key, comments)):
        table["username_claim"] = claim
    comments.append(
        "An imported user whose name somebody of the LMS gets is somebody else, until `hubless user link NAME` says"
        " that they are one, or match_existing is true (docs/login-lti.md)."
    )
    for number, client in enumerate(_client_ids(clients, comments)):
        name = table["kind"] if table["kind"] != "other" else "lms"
        own = {"name": name if number == 0 else f"{name}-{number + 1}", "client_id": client, **table}
        draft.add("lti_platforms", own, "c.LTI13Authenticator", comments if number == 0 else ())
    draft.say("lti_platforms", _AT_THE_LMS)


def _where(addresses: dict[str, Found | None], comments: list[str]) -> dict[str, Any]:
    """Return the kind of the LMS, or else its addresses."""
    given = {key: _address(addresses[trait], placeholder, comments) for trait, key, placeholder in _ADDRESSES}
    parts = urlsplit(given["authorization_url"])
    url = f"{parts.scheme}://{parts.netloc}"
    for kind, preset in PRESETS.items():
        full = {key: preset.get(key, "").replace("{url}", url) for key in given}
        own_prefix = parts.path.partition("/mod/lti/")[0] if kind == "moodle" else ""
        full = {key: one.replace(url, url + own_prefix) for key, one in full.items()} if own_prefix else full
        if preset and all(full[key] == given[key] for key in ("issuer", "authorization_url")):
            return {"kind": kind, **({"url": url + own_prefix} if "{url}" in preset["issuer"] else {})}
    comments.append(
        f"The old hub did not know the address from which access tokens come: put it in place of {_NO_TOKEN_URL}."
        " Grades and rosters need it."
    )
    return {"kind": "other", **given, "token_url": _NO_TOKEN_URL}


def _address(found: Found | None, placeholder: str, comments: list[str]) -> str:
    try:
        given = conversions.text(found.value) if found else ""
        if given and not variables_in(given) and conversions.origin(given):
            return given
    except (ValueError, TypeError):
        pass
    comments.append(f"The old settings do not say an address: put it in place of {placeholder}.")
    return placeholder


def _client_ids(found: Found | None, comments: list[str]) -> list[str]:
    try:
        given = [one for one in conversions.texts(found.value) if one and not variables_in(one)] if found else []
    except ValueError:
        given = []
    if given:
        return list(dict.fromkeys(given))
    made_of = variables_in(found.value) if found else []
    what = f"the variable {made_of[0]}" if made_of else "what the LMS gave the old hub"
    comments.append(f"The old settings do not say the client id: put {what} in place of CLIENT-ID.")
    return ["CLIENT-ID"]


def _claim(found: Found, comments: list[str]) -> str:
    given = found.value
    if not isinstance(given, str) or variables_in(given):
        comments.append(f"Not brought over: {found.label}: it is no text. Set username_claim.")
        return ""
    if given == "email":
        comments.append("Names were whole addresses; here they are what is before the @.")
    return f"custom.{given.removeprefix(_CUSTOM)}" if given.startswith(_CUSTOM) else given
