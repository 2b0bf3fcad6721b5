"""Who logs in and how: the authenticator of a JupyterHub as `[login]`, `[[providers]]` or `[plugin]`."""

from collections.abc import Callable
from typing import Any

from embedded.settings_import import conversions, login_proxies, lti, plugins, providers
from embedded.settings_import.draft import Draft
from embedded.settings_import.hub import put
from embedded.settings_import.old_settings import Found, Named, OldSettings, Traits, variable_of
from hubless.settings.loading import ADMIN_PASSWORD, SHARED_PASSWORD
from hubless.settings.types import user_name

CLASSES = {
    "pam": "PAMAuthenticator",
    "default": "PAMAuthenticator",
    "dummy": "DummyAuthenticator",
    "shared-password": "SharedPasswordAuthenticator",
    "null": "NullAuthenticator",
    "native": "NativeAuthenticator",
    "firstuse": "FirstUseAuthenticator",
    "ldap": "LDAPAuthenticator",
    "tmp": "TmpAuthenticator",
    "auth0": "Auth0OAuthenticator",
    "azuread": "AzureAdOAuthenticator",
    "bitbucket": "BitbucketOAuthenticator",
    "cilogon": "CILogonOAuthenticator",
    "generic-oauth": "GenericOAuthenticator",
    "github": "GitHubOAuthenticator",
    "gitlab": "GitLabOAuthenticator",
    "globus": "GlobusOAuthenticator",
    "google": "GoogleOAuthenticator",
    "okta": "OktaOAuthenticator",
    "openshift": "OpenShiftOAuthenticator",
    "mediawiki": "MWOAuthenticator",
}
_DEFAULTS = {"jupyterhub": "pam", "tljh": "firstuse", "z2jh": "dummy"}
_ELSEWHERE = {
    "SAML": "Let an OpenID Connect provider such as Keycloak ask it, as [[providers]] (docs/login-openid.md), or a"
    " proxy, as [[login_proxies]] (docs/login-proxy.md).",
    "TMP": "This hub has no accounts that vanish: let people sign up, with login.sign_up (docs/login-passwords.md).",
}
_MEASURED = ("passwords are measured by how hard they are to guess", "See [passwords].")
_OF_PASSWORDS = {
    **dict.fromkeys(("minimum_password_length", "min_password_length", "check_common_password"), _MEASURED),
    **dict.fromkeys(
        ("allow_2fa", "ask_email_on_signup"),
        ("users do so by themselves at Account", "See login.second_factor and [mail]."),
    ),
    "dbm_path": ("the hub keeps passwords in its store", "Give the file to `hubless import --passwords`."),
    "allow_self_approval_for": (
        "a mail confirms an address, and approves nobody",
        "See sign_up.confirm_email and sign_up.email_domains.",
    ),
    **dict.fromkeys(
        ("secret_key", "recaptcha_key", "recaptcha_secret", "tos"),
        ("a sign-up has no such step", "See [sign_up] and [[join_codes]]."),
    ),
}
_BASE = ("LocalAuthenticator", "Authenticator")
_LETS_IN = ("allow_all", "allow_users", "allow_groups", "allow_existing_users")
_LOCAL = "Local"
_NAMES = (
    ("admin_users", "admins"),
    ("blocked_users", "blocked_users"),
    ("blacklist", "blocked_users"),
    ("blocked", "blocked_users"),
)
_ALLOWED = ("allowed_users", "whitelist")
_RULES: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
    ("allow_all", "allow_all", conversions.flag),
    ("allow_existing_users", "allow_existing_users", conversions.flag),
    ("allowed_groups", "allow_groups", conversions.texts),
    ("admin_groups", "admin_groups", conversions.texts),
    ("manage_groups", "managed_groups", conversions.flag),
    ("auto_login", "auto_login", conversions.flag),
)


def bring(old: OldSettings, traits: Traits, draft: Draft) -> None:
    """Bring over the authenticator, and who may log in."""
    _bring(old, traits, draft)
    if old.kind == "z2jh" and draft.get("plugin", "authenticator_class"):
        draft.say("plugin", "[plugin] works on one machine only: in AWS choose another kind of login (docs/login.md).")


def _bring(old: OldSettings, traits: Traits, draft: Draft) -> None:
    if admins := traits.take("admin_users", "JupyterHub"):
        _names("admins", admins, draft)
    chosen = traits.take("authenticator_class", "JupyterHub") or Found(_DEFAULTS[old.kind], "")
    if isinstance(chosen.value, Named) and chosen.value.is_imported:
        chosen = Found(chosen.value.name, chosen.label)
    if variable_of(chosen.value) or not isinstance(chosen.value, str | Named):
        draft.leave_out("login", chosen.label, chosen.value, "it says in no readable way how people log in")
        draft.write("login", "kind", "none", "login.kind")
        return
    names = _class_names(chosen, draft)
    known = next((one for one in names if one in _KINDS or one in providers.KINDS), "")
    local = (f"{_LOCAL}{one}" for one in names)
    inner = (one.replace("Authenticator", f"{_LOCAL}Authenticator") for one in names)
    chain = tuple(dict.fromkeys([*names, *local, *inner, "OAuthenticator", *_BASE]))
    for trait, key in _NAMES:
        if found := traits.take(trait, *chain):
            _names(key, found, draft)
    if known in _KINDS:
        _KINDS[known](old, traits, draft, chain)
    elif known:
        _provider(known, traits, draft, chain)
    else:
        _other(names[0], chosen, traits, draft, chain)


def _class_names(chosen: Found, draft: Draft) -> list[str]:
    """Return the name of the chosen class and of those that it extends, without `Local`, which makes accounts."""
    is_own = isinstance(chosen.value, Named)
    given = chosen.value.name if is_own else chosen.value
    names = [CLASSES.get(given.lower().removeprefix("local-"), given.rpartition(".")[2])]
    if is_own:
        names += [one.rpartition(".")[2] for one in chosen.value.bases]
        draft.leave_out("login", chosen.label, chosen.value, "its own methods are Python", "Look what they do.")
    return [one.replace(_LOCAL, "") if one.endswith("Authenticator") else one for one in names]


def _names(key: str, found: Found, draft: Draft) -> None:
    """Add the allowed ones of the names of *found* to a list of `[login]`."""
    try:
        given = conversions.texts(found.value)
    except ValueError:
        draft.leave_out("login", found.label, found.value, "it is no list of names")
        return
    kept: list[str] = list(draft.get("login", key, []))
    for name in given:
        try:
            kept.append(user_name(name))
        except ValueError:
            draft.leave_out("login", found.label, name, "a name is not allowed here", "Give the user another name.")
    if kept:
        draft.write("login", key, sorted(set(kept)), found.label)


def _provider(known: str, traits: Traits, draft: Draft, chain: tuple[str, ...]) -> None:
    _rules(traits, draft, chain)
    providers.bring(known, traits, draft, chain)
    _say_who_enters(draft)


def _rules(traits: Traits, draft: Draft, chain: tuple[str, ...]) -> None:
    """Bring over who may log in of those for whom somebody else vouches."""
    draft.write("login", "kind", "none", "login.kind")
    for trait, key, convert in _RULES:
        if found := traits.take(trait, *chain):
            put(draft, "login", key, found, convert)
    for trait in _ALLOWED:
        if found := traits.take(trait, *chain):
            _names("allow_users", found, draft)
    if draft.get("login", "allow_users") and draft.get("login", "allow_existing_users") is None:
        draft.write("login", "allow_existing_users", True, "c.Authenticator.allow_existing_users")
        draft.say(
            "login",
            "A list of allowed users let in all users of the old hub's database too, so that allow_existing_users is"
            " true. Remove it after a look at `hubless user list`.",
        )
    if found := traits.take("enable_auth_state", *chain):
        put(draft, "login", "auth_state", found, conversions.flag)


def _say_who_enters(draft: Draft) -> None:
    if not any(draft.get("login", rule) for rule in _LETS_IN):
        draft.say(
            "login",
            "No setting says who may log in, besides admins. Before version 5 JupyterHub let in everybody then: if"
            " yours did, set allow_all = true (docs/login-who-may-enter.md).",
        )


def _passwords(_: OldSettings, traits: Traits, draft: Draft, chain: tuple[str, ...]) -> None:
    draft.write("login", "kind", "password", "login.kind")
    is_native = "NativeAuthenticator" in chain
    _say_allowed(traits, draft, chain)
    sign_up = traits.take("enable_signup" if is_native else "create_users", *chain)
    if is_native and (sign_up is None or sign_up.value is True):
        opened = traits.take("open_signup", *chain)
        draft.write("login", "sign_up", True, "c.NativeAuthenticator.enable_signup")
        if not (opened and opened.value is True):
            draft.write("sign_up", "approval", True, "c.NativeAuthenticator.open_signup")
    elif not is_native:
        draft.say(
            "login",
            "FirstUseAuthenticator gave an account to whoever came first with a name. Here users choose a password at a"
            " link, which `hubless user add NAME` prints; or set login.sign_up = true.",
        )
    _guesses(traits, draft, chain)
    for trait, (why, to_do) in _OF_PASSWORDS.items():
        if found := traits.take(trait, *chain):
            draft.leave_out("login", found.label, found.value, why, to_do)


def _guesses(traits: Traits, draft: Draft, chain: tuple[str, ...]) -> None:
    if (found := traits.take("allowed_failed_logins", *chain)) and found.value:
        put(draft, "login", "max_failures", found, conversions.count)
    if found := traits.take("seconds_before_next_try", *chain):
        put(draft, "login", "lock_for", found, conversions.seconds)


def _say_allowed(traits: Traits, draft: Draft, chain: tuple[str, ...]) -> None:
    for trait in (*_ALLOWED, "allow_all", "allow_existing_users"):
        if found := traits.take(trait, *chain):
            draft.leave_out(
                "login",
                found.label,
                found.value,
                "with passwords whoever has an account may log in",
                "Remove users who may not, or name them in login.blocked_users.",
            )


def _shared(_: OldSettings, traits: Traits, draft: Draft, chain: tuple[str, ...]) -> None:
    draft.write("login", "kind", "shared-password", "login.kind")
    own = traits.take("user_password", *chain) or traits.take("password", *chain)
    where = own.label if own else "the old hub took any password"
    draft.variable(known=SHARED_PASSWORD, what=f"the password that all users share ({where})")
    admin = traits.take("admin_password", *chain)
    if admin or draft.get("login", "admins"):
        where = f" ({admin.label})" if admin else ""
        draft.variable(known=ADMIN_PASSWORD, what=f"another password, for admins{where}")
    for trait in _ALLOWED:
        if found := traits.take(trait, *chain):
            _names("allow_users", found, draft)
    if (found := traits.take("allow_all", *chain)) and found.value is True and draft.get("login", "allow_users"):
        draft.leave_out("login", found.label, True, "allow_users decides", "Remove login.allow_users.")
    draft.say("login", "Whoever knows the shared password can log in under every name: use it for tests only.")


def _nobody(_: OldSettings, _traits: Traits, draft: Draft, _chain: tuple[str, ...]) -> None:
    draft.write("login", "kind", "none", "login.kind")


def _plugin(class_: str, section: str) -> "_Kind":
    def bring_plugin(_: OldSettings, traits: Traits, draft: Draft, chain: tuple[str, ...]) -> None:
        plugins.bring(class_, section, traits, draft, chain)

    return bring_plugin


def _other(name: str, chosen: Found, traits: Traits, draft: Draft, chain: tuple[str, ...]) -> None:
    """Bring over a class that is none of the kinds: an LMS, a proxy, or a class of one's own."""
    if lti.is_one(name):
        _rules(traits, draft, chain)
        lti.bring(traits, draft)
        _say_who_enters(draft)
    elif login_proxies.is_one(name):
        _rules(traits, draft, chain)
        login_proxies.bring(name, chosen, traits, draft, chain)
        _say_who_enters(draft)
    elif to_do := next((words for part, words in _ELSEWHERE.items() if part in name.upper()), ""):
        draft.leave_out("login", chosen.label, chosen.value, "it is no kind of login here", to_do)
        _rules(traits, draft, chain)
    elif isinstance(chosen.value, Named) or "." not in chosen.value:
        why = "no class of this name is known here"
        to_do = "Name the file in plugin.config_file (docs/login-plugins.md), or choose another kind of login."
        draft.leave_out("login", chosen.label, chosen.value, why, to_do)
        draft.write("login", "kind", "none", "login.kind")
    else:
        plugins.bring(chosen.value, name, traits, draft, chain)
        draft.say("plugin", "The class must be installed in the hub's own environment (docs/login-plugins.md).")


_Kind = Callable[[OldSettings, Traits, Draft, tuple[str, ...]], None]
_KINDS: dict[str, _Kind] = {
    "NativeAuthenticator": _passwords,
    "FirstUseAuthenticator": _passwords,
    "DummyAuthenticator": _shared,
    "SharedPasswordAuthenticator": _shared,
    "NullAuthenticator": _nobody,
    "PAMAuthenticator": _plugin("pam", "PAMAuthenticator"),
    "LDAPAuthenticator": _plugin("ldap", "LDAPAuthenticator"),
    "BitbucketOAuthenticator": _plugin("bitbucket", "BitbucketOAuthenticator"),
    "MWOAuthenticator": _plugin("mediawiki", "MWOAuthenticator"),
    "OpenShiftOAuthenticator": _plugin("openshift", "OpenShiftOAuthenticator"),
}
