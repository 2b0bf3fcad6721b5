"""The announcements for everybody as an Atom feed (RFC 4287), which JupyterLab reads at its `news_url`."""

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final
from xml.etree import ElementTree as ET

from functions.api.serializers import instant
from hubless.domain.announcements import Announcement
from hubless.domain.maintenance import Maintenance

MEDIA_TYPE: Final = "application/atom+xml"
_ATOM: Final = "http://www.w3.org/2005/Atom"
_NO_TEXT: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # of XML 1.0, 2.2


def feed_of(
    announcements: Iterable[Announcement], maintenance: Maintenance | None, *, name: str, url: str, now: datetime
) -> bytes:
    """Return the feed.

    Args:
        announcements: what it tells; the first line of a text is the title.
        maintenance: what is on now.
        name: the hub's.
        url: the address of the feed, which is its id.
        now: when it is made.
    """
    feed = ET.Element("feed", xmlns=_ATOM)
    _add(feed, id=url, title=name, updated=instant(now) or "")
    _add(ET.SubElement(feed, "author"), name=name)
    if maintenance is not None:
        until = f" until {maintenance.ends_at:%Y-%m-%d %H:%M} UTC" if maintenance.ends_at else ""
        said = f"Maintenance{until}: nobody can start a server.\n{maintenance.text}"
        _entry(feed, f"{url}#{maintenance.id}", said, maintenance.began_at)
    for one in announcements:
        _entry(feed, f"{url}#{one.id}.{one.revision}", one.text, one.starts_at)
    written: bytes = ET.tostring(feed, encoding="utf-8", xml_declaration=True)
    return written


def _entry(feed: ET.Element, identifier: str, text: str, at: datetime) -> None:
    title, _, rest = _NO_TEXT.sub("", text).partition("\n")
    entry = ET.SubElement(feed, "entry")
    _add(entry, id=identifier, title=title.strip() or "-", updated=instant(at) or "", published=instant(at) or "")
    if rest.strip():
        _add(entry, summary=rest.strip())


def _add(parent: ET.Element, **texts: str) -> None:
    for name, text in texts.items():
        ET.SubElement(parent, name).text = text
