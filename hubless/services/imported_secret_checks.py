"""Comparing secrets with the hashes of another hub, so that wrong ones cost the hub no more than unknown ones.

A hash of many rounds takes longer than the whole request. So a process compares wrong secrets of one sender with such
hashes a few times at once, and then once a second. It remembers wrong secrets: a script that repeats one costs no hash,
and takes nothing of what others of its address may try. A right secret is never counted: its first use replaces the
hash by ours, which costs one look-up from then on.
"""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from hubless.domain import imported_secrets, tokens
from hubless.domain.errors import QuotaExceededError

AT_ONCE = 20  # wrong secrets of one sender that are compared before it must wait
PAUSE = timedelta(seconds=1)  # between those after them: 4 hashes a second are less than a hundredth of a processor
MOST_KEPT = 4096  # wrong secrets, and senders; about 1 MB
T = TypeVar("T")


class ImportedSecretChecks:
    """Compares secrets with imported hashes; one object is for all threads of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrong = OrderedDict[str, None]()
        self._paid_until = OrderedDict[str, datetime]()  # of a sender: one pause for each wrong secret

    def matching(self, candidates: Sequence[str], secret: str, sender: str, now: datetime) -> str | None:
        """Return the text among *candidates* whose hash *secret* has, or None.

        Args:
            candidates: imported hashes, and others, which match nothing.
            secret: of at most `MAX_SECRET_LENGTH` characters.
            sender: whose wrong secrets count together, such as the network of an address.
            now: the present instant. A clock that goes back makes a sender wait for one pause at most.

        Raises:
            QuotaExceededError: when the sender must wait; it says how long. Nothing was compared with hashes of many
                rounds, so the secret may be right.
        """
        quick, slow = imported_secrets.by_cost(candidates)
        found = imported_secrets.matching(quick, secret)
        return self._matching(slow, secret, sender, now) if found is None and slow else found

    def _matching(self, slow: Sequence[str], secret: str, sender: str, now: datetime) -> str | None:
        tried = tokens.sha256("\n".join((*sorted(slow), secret)))  # a hash that is imported later may be the right one
        with self._lock:  # one after the other: a rush of right secrets waits for no pause
            if tried in self._wrong:
                self._wrong.move_to_end(tried)
                return None
            paid = min(max(self._paid_until.get(sender, now), now), now + AT_ONCE * PAUSE)
            if (wait := paid - now - (AT_ONCE - 1) * PAUSE) > timedelta(0):
                _keep(self._paid_until, sender, paid)  # the clock may have gone back
                raise QuotaExceededError(
                    "Too many wrong tokens, codes or secrets came from your address or account, so this one was not"
                    " looked at. Send it again in a second.",
                    limit=AT_ONCE,
                    retry=True,
                    after=wait,
                )
            found = imported_secrets.matching(slow, secret)
            if found is None:
                _keep(self._wrong, tried, None)
                _keep(self._paid_until, sender, paid + PAUSE)
            return found


def _keep(kept: OrderedDict[str, T], key: str, what: T) -> None:
    kept[key] = what
    kept.move_to_end(key)
    if len(kept) > MOST_KEPT:
        kept.popitem(last=False)
