"""An authenticator class that goes on as `[plugin]`: its traits as they are, its secrets as variables."""

from embedded.settings_import.draft import Draft
from embedded.settings_import.old_settings import (
    Found,
    Named,
    Traits,
    may_be_secret,
    variable_of,
    variables_in,
)

_CONFIG = "plugin.config"
_OLD_NAMES = {
    "whitelist": "allowed_users",
    "blacklist": "blocked_users",
    "group_whitelist": "allowed_groups",
}
_PACKAGES = {
    "ldap": ("jupyterhub-ldapauthenticator",),
    "bitbucket": ("oauthenticator",),
    "openshift": ("oauthenticator",),
    "mediawiki": ("'oauthenticator[mediawiki]'",),
}
_LETS_IN = ("allow_all", "allow_existing_users", "allowed_")


def bring(class_: str, section: str, traits: Traits, draft: Draft, chain: tuple[str, ...]) -> None:
    """Let the class *class_* log people in; *section* is its name in the configuration, *chain* what it extends too."""
    draft.write("plugin", "authenticator_class", class_, "c.JupyterHub.authenticator_class")
    traits.rename(_OLD_NAMES, *chain)
    config: dict[str, dict[str, object]] = {}
    variables: dict[str, str] = {}
    for name in chain:
        for trait, found in traits.take_all(name).items():
            if may_be_secret(trait, found.value) or variable_of(found.value):
                _secret(f"{name}.{trait}", found, draft, variables)
            elif variables_in(found.value) or _has_program(found.value):
                to_do = "Name the file in plugin.config_file, which the hub runs as Python."
                draft.leave_out("plugin", found.label, found.value, "it is made by a program", to_do)
            else:
                config.setdefault(name, {})[trait] = found.value
    if variables:
        draft.write("plugin", "config_env", variables, _CONFIG)
    if config:
        draft.write_config("plugin", config)
    if not any(trait.startswith(_LETS_IN) and one for table in config.values() for trait, one in table.items()):
        draft.say(
            "plugin",
            "No setting says who may log in, besides admins. Before version 5 JupyterHub let in everybody then: if"
            f" yours did, write allow_all = true into [plugin.config.{section}].",
        )
    packages = " ".join(["'hubless[authenticators]'", *_PACKAGES.get(class_, ())])
    draft.say("plugin", f"{section} needs, in the hub's own environment: pip install {packages}")


def _secret(trait: str, found: Found, draft: Draft, variables: dict[str, str]) -> None:
    if not isinstance(found.value, str):
        draft.leave_out(
            "plugin", found.label, found.value, "it may hold a secret", "Name a file in plugin.config_file."
        )
        return
    variables[trait] = draft.variable(
        *trait.split("."), known=variable_of(found.value), what=f"{trait} of the authenticator ({found.label})"
    )


def _has_program(given: object) -> bool:
    if isinstance(given, dict):
        return any(map(_has_program, given.values()))
    return isinstance(given, Named) or (isinstance(given, list) and any(map(_has_program, given)))
