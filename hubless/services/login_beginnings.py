"""Beginnings of logins at providers and at an LMS: bounded for each network, because each is stored for some minutes.

They are counted in this process, not in the store: a count there would be as much work as what it bounds. In AWS each
running function counts for itself, and the web ACL counts for all (`waf_rate`).
"""

from collections import OrderedDict
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from hubless.domain.client_addresses import network_of
from hubless.domain.errors import QuotaExceededError
from hubless.ports.clock import Clock

MAX_BEGINNINGS: Final = 1000  # a class of 300 behind one address logs in at once, with three tabs each
WINDOW: Final = timedelta(minutes=5)
_NETWORKS: Final = 10_000  # that a process counts at once; it forgets those first whose window began first


class LoginBeginnings:
    """Counts beginnings for each network; threads may share it."""

    def __init__(self, clock: Clock) -> None:
        self._clock, self._lock = clock, Lock()
        self._counts: OrderedDict[str, tuple[datetime, int]] = OrderedDict()  # by network: the window's begin

    def admit(self, address: str) -> None:
        """Count a login that begins at *address*, before anything is stored of it.

        Raises:
            QuotaExceededError: when `MAX_BEGINNINGS` have begun in its network within five minutes.
        """
        network, now = network_of(address), self._clock.now()
        with self._lock:
            began_at, count = self._counts.get(network, (now, 0))
            if not timedelta() <= now - began_at < WINDOW:  # over, or of a clock that was ahead
                began_at, count = now, 0
                self._counts.pop(network, None)
            if count >= MAX_BEGINNINGS:
                raise QuotaExceededError(
                    "Too many logins have begun in your network. Wait five minutes, then try again",
                    limit=MAX_BEGINNINGS,
                    retry=True,
                    after=began_at + WINDOW - now,
                )
            self._counts[network] = began_at, count + 1
            if len(self._counts) > _NETWORKS:
                self._counts.popitem(last=False)
