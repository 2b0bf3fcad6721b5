"""A hub as an LTI tool, over SQLite in memory, and an LMS that signs for real."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from hubless.adapters.lti.lms import HttpLms
from hubless.adapters.lti.sealing import FernetKeySealer
from hubless.adapters.lti.tool_keys import JoseToolSigner
from hubless.domain.lti_platforms import LtiPlatform
from hubless.services.lti_keys import LtiKeys
from hubless.services.lti_links import LtiLinks
from hubless.services.lti_platforms import LtiPlatforms
from tests.doubles.lms import DoubleFetcher, LmsDouble
from tests.support import sqlite
from tests.support.fakes import StoppedClock
from tests.support.sqlite import InMemory

HUB_URL = "https://hub.test"


def platform_of(double, **facts):
    base = double.issuer.rstrip("/")
    standard = {
        "name": "school",
        "issuer": double.issuer,
        "client_id": double.client_id,
        "authorization_url": f"{base}/auth",
        "token_url": f"{base}/token",
        "key_set_url": f"{base}/keys",
    }
    return LtiPlatform(**standard | facts)


@pytest.fixture
def clock():
    return StoppedClock(datetime(2026, 11, 28, 9, tzinfo=UTC))


@pytest.fixture
def stores():
    made = sqlite.stores_of(InMemory())
    yield made
    made.close()


@pytest.fixture
def tool(clock, stores):
    keys = LtiKeys(stores.lti, JoseToolSigner(), FernetKeySealer(lambda: b"k" * 32), clock)
    double = LmsDouble(clock, hub_keys=keys.key_set)
    lms = HttpLms(DoubleFetcher(double), clock, keys.sign)
    platform = platform_of(double)
    platforms = LtiPlatforms((platform,), stores.lti, lms, HUB_URL, "Jupyter")
    return SimpleNamespace(
        keys=keys,
        double=double,
        lms=lms,
        platform=platform,
        platforms=platforms,
        links=LtiLinks(platforms, keys, clock, HUB_URL),
        clock=clock,
        stores=stores,
    )
