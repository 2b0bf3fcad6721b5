"""The table: its client, reads, conditional writes and transactions.

All reads are strongly consistent, except those of an index. Each write has a condition, and the error to raise when the
condition fails.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from pynamodb.attributes import Attribute
from pynamodb.connection.base import Connection, MetaTable
from pynamodb.expressions import condition as conditions
from pynamodb.expressions.condition import Condition
from pynamodb.expressions.update import Action

from hubless.adapters.dynamodb import keys
from hubless.adapters.dynamodb.error_translation import (
    VENDOR_ERRORS,
    domain_error,
    failed_positions,
    is_condition_failed,
    is_throttled,
    is_transaction_conflict,
    item_found,
)
from hubless.adapters.dynamodb.keys import Key
from hubless.adapters.dynamodb.pace import AT_ONCE, PATIENT_TRIES, Pace
from hubless.adapters.dynamodb.table import SCHEMA, TTL, Item
from hubless.domain.errors import HublessError, StoreUnavailableError
from hubless.domain.values import value

TRANSACTION, BATCH_GET, BATCH_WRITE = 100, 100, 25  # items, DynamoDB's limits
TRANSACTION_BYTES = 3_500_000  # of 4 MB, with what is around the items
TRIES = 9  # of a write that meets another transaction, or whose item has changed since it was read
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 0.5  # seconds
READ_SECONDS = 6  # longest time for one answer; well below the time-out of a request to the hub
RETRIES = 3  # of the client itself, when DynamoDB throttles or fails
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
        """Return the key of the item."""
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
    """Remove the item; a missing one is an error only if the condition says so."""

    key: Key
    condition: Condition | None = None
    otherwise: HublessError | None = None


@value(eq=False)
class Check:
    """Change nothing, but cancel the transaction if the condition fails."""

    key: Key
    condition: Condition
    otherwise: HublessError | None = None


Step = Put | Update | Delete | Check
_ORDER = (Check, Delete, Put, Update)  # the order in which PynamoDB sends them, and DynamoDB returns reasons


class ConditionFailedError(Exception):
    """Raised when conditions failed; nothing was written."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__(f"the conditions of {len(steps)} steps failed")
        self.steps = steps


class _Cancelled(Exception):  # noqa: N818 never leaves this module
    def __init__(self, positions: list[int]) -> None:
        super().__init__()
        self.positions = positions


class Found(dict[Key, dict[str, Any]]):
    """The items that a read of many keys found."""

    def item(self, model: type[M], key: Key) -> M | None:
        """Return the item at *key*, or None."""
        raw = self.get(key)
        return None if raw is None else model.from_raw_data(raw)

    def each(self, model: type[M], prefix: str = "") -> list[M]:
        """Return all items whose sort key begins with *prefix*."""
        return [model.from_raw_data(raw) for key, raw in self.items() if key.sk.startswith(prefix)]


class Database:
    """One table. The first call makes the client."""

    def __init__(
        self,
        table: str,
        *,
        region: str | None = None,
        endpoint: str | None = None,
        read_seconds: float = READ_SECONDS,
        retries: int = RETRIES,
    ) -> None:
        """Use the table with the name *table*.

        Args:
            region: the environment's region if None.
            endpoint: the URL of an emulator.
            read_seconds: the longest time for one answer.
            retries: of the client itself, when DynamoDB throttles or does not answer.
        """
        self._table = table
        self._lock = threading.Lock()
        self._ready = False
        self._pace: Pace | None = None
        self._connection = Connection(
            region=region,
            host=endpoint,
            connect_timeout_seconds=min(_CONNECT_SECONDS, read_seconds),
            read_timeout_seconds=read_seconds,
            max_retry_attempts=retries,
            max_pool_connections=AT_ONCE,
        )
        self._connection.add_meta_table(MetaTable({"TableName": table, **SCHEMA}))

    @property
    def client(self) -> Any:
        """Return botocore's client."""
        if not self._ready:
            with self._lock:  # botocore's sessions are not thread-safe
                self._ready = self._connection.client is not None
        return self._connection.client

    def create(self, *, expires: bool = True) -> None:
        """Create the table, for tests; in AWS the deployment does.

        Args:
            expires: whether DynamoDB removes expired items itself, by its own clock.
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
        """Delete the table with all items."""
        self._call(lambda: self._connection.delete_table(self._table))

    @contextmanager
    def patiently(self) -> Iterator[Pace]:
        """Have all requests in this context, of any thread, wait for as long as DynamoDB throttles them."""
        before, self._pace = self._pace, self._pace or Pace()
        try:
            yield self._pace
        finally:
            self._pace = before

    # --- reading ---

    def get(self, model: type[M], key: Key | None) -> M | None:
        """Return the item, or None."""
        if key is None or not keys.is_possible(key):
            return None
        raw = self._call(lambda: self._connection.get_item(self._table, *key, consistent_read=True)).get("Item")
        return None if raw is None else model.from_raw_data(raw)

    def get_many(self, wanted: Iterable[Key | None]) -> Found:
        """Return the items that exist; one request for each hundred keys."""
        found = Found()
        possible = dict.fromkeys(key for key in wanted if key is not None and keys.is_possible(key))
        for part in chunks(list(possible), BATCH_GET):
            left: list[dict[str, Any]] = [_named(key) for key in part]
            for turn in range(PATIENT_TRIES):
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
        descending: bool = False,
    ) -> Iterator[M]:
        """Yield the items of a partition by sort key, at most *limit*; one request for each page (1 MB)."""
        start, left = None, limit
        while left is None or left > 0:
            answer = self._query(
                partition,
                where,
                index_name=index,
                limit=left,
                exclusive_start_key=start,
                scan_index_forward=not descending,
            )
            yield from (model.from_raw_data(raw) for raw in answer["Items"])
            left = None if left is None else left - len(answer["Items"])
            start = answer.get("LastEvaluatedKey")
            if start is None:
                return

    def all_of(self, partition: str, where: Condition | None = None) -> Found:
        """Return all items of a partition, of any kind."""
        found, start = Found(), None
        while True:
            answer = self._query(partition, where, exclusive_start_key=start)
            found.update({Key(raw["pk"]["S"], raw["sk"]["S"]): raw for raw in answer["Items"]})
            start = answer.get("LastEvaluatedKey")
            if start is None:
                return found

    def count(self, partition: str, where: Condition | None = None, *, most: int | None = None) -> int:
        """Return how many items a partition has, or *most* if it has more."""
        start, found = None, 0
        while True:
            left = None if most is None else most - found
            answer = self._query(partition, where, select="COUNT", limit=left, exclusive_start_key=start)
            found += int(answer["Count"])
            start = answer.get("LastEvaluatedKey")
            if start is None or found == most:
                return found

    # --- writing ---

    def write(self, step: Step) -> None:
        """Write one step alone, at half the price of a transaction. It must be idempotent.

        Raises:
            HublessError: the step's own error, or ConditionFailedError, if its condition fails.
        """
        try:
            self._call(lambda: self._write(step))
        except _Cancelled as error:
            raise step.otherwise or ConditionFailedError([step]) from error

    def take(self, model: type[M], key: Key, condition: Condition) -> M | None:
        """Remove the item if the condition holds, and return it. Only one of two callers gets it."""
        try:
            answer = self._call(
                lambda: self._connection.delete_item(self._table, *key, condition=condition, return_values="ALL_OLD")
            )
        except _Cancelled:
            return None
        return model.from_raw_data(answer["Attributes"])

    def change(self, model: type[M], step: Update) -> tuple[bool, M | None]:
        """Write *step* alone; return whether its condition held, and the item after the write or as found.

        It must be idempotent.
        """
        try:
            raw = self._call(lambda: self._update(step))["Attributes"]
        except _Cancelled as error:
            found = item_found(error)
            return False, None if found is None else model.from_raw_data(found)
        return True, model.from_raw_data(raw)

    def transact(self, steps: Sequence[Step]) -> None:
        """Write all steps or none; at most a hundred, each on its own item.

        The client sends a token with each transaction, so a retry after a lost answer does not write twice.

        Raises:
            HublessError: the error of the first step whose condition fails, or ConditionFailedError.
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

    def transact_all(self, bundles: Sequence[Sequence[Step]]) -> None:
        """Write all bundles of steps: each completely or not at all, and as many in a transaction as fit.

        Bundles may check the same item, and share nothing else.

        Raises:
            HublessError: the error of the first step whose condition fails, or ConditionFailedError. Bundles before its
                transaction were written then.
        """
        for part in packed(bundles):
            steps = [step for number in part for step in bundles[number]]
            checks = {step.key: step for step in steps if isinstance(step, Check)}
            self.transact([*checks.values(), *(step for step in steps if not isinstance(step, Check))])

    def transact_each(
        self, bundles: Sequence[Sequence[Step]], *, counted: Callable[[int], Step] | None = None
    ) -> list[bool]:
        """Write each bundle of steps completely or not at all; return for each whether it was written.

        One transaction holds as many bundles as fit. A bundle is left out if one of its conditions fails.

        Args:
            bundles: the steps of each.
            counted: returns a step without a condition that counts so many bundles, for their transaction.
        """
        done = [True] * len(bundles)
        for part in packed(bundles, TRANSACTION if counted is None else TRANSACTION - 1):
            left = part
            while left:
                count = [] if counted is None else [counted(len(left))]
                try:
                    self.transact([*(step for number in left for step in bundles[number]), *count])
                    break
                except ConditionFailedError as error:
                    failed = {id(step) for step in error.steps}
                    out = [number for number in left if any(id(step) in failed for step in bundles[number])]
                    done = [was and number not in out for number, was in enumerate(done)]
                    left = [number for number in left if number not in out]
        return done

    def delete_many(self, unwanted: Iterable[Key]) -> None:
        """Remove items that nothing depends on; one request for each 25. Missing ones are no error."""
        for part in chunks(list(dict.fromkeys(unwanted)), BATCH_WRITE):
            left: list[dict[str, Any]] = [_named(key) for key in part]
            for turn in range(PATIENT_TRIES):
                answer = self._call(lambda: self._connection.batch_write_item(self._table, delete_items=left))  # noqa: B023 called at once
                undone = answer.get("UnprocessedItems", {}).get(self._table, [])
                left = [one["DeleteRequest"]["Key"] for one in undone]
                if not left:
                    break
                self._pause_or_give_up(turn)

    def retry(self, attempt: Callable[[], T], tries: int = TRIES) -> T:
        """Return the result of *attempt*; retry it if an item changed between its read and its write.

        Raises:
            StoreUnavailableError: if that happens at every try.
        """
        for turn in range(tries):
            try:
                return attempt()
            except ConditionFailedError:
                pause(turn)
        raise self._busy()

    # --- helpers ---

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
                raise TypeError("a Check alone writes nothing")

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
        """Send a request, and translate errors. Retry if another transaction held an item."""
        self.client  # noqa: B018 makes the client under a lock
        pace, conflicts, refusals = self._pace, 0, 0
        while True:
            try:
                return ask() if pace is None else pace.send(ask)
            except VENDOR_ERRORS as error:
                if is_transaction_conflict(error) and conflicts < TRIES - 1:
                    pause(conflicts)
                    conflicts += 1
                elif pace is not None and is_throttled(error) and refusals < PATIENT_TRIES - 1:
                    pace.slow_down(refusals)
                    refusals += 1
                elif is_condition_failed(error) or failed_positions(error):
                    raise _Cancelled(failed_positions(error)) from error
                else:
                    raise domain_error(error, self._table) from error

    def _pause_or_give_up(self, turn: int) -> None:
        """Wait until what DynamoDB did not do is asked for again.

        Raises:
            StoreUnavailableError: after the last try.
        """
        if turn >= (TRIES if self._pace is None else PATIENT_TRIES) - 1:
            raise self._busy()
        if self._pace is None:
            pause(turn)
        else:
            self._pace.slow_down(turn)

    def _busy(self) -> StoreUnavailableError:
        return StoreUnavailableError(f"DynamoDB throttles requests to the table {self._table}; try again.")


def chunks(things: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Yield *things* in parts of at most *size*."""
    for start in range(0, len(things), size):
        yield things[start : start + size]


def packed(bundles: Sequence[Sequence[Step]], most: int = TRANSACTION) -> Iterator[list[int]]:
    """Yield lists of bundle numbers, each of which fits into one transaction of *most* items.

    A check of two bundles counts once.
    """
    part, within, weight = list[int](), set[Key](), 0
    for number, bundle in enumerate(bundles):
        named, more = {step.key for step in bundle}, sum(map(_weight, bundle))
        if part and (len(within | named) > most or weight + more > TRANSACTION_BYTES):
            yield part
            part, within, weight = [], set(), 0
        part.append(number)
        within |= named
        weight += more
    if part:
        yield part


def _weight(step: Step) -> int:
    """Return about how many bytes a step has at most: texts may have four for each character."""
    if not isinstance(step, Put):
        return 0
    return 4 * sum(len(repr(found)) for found in step.item.attribute_values.values())


def pause(turn: int) -> None:
    """Wait with exponential back-off and jitter."""
    time.sleep(min(_LONGEST_WAIT, _FIRST_WAIT * 2**turn) * random.random())  # noqa: S311 no secret


def _named(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def is_there() -> Condition:
    """Return the condition that an item exists at all."""
    return Item.pk.exists()


def size(attribute: Attribute[Any]) -> Any:
    """Return how much an attribute holds, to be compared in a condition."""
    return conditions.size(attribute)  # type: ignore[no-untyped-call]  # PynamoDB's has no types
