"""JSON in by pydantic's parser, which is stricter than the standard library's, and out by orjson, the fastest writer."""

import re
from typing import Any

import orjson
from pydantic_core import from_json, to_json
from starlette import responses

_HUGE = re.compile(rb"\d[eE]\+?\d{3}")


def read(body: bytes) -> Any:
    """Return what *body* says.

    Raises:
        ValueError: when it is no JSON (RFC 8259), nests too deep, or holds half a character, NaN or a number without bounds.
    """
    known = from_json(body, allow_inf_nan=False)
    if _HUGE.search(body) and re.search(rb"Infinity", to_json(known)):  # such as 1e999
        raise ValueError("a number without bounds")
    return known


class JSONResponse(responses.JSONResponse):
    """An answer in JSON."""

    def render(self, content: Any) -> bytes:
        """Return *content* as it is sent."""
        try:
            return orjson.dumps(content, option=orjson.OPT_UTC_Z)
        except orjson.JSONEncodeError:  # a number of more than 64 bits, such as users may put into their options
            return to_json(content)
