"""The texts of the hub's mails: plain, and each says what to do if its reader did not ask for it."""

from collections.abc import Iterable

from hubless.domain.budgets import Alert, AlertRequest
from hubless.domain.letters import Letter
from hubless.domain.mails import Mail


def password_reset(hub: str, to: str, user_name: str, link: str) -> Mail:
    """Return the mail with a link to a new password."""
    return Mail(
        to,
        f"A new password for {hub}",
        f"""Somebody, probably you, has asked for a new password for the account {user_name} of {hub}.

Open this link to choose one. It works once, within an hour:

{link}

If you did not ask for it, ignore this mail. Your password stays as it is.
""",
    )


def confirm_address(hub: str, to: str, user_name: str, link: str) -> Mail:
    """Return the mail that asks whether an address belongs to a user."""
    return Mail(
        to,
        f"Confirm your e-mail address for {hub}",
        f"""The account {user_name} of {hub} wants to use this e-mail address.

Open this link to confirm it, within three days:

{link}

If this is not your account, ignore this mail.
""",
    )


def address_changed(hub: str, to: str, user_name: str, after: str) -> Mail:
    """Return the mail to the address that a user had before."""
    now = f"is now {after}" if after else "was removed"
    return Mail(
        to,
        f"Your e-mail address for {hub} has changed",
        f"""The e-mail address of the account {user_name} of {hub} {now}.

If you did not change it, ask the admin of {hub} for help at once.
""",
    )


def password_changed(hub: str, to: str, user_name: str) -> Mail:
    """Return the mail to a user who has a new password."""
    return Mail(
        to,
        f"Your password for {hub} was changed",
        f"""The account {user_name} of {hub} has a new password.

If you did not choose it, ask the admin of {hub} for help at once.
""",
    )


def second_factors_reset(hub: str, to: str, user_name: str, by: str) -> Mail:
    """Return the mail to a user whose second factors *by* has removed."""
    return Mail(
        to,
        f"Your second factors for {hub} were removed",
        f"""{by} has removed all second factors of the account {user_name} of {hub}.

If you did not ask for it, ask the admin of {hub} for help at once.
""",
    )


def confirm_sign_up(hub: str, to: str, user_name: str, link: str) -> Mail:
    """Return the mail that asks whether the address of a sign-up is right."""
    return Mail(
        to,
        f"Confirm your account for {hub}",
        f"""Somebody, probably you, wants an account called {user_name} of {hub}, with this e-mail address.

Open this link to confirm it:

{link}

If you did not ask for it, ignore this mail. There will be no account.
""",
    )


def account_is_ready(hub: str, to: str, user_name: str, url: str) -> Mail:
    """Return the mail after an admin has approved a sign-up."""
    return Mail(
        to,
        f"Your account for {hub} is ready",
        f"""An admin has approved your account {user_name} of {hub}. Log in with the password that you chose:

{url}/hub/login
""",
    )


def budget_of_user(hub: str, to: str, asked: AlertRequest, used: Iterable[str], user_name: str) -> Mail:
    """Return the mail to a user about the user's own budget; *used* are sentences."""
    if asked.alert is Alert.USED_UP:
        what = "The hub stops your servers, and starts none while nothing is left."
    else:
        what = "The hub stops your servers when it is used up. Save your work, and stop servers that you do not need."
    return Mail(
        to,
        f"Your budget {_line(asked.budget)} of {hub} is {_IS[asked.alert]}",
        f"""This is about the account {user_name} of {hub}.

{_lines(used)}

{what}

If you need more, ask the admin of {hub}.
""",
    )


def budget_of_many(hub: str, asked: AlertRequest, used: Iterable[str], whose: str, url: str) -> Mail:
    """Return the mail to an admin about a budget of a group or of the hub; *used* are sentences."""
    if asked.alert is Alert.USED_UP:
        what = f"The hub stops the servers of {whose}, and starts none while nothing is left."
    else:
        what = f"The hub stops the servers of {whose} when it is used up."
    return Mail(
        asked.to,
        f"The budget {_line(asked.budget)} of {hub} is {_IS[asked.alert]}",
        f"""{_lines(used)}

{what}

This page shows the budgets, and sets them:

{url}/hub/admin/budgets
""",
    )


def letter(hub: str, to: str, sent: Letter, user_name: str, url: str) -> Mail:
    """Return the mail with a letter that an admin has sent."""
    return Mail(
        to,
        f"{_line(sent.subject)} ({hub})",
        f"""{sent.sent_by} has sent a message to the account {user_name} of {hub}:

{sent.text}

--
This page has all your messages:

{url}/hub/messages

The hub reads no answers to this mail.
""",
    )


_IS = {Alert.NEARLY_USED: "nearly used up", Alert.USED_UP: "used up"}


def _lines(used: Iterable[str]) -> str:
    return "\n".join(map(_line, used))


def _line(text: str) -> str:
    """Return *text* in one line: settings may give a budget any name."""
    return " ".join(text.split())
