"""Moving in: plans an import into this hub, and has it carried out.

On one machine all writes are one transaction. In DynamoDB each is conditional and its mark follows it: after a crash
the next import finds what was written, and goes on.
"""

from collections.abc import Callable
from dataclasses import replace

from hubless.domain.archive import Archive
from hubless.domain.import_choices import Choices
from hubless.domain.import_items import Kind
from hubless.domain.import_plan import Plan, plan_of
from hubless.domain.values import value
from hubless.services.exporting import Exporting, HubStores, Progress
from hubless.services.import_writing import ImportWriting


@value
class Moving:
    """Plans imports and carries them out."""

    stores: HubStores
    exporting: Exporting
    services_changed: Callable[[], None] = lambda: None
    """Routes services that were added or removed."""

    def plan(self, source: Archive, origin: str, choices: Choices) -> Plan:
        """Return what an import of *source* would do; *origin* names the hub in this hub's marks."""
        here = self.exporting.read("here")
        with self.stores.marks.unchanging():
            marks = self.stores.marks.all(origin)
        of_settings = ((one.oauth_client_id, one.token_sha256) for one in self.exporting.configured)
        taken = frozenset(text for both in of_settings for text in both if text)
        choices = replace(choices, taken=taken)
        now = self.stores.clock.now()
        plan = plan_of(source, here, marks, choices, now)
        if plan.doubtful:  # which are few: so the store is asked for them alone
            plan = plan_of(source, here, marks, replace(choices, rehashed=self._rehashed(plan, here)), now)
        return plan

    def _rehashed(self, plan: Plan, here: Archive) -> dict[str, str]:
        ids = {user.name: user.id for user in here.users if user.name in plan.doubtful}
        found = {name: self.stores.passwords.rehashed_from(user_id) for name, user_id in ids.items()}
        return {name: before for name, before in found.items() if before is not None}

    def carry_out(self, plan: Plan, origin: str, progress: Progress = lambda _what, _done, _of: None) -> None:
        """Do what *plan* says.

        Raises:
            HublessError: when the hub was changed since the plan was made. On one machine nothing was written then; in
                DynamoDB the steps before were. A new import goes on from there.
        """
        configured = frozenset(service.name for service in self.exporting.configured)
        writing = ImportWriting(self.stores, configured)
        with self.stores.marks.unchanging():
            writing.read_ids()  # before the transaction, in which others cannot write
        with self.stores.marks.together():
            # First: who gets another name here does not come under the old one after a crash.
            self.stores.marks.put(origin, plan.name_marks)
            writing.all(plan, origin, progress)
        if any(step.item.kind is Kind.SERVICE for step in plan.steps):
            self.services_changed()
