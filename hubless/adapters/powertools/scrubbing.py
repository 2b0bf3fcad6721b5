"""Takes what proves somebody's identity out of a line for the log, wherever it came from: an exception's words, a header, a URL."""

import re

HIDDEN = "***"
_MARK = r"""\\*["']"""
_QUOTE = rf"(?:{_MARK})?"
_TO = rf"\s*[:=]\s*[\[(]?\s*b?{_QUOTE}"
_SEPARATOR = rf"(?:{_QUOTE}{_TO}|{_MARK}\s*,\s*b?{_MARK})"  # pairs too, as ASGI has headers
# A mark within a text that is quoted, perhaps more than once, has a backslash more.
_TEXT = rf"b?(?P<mark>{_MARK})(?:(?!(?<!\\)(?P=mark))[^\r\n])*(?P=mark)"
_HEADERS = r"(?:authorization|(?:set-)?cookies?|x-hubless-front)"
# From where a word begins: a try at each of its letters would take hours of a long one.
_WORDS = r"(?:(?<![a-z_-])[a-z_-]*(?:password|passwd|secret|token|cookie|xsrf|verifier)|authorization|jpy_api_token|api[_-]?key)"
_LISTED = re.compile(rf"((?:{_HEADERS}|{_WORDS}){_MARK}\s*[:=,]\s*[\[(]\s*)(?:{_TEXT}\s*,?\s*)+", re.IGNORECASE)
_PATTERNS = (
    # A header's value may hold blanks: all of it goes.
    re.compile(rf"({_HEADERS}{_SEPARATOR})[^\"'\\\r\n]+", re.IGNORECASE),
    re.compile(rf"({_WORDS}{_SEPARATOR})[^\s\"'&,;}}\\]+", re.IGNORECASE),
    re.compile(r"([?&](?:code|state|key)=)[^\s\"'&\\]+", re.IGNORECASE),
    re.compile(rf"(\bcode{_MARK}{_TO})[^\s\"'&\\]+", re.IGNORECASE),  # a grant, not an exit's
    re.compile(r"((?:hub-login|session-id)=)[^\s\"';,\\]+", re.IGNORECASE),
    re.compile(r"(\b(?:bearer|token)\s+)[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE),
    re.compile(r"()\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"()\$argon2id\$[^\s\"'\\]+"),
)


def scrubbed(line: str) -> str:
    """Return *line* with each such value as `***`; what stands round it stays, so that one sees what was there."""
    line = _LISTED.sub(rf"\g<1>\g<mark>{HIDDEN}\g<mark>", line)
    for pattern in _PATTERNS:
        line = pattern.sub(rf"\g<1>{HIDDEN}", line)
    return line
