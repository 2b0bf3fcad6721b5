"""What servers use now, as somebody measured it lately."""

from collections.abc import Iterable
from typing import Protocol

from hubless.domain.loads import Load


class Loads(Protocol):
    """The last measurement of each launch that runs."""

    def get_many(self, launch_ids: Iterable[str]) -> dict[str, Load]:
        """Return the measurements that exist, by launch."""
        ...
