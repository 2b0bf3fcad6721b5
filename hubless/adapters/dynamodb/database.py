"""One table: its client, reads, conditional writes and transactions.

Every read but those of an index is strongly consistent. Every write names what it expects; what it means when that is not
so, stands beside it.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from pynamodb.attributes import Attribute
from pynamodb.connection.base import Connection, MetaTable
from pynamodb.expressions import condition as conditions
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from hubless.adapters.dynamodb.error_translation import (
    VENDOR_ERRORS,
    domain_error,
    failed_positions,
    is_condition_failed,
    is_transaction_conflict,
    item_found,
)
from hubless.adapters.dynamodb.keys import Key
from hubless.adapters.dynamodb.table import SCHEMA, TTL, Item
from hubless.domain.errors import HublessError, StoreUnavailableError
from hubless.domain.values import value

TRANSACTION, BATCH_GET, BATCH_WRITE = 100, 100, 25  # items (DynamoDB's)
TRIES = 9  # where another transaction is in the way, or where a step that was read for has changed
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 0.5  # seconds
READ_SECONDS = 6  # how long an answer may take: well within a request's own limit
RETRIES = 3  # the client's own, of throttling and failures within
_CONNECT_SECONDS = 2
M = TypeVar("M", bound=Item)
T = TypeVar("T")


@value(eq=False)
class Put:
    """Write the whole item."""

    item: Item
    condition: Condition | None = None
    otherwise: HublessError | None = None

    @property
    def key(self) -> Key:
        """Return where it is written."""
        return self.item.key


@value(eq=False)
class Update:
    """Change attributes."""

    key: Key
    actions: Sequence[Action]
    condition: Condition | None = None
    otherwise: HublessError | None = None


@value(eq=False)
class Delete:
    """Remove the item; one that is gone is no error unless the condition says so."""

    key: Key
    condition: Condition | None = None
    otherwise: HublessError | None = None


@value(eq=False)
class Check:
    """Change nothing, but let the transaction happen only if the condition holds."""

    key: Key
    condition: Condition
    otherwise: HublessError | None = None


Step = Put | Update | Delete | Check
_ORDER = (Check, Delete, Put, Update)  # in which PynamoDB sends them, and reasons come back


class ConditionFailedError(Exception):
    """Raised when steps of a transaction found another state than they named; nothing was written."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__(f"{len(steps)} steps found another state")
        self.steps = steps


class _Cancelled(Exception):  # noqa: N818 never leaves this module
    def __init__(self, positions: list[int]) -> None:
        super().__init__()
        self.positions = positions


class Found(dict[Key, dict[str, Any]]):
    """What a read of many keys found."""

    def item(self, model: type[M], key: Key) -> M | None:
        """Return what was found at *key*, or None."""
        raw = self.get(key)
        return None if raw is None else model.from_raw_data(raw)

    def each(self, model: type[M], prefix: str = "") -> list[M]:
        """Return all that was found whose sort key begins with *prefix*."""
        return [model.from_raw_data(raw) for key, raw in self.items() if key.sk.startswith(prefix)]


class Database:
    """A table. Its client is made once, at the first call; nothing is asked before."""

    def __init__(
        self,
        table: str,
        *,
        region: str | None = None,
        endpoint: str | None = None,
        read_seconds: float = READ_SECONDS,
        retries: int = RETRIES,
    ) -> None:
        """Use the table of that name.

        Args:
            region: the environment's own where it is None.
            endpoint: where an emulator listens.
            read_seconds: how long one answer is waited for; who has other work at hand gives less.
            retries: how often the client itself asks again where it is throttled or nobody answers.
        """
        self._table = table
        self._lock = threading.Lock()
        self._ready = False
        self._connection = Connection(
            region=region,
            host=endpoint,
            connect_timeout_seconds=min(_CONNECT_SECONDS, read_seconds),
            read_timeout_seconds=read_seconds,
            max_retry_attempts=retries,
        )
        self._connection.add_meta_table(MetaTable({"TableName": table, **SCHEMA}))

    @property
    def client(self) -> Any:
        """Return botocore's client."""
        if not self._ready:
            with self._lock:  # making one is not safe for threads
                self._ready = self._connection.client is not None
        return self._connection.client

    def create(self, *, expires: bool = True) -> None:
        """Make the table, for tests and trials; in the cloud it is deployed.

        Args:
            expires: whether DynamoDB removes what is expired by itself; it goes by its own clock.
        """
        self._call(
            lambda: self._connection.create_table(
                self._table,
                attribute_definitions=SCHEMA["AttributeDefinitions"],
                key_schema=SCHEMA["KeySchema"],
                global_secondary_indexes=[
                    {"index_name": i["IndexName"], "key_schema": i["KeySchema"], "projection": i["Projection"]}
                    for i in SCHEMA["GlobalSecondaryIndexes"]
                ],
                billing_mode="PAY_PER_REQUEST",
            )
        )
        if expires:
            self._call(lambda: self._connection.update_time_to_live(self._table, TTL))

    def drop(self) -> None:
        """Remove the table with all that is in it."""
        self._call(lambda: self._connection.delete_table(self._table))

    # --- reading ---

    def get(self, model: type[M], key: Key | None) -> M | None:
        """Return the item or None."""
        if key is None:
            return None
        raw = self._call(lambda: self._connection.get_item(self._table, *key, consistent_read=True)).get("Item")
        return None if raw is None else model.from_raw_data(raw)

    def get_many(self, keys: Iterable[Key | None]) -> Found:
        """Return those of the items that exist; a hundred a round trip."""
        found = Found()
        for part in chunks(list(dict.fromkeys(key for key in keys if key is not None)), BATCH_GET):
            left: list[dict[str, Any]] = [_named(key) for key in part]
            for turn in range(TRIES):
                answer = self._call(lambda: self._connection.batch_get_item(self._table, left, consistent_read=True))  # type: ignore[arg-type]  # noqa: B023 called at once
                for raw in answer["Responses"].get(self._table, ()):
                    found[Key(raw["pk"]["S"], raw["sk"]["S"])] = raw
                left = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
                if not left:
                    break
                self._pause_or_give_up(turn)
        return found

    def query(
        self,
        model: type[M],
        partition: str,
        where: Condition | None = None,
        *,
        index: str | None = None,
        limit: int | None = None,
    ) -> Iterator[M]:
        """Yield the items of a partition in the order of their sort keys, a page (1 MB) a round trip; at most *limit*."""
        start, left = None, limit
        while left is None or left > 0:
            answer = self._query(partition, where, index_name=index, limit=left, exclusive_start_key=start)
            yield from (model.from_raw_data(raw) for raw in answer["Items"])
            left = None if left is None else left - len(answer["Items"])
            start = answer.get("LastEvaluatedKey")
            if start is None:
                return

    def all_of(self, partition: str, where: Condition | None = None) -> Found:
        """Return what a partition holds, of whatever kind."""
        found, start = Found(), None
        while True:
            answer = self._query(partition, where, exclusive_start_key=start)
            found.update({Key(raw["pk"]["S"], raw["sk"]["S"]): raw for raw in answer["Items"]})
            start = answer.get("LastEvaluatedKey")
            if start is None:
                return found

    def count(self, partition: str, where: Condition | None = None) -> int:
        """Return how many items of a partition there are."""
        start, found = None, 0
        while True:
            answer = self._query(partition, where, select="COUNT", exclusive_start_key=start)
            found += int(answer["Count"])
            start = answer.get("LastEvaluatedKey")
            if start is None:
                return found

    # --- writing ---

    def write(self, step: Step) -> None:
        """Do one step by itself, at half of what it costs in a transaction. For what may be done twice.

        Raises:
            HublessError: the step's own, when its condition does not hold; where it has none, ConditionFailedError.
        """
        try:
            self._call(lambda: self._write(step))
        except _Cancelled as error:
            raise step.otherwise or ConditionFailedError([step]) from error

    def take(self, model: type[M], key: Key, condition: Condition) -> M | None:
        """Remove the item if the condition holds and return it: of two at once one gets it."""
        try:
            answer = self._call(
                lambda: self._connection.delete_item(self._table, *key, condition=condition, return_values="ALL_OLD")
            )
        except _Cancelled:
            return None
        return model.from_raw_data(answer["Attributes"])

    def change(self, model: type[M], step: Update) -> tuple[bool, M | None]:
        """Do *step* by itself, and return whether its condition held and the item: as it is now, or as it was found.

        For what may be done twice.
        """
        try:
            raw = self._call(lambda: self._update(step))["Attributes"]
        except _Cancelled as error:
            found = item_found(error)
            return False, None if found is None else model.from_raw_data(found)
        return True, model.from_raw_data(raw)

    def transact(self, steps: Sequence[Step]) -> None:
        """Do all the steps or none; at most a hundred, each on an item of its own.

        The client gives each transaction a token, so that one whose answer was lost on the way is not done twice.

        Raises:
            HublessError: of the first step whose condition does not hold; where that has none, ConditionFailedError.
        """
        ordered = sorted(steps, key=lambda step: _ORDER.index(type(step)))
        asked: dict[type, list[dict[str, Any]]] = {kind: [] for kind in _ORDER}
        for step in ordered:
            asked[type(step)].append(self._arguments(step))
        try:
            self._call(
                lambda: self._connection.transact_write_items(asked[Check], asked[Delete], asked[Put], asked[Update])
            )
        except _Cancelled as error:
            failed = {id(ordered[position]) for position in error.positions}
            found = [step for step in steps if id(step) in failed]
            raise found[0].otherwise or ConditionFailedError(found) from error

    def transact_each(self, bundles: Sequence[Sequence[Step]]) -> list[bool]:
        """Do each bundle of steps or none of it, as many bundles a transaction as fit; say of each whether it was done.

        A bundle is left out when one of its conditions does not hold.
        """
        done = [True] * len(bundles)
        for part in packed(bundles):
            left = part
            while left:
                try:
                    self.transact([step for number in left for step in bundles[number]])
                    break
                except ConditionFailedError as error:
                    failed = {id(step) for step in error.steps}
                    out = [number for number in left if any(id(step) in failed for step in bundles[number])]
                    done = [was and number not in out for number, was in enumerate(done)]
                    left = [number for number in left if number not in out]
        return done

    def delete_many(self, keys: Iterable[Key]) -> None:
        """Remove items that nobody depends on any more, 25 a round trip; those gone are no error."""
        for part in chunks(list(dict.fromkeys(keys)), BATCH_WRITE):
            left: list[dict[str, Any]] = [_named(key) for key in part]
            for turn in range(TRIES):
                answer = self._call(lambda: self._connection.batch_write_item(self._table, delete_items=left))  # noqa: B023 called at once
                undone = answer.get("UnprocessedItems", {}).get(self._table, [])
                left = [one["DeleteRequest"]["Key"] for one in undone]
                if not left:
                    break
                self._pause_or_give_up(turn)

    def retry(self, attempt: Callable[[], T], tries: int = TRIES) -> T:
        """Return what *attempt* returns, trying again where it reads and then finds that something came in between.

        Raises:
            StoreUnavailableError: when something came in between every time.
        """
        for turn in range(tries):
            try:
                return attempt()
            except ConditionFailedError:
                pause(turn)
        raise self._busy()

    # --- how ---

    def _query(self, partition: str, where: Condition | None, **how: Any) -> dict[str, Any]:
        return self._call(
            lambda: self._connection.query(
                self._table, partition, where, consistent_read=how.get("index_name") is None, **how
            )
        )

    def _write(self, step: Step) -> Any:
        match step:
            case Put():
                return self._connection.put_item(
                    self._table, *step.key, attributes=step.item.serialize(), condition=step.condition
                )
            case Update():
                return self._connection.update_item(
                    self._table, *step.key, actions=step.actions, condition=step.condition
                )
            case Delete():
                return self._connection.delete_item(self._table, *step.key, condition=step.condition)
            case Check():
                raise TypeError("a check by itself writes nothing")

    def _update(self, step: Update) -> dict[str, Any]:
        arguments = self._connection.get_operation_kwargs(
            self._table,
            *step.key,
            actions=step.actions,
            condition=step.condition,
            return_values="ALL_NEW",
            return_values_on_condition_failure="ALL_OLD",
        )
        return self._connection.dispatch("UpdateItem", arguments)

    def _arguments(self, step: Step) -> dict[str, Any]:
        how: dict[str, Any] = {}
        if isinstance(step, Put):
            how = {"key": "Item", "attributes": step.item.serialize()}
        elif isinstance(step, Update):
            how = {"actions": step.actions}
        return self._connection.get_operation_kwargs(self._table, *step.key, condition=step.condition, **how)

    def _call(self, ask: Callable[[], T]) -> T:
        """Ask, and translate what goes wrong. Where another transaction held an item, ask again."""
        self.client  # noqa: B018 made under a lock
        for turn in range(TRIES):
            try:
                return ask()
            except VENDOR_ERRORS as error:
                if is_transaction_conflict(error) and turn < TRIES - 1:
                    pause(turn)
                elif is_condition_failed(error) or failed_positions(error):
                    raise _Cancelled(failed_positions(error)) from error
                else:
                    raise domain_error(error, self._table) from error
        raise self._busy()

    def _pause_or_give_up(self, turn: int) -> None:
        if turn == TRIES - 1:
            raise self._busy()
        pause(turn)

    def _busy(self) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"The table {self._table} is asked for more than it gives at this moment; try again."
        )


def chunks(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield *things* in parts of at most *size*."""
    for start in range(0, len(things), size):
        yield things[start : start + size]


def packed(bundles: Sequence[Sequence[Step]]) -> Iterator[list[int]]:
    """Yield the numbers of bundles that fit into one transaction."""
    part, size = list[int](), 0
    for number, bundle in enumerate(bundles):
        if part and size + len(bundle) > TRANSACTION:
            yield part
            part, size = [], 0
        part.append(number)
        size += len(bundle)
    if part:
        yield part


def pause(turn: int) -> None:
    """Wait, longer at each turn, and not as long as the next one who waits."""
    time.sleep(min(_LONGEST_WAIT, _FIRST_WAIT * 2**turn) * random.random())  # noqa: S311 no secret


def _named(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def is_there() -> Condition:
    """Return the condition that an item exists at all."""
    return Item.pk.exists()


def size(attribute: Attribute[Any]) -> Any:
    """Return how much an attribute holds, to be compared in a condition."""
    return conditions.size(attribute)  # type: ignore[no-untyped-call]  # PynamoDB's has no types
