"""Forms that make a token once, however often they are sent: a second click finds the token of the first.

Each form has an id. The secret is derived from it, so the answer to a second click can show the same secret: the
browser has thrown away the answer to the first. The hub remembers the ids that were used, so a token that was revoked
does not come back from a form that somebody sends once more.
"""

import re
from datetime import datetime, timedelta
from typing import Final

from hubless.bootstrap.hub import Hub
from hubless.domain.tokens import form_secret, sha256
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.services.identifiers import new_secret

_ID: Final = re.compile(r"([0-9]{1,12})\.[0-9a-f]{32}")
_LIFETIME: Final = timedelta(days=1)  # of a form; the hub remembers its id as long
_AHEAD: Final = timedelta(minutes=1)  # another machine's clock may be ahead of ours by this


@value
class TokenForm:
    """A form that was sent: the secret that its token has, and when the hub may forget the form."""

    secret: str
    ends_at: datetime

    def is_first(self, hub: Hub) -> bool:
        """Say whether it is sent for the first time. Of two at once one is."""
        return hub.single_use.use(f"token form#{sha256(self.secret)}", self.ends_at)


def new_form_id(now: datetime) -> str:
    """Return the id of a form that a page shows at *now*."""
    return f"{int(now.timestamp())}.{new_secret()}"


def sent_form(hub: Hub, user: User, form_id: str) -> TokenForm | None:
    """Return the form of *user* with this id; None for a script that sends no id, and for a form of long ago."""
    matched, now = _ID.fullmatch(form_id), hub.clock.now()
    if matched is None:
        return None
    age = timedelta(seconds=now.timestamp() - int(matched[1]))
    if not -_AHEAD <= age < _LIFETIME:
        return None
    return TokenForm(form_secret(hub.key, user.id, form_id), now + _LIFETIME + 2 * _AHEAD)
