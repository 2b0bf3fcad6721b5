"""The strength of passwords by zxcvbn, which knows common passwords, names, words, dates and patterns of keys."""

from collections.abc import Sequence

from hubless.domain.passwords import Strength

LONGEST = 72  # characters that count: the time of zxcvbn grows faster than the length, and so does the strength
MOST_KNOWN = 20


class ZxcvbnStrengthMeter:
    """Estimates by the number of guesses that a person with a list of passwords needs."""

    def measure(self, password: str, known: Sequence[str]) -> Strength:
        from zxcvbn import zxcvbn  # noqa: PLC0415 few requests choose a password

        if not password:
            return Strength(0)
        found = zxcvbn(password[:LONGEST], user_inputs=[text[:LONGEST] for text in known[:MOST_KNOWN]])
        return Strength(int(found["score"]), str(found["feedback"]["warning"]))
