"""Texts of admins in Markdown, as HTML that is safe to show."""

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_MARKED = re.compile(r"[*_`\[\]<>#&~|\\]|^\s*(?:[-+]|\d+[.)])\s|\n|^(?:\t| {4})", re.MULTILINE)
_HARMLESS = ("https://", "http://", "mailto:", "/")
MAX_TEXT = 20_000  # characters: of a setting, so that a start of a page stays quick


@lru_cache(maxsize=256)
def markdown(text: str) -> Markup:
    """Return *text*, which is CommonMark, as HTML. HTML in it is shown as text, and pictures are left out.

    Links lead to addresses of the web, of mail, or of this hub.
    """
    text = text.strip()[:MAX_TEXT]
    if not _MARKED.search(text):  # most are a plain sentence: the library is not needed
        return Markup("<p>{}</p>").format(text) if text else Markup()
    return Markup(_parser().render(text))  # noqa: S704 the parser escapes HTML


@lru_cache(maxsize=1)
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt  # noqa: PLC0415 few pages have such a text

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 10}).disable("image")
    parser.validateLink = lambda url: url.lower().startswith(_HARMLESS) and not url.startswith("//")  # type: ignore[method-assign]
    return parser
