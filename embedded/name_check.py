"""The check of users' names at a start of the hub: once for each version of the rule."""

import logging

from hubless.bootstrap.machine import MachineHub
from hubless.domain.audit import Act, Doer, DoerKind
from hubless.domain.names import shown
from hubless.services.name_checks import RULE, LostName

logger = logging.getLogger(__name__)
_MOST_NAMED = 20  # users of whom the log says why nobody can log in


def check_names(hub: MachineHub) -> None:
    """Rename users whom no login finds where that is safe, and name the others in the log.

    It reads all users, so it runs once: a crash in the midst repeats it, and repeats nothing that is done.

    Raises:
        StoreUnavailableError: when the database cannot be used.
    """
    if hub.checked_names.rule() >= RULE:
        return
    remain = [(lost, why) for lost in hub.name_checks.lost() if (why := _mended(hub, lost))]
    for lost, why in remain[:_MOST_NAMED]:
        logger.warning("Nobody can log in as %s, and the hub did not rename this user: %s", shown(lost.user.name), why)
    if remain:
        logger.warning(
            "Run `hubless user check-names`, which names each user whom no login finds (%d now), and with --mend"
            " renames those whom it can",
            len(remain),
        )
    hub.checked_names.note(RULE)


def _mended(hub: MachineHub, lost: LostName) -> str:
    """Rename the user if that is safe; return why not, or ""."""
    if lost.user.admin:  # who logs in under the new name becomes an admin: an operator decides that
        return lost.why or "an operator must rename an admin"
    if why := hub.name_checks.mend(lost):
        return why
    before, after = lost.user.name, lost.wanted
    hub.auditing.record(Doer(DoerKind.HUB), Act.USER_RENAMED, before, after, about={"from": before, "to": after})
    logger.info("renamed the user %s to %s, because no login found the name", shown(before), shown(after))
    return ""
