"""Removes secrets from log lines: passwords, tokens, cookies and keys in messages, headers and URLs."""

import re

HIDDEN = "***"
_MARK = r"""\\*["']"""
_QUOTE = rf"(?:{_MARK})?"
_TO = rf"\s*[:=]\s*[\[(]?\s*b?{_QUOTE}"
_SEPARATOR = rf"(?:{_QUOTE}{_TO}|{_MARK}\s*,\s*b?{_MARK})"  # also pairs, such as ASGI's headers
# Inside a quoted text, each level of quoting adds a backslash to a quote.
_TEXT = rf"b?(?P<mark>{_MARK})(?:(?!(?<!\\)(?P=mark))[^\r\n])*(?P=mark)"
_HEADERS = r"(?:authorization|(?:set-)?cookies?|x-hubless-front)"
# Only from the start of a word: a try at each letter of a long word would take hours.
_WORDS = (
    r"(?:(?<![a-z_-])[a-z_-]*(?:password|passwd|secret|token|cookie|xsrf|verifier)"
    r"|authorization|jpy_api_token|api[_-]?key)"
)
_LISTED = re.compile(rf"((?:{_HEADERS}|{_WORDS}){_MARK}\s*[:=,]\s*[\[(]\s*)(?:{_TEXT}\s*,?\s*)+", re.IGNORECASE)
_PATTERNS = (
    # A header's value may contain blanks: replace all of it.
    re.compile(rf"({_HEADERS}{_SEPARATOR})[^\"'\\\r\n]+", re.IGNORECASE),
    re.compile(rf"({_WORDS}{_SEPARATOR})[^\s\"'&,;}}\\]+", re.IGNORECASE),
    re.compile(r"([?&](?:code|state|key)=)[^\s\"'&\\]+", re.IGNORECASE),
    re.compile(rf"(\bcode{_MARK}{_TO})[^\s\"'&\\]+", re.IGNORECASE),  # an OAuth code, not an exit code
    re.compile(r"((?:hub-login|session-id)=)[^\s\"';,\\]+", re.IGNORECASE),
    re.compile(r"(\b(?:bearer|token)\s+)[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE),
    re.compile(r"()\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    re.compile(r"()\$argon2id\$[^\s\"'\\]+"),
)


def scrubbed(line: str) -> str:
    """Return *line* with `***` instead of each secret; the text around it stays."""
    line = _LISTED.sub(rf"\g<1>\g<mark>{HIDDEN}\g<mark>", line)
    for pattern in _PATTERNS:
        line = pattern.sub(rf"\g<1>{HIDDEN}", line)
    return line
