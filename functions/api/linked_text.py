"""Plain texts of people as HTML: escaped, with the addresses of web pages in them as links."""

import re
from typing import Final

from markupsafe import Markup, escape

_ADDRESS: Final = re.compile(r"https?://[^\s<>\"'`\\^{|}]+", re.IGNORECASE)
_ENDS: Final = ".,;:!?)]*_"  # of a sentence, rather than of an address


def linked(text: str) -> Markup:
    """Return *text* as HTML. A link says its whole address, and tells the other side nothing of this page."""
    parts, end = list[Markup](), 0
    for found in _ADDRESS.finditer(text):
        url = found.group().rstrip(_ENDS)
        if not url.partition("://")[2]:
            continue
        parts += [escape(text[end : found.start()]), _link(url)]
        end = found.start() + len(url)
    return Markup().join([*parts, escape(text[end:])])


def _link(url: str) -> Markup:
    return Markup('<a href="{0}" rel="noopener noreferrer nofollow">{0}</a>').format(url)
