"""Notes on users: admins read and write them, and nobody else does."""

from typing import Final

from hubless.domain import user_notes
from hubless.domain.errors import StoreConflictError
from hubless.domain.translatable import gettext as _
from hubless.domain.user_notes import UserNote
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.clock import Clock
from hubless.ports.user_notes import UserNoteStore

_CHANGED: Final = _("Somebody else has changed this note meanwhile. Look at it again.")


@value
class UserNotes:
    """Reads and writes notes. Whoever calls it has made sure that an admin asks."""

    store: UserNoteStore
    clock: Clock

    def of(self, user: User) -> UserNote:
        """Return the note on *user*; an empty one if there is none."""
        return self.store.get(user.id) or UserNote(user.id)

    def write(self, user: User, text: str, by: str, *, revision: int | None = None) -> UserNote:
        """Write the note on *user* in place of the one before, and return it; an empty *text* removes it.

        Args:
            user: whom the note is about.
            text: plain text.
            by: the name of who writes it.
            revision: of the note that the writer has seen; None to write over whatever is there.

        Raises:
            InvalidRequestError: when the text is too long.
            NotFoundError: when the user was removed meanwhile.
            StoreConflictError: when somebody else has changed the note.
        """
        wanted = text.replace("\r\n", "\n").strip()
        user_notes.check_text(wanted)
        stored = self.store.get(user.id)
        before = stored or UserNote(user.id)
        if wanted == before.text:  # a form that was sent twice
            return before
        if revision is not None and revision != before.revision:
            raise StoreConflictError(_CHANGED)
        after = UserNote(user.id, wanted, before.revision + 1, by, self.clock.now())
        try:
            self.store.save(stored, after)
        except StoreConflictError:
            raise StoreConflictError(_CHANGED) from None
        return after
