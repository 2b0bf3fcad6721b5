import pytest

from hubless.settings import SettingsError
from hubless.settings.contradictions import contradictions
from tests.unit.test_settings import read

PROVIDER = """
[[providers]]
name = "campus"
kind = "oidc"
issuer = "https://sso.example.org"
client_id = "hub"
client_secret = "a secret of the test"
"""
CLASS = """
[plugin]
authenticator_class = "dummy"
"""
LMS = """
[[lti_platforms]]
name = "moodle"
kind = "moodle"
url = "https://moodle.example.org"
client_id = "aBcDeF123456789"
"""
GITHUB = """
[[providers]]
name = "github"
kind = "github"
client_id = "hub"
client_secret = "a secret of the test"
groups_claim = "teams"
"""
GROUPS = PROVIDER + 'groups_claim = "groups"\n'
PARTNER = GROUPS.replace('"campus"', '"partner"').replace("sso.", "login.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('login.kind = "none"', ["nobody can log in"]),
        (PROVIDER, ["no rule that lets anybody in"]),
        ('[login]\nblocked_users = ["eve"]' + PROVIDER, ["no rule that lets anybody in"]),
        (
            '[login]\nkind = "shared-password"\npassword = "for all"\nallow_all = true' + PROVIDER,
            ["opens the accounts of their users too"],
        ),
        (
            '[login]\nallow_users = ["eve", "ada"]\nadmins = ["eve"]\nblocked_users = ["eve"]',
            ["eve is in login.allow_users", "eve is in login.admins"],
        ),
        ('[login]\nallow_groups = ["staff"]\nmanaged_groups = true' + PROVIDER, ["allow_groups has", "managed_groups"]),
        ('[login]\nadmin_groups = ["ops"]', ["login.admin_groups has no effect"]),
        ('[login]\nadmin_groups = ["ops"]' + LMS, ["login.admin_groups has no effect"]),
        ('[login]\nadmin_groups = ["acme:ops", "github:acme:ops"]' + GITHUB, ["acme:ops in login.admin_groups"]),
        ('[login]\nadmin_groups = ["ops"]' + GROUPS + PARTNER, ["whichever of 2 logins"]),
    ],
)
def test_a_contradiction_is_named_with_what_to_do(text, said):
    found = contradictions(read(text))
    assert len(found) == len(said)
    assert all(part in sentence for part, sentence in zip(said, found, strict=True))


@pytest.mark.parametrize(
    "text",
    [
        "",
        '[login]\nkind = "shared-password"\npassword = "for all"\nallow_users = ["ada"]',
        '[login]\nkind = "none"\nallow_all = true' + PROVIDER,
        '[login]\nallow_groups = ["staff"]\nadmin_groups = ["ops"]\nmanaged_groups = true' + GROUPS,
        '[login]\nadmin_groups = ["ops", "github:acme:ops"]' + GROUPS + GITHUB,
        "login.allow_all = true" + CLASS + "shares_accounts = true\n" + LMS,
        '[login]\nallow_existing_users = true\nblocked_users = ["eve"]' + PROVIDER,
    ],
)
def test_settings_that_fit_together_have_none(text):
    assert contradictions(read(text)) == []


def test_a_class_shares_accounts_with_another_login_if_settings_say_so():
    with pytest.raises(SettingsError, match=r"the account of the ada who came that way. Set plugin.shares_accounts"):
        read("login.allow_all = true" + CLASS + LMS)
