"""DynamoDB for tests: moto within the process, and MiniStack as a process of its own."""

import copy
import functools
import inspect
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from hubless.adapters.dynamodb.audit import DynamoAuditLog
from hubless.adapters.dynamodb.auth_state import DynamoAuthStateStore
from hubless.adapters.dynamodb.budgets import DynamoBudgetStore
from hubless.adapters.dynamodb.bulletin import DynamoBulletinStore
from hubless.adapters.dynamodb.clients import DynamoClientStore
from hubless.adapters.dynamodb.database import Database
from hubless.adapters.dynamodb.desired_state import DynamoDesiredEdgeStateStore
from hubless.adapters.dynamodb.email_addresses import DynamoEmailAddressStore
from hubless.adapters.dynamodb.external_identities import DynamoIdentityStore
from hubless.adapters.dynamodb.groups import DynamoGroupStore
from hubless.adapters.dynamodb.histograms import DynamoHistogramStore
from hubless.adapters.dynamodb.import_marks import DynamoImportMarkStore
from hubless.adapters.dynamodb.join_links import DynamoJoinLinkStore
from hubless.adapters.dynamodb.launch_rate_limiter import DynamoLaunchRateLimiter
from hubless.adapters.dynamodb.launch_times import DynamoLaunchTimeStore
from hubless.adapters.dynamodb.leases import DynamoLeaseStore
from hubless.adapters.dynamodb.ledgers import DynamoLedgerStore
from hubless.adapters.dynamodb.letters import DynamoLetterStore
from hubless.adapters.dynamodb.lti import DynamoLtiStore
from hubless.adapters.dynamodb.password_logins import DynamoPasswordLoginStore
from hubless.adapters.dynamodb.passwords import DynamoAttemptStore, DynamoPasswordStore
from hubless.adapters.dynamodb.pending_logins import DynamoPendingLoginStore
from hubless.adapters.dynamodb.people_batches import DynamoPeopleBatchStore
from hubless.adapters.dynamodb.routes import DynamoRouteStore
from hubless.adapters.dynamodb.schedules import DynamoScheduleStore
from hubless.adapters.dynamodb.second_factors import DynamoFactorStore
from hubless.adapters.dynamodb.servers import DynamoServerStore
from hubless.adapters.dynamodb.services import DynamoServiceStore
from hubless.adapters.dynamodb.sessions import DynamoSessionStore
from hubless.adapters.dynamodb.shares import DynamoShareCodeStore, DynamoShareStore
from hubless.adapters.dynamodb.sign_ups import DynamoJoinCodeStore, DynamoSignUpStore
from hubless.adapters.dynamodb.single_use import DynamoSingleUseStore
from hubless.adapters.dynamodb.spares import DynamoSpareStore
from hubless.adapters.dynamodb.sweeps import DynamoSweepStore
from hubless.adapters.dynamodb.tokens import DynamoTokenStore
from hubless.adapters.dynamodb.usage import DynamoUsageLog
from hubless.adapters.dynamodb.user_notes import DynamoUserNoteStore
from hubless.adapters.dynamodb.users import DynamoUserStore
from hubless.adapters.dynamodb.visits import DynamoVisitStore
from hubless.adapters.dynamodb.waiting import DynamoWaitingList
from tests.support.aws_clients import with_fixed_endpoint, with_fixed_user_agent
from tests.support.builders import NOW
from tests.support.fakes import StoppedClock
from tests.support.free_port import free_port

REGION = "eu-central-1"
DIRECT = frozenset(  # what moto is asked without HTTP
    ["GetItem", "BatchGetItem", "Query", "PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"]
)

SCALARS = frozenset(["S", "N", "B", "BOOL", "NULL"])


def stores_of(database, close=lambda: None):
    """Return all the stores of one table."""
    return SimpleNamespace(
        database=database,
        users=DynamoUserStore(database),
        groups=DynamoGroupStore(database),
        servers=DynamoServerStore(database),
        shares=DynamoShareStore(database),
        codes=DynamoShareCodeStore(database),
        services=DynamoServiceStore(database),
        lti=DynamoLtiStore(database),
        tokens=DynamoTokenStore(database),
        clients=DynamoClientStore(database),
        sessions=DynamoSessionStore(database),
        routes=DynamoRouteStore(database),
        passwords=DynamoPasswordStore(database),
        attempts=DynamoAttemptStore(database),
        password_logins=DynamoPasswordLoginStore(database),
        factors=DynamoFactorStore(database),
        usage=DynamoUsageLog(database),
        audit=DynamoAuditLog(database, timedelta(days=365)),
        ledgers=DynamoLedgerStore(database),
        budgets=DynamoBudgetStore(database),
        schedules=DynamoScheduleStore(database),
        histograms=DynamoHistogramStore(database),
        launch_rate_limiter=a_rate_limiter(database),
        spares=DynamoSpareStore(database),
        sweeps=DynamoSweepStore(database),
        leases=DynamoLeaseStore(database),
        external_identities=DynamoIdentityStore(database),
        pending_logins=DynamoPendingLoginStore(database),
        bulletin=DynamoBulletinStore(database),
        join_links=DynamoJoinLinkStore(database),
        people_batches=DynamoPeopleBatchStore(database),
        single_use=DynamoSingleUseStore(database),
        launch_times=DynamoLaunchTimeStore(database),
        waiting=DynamoWaitingList(database),
        visits=DynamoVisitStore(database),
        email_addresses=DynamoEmailAddressStore(database),
        letters=DynamoLetterStore(database),
        user_notes=DynamoUserNoteStore(database),
        sign_ups=DynamoSignUpStore(database),
        join_codes=DynamoJoinCodeStore(database),
        auth_states=DynamoAuthStateStore(database),
        import_marks=DynamoImportMarkStore(database),
        desired_edge_state=DynamoDesiredEdgeStateStore(database),
        held=lambda: _held(Contents().read()),
        close=close,
    )


def a_rate_limiter(database, clock=None, sleep=lambda seconds: None, **others):
    """Return one who takes turns: ten a second, three at once after a rest, waiting for a second at most."""
    clock, second = clock or StoppedClock(NOW), timedelta(seconds=1)
    return DynamoLaunchRateLimiter(database, rate=10, burst=3, longest_wait=second, clock=clock, sleep=sleep, **others)


def _held(items):
    """Return the launches that have a client, and the hashes of servers' own tokens, wherever those still stand."""
    launches = [item["launch_id"]["S"] for (pk, sk), item in items.items() if pk.startswith("CLIENT#") and sk == "HEAD"]
    own = {item["sha256"]["S"] for (_, sk), item in items.items() if sk.startswith("TOKEN#") and "server_id" in item}
    led = {pk.removeprefix("TOKENHASH#") for pk, _ in items if pk.startswith("TOKENHASH#")}
    ids = {item["sha256"]["S"] for (pk, _), item in items.items() if pk.startswith("TOKENID#")}
    assert led == ids
    assert own <= led
    return launches, sorted(own)


@contextmanager
def moto():
    """Give a database in moto; its client is made once, as loading it takes longer than a test."""
    from moto import mock_aws

    with mock_aws(), pytest.MonkeyPatch.context() as patch:
        copy_less(patch)
        compare_quickly(patch)
        query_partitions(patch)
        walk_quickly(patch)
        database = Database("hubless", region=REGION)
        lock = threading.RLock()
        with_fixed_endpoint(with_fixed_user_agent(database.client))
        one_at_a_time(database.client, lock)
        directly(database, lock)
        yield database


def in_new_table(database):
    """Return the stores of a table that is made now and removed when they are closed."""
    database.create(expires=False)  # tests have a clock of their own
    return stores_of(database, database.drop)


def one_at_a_time(client, lock=None):
    """Have moto, which reads and writes without a lock, answer threads one after the other."""
    from moto.core.models import botocore_stubber

    lock = lock or threading.RLock()

    def answer(event_name, request, **context):
        with lock:
            return botocore_stubber(event_name, request, **context)

    events = client.meta.events
    events.unregister("before-send", botocore_stubber)
    events.register("before-send", answer)


def directly(database, lock):
    """Call moto without HTTP in between, which takes more time than all else; repeat by HTTP what it refuses.

    Requests are still validated and serialized by botocore, and events still sent.
    """
    from botocore import xform_name
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.core.exceptions import HTTPException, ServiceException
    from moto.dynamodb.responses import DynamoHandler

    def answer(model, params, **_):
        if model.name not in DIRECT:
            return None
        asked = DynamoHandler()
        asked.current_account, asked.region = DEFAULT_ACCOUNT_ID, REGION
        asked.body = asked.params = json.loads(params["body"])
        with lock:
            try:
                given = getattr(asked, xform_name(model.name))()
            except (HTTPException, ServiceException):
                return None  # nothing was written
            plain = json.loads(json.dumps(given.result))
        return SimpleNamespace(status_code=200), {name: value for name, value in plain.items() if value is not None}

    database.client.meta.events.register_last("before-call", answer)  # after all who want to see the call


def copy_less(patch):
    """Make moto's transactions copy only the items that they name, not the whole table for each.

    And let copies have texts, numbers and bytes in common: moto changes sets, lists and maps in place, nothing else.
    """
    from moto.dynamodb.models import DynamoDBBackend, DynamoType, Table

    whole = DynamoType.__deepcopy__
    patch.setattr(DynamoType, "__deepcopy__", lambda one, memo: one if one.type in SCALARS else whole(one, memo))

    named, twins = set(), []
    transact = DynamoDBBackend.transact_write_items

    def naming(backend, transact_items):
        named.clear()
        twins.clear()
        for step in transact_items:
            (arguments,) = step.values()
            key = arguments.get("Key") or arguments["Item"]
            named.add((DynamoType(key["pk"]), DynamoType(key["sk"])))
        return transact(backend, transact_items)

    def copied(table, memo):
        if twins:  # all copies are made before anything is changed
            return twins[0]
        twin = copy.copy(table)
        twins.append(twin)
        twin.items = defaultdict(dict, {pk: dict(items) for pk, items in table.items.items()})
        for pk, sk in named:
            if sk in twin.items.get(pk, ()):
                twin.items[pk][sk] = copy.deepcopy(twin.items[pk][sk], memo)
        return twin

    patch.setattr(DynamoDBBackend, "transact_write_items", naming)
    patch.setattr(Table, "__deepcopy__", copied, raising=False)


def compare_quickly(patch):
    """Have moto not ask of a text whether it is a number, a set, a list or a map each time that it is compared."""
    from moto.dynamodb.models.dynamo_type import DynamoType

    slowly = DynamoType.cast_value.fget
    patch.setattr(DynamoType, "cast_value", property(lambda one: one.value if one.type == "S" else slowly(one)))


def query_partitions(patch):
    """Have moto's queries sort the items of the partition that they ask for, not those of the whole table."""
    from moto.dynamodb.models.table import Table

    query, asked = inspect.signature(Table.query), threading.local()
    unpatched = Table.query

    @functools.wraps(unpatched)  # one moto may be within another one
    def querying(table, *arguments, **more):
        given = query.bind(table, *arguments, **more).arguments
        asked.partition = None if given.get("index_name") else given["hash_key"]
        try:
            return unpatched(table, *arguments, **more)
        finally:
            asked.partition = None

    def in_order(table):
        partition = getattr(asked, "partition", None)
        found = table.items.values() if partition is None else [table.items.get(partition, {})]
        items = [item for some in found for item in some.values()]
        return sorted(items, key=lambda item: (item.hash_key.value, item.range_key.value))

    patch.setattr(Table, "query", querying)
    patch.setattr(Table, "all_items", in_order)


def walk_quickly(patch):
    """Have moto not ask a base class about each node of an expression, ten times an update."""
    from moto.dynamodb.parsing.ast_nodes import DepthFirstTraverser, Node

    is_node = functools.cache(lambda kind: issubclass(kind, Node))

    def processor(walker, kind):
        known = walker.__dict__.setdefault("known", {})
        if kind not in known:
            wanted = walker._processing_map().items()
            known[kind] = next((process for base, process in wanted if issubclass(kind, base)), None)
        return known[kind]

    def traverse(walker, node, child=-1):
        if not is_node(type(node)):
            return node
        parent = node.parent
        for number, one in enumerate(node.children or ()):
            walker.pre_processing_of_child(node, number)
            traverse(walker, one, number)
        if process := processor(walker, type(node)):
            node = process(node)
            node.parent = parent
            if parent:
                parent.children[child] = node
        return node

    def copied(node, memo):
        twin = copy.copy(node)
        if node.children is not None:
            twin.children = [copy.deepcopy(one, memo) for one in node.children]
            for one in twin.children:
                if is_node(type(one)):
                    one.parent = twin
        return twin

    patch.setattr(DepthFirstTraverser, "traverse_node_recursively", traverse)
    patch.setattr(Node, "__deepcopy__", copied, raising=False)


class Contents:
    """What is in moto's table: to be compared, and to be brought back."""

    def __init__(self):
        from moto.core import DEFAULT_ACCOUNT_ID
        from moto.dynamodb.models import dynamodb_backends

        self._tables = dynamodb_backends[DEFAULT_ACCOUNT_ID][REGION].tables
        (self._name,) = self._tables

    def keep(self):
        """Return a copy that `bring_back` takes."""
        return copy.deepcopy(self._tables[self._name].items)

    def bring_back(self, kept):
        """Have the table hold what it held when *kept* was made."""
        self._tables[self._name].items = copy.deepcopy(kept)

    def clear(self):
        """Have the table hold nothing."""
        self.bring_back(defaultdict(dict))

    def read(self):
        """Return every item by its key."""
        items = (item for some in self._tables[self._name].items.values() for item in some.values())
        found = [item.to_json()["Attributes"] for item in items]
        return {
            (one["pk"]["S"], one["sk"]["S"]): {name: _in_order(value) for name, value in one.items()} for one in found
        }

    def add(self, item):
        """Put an item, without the cost of a call."""
        self._tables[self._name].put_item(item)


def _in_order(value):
    """Return a set of texts as what it is: without an order."""
    return {"SS": sorted(value["SS"])} if "SS" in value else value


@contextmanager
def ministack(folder, services="dynamodb,sqs", **more):
    """Run the emulator with *more* variables, and return its address."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "SERVICES": services,
        "LOG_LEVEL": "ERROR",
    } | more
    program = Path(sys.executable).with_name("ministack")
    assert shutil.which(program), "MiniStack is not installed: `make test` installs it"
    with (
        pytest.MonkeyPatch.context() as patch,
        (folder / "ministack.log").open("wb") as log,
        subprocess.Popen([program], env=environment, stdout=log, stderr=log) as process,
    ):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "test")
        try:
            _wait(f"http://127.0.0.1:{port}", process, folder / "ministack.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _wait(endpoint, process, log):
    end = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=5):
                return
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, "MiniStack did not answer within a minute"
            time.sleep(0.1)
