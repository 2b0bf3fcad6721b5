"""The section `[passwords]`."""

from hubless.domain.passwords import HIGHEST_SCORE
from hubless.domain.values import value
from hubless.settings.types import count, setting


@value
class PasswordsSettings:
    """Which passwords users may choose; only for `login.kind = "password"`."""

    min_score: int = setting(
        2,
        count(0, HIGHEST_SCORE),
        "How hard to guess a new password must be: from 0 (anything) to 4 (years of guessing), by zxcvbn",
    )
    admin_min_score: int = setting(
        3, count(1, HIGHEST_SCORE), "The same for admins; at least 1, which excludes the commonest passwords"
    )
