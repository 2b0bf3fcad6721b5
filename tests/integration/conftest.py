import pytest

from edge_proxy.haproxy_binary import HAProxyBinary
from tests.support.dynamodb import Contents, in_new_table, moto
from tests.support.event_source_mapping import Sqs
from tests.support.haproxy import VERSIONS, haproxy_of


@pytest.fixture(scope="module")
def amazon():
    """A table and a queue in moto: what takes a while to make and a moment to empty."""
    with moto() as database:
        stores, sqs = in_new_table(database), Sqs()
        yield stores, sqs
        # Other tests of the same run may have a mock of their own round this one, and then it all stays.
        stores.close()
        sqs.close()


@pytest.fixture
def places(amazon):
    """The stores and the queue of a hub, empty."""
    stores, sqs = amazon
    Contents().clear()
    sqs.clear()
    return stores, sqs


@pytest.fixture(scope="session", params=VERSIONS)
def haproxy(request: pytest.FixtureRequest) -> HAProxyBinary:
    """Return each version that edges run: a test of an edge runs once with each."""
    return haproxy_of(request.param)
