"""Takes what proves somebody's identity out of a line for the log, wherever it came from: an exception's words, a header, a URL."""

import re

HIDDEN = "***"
_QUOTE = r"""\\?["']?"""
_SEPARATOR = rf"{_QUOTE}\s*[:=]\s*{_QUOTE}"
_WORDS = r"(?:[a-z_-]*(?:password|passwd|secret|token|cookie|xsrf|verifier)|authorization|jpy_api_token|api[_-]?key)"
_PATTERNS = (
    # A header's value may hold blanks: all of it goes.
    re.compile(rf"((?:authorization|(?:set-)?cookie|x-hubless-front){_SEPARATOR})[^\"'\\\r\n]+", re.IGNORECASE),
    re.compile(rf"({_WORDS}{_SEPARATOR})[^\s\"'&,;}}\\]+", re.IGNORECASE),
    re.compile(r"([?&](?:code|state|key)=)[^\s\"'&\\]+", re.IGNORECASE),
    re.compile(rf"(\bcode\\?[\"']{_SEPARATOR.removeprefix(_QUOTE)})[^\s\"'&\\]+", re.IGNORECASE),  # a grant, not an exit's
    re.compile(r"((?:hub-login|session-id)=)[^\s\"';,\\]+", re.IGNORECASE),
    re.compile(r"(\b(?:bearer|token)\s+)[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE),
    re.compile(r"()\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"()\$argon2id\$[^\s\"'\\]+"),
)


def scrubbed(line: str) -> str:
    """Return *line* with each such value as `***`; what stands round it stays, so that one sees what was there."""
    for pattern in _PATTERNS:
        line = pattern.sub(rf"\g<1>{HIDDEN}", line)
    return line
