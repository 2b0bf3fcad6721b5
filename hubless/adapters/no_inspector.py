"""The inspector of a hub that asks no servers."""

from hubless.domain.idleness import NoAnswer
from hubless.domain.lifecycle import Server


class NoInspector:
    """Knows no server's kernels, so each is judged by the activity that was seen."""

    def inspect(self, server: Server, prefix: str, token: str) -> NoAnswer:  # noqa: ARG002 it asks nobody
        return NoAnswer.NOT_JUPYTER
