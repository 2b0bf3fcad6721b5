"""Preconditions of writes (RFC 9110 13.1): `If-Match`, and `If-None-Match: *`, by the ETag that a GET answers."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import Depends, Header
from starlette.exceptions import HTTPException

from functions.api.etags import etag_of, is_among, listed
from functions.api.json_codec import JSONResponse
from hubless.domain.errors import NameTakenError, StoreConflictError
from hubless.domain.values import value

_MALFORMED = '{} must be * or ETags as they came, in double quotes: "…", "…"'
_CHANGED = "It is not as you read it any more. Get it again, and decide anew."
_WEAK = (
    "An ETag that begins with W/ never matches If-Match (RFC 9110). A proxy that compresses answers makes them weak: "
    "get it with Accept-Encoding: identity."
)
_GONE = "There is none, or none any more, and If-Match asks for one."
_THERE = "There is one already, and If-None-Match asks for none."


@value
class _Precondition:
    """What a request expects of that which it writes to; both empty where it expects nothing."""

    if_match: Collection[str] = ()
    if_none_match: Collection[str] = ()

    def require(self, present: JSONResponse | None) -> None:
        """Refuse the request unless the answer to a GET would now be what it expects; None stands for 404.

        Raises:
            HTTPException: 412.
        """
        if present is None:
            if self.if_match:
                raise HTTPException(412, _GONE)
            return
        etag = etag_of(present.body)
        if self.if_match and not is_among(etag, self.if_match):
            raise HTTPException(412, _WEAK if is_among(etag, self.if_match, weakly=True) else _CHANGED)
        if is_among(etag, self.if_none_match, weakly=True):
            raise HTTPException(412, _THERE)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Answer 412 too if somebody else is faster than the write, where the request expects something.

        Raises:
            HTTPException: 412.
        """
        try:
            yield
        except (StoreConflictError, NameTakenError):
            if not self.if_match and not self.if_none_match:
                raise
            raise HTTPException(412, _CHANGED) from None


async def _precondition(
    if_match: Annotated[str | None, Header(alias="If-Match", description="ETags of what was read, or `*`")] = None,
    if_none_match: Annotated[str | None, Header(alias="If-None-Match", description="`*` for what is new")] = None,
) -> _Precondition:
    return _Precondition(_tags("If-Match", if_match), _tags("If-None-Match", if_none_match))


def _tags(name: str, given: str | None) -> frozenset[str]:
    """Return the ETags that the header *name* lists; none if it was not *given*.

    Raises:
        HTTPException: 400. Without its precondition a request would do what its client does not want.
    """
    try:
        found = listed(given or "")
    except ValueError:
        found = frozenset()
    if given is not None and not found:
        raise HTTPException(400, _MALFORMED.format(name))
    return found


Precondition = Annotated[_Precondition, Depends(_precondition)]


def tagged(content: Any, status: int = 200) -> JSONResponse:
    """Return the answer to a write, with the ETag of what a GET answers now."""
    response = JSONResponse(content, status)
    response.headers["ETag"] = etag_of(response.body)
    return response
