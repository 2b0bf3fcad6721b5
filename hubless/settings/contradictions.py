"""Contradictions: settings of logins that are allowed one by one, and together surely not what somebody wants."""

from collections.abc import Iterator

from hubless.settings.loading import Settings


def contradictions(settings: Settings) -> list[str]:
    """Return a sentence for each contradiction about who may log in, with what to do."""
    return [*_ways_in(settings), *_lists(settings)]


def _ways_in(settings: Settings) -> Iterator[str]:
    login = settings.login
    elsewhere = bool(settings.providers or settings.lti_platforms or settings.login_proxies)
    lets_in = (login.allow_users, login.allow_groups, login.admins, login.admin_groups)
    if login.kind == "none" and not (elsewhere or settings.plugin.is_set):
        yield 'login.kind is "none", and no other kind of login is set: nobody can log in. Add [[providers]], or alike'
    if elsewhere and not (login.allow_all or login.allow_existing_users or any(lets_in)):
        yield (
            "login has no rule that lets anybody in whom a provider vouches for, but those whom an admin links one by"
            " one: set login.allow_all, login.allow_users or login.allow_groups"
        )
    if elsewhere and login.kind == "shared-password":
        yield (
            'login.kind is "shared-password" beside other kinds of login: the shared password opens the accounts of'
            ' their users too. Set login.kind to "password" or "none"'
        )


def _lists(settings: Settings) -> Iterator[str]:
    login = settings.login
    blocked = frozenset(login.blocked_users)
    for key, names in (("allow_users", login.allow_users), ("admins", login.admins)):
        for name in sorted(blocked.intersection(names)):
            yield f"{name} is in login.{key} and in login.blocked_users, which counts: remove one of them"
    yield from _groups(settings)


def _groups(settings: Settings) -> Iterator[str]:
    login = settings.login
    rules = [*(one.rules for one in settings.providers), *(one.rules for one in settings.login_proxies)]
    prefixes = [one.group_prefix for one in rules if one.groups_claim]
    prefixes += [""] if settings.plugin.is_set else []
    used = [key for key in ("allow_groups", "admin_groups", "managed_groups") if getattr(login, key)]
    if not prefixes:
        for key in used:
            yield f"login.{key} has no effect: no login says anybody's groups. Set providers.NAME.groups_claim"
        return
    if used and prefixes.count("") > 1:
        yield (
            f"login.{used[0]} takes a group of one name for the same group, whichever of {prefixes.count('')} logins"
            " says it: give all but one a group_prefix"
        )
    for key in ("allow_groups", "admin_groups"):
        for name in getattr(login, key):
            if not name.startswith(tuple(prefixes)):
                yield f"{name} in login.{key} is nobody's group: here such names start with {' or '.join(prefixes)}"
