"""JSON: read by pydantic's parser, which is stricter than the standard library's; written by orjson, the fastest."""

import re
from typing import Any

import orjson
from pydantic_core import from_json, to_json
from starlette import responses

_HUGE = re.compile(rb"\d[eE]\+?\d{3}")


def read(body: bytes) -> Any:
    """Return the value of *body*.

    Raises:
        ValueError: when it is not JSON (RFC 8259), nests too deep, or holds half a character or an infinite number.
    """
    known = from_json(body, allow_inf_nan=False)
    if _HUGE.search(body) and re.search(rb"Infinity", to_json(known)):  # such as 1e999
        raise ValueError("an infinite number")
    return known


class JSONResponse(responses.JSONResponse):
    """A JSON answer."""

    def render(self, content: Any) -> bytes:
        """Return *content* as bytes of JSON."""
        try:
            return orjson.dumps(content, option=orjson.OPT_UTC_Z)
        except orjson.JSONEncodeError:  # a number of more than 64 bits, such as users may put into their options
            return to_json(content)
