"""Translates what pages show: reads the catalogue of a language when somebody first asks for that language."""

import gettext
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from io import BytesIO

from functions.api.page_files import LOCALE, content_of
from hubless.domain.languages import ENGLISH
from hubless.domain.translatable import Message

_NONE = gettext.NullTranslations()  # English is what the code says
_current: ContextVar[gettext.NullTranslations] = ContextVar("translations", default=_NONE)


@lru_cache(maxsize=8)
def catalogue(language: str) -> gettext.NullTranslations:
    """Return the catalogue of *language*."""
    if language == ENGLISH:
        return _NONE
    import polib  # noqa: PLC0415 readers of English never need it

    found = polib.pofile(content_of(LOCALE / language / "LC_MESSAGES" / "hubless.po").decode())
    return gettext.GNUTranslations(BytesIO(found.to_binary()))


@contextmanager
def speaking(language: str) -> Iterator[None]:
    """Translate to *language* meanwhile."""
    before = _current.set(catalogue(language))
    try:
        yield
    finally:
        _current.reset(before)


def find(msgid: str) -> str:
    """Return the text of *msgid* in the present language."""
    return _current.get().gettext(msgid)


def find_plural(singular: str, plural: str, count: float) -> str:
    """Return the text for *count* things in the present language; a part of a thing, as in "0.5 CPUs", is a plural."""
    whole = int(count) if count == int(count) else 2  # gettext counts in whole numbers
    return _current.get().ngettext(singular, plural, whole)


def translated(text: str) -> str:
    """Return *text* in the present language; as it is if no catalogue has it."""
    if not isinstance(text, Message):
        return find(text) if text else text
    form = find_plural(text.msgid, text.plural, text.number) if text.plural else find(text.msgid)
    if not text.parameters:
        return form
    return form % {
        name: translated(given) if isinstance(given, Message) else given for name, given in text.parameters.items()
    }


def shown(value: object) -> object:
    """Return *value* as a template shows it: a `Message` in the present language."""
    return translated(value) if isinstance(value, Message) else value
