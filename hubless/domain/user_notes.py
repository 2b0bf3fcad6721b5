"""Notes on users: what admins write about somebody for other admins."""

from datetime import datetime
from typing import Final

from hubless.domain.errors import InvalidRequestError
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value

MAX_TEXT: Final = 2_000  # characters
MAX_REVISION: Final = 10**9  # that a request may name


@value
class UserNote:
    """The note on a user. One that was emptied stays, so that its revision never comes again."""

    user_id: str
    text: str = ""  # plain; empty: there is none
    revision: int = 0  # 0: none was ever stored
    written_by: str = ""  # the name of who wrote it, as it was then
    written_at: datetime | None = None


def check_text(text: str) -> None:
    """Refuse a text that is too long.

    Raises:
        InvalidRequestError: with the bound.
    """
    if len(text) > MAX_TEXT:
        raise InvalidRequestError(_("A note may have at most %(most)s characters.", most=MAX_TEXT))
