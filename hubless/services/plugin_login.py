"""Logins by a plug-in: its pages, with the hub's own throttle and the hub's own end of each login."""

from collections.abc import Callable

from hubless.domain import device_cookies, names
from hubless.domain.bounds import MAX_PASSWORD
from hubless.domain.errors import InvalidRequestError, NameTakenError, NotAllowedError
from hubless.domain.translatable import gettext as _
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.ports.authenticator import Identity, Refused
from hubless.ports.login_plugin import LoginPlugin, PluginAnswer, PluginRequest
from hubless.services.accounts import Accounts
from hubless.services.login_throttling import LockedOut, LoginThrottle
from hubless.services.logins import Logins


@value
class PluginOutcome:
    """What the plug-in answered, and who has logged in by that, if anybody."""

    answer: PluginAnswer
    user: User | None = None


@value
class PluginLogin:
    """Asks the plug-in on behalf of a browser."""

    plugin: LoginPlugin
    throttle: LoginThrottle
    logins: Logins
    accounts: Accounts
    key: Callable[[], bytes]  # the hub's secret, which signs device cookies

    def ask(
        self, request: PluginRequest, password: str | None, device_cookie: str = ""
    ) -> PluginOutcome | Refused | LockedOut:
        """Return the plug-in's answer to *request*, or why the hub does not ask it.

        Args:
            request: the browser's; *user_name* is what its form has as `username`.
            password: what the form has as `password`; None if it has no such field, so that it guesses nothing.
            device_cookie: proves an earlier login with this browser, as for other passwords.

        Raises:
            LoginUnavailableError: when the class fails or hangs.
        """
        if password is None:
            return self._without_guess(request)
        name = self.accounts.stored_name(request.user_name)
        if not names.is_possible_user_name(name) or len(password) > MAX_PASSWORD or "\0" in password:
            return Refused()
        now = self.throttle.clock.now()
        device = device_cookies.device_of(self.key(), name, device_cookie, now) if device_cookie else None
        if locked_out := self.throttle.admit(name, request.address, device):
            return locked_out
        answer = self.plugin.answer(request)
        if answer.identity is None:
            self.throttle.note_failure(name, request.address, device)
            return PluginOutcome(answer)
        self.throttle.note_success(name, request.address, device)
        return self._logged_in(answer, answer.identity)

    def require_let_in(self, user: User) -> None:
        """Ask the class's own rules about a user whose passkey answered.

        Raises:
            NotAllowedError: when they let the user in no more.
            LoginUnavailableError: when the class fails or hangs.
        """
        if not self.plugin.lets_in(user.name, self.logins.auth_states.of(user)):
            contact = self.logins.external.admission.contact
            raise NotAllowedError(_("%(user)s is not allowed on this hub.", user=user.name), contact=contact)

    def _without_guess(self, request: PluginRequest) -> PluginOutcome | Refused | LockedOut:
        """Ask; what a stranger may write, such as a sign-up, is counted by address."""
        is_from_a_stranger = request.method == "POST" and request.visitor is None
        if is_from_a_stranger and (locked_out := self.throttle.admit_sign_up(request.address)):
            return locked_out
        answer = self.plugin.answer(request)
        return PluginOutcome(answer) if answer.identity is None else self._logged_in(answer, answer.identity)

    def _logged_in(self, answer: PluginAnswer, identity: Identity) -> PluginOutcome | Refused:
        if (fault := self._fault_of(identity.name)) is not None:
            return Refused(fault)
        try:
            return PluginOutcome(answer, self.logins.log_in(identity))
        except (NameTakenError, InvalidRequestError) as refused:  # of a first login, which adds the user
            return Refused(str(refused))

    def _fault_of(self, name: str) -> str | None:
        """Return why nobody gets this name from the class: two names of the class must not become one of the hub."""
        if names.normalise_user_name(name) == name or self.accounts.users.find(name) is not None:
            return None
        return (
            f"{self.plugin.name} names you {name[:60]!r}, but this hub has names in lower case only. Ask the operator"
            " of this hub to set username_map."
        )
