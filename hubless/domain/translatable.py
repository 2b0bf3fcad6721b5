"""Sentences that a person reads: English, with what another language needs to say the same."""

from typing import Any, Self


class Message(str):
    """A sentence in English that pages can show in another language.

    It is an ordinary text wherever nobody asks for more: in the API, in logs and in mails.
    """

    __slots__ = ("msgid", "number", "parameters", "plural")

    msgid: str
    plural: str
    number: int
    parameters: dict[str, Any]

    def __new__(cls, msgid: str, parameters: dict[str, Any], *, plural: str = "", count: int = 1) -> Self:
        """Return the sentence *msgid*, or *plural* if *count* is not 1, with its *parameters* filled in.

        Args:
            msgid: the sentence, with parameters as in `%(name)s`; catalogues have it under this text.
            parameters: their values. A value that is a `Message` is translated too.
            plural: the sentence for another count than one; "" if it has no number.
            count: the number.
        """
        form = msgid if count == 1 or not plural else plural
        made = super().__new__(cls, form % parameters if parameters else form)
        made.msgid, made.plural, made.number, made.parameters = msgid, plural, count, parameters
        return made


def gettext(msgid: str, /, **parameters: Any) -> Message:
    """Return the sentence *msgid* with its *parameters*; import it as `_`."""
    return Message(msgid, parameters)


def ngettext(singular: str, plural: str, count: int, /, **parameters: Any) -> Message:
    """Return the sentence for *count* things, which is a parameter as well: `%(count)s`."""
    return Message(singular, {"count": count, **parameters}, plural=plural, count=count)
