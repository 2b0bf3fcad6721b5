"""Second factors in DynamoDB: one item a user, whose revision each write names."""

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.database import ConditionFailedError, Database, Put, Update
from hubless.adapters.dynamodb.table import Account, FactorsItem
from hubless.domain import factor_records
from hubless.domain.errors import NotFoundError, StoreConflictError
from hubless.domain.second_factors import Factors


class DynamoFactorStore:
    """Stores a record of second factors for each user."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, user_id: str) -> Factors:
        item = self._database.get(FactorsItem, keys.factors(user_id))
        return Factors(user_id) if item is None else factor_records.of_facts(user_id, int(item.revision), item.facts)

    def save(self, before: Factors, after: Factors) -> None:
        item = FactorsItem(*keys.factors(after.user_id), revision=after.revision, facts=factor_records.to_facts(after))
        as_read = FactorsItem.revision == before.revision if before.revision else FactorsItem.pk.does_not_exist()
        state = Update(
            keys.account(after.user_id),
            [Account.factors.set(after.state.value)],
            Account.pk.exists() & Account.gone.does_not_exist(),
            NotFoundError("User", after.user_id),
        )
        try:
            self._database.transact([state, Put(item, as_read)])
        except ConditionFailedError as lost:
            raise StoreConflictError("Another request changed the second factors of this user meanwhile") from lost
