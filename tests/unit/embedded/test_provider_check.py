"""What `hubless check` says of providers."""

from pathlib import Path

import pytest

from embedded.preflight import PreflightError
from embedded.provider_check import check_providers
from hubless.ports.login_providers import ProviderCheck
from hubless.settings import parse


class Checked:
    def __init__(self, *faults):
        self.faults = faults

    def check(self):
        return ProviderCheck(self.faults)


def check(providers, text='[hub]\npublic_url = "https://hub.example.org"', **more):
    told = []
    settings = parse(text, Path("/srv/hub"), {})
    check_providers(settings, providers, told.append, **{"has_stages": False, **more})
    return told


def test_tells_each_redirect_uri_to_register():
    assert check({"sso": Checked(), "github": Checked()}) == [
        "Provider sso: register the redirect URI https://hub.example.org/hub/oauth_callback",
        "Provider github: register the redirect URI https://hub.example.org/hub/oauth_callback/github",
    ]


def test_names_all_faults_of_all_providers():
    with pytest.raises(PreflightError) as failed:
        check({"sso": Checked("one", "two"), "github": Checked("three")})
    assert str(failed.value) == "Provider sso: one\nProvider sso: two\nProvider github: three"


def test_says_that_a_public_address_is_missing_unless_a_stage_has_one():
    assert "hub.public_url is not set" in check({"sso": Checked()}, text="")[0]
    assert "/hub/oauth_callback at the stage's address" in check({"sso": Checked()}, text="", has_stages=True)[0]


def test_says_nothing_where_there_is_no_provider():
    assert check({}, text="") == []
