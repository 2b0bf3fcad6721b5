"""Letters: texts that an admin sends to people, one or many. Pages, the API and commands call them messages.

In the code a message is what the queue carries.
"""

import hashlib
import json
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from hubless.domain.characters import changes_direction, has_controls, is_visible
from hubless.domain.errors import InvalidRequestError
from hubless.domain.ids import created_at, is_identifier
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value

PREFIX: Final = "le"  # of ids
MAX_SUBJECT: Final = 120  # characters
MAX_TEXT: Final = 2_000  # characters
MOST_OF_USER: Final = 50  # that a user has at once; the oldest ones make room
MOST_RECIPIENTS: Final = 500  # of one request: each is a transaction
MAX_KEY: Final = 255  # characters of an idempotency key
DRAFT_LASTS: Final = timedelta(days=1)  # from the page on which a letter is written until it is sent
_AHEAD: Final = timedelta(minutes=1)  # of clocks


@value
class Letter:
    """A text that somebody sends to people. It is stored once; each recipient has a delivery of it.

    Taken back, it says nothing any more. What is left tells who sends it again that it was sent.
    """

    id: str
    subject: str  # one line
    text: str  # plain
    sent_by: str  # the name of who sent it, as it was then
    sent_at: datetime
    expires_at: datetime
    sender: str = ""  # who may go on sending it: the kind and the id of an actor; empty for an operator
    by_mail: bool = False  # whether recipients with a verified address get a mail too
    reached: int = 0  # how many people have got it
    read: int = 0  # how many of them have read it
    erased: str = ""  # the digest of a letter that was taken back; empty for others

    @property
    def digest(self) -> str:
        """Return a digest of who says what."""
        said = json.dumps([self.sender, self.subject, self.text, self.by_mail])
        return self.erased or hashlib.sha256(said.encode()).hexdigest()

    @property
    def is_taken_back(self) -> bool:
        """Say whether nobody has the letter any more."""
        return bool(self.erased)

    def says_the_same_as(self, other: "Letter") -> bool:
        """Say whether both are of one sender, with one content, also if one was taken back since."""
        return self.digest == other.digest

    def taken_back(self) -> "Letter":
        """Return what is left of the letter when it is taken back."""
        return replace(self, subject="", text="", erased=self.digest)


@value
class Delivery:
    """A letter as one user has it."""

    letter: Letter
    user_id: str
    read_at: datetime | None = None
    is_put_away: bool = False  # the user sees it no more; it stays so that nobody gets a letter twice
    mailed_at: datetime | None = None  # when the mail was handed over, or is about to be


def check(subject: str, text: str) -> None:
    """Refuse a letter that says nothing or too much, or whose subject has more than one line.

    Raises:
        InvalidRequestError: with the bound.
    """
    if not is_visible(subject):
        raise InvalidRequestError(_("Write a subject."))
    if len(subject) > MAX_SUBJECT:
        raise InvalidRequestError(_("The subject may have at most %(most)s characters.", most=MAX_SUBJECT))
    # It is a header of mails, and pages say beside it who has sent it: nothing may turn that around.
    if has_controls(subject) or changes_direction(subject):
        raise InvalidRequestError(_("The subject must be one line, without control characters."))
    if not is_visible(text):
        raise InvalidRequestError(_("Write what people shall read."))
    if len(text) > MAX_TEXT:
        raise InvalidRequestError(_("The text may have at most %(most)s characters.", most=MAX_TEXT))
    if has_controls(text.replace("\n", "").replace("\t", "")):
        raise InvalidRequestError(_("The text must not have control characters."))


def is_letter_id(text: str) -> bool:
    """Say whether *text* looks like the id of a letter; what does not is never looked for."""
    return is_identifier(text, PREFIX)


def is_draft_id(text: str, now: datetime) -> bool:
    """Say whether *text* can be the id of a letter that is sent at *now*: an id of ours, and not an old one."""
    return is_letter_id(text) and now - DRAFT_LASTS < created_at(text) <= now + _AHEAD


def unread(letter_ids: tuple[str, ...], now: datetime, keep: timedelta) -> tuple[str, ...]:
    """Return those of a user's unread letters that are still kept at *now*."""
    return tuple(one for one in letter_ids if created_at(one) > now - keep)
