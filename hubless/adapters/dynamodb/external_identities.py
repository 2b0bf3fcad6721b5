"""External identities in DynamoDB."""

from typing import Any

from hubless.adapters.dynamodb import keys, user_records
from hubless.adapters.dynamodb.database import Check, ConditionFailedError, Database, Delete, Put, Step, Update
from hubless.adapters.dynamodb.table import Account, IdentityItem, Password
from hubless.adapters.dynamodb.user_count import counted
from hubless.adapters.dynamodb.users import DynamoUserStore, steps_of_creation
from hubless.domain.errors import IdentityTakenError, NameTakenError, NotFoundError, StoreConflictError
from hubless.domain.external_identities import AwaitedLogin, ExternalId, LinkedIdentity
from hubless.domain.users import User

_IDENTIFIED = [Account.identified.set(True), Account.awaited.remove()]
_IS_NO_ADMIN = Account.admin == False  # noqa: E712 a condition of PynamoDB


class DynamoIdentityStore:
    """Stores external identities.

    An identity of a user whose removal has begun belongs to nobody: another user may take it over.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._users = DynamoUserStore(database)

    def find_with_user(self, identity: ExternalId) -> tuple[LinkedIdentity, User] | None:
        item = self._database.get(IdentityItem, keys.identity(identity.issuer, identity.subject))
        if item is None:
            return None
        user = user_records.read(self._database, [item.user_id]).get(item.user_id)
        return None if user is None else (_linked(item), user)

    def of_user(self, user_id: str) -> list[LinkedIdentity]:
        items = self._database.query(IdentityItem, keys.user(user_id), IdentityItem.sk.startswith("IDENTITY#"))
        return sorted(map(_linked, items), key=lambda one: (one.linked_at, one.id.issuer, one.id.subject))

    def link(self, linked: LinkedIdentity, *, only_way_in: bool = False, awaited: AwaitedLogin | None = None) -> None:
        there = Account.pk.exists() & Account.gone.does_not_exist()
        missing = NotFoundError("User", linked.user_id)
        account = keys.account(linked.user_id)
        if not only_way_in:
            self._write(linked, [Update(account, _IDENTIFIED, there, missing)])
            return
        another = StoreConflictError("This user has another way in")
        as_expected = there & Account.identified.does_not_exist()
        if awaited is not None:
            as_expected &= (Account.awaited == user_records.text_of_awaited(awaited)) & _IS_NO_ADMIN
        first = Update(account, _IDENTIFIED, as_expected, another)
        self._write(linked, [first, Check(keys.password(linked.user_id), Password.hash.does_not_exist(), another)])

    def await_login(self, user_id: str, awaited: AwaitedLogin) -> bool:
        as_expected = Account.pk.exists() & Account.gone.does_not_exist() & Account.identified.does_not_exist()
        stored = Account.awaited.set(user_records.text_of_awaited(awaited))
        try:
            self._database.transact(
                [
                    Update(keys.account(user_id), [stored], as_expected & _IS_NO_ADMIN),
                    Check(keys.password(user_id), Password.hash.does_not_exist()),
                ]
            )
        except ConditionFailedError:
            return False
        return True

    def create_user(self, user: User, linked: LinkedIdentity) -> None:
        if self._users.holders([user.name]):
            raise NameTakenError("User", user.name)
        steps = steps_of_creation(user, NameTakenError("User", user.name), identified=True)
        self._write(linked, [*steps, counted(1)])

    def unlink(self, user_id: str, identity: ExternalId) -> bool:
        own = IdentityItem.user_id == user_id
        listed = keys.identity_of(user_id, identity.issuer, identity.subject)
        try:
            self._database.transact([Delete(keys.identity(identity.issuer, identity.subject), own), Delete(listed)])
        except ConditionFailedError:
            return False
        return True

    def _write(self, linked: LinkedIdentity, first: list[Step]) -> None:
        """Write the identity after the steps *first*, unless another user has it."""
        taken = IdentityTakenError(linked.provider, linked.label)
        try:
            self._database.transact([*first, *_steps(linked, taken)])
        except IdentityTakenError:
            if (former := self._removed_user(linked)) is None:
                raise
            self._database.transact([*first, *_steps(linked, taken, former)])

    def _removed_user(self, linked: LinkedIdentity) -> str | None:
        """Return the id of the user who has the identity if that user is removed, or is being removed."""
        item = self._database.get(IdentityItem, keys.identity(linked.id.issuer, linked.id.subject))
        if item is None:
            return None
        account = self._database.get(Account, keys.account(item.user_id))
        return item.user_id if account is None or account.gone else None


def _steps(linked: LinkedIdentity, taken: IdentityTakenError, former: str | None = None) -> list[Step]:
    facts: dict[str, Any] = {
        "issuer": linked.id.issuer,
        "subject": linked.id.subject,
        "user_id": linked.user_id,
        "provider": linked.provider,
        "label": linked.label,
        "linked_at": linked.linked_at,
        "by_admin": linked.by_admin,
    }
    is_free = IdentityItem.pk.does_not_exist() | (IdentityItem.user_id == linked.user_id)
    if former is not None:
        is_free |= IdentityItem.user_id == former
    return [
        Put(IdentityItem(*keys.identity(linked.id.issuer, linked.id.subject), **facts), is_free, taken),
        Put(IdentityItem(*keys.identity_of(linked.user_id, linked.id.issuer, linked.id.subject), **facts)),
    ]


def _linked(item: IdentityItem) -> LinkedIdentity:
    external = ExternalId(item.issuer, item.subject)
    return LinkedIdentity(external, item.user_id, item.provider, item.label, item.linked_at, item.by_admin)
