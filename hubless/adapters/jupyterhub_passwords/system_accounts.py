"""Users who logged in with an account of the old machine: by PAM, JupyterHub's default, or in The Littlest JupyterHub.

The hub has no password of theirs, and takes none from `/etc/shadow`.
"""

from collections.abc import Callable, Iterable

from hubless.adapters.jupyterhub_passwords.people import ONE_TIME_LINK
from hubless.domain.archive import Archive, Remark

_WAYS = (
    "Import with --provider NAME if they logged in at a provider, or with --passwords FILE of FirstUseAuthenticator."
    " Else give each a one-time link (`hubless user passwd NAME`)."
)
TLJH_PREFIX = "jupyter-"  # of the account that belongs to a user of The Littlest JupyterHub


def has_account(name: str) -> bool:
    """Say whether this machine has an account of that name."""
    import pwd  # noqa: PLC0415 the machine of an import alone

    try:
        pwd.getpwnam(name)
    except (KeyError, ValueError):  # a name with a NUL
        return False
    return True


def remarks(archive: Archive, *, exists: Callable[[str], bool] = has_account) -> Iterable[Remark]:
    """Return how each user without a password or an identity logs in here; one remark for all of whom nothing is known.

    Args:
        archive: of a hub with PAM.
        exists: says whether the machine of the new hub has an account of a name.
    """
    unknown = 0
    for user in archive.users:
        if user.password_hash is not None or user.identities:
            continue
        if exists(user.name):
            what = "This machine has an account of this name, with which the user may go on logging in."
            yield Remark("user", user.name, what, f'Set [plugin] class = "pam", or: {ONE_TIME_LINK}')
        elif exists(f"{TLJH_PREFIX}{user.name}"):
            what = f"The account {TLJH_PREFIX}{user.name} keeps the files of this user, and has no password."
            yield Remark("user", user.name, what, ONE_TIME_LINK)
        else:
            unknown += 1
    if unknown:
        what = "have no password and no identity, and this machine has no account of their name"
        yield Remark("user", f"{unknown} of them", what, _WAYS, number=unknown)
