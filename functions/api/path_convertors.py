"""Path convertor for parts that may have an encoded slash: `a%2Fb` is one part, not two."""

from starlette.convertors import Convertor, register_url_convertor

ENCODED_SLASH = "\ue02f"  # of the private use area: stands for %2F until the path is split


class Segment(Convertor[str]):
    """One part of a path; use it as `{name:segment}`."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        """Return the decoded part."""
        return value.replace(ENCODED_SLASH, "/")

    def to_string(self, value: str) -> str:
        """Return the part as it stands in a path."""
        return value.replace("/", ENCODED_SLASH)


def register() -> None:
    """Make `segment` known to Starlette."""
    register_url_convertor("segment", Segment())
