"""Which items of another hub can be here at all."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from hubless.domain import import_bounds
from hubless.domain.added_services import check_service
from hubless.domain.archive import Archive, ArchivedBudget, ArchivedSchedule, ArchivedService
from hubless.domain.archive_conversion import budget_of, schedule_of
from hubless.domain.errors import InvalidRequestError
from hubless.domain.external_identities import check_awaited_login, check_external_id
from hubless.domain.import_choices import Choices
from hubless.domain.import_items import Item, Kind, Marks, place_of
from hubless.domain.import_notes import EXPIRED, Notes
from hubless.domain.names import check_group_name, check_server_name, check_user_name, shown
from hubless.domain.scopes import is_custom, parse
from hubless.domain.shares import SHAREABLE


class Admission:
    """Leaves out what has expired, what no rule of this hub allows, and what takes something of another's."""

    def __init__(
        self, comes: Iterable[Item], here: Archive, marks: Marks, choices: Choices, *, now: datetime, notes: Notes
    ) -> None:
        """Keep *comes*, the items of the source with names as they are here, and what they are held against."""
        self._marks, self._choices, self._now, self._notes = marks, choices, now, notes
        self._users = {user.name: user for user in here.users}
        self._coming, self._with_way_in = dict[str, Any](), set[str]()
        for item in comes:
            if item.kind is Kind.USER:
                self._coming[item.key[0]] = item.record
            elif item.kind in {Kind.PASSWORD, Kind.IDENTITY}:
                self._with_way_in.add(item.owner)
        self._held = dict.fromkeys(choices.taken, "")  # client ids and hashes of tokens: whose
        for service in here.services:
            self._hold(service)

    def admits(self, item: Item) -> bool:
        """Say whether this item can be here at all; leave it out with a remark if not."""
        choices = self._choices
        of_settings = {
            Kind.SERVICE: choices.services,
            Kind.BUDGET: choices.budgets,
            Kind.SCHEDULE: choices.schedules,
        }
        if item.key[0] in of_settings.get(item.kind, ()):
            self._notes.keep(item, "keeps the settings that it has here")
            return False
        why, to_do = self._refusal(item)
        if not why:
            return True
        self._notes.leave_out(item, why, to_do)
        return False

    def _refusal(self, item: Item) -> tuple[str, str]:
        """Return why the item cannot be here, and what to do; two empty texts if it can."""
        if item.kind is Kind.AWAITED:
            return self._refusal_of_awaited(item), "Link the login: `hubless user link NAME`."
        looks: dict[Kind, Callable[[Any], tuple[str, str]]] = {
            Kind.GROUP: self._refusal_of_group,
            Kind.SERVER: self._refusal_of_server,
            Kind.AUTH_STATE: self._refusal_of_auth_state,
            Kind.TOKEN: self._refusal_of_token,
            Kind.SHARE: self._refusal_of_share,
            Kind.SHARE_CODE: self._refusal_of_share_code,
            Kind.SERVICE: self._refusal_of_service,
            Kind.SIGN_UP: self._refusal_of_sign_up,
            Kind.IDENTITY: self._refusal_of_identity,
            Kind.BUDGET: self._refusal_of_budget,
            Kind.SCHEDULE: self._refusal_of_schedule,
        }
        look = looks.get(item.kind)
        return ("", "") if look is None else look(item.record)

    def _refusal_of_awaited(self, item: Item) -> str:
        name, awaited = item.key[0], item.record
        there, comes = self._users.get(name), self._coming[item.key[0]]
        has_way_in = there is not None and bool(there.password_hash or there.identities)
        # Who came by an import was made when the source says. Marks do not tell: users of both hubs have one too.
        was_here = there is not None and there.created_at != comes.created_at
        is_admin = comes.admin or (there is not None and there.admin)
        reasons = (
            (self._marks.get(place_of(item)) == item.digest, ""),  # imported, and the first login may have been since
            (awaited.until <= self._now, EXPIRED),
            (awaited.name != name, f"awaits a login as {shown(awaited.name)}, and has another name here"),
            (was_here, "was here before, so a name does not say who it is"),
            (is_admin, "is an admin, and a name makes nobody an admin"),
            (name in self._with_way_in or has_way_in, "has another way in"),
        )
        return next((why for holds, why in reasons if holds), _fault(lambda: check_awaited_login(awaited)))

    def _refusal_of_group(self, group: Any) -> tuple[str, str]:
        return _fault(lambda: check_group_name(group.name)), "Rename the group there."

    def _refusal_of_server(self, server: Any) -> tuple[str, str]:
        why = _fault(lambda: check_server_name(server.name)) if server.name else ""
        return why, "Make a server of another name here; the files are the user's."

    def _refusal_of_auth_state(self, state: Any) -> tuple[str, str]:
        if not self._choices.keeps_auth_state:
            return "is not kept: the settings do not ask for it", "Set `login.auth_state = true`, and import again."
        return import_bounds.refusal_of_auth_state(state), "The user's next login at the provider brings what is new."

    def _refusal_of_token(self, token: Any) -> tuple[str, str]:
        if token.expires_at is not None and token.expires_at <= self._now:
            return EXPIRED, ""
        if many := import_bounds.refusal_of_token(token):
            return many, "Its owner makes a new token here, with fewer scopes."
        return _fault(
            lambda: [parse(text) for text in token.scopes]
        ), "Define the scope in the settings and import again, or its owner makes a new token."

    def _refusal_of_share(self, share: Any) -> tuple[str, str]:
        if share.expires_at is not None:
            return "ends at an instant, and shares here do not end", "Its owner shares the server again."
        return _fault_of_shared(share.scopes), "Its owner shares the server again."

    def _refusal_of_share_code(self, code: Any) -> tuple[str, str]:
        why = EXPIRED if code.expires_at <= self._now else _fault_of_shared(code.scopes)
        return why, "Its owner makes a new code."

    def _refusal_of_service(self, service: Any) -> tuple[str, str]:
        if why := _fault(lambda: check_service(service)):
            return why, "Change it there and import again, or write it in the settings."
        for what, text in (("client id", service.oauth_client_id), ("token", service.token_hash)):
            holder = self._held.get(text or "", service.name)
            if holder != service.name:
                whose = f"the service {shown(holder)}" if holder else "a service of the settings"
                return f"has the {what} of {whose}", "Add the service here with another one."
        self._hold(service)
        return "", ""

    def _hold(self, service: ArchivedService) -> None:
        """Note what no other service may have."""
        for text in (service.oauth_client_id, service.token_hash):
            if text:
                self._held.setdefault(text, service.name)

    def _refusal_of_identity(self, identity: Any) -> tuple[str, str]:
        return _fault(lambda: check_external_id(identity.id)), "Link the login: `hubless user link NAME`."

    def _refusal_of_budget(self, budget: ArchivedBudget) -> tuple[str, str]:
        return _fault(lambda: budget_of(budget)), "Set the budget here."

    def _refusal_of_schedule(self, schedule: ArchivedSchedule) -> tuple[str, str]:
        if schedule.profile and schedule.profile not in self._choices.profiles:
            why = f"starts servers of the type {shown(schedule.profile)}, which is not here"
            return why, "Define the type in the settings and import again, or add the schedule here."
        return _fault(lambda: schedule_of(schedule)), "Add the schedule here."

    def _refusal_of_sign_up(self, sign_up: Any) -> tuple[str, str]:
        if sign_up.name in self._users or sign_up.name in self._coming:
            return "has the name of a user", ""
        return _fault(lambda: check_user_name(sign_up.name)), "The person signs up under another name."


def _fault(check: Callable[[], object]) -> str:
    try:
        check()
    except InvalidRequestError as wrong:
        return f"is not allowed here ({wrong})"
    return ""


def _fault_of_shared(scopes: Iterable[str]) -> str:
    unknown = sorted(name for name in scopes if name not in SHAREABLE and not is_custom(name))
    return f"gives {unknown[0]}, which cannot be shared here" if unknown else ""
