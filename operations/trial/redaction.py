"""Replace what identifies an account, a hub or a person in a report, and every secret.

A value that occurs twice gets the same placeholder twice, so a reader can still follow it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

SHORTEST_KNOWN = 4  # characters; shorter texts occur in words
# In this order: an earlier pattern may contain what a later one finds.
PATTERNS = {
    "arn": re.compile(r"arn:aws[\w-]*:[^\s\"'<>,;)\]]+"),
    "link": re.compile(r"\b(?:https?|wss?|s3)://[^\s\"'<>,;)\]]+"),
    "home": re.compile(r"/(?:home|Users)/[^/\s:]+"),
    "email": re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"),
    "key": re.compile(r"\b(?:AKIA|ASIA|AROA|AIDA)[A-Z0-9]{12,}\b"),
    "host": re.compile(
        r"\b(?:[\w-]+\.)+(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|cloudfront\.net|awsapps\.com|internal|on\.aws)\b"
    ),
    "ip": re.compile(
        r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])"
        r"|(?<![\w:])(?:(?:[0-9a-f]{1,4}:){5,7}|(?:[0-9a-f]{1,4}:){1,6}:)[0-9a-f:]*(?![\w:])"
    ),
    "account": re.compile(r"(?<!\d)\d{12}(?!\d)"),
    "uuid": re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"),
    "id": re.compile(r"\b(?:[a-z]{1,8}(?:-[a-z]{1,8})?|subnet|fsap)-[0-9a-f]{8,17}\b|\bvo_\w{8,}|\bE[0-9A-Z]{12,13}\b"),
    "secret": re.compile(r"\b(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[A-Za-z0-9_-]{32,}(?![\w-])"),
}


class Redaction:
    """Redacts texts and JSON. *known* are texts to replace wherever they occur, by what they are."""

    def __init__(self, known: Mapping[str, Iterable[str]]) -> None:
        self._placeholders: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        pairs = {text: kind for kind, texts in known.items() for text in texts if len(text) >= SHORTEST_KNOWN}
        self._known = {text: pairs[text] for text in sorted(pairs, key=len, reverse=True)}

    def text(self, given: str) -> str:
        """Return *given* with a placeholder such as `<ip-1>` for each identifying part."""
        for text, kind in self._known.items():
            if text in given:
                given = given.replace(text, self._placeholder(kind, text))
        for kind, pattern in PATTERNS.items():
            given = pattern.sub(lambda found, kind=kind: self._placeholder(kind, found[0]), given)  # type: ignore[misc]
        return given

    def data(self, given: Any) -> Any:
        """Return JSON with all its texts redacted, names of members too."""
        if isinstance(given, str):
            return self.text(given)
        if isinstance(given, Mapping):
            return {self.text(str(name)): self.data(one) for name, one in given.items()}
        if isinstance(given, list | tuple):
            return [self.data(one) for one in given]
        return given

    def _placeholder(self, kind: str, text: str) -> str:
        if text not in self._placeholders:
            self._counts[kind] = self._counts.get(kind, 0) + 1
            self._placeholders[text] = f"<{kind}-{self._counts[kind]}>"
        return self._placeholders[text]
