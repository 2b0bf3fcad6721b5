"""Browsers and programs in words, by the User-Agent with which they ask (RFC 9110 10.1.5).

A User-Agent is what its sender says of itself: good for recognising one's own browser, and for no decision.
"""

import re

from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _

LONGEST_NAME = 60  # characters of a program's name
# Browsers name those that they want to be taken for too: the first that fits is right.
_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
_PRODUCT = re.compile(r"([^\s/;()]+)/")


def browser_in_words(agent: str) -> Message | str:
    """Return what people call the browser with this User-Agent, such as `Firefox on Android`; "" if it has none."""
    kind, system = _first_in(_BROWSERS, agent), _first_in(_SYSTEMS, agent)
    if not kind or not system:
        return kind or program_name(agent)
    return _("%(kind)s on %(system)s", kind=kind, system=system)


def program_in_words(agent: str) -> Message | str:
    """Return what people call the program with this User-Agent: a browser as such, others such as `curl`."""
    return browser_in_words(agent) if agent.startswith("Mozilla/") else program_name(agent)


def program_name(agent: str) -> str:
    """Return the name of the first product in a User-Agent, without its version; all of it if it names no product."""
    found = _PRODUCT.match(agent)
    return (found[1] if found else agent.strip())[:LONGEST_NAME]


def _first_in(kinds: tuple[tuple[str, str], ...], agent: str) -> str:
    return next((name for sign, name in kinds if sign in agent), "")
