"""Letters: admins send them, and each recipient has them until they expire. People read "message" for letter."""

import hashlib
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from hubless.domain import letters
from hubless.domain.errors import (
    HublessError,
    InvalidRequestError,
    MailFailedError,
    NotFoundError,
    QuotaExceededError,
    RetryLaterError,
    StoreConflictError,
)
from hubless.domain.ids import RANDOM_BYTES, identifier
from hubless.domain.leases import Lease, NoLease
from hubless.domain.letters import PREFIX, Delivery, Letter
from hubless.domain.messages import Message, MessageKind
from hubless.domain.translatable import gettext as _
from hubless.domain.translatable import ngettext
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.email_addresses import EmailAddressStore
from hubless.ports.leases import LeaseStore
from hubless.ports.letters import LetterStore
from hubless.ports.mailer import Mailer
from hubless.ports.queue import Queue
from hubless.ports.users import GroupStore, UserStore
from hubless.services import mail_texts
from hubless.services.identifiers import new_id

logger = logging.getLogger(__name__)
MOST_AN_HOUR: Final = 60  # letters of one sender, each to as many people as the sender reaches
RETRY: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_NO_MAIL: Final = _("Has the message, but gets no mail: there is no verified address.")
_TAKEN_BACK: Final = "Has not got the message: somebody has taken it back."
_REQUEST: Final = re.compile(r"\S+ \S+")


@value
class Draft:
    """What somebody wants to send."""

    subject: str
    text: str
    by_mail: bool = False
    id: str = ""  # of the page on which it was written: sent twice, it is one letter
    key: str = ""  # of a client's request, the same if it sends the request again within an hour


@value
class Letters:
    """Sends letters, and tells recipients of them. Whoever calls it has made sure that the sender may send."""

    store: LetterStore
    users: UserStore
    groups: GroupStore
    addresses: EmailAddressStore
    leases: LeaseStore
    queue: Queue | None  # None: the hub sends no mails
    clock: Clock
    keep: timedelta

    # --- for senders ---

    @property
    def sends_mails(self) -> bool:
        """Say whether a letter may go by mail too."""
        return self.queue is not None

    def new_draft_id(self) -> str:
        """Return the id of a letter that somebody begins to write."""
        return new_id(PREFIX, self.clock.now())

    def begin(self, draft: Draft, by: str, sender: str = "") -> Letter:
        """Store a letter, which has no recipient yet, and return it. The same draft again is the same letter.

        That holds for a day by the draft's id, and for an hour by its key.

        Args:
            draft: what to send.
            by: the name of who sends it.
            sender: the kind and the id of who sends it, whose letters are counted; empty for an operator.

        Raises:
            InvalidRequestError: when something is missing or too long, or the hub sends no mails.
            QuotaExceededError: when *sender* has sent too many within the last hour.
            StoreConflictError: when the draft's key was the key of another letter.
        """
        subject, text = draft.subject.strip(), draft.text.replace("\r\n", "\n").strip()
        letters.check(subject, text)
        if draft.by_mail and not self.sends_mails:
            raise InvalidRequestError(_("This hub sends no mails. Send the message without."))
        now = self.clock.now()
        wanted = Letter(draft.id, subject, text, by, now, now + self.keep, sender, draft.by_mail)
        return self._with_key(wanted, draft.key) if draft.key else self._of_page(wanted)

    def _of_page(self, wanted: Letter) -> Letter:
        """Store the letter under the id of its page, if that is a new one, and return it."""
        now = wanted.sent_at
        known = self.store.known(wanted.id, now) if letters.is_draft_id(wanted.id, now) else None
        if known is not None and not known.is_taken_back and known.says_the_same_as(wanted):
            return known
        is_usable = known is None and letters.is_draft_id(wanted.id, now)
        if wanted.sender:
            self._count(wanted.sender, now)
        made = wanted if is_usable else replace(wanted, id=new_id(PREFIX, now))
        return made if self._create(made) else self._of_page(wanted)  # a second click came between

    def _with_key(self, wanted: Letter, key: str) -> Letter:
        """Store the letter under an id that the client's key makes, once, and return it.

        The lease that counts the letter is the key's too. It remembers when the key came first, so that the id is the
        same again, also after a crash before the letter was stored. A letter that was taken back stays so: who sends it
        again hears that it was sent.
        """
        digest = hashlib.sha256(f"{wanted.sender}#{key}".encode()).digest()
        lease = self._count(wanted.sender, wanted.sent_at, digest.hex())
        made = replace(wanted, id=identifier(PREFIX, lease.until - _HOUR, digest[:RANDOM_BYTES]))
        if self._create(made):
            return made
        known = self.store.known(made.id, wanted.sent_at)
        if known is None or not known.says_the_same_as(wanted):
            raise StoreConflictError(
                "This Idempotency-Key was that of another message. Take a new key for each message."
            )
        return replace(known, subject=wanted.subject, text=wanted.text)

    def _create(self, made: Letter) -> bool:
        if not self.store.create(made):
            return False
        logger.info("%s has begun to send the message %s", made.sent_by, made.id)
        return True

    def _count(self, sender: str, now: datetime, lease_id: str | None = None) -> Lease:
        key, until = f"letter#{sender}", now + _HOUR
        given = self.leases.claim(key, limit=MOST_AN_HOUR, now=now, until=until, lease_id=lease_id)
        if isinstance(given, NoLease):
            wait = given.until - now
            raise QuotaExceededError(
                ngettext(
                    "You have sent too many messages. Try again in a minute.",
                    "You have sent too many messages. Try again in %(count)s minutes.",
                    max(1, -(-wait // timedelta(minutes=1))),
                ),
                limit=MOST_AN_HOUR,
                retry=True,
                after=wait,
            )
        return given

    def begun(self, letter_id: str, sender: str) -> Letter:
        """Return the letter that *sender* is sending.

        Raises:
            NotFoundError: when there is none, or it is somebody else's.
        """
        found = self.store.get(letter_id, self.clock.now()) if letters.is_letter_id(letter_id) else None
        if found is None or found.sender != sender:
            raise NotFoundError("Message", letter_id)
        return found

    def counted(self, letter: Letter) -> Letter:
        """Return the letter that somebody has just sent with how many people have got and have read it by now."""
        found = self.store.known(letter.id, self.clock.now())
        return letter if found is None else replace(letter, reached=found.reached, read=found.read)

    def recipients(self, names: Iterable[str], groups: Iterable[str], *, most: int) -> tuple[list[User], list[str]]:
        """Return the users of these names and the members of these groups, each once, and the names that nobody has.

        Args:
            names: of users.
            groups: names of groups.
            most: how many users there may be; more are refused before anything is sent.

        Raises:
            NotFoundError: naming the first group that does not exist.
            InvalidRequestError: when they are more than *most*.
        """
        found, unknown = dict[str, User](), list[str]()
        for name in dict.fromkeys(names):
            user = self.users.find(name)
            if user is None:
                unknown.append(name)
            else:
                found[user.id] = user
        for name in dict.fromkeys(groups):
            group = self.groups.summary(name)
            if group is None:
                raise NotFoundError("Group", name)
            members = self.groups.members(group.id, limit=most + 1)
            found |= self.users.get_many([one.id for one in members if one.id not in found])
            if len(found) > most:
                break
        if len(found) > most:
            raise InvalidRequestError(_("A message may go to at most %(most)s people at once.", most=most))
        return list(found.values()), unknown

    def deliver(self, letter: Letter, user: User) -> str:
        """Give *user* the letter, once, and return what the sender should know of it: an empty text if all is well.

        Raises:
            NotFoundError: when the user is gone, or the letter and the user has never had it.
        """
        self.store.deliver(letter, user.id)
        if not letter.by_mail or self.queue is None:
            return ""
        known = self.addresses.get(user.id)
        if known is None or not known.address:
            return _NO_MAIL
        # Also when the user had the letter already: the call before may have ended here. The mail is claimed once.
        self.queue.send(Message(MessageKind.LETTER_MAIL, text=f"{letter.id} {user.id}"))
        return ""

    def send(self, letter: Letter, users: Iterable[User]) -> list[tuple[str, str]]:
        """Give all *users* the letter, and return the names of those with whom something is wrong, with the reason."""
        refused = []
        for user in users:
            try:
                why = self.deliver(letter, user)
            except HublessError as error:
                why = _TAKEN_BACK if letter.is_taken_back else error.message
            if why:
                refused.append((user.name, why))
        return refused

    def sent(self, *, limit: int, before: str = "") -> list[Letter]:
        """Return letters of all senders, newest first, at most *limit*, whose ids come before *before*."""
        return self.store.page(self.clock.now(), limit=limit, before=before)

    def take_back(self, letter_id: str) -> Letter:
        """Take a letter back from everybody who has it, and return it. Mails that were sent stay sent.

        Raises:
            NotFoundError: when there is none.
        """
        found = self.store.get(letter_id, self.clock.now()) if letters.is_letter_id(letter_id) else None
        if found is None or not self.store.take_back(found):
            raise NotFoundError("Message", letter_id)
        return found

    # --- for recipients ---

    def unread(self, user: User) -> tuple[str, ...]:
        """Return the ids of the letters that *user* has not read, oldest first, without a read of the store."""
        return letters.unread(user.unread, self.clock.now(), self.keep)

    def received(self, user: User) -> list[Delivery]:
        """Return all letters that *user* has or has put away, newest first."""
        found = self.store.of_user(user.id, self.clock.now())
        there = {one.letter.id for one in found}
        if gone := set(user.unread) - there:  # taken back, expired, or removed for newer ones
            self.store.forget(user.id, gone)
        return found

    def shown(self, user: User) -> list[Delivery]:
        """Return the letters that *user* has not put away, newest first."""
        return [one for one in self.received(user) if not one.is_put_away]

    def mark_read(self, user: User, letter_id: str, *, put_away: bool = False) -> None:
        """Note that *user* has read a letter; with *put_away*, that the user does not want to see it any more.

        Raises:
            NotFoundError: when the user has no such letter.
        """
        now, is_one = self.clock.now(), letters.is_letter_id(letter_id)
        if not is_one or not self.store.mark_read(letter_id, user.id, now, put_away=put_away):
            raise NotFoundError("Message", letter_id)


@value
class LetterMails:
    """Sends letters by mail: what the queue asks for, each once."""

    store: LetterStore
    users: UserStore
    addresses: EmailAddressStore
    mailer: Callable[[], Mailer]
    clock: Clock
    hub_name: str
    url: str  # the hub's own address

    def send(self, text: str) -> None:
        """Send the mail that *text* asks for: the ids of a letter and of a user.

        The mail is claimed before it is sent. So a message that comes twice sends one mail; after a crash in between
        there is none, and the letter is in the hub all the same.

        Raises:
            RetryLaterError: when a mail server did not take the mail, and may later.
            ValueError: when the text asks for none.
        """
        if not _REQUEST.fullmatch(text):
            raise ValueError("a mail of a message needs two ids")
        letter_id, user_id = text.split()
        now = self.clock.now()
        letter, user = self.store.get(letter_id, now), self.users.get(user_id)
        known = self.addresses.get(user_id)
        if letter is None or user is None or known is None or not known.address:
            logger.info("sent no mail for the message %s: it, its user or the address is gone", letter_id)
            return
        if not self.store.claim_mail(letter_id, user_id, now):
            return
        try:
            self.mailer().send(mail_texts.letter(self.hub_name, known.address, letter, user.name, self.url))
        except MailFailedError as failed:  # the log says why
            if failed.retry:
                self.store.release_mail(letter_id, user_id)
                raise RetryLaterError("a mail of a message could not be sent", after=RETRY) from failed
