"""Roles and services of an archive as settings."""

import tomllib

import pytest

from embedded.settings_import.archived import settings_of
from embedded.settings_import.mapping import settings_from
from embedded.settings_import.old_settings import OldSettings
from hubless.bootstrap.roles import role_table_of
from hubless.domain.archive import ArchivedRole, ArchivedService
from hubless.settings import parse


def loaded(made, tmp_path):
    secrets = {name: f"{number:032}" for number, name in enumerate(made.variables)}
    found = parse(made.text, tmp_path, secrets, secrets=secrets)
    role_table_of(found)
    return found


def test_roles_and_services_come_back_as_they_were(tmp_path):
    made = settings_of(
        [
            ArchivedRole("grader", ("list:users", "read:groups"), "Grades", ("ada",), ("staff",), ("grader",)),
            ArchivedRole("nobody", ("list:users",)),
        ],
        [
            ArchivedService("grader"),
            ArchivedService(
                "portal",
                admin=True,
                url="http://portal:80",
                oauth_client_id="service-portal",
                oauth_redirect_uri="/services/portal/oauth_callback",
                oauth_no_confirm=True,
                info={"a": 1},
                display=False,
            ),
        ],
    )

    found = loaded(made, tmp_path)
    grader, nobody = found.roles
    portal = found.services[1]
    assert (grader.scopes, grader.description) == (("list:users", "read:groups"), "Grades")
    assert (grader.users, grader.groups, grader.services) == (("ada",), ("staff",), ("grader",))
    assert nobody.scopes == ("list:users",)
    assert list(made.variables) == ["PORTAL_TOKEN"]
    assert (portal.admin, portal.oauth_no_confirm, portal.display, portal.info) == (True, True, False, {"a": 1})
    assert portal.oauth_client_id == "service-portal"


def test_roles_that_every_hub_has_are_no_settings(tmp_path):
    made = settings_of(
        [
            ArchivedRole("user", ("self",), users=("ada", "bob")),
            ArchivedRole("admin", ("admin:users",), users=("ada",)),
            ArchivedRole("server", ("users:activity!user", "access:servers!server")),
            ArchivedRole("token", ("inherit",)),
        ],
        [],
    )

    assert loaded(made, tmp_path).roles == ()


def test_a_changed_role_of_all_users_is_a_setting_without_them(tmp_path):
    (role,) = loaded(settings_of([ArchivedRole("user", ("self", "list:users"), users=("ada",))], []), tmp_path).roles

    assert role.scopes == ("self", "list:users")
    assert role.users == ()


def test_a_group_of_admins_keeps_the_role_without_its_scopes(tmp_path):
    (role,) = loaded(settings_of([ArchivedRole("admin", ("list:users",), groups=("staff",))], []), tmp_path).roles

    assert (role.scopes, role.groups) == ((), ("staff",))


def test_a_role_that_a_login_gave_is_a_comment(tmp_path):
    made = settings_of([ArchivedRole("staff", ("list:users",), users=("ada",), managed_by_auth=True)], [])

    assert loaded(made, tmp_path).roles == ()
    assert "role staff" in made.text


def test_what_does_not_exist_here_is_a_comment(tmp_path):
    made = settings_of(
        [ArchivedRole("old", ("read:everything", "list:users"), services=("gone",))],
        [ArchivedService("with space"), ArchivedService("other", oauth_client_id="other")],
    )

    found = loaded(made, tmp_path)
    assert found.roles[0].scopes == ("list:users",)
    assert found.roles[0].services == ()
    assert [service.name for service in found.services] == ["other"]
    assert "The hub refuses what follows" in made.text
    assert "must start with service-" in made.text


def old(**traits):
    return OldSettings(source="jupyterhub_config.py", kind="jupyterhub", traits={"JupyterHub": traits})


CULLER = {"name": "cull", "command": ["python3", "-m", "jupyterhub_idle_culler", "--timeout=1800"]}


def test_settings_of_the_old_hub_win_over_its_records_of_the_same_name(tmp_path):
    made = settings_from(
        old(
            port=8001,
            services=[{"name": "portal", "url": "http://new:80", "api_token": "x"}],
            load_roles=[{"name": "grader", "scopes": ["list:users"], "users": ["ada"]}],
        ),
        [ArchivedRole("grader", ("read:groups",), users=("bob",)), ArchivedRole("added", ("list:users",))],
        [ArchivedService("portal", url="http://old:80"), ArchivedService("added")],
    )

    found = loaded(made, tmp_path)
    assert found.hub.port == 8001
    assert [(one.name, one.url) for one in found.services] == [("portal", "http://new:80"), ("added", None)]
    assert [(one.name, one.scopes, one.users) for one in found.roles] == [
        ("grader", ("list:users",), ("ada",)),
        ("added", ("list:users",), ()),
    ]
    assert "is used twice" not in made.text


def test_a_role_of_the_settings_keeps_a_service_of_the_records(tmp_path):
    made = settings_from(
        old(load_roles=[{"name": "grader", "scopes": ["list:users"], "services": ["grader"]}]),
        [],
        [ArchivedService("grader")],
    )

    assert loaded(made, tmp_path).roles[0].services == ("grader",)


def test_a_culler_that_is_a_setting_here_comes_back_by_no_record(tmp_path):
    made = settings_from(
        old(services=[CULLER], load_roles=[{"name": "cull", "scopes": ["list:users"], "services": ["cull"]}]),
        [ArchivedRole("cull", ("list:users",), services=("cull",)), ArchivedRole("more", services=("cull",))],
        [ArchivedService("cull")],
    )

    found = loaded(made, tmp_path)
    assert (found.services, found.roles) == ((), ())
    assert found.culling.idle_after.total_seconds() == 1800


@pytest.mark.parametrize(
    ("service", "is_in_the_database", "variables"),
    [
        ({"name": "scraper", "api_token": "x"}, True, []),
        ({"name": "scraper", "api_token": "x"}, False, ["SCRAPER_TOKEN"]),
        ({"name": "scraper", "api_token": "x", "oauth_redirect_uri": "http://a/b"}, True, ["SCRAPER_TOKEN"]),
        ({"name": "scraper", "command": ["scrape"], "api_token": "x"}, True, ["SCRAPER_TOKEN"]),
    ],
)
def test_a_service_whose_tokens_are_imported_needs_no_new_one(tmp_path, service, is_in_the_database, variables):
    made = settings_from(old(services=[service]), [], [ArchivedService("scraper")] if is_in_the_database else [])

    assert list(made.variables) == variables
    assert [one.name for one in loaded(made, tmp_path).services] == ["scraper"]


def test_variables_of_settings_and_of_records_keep_apart():
    made = settings_from(
        old(services=[{"name": "my-portal", "api_token": "x"}]), [], [ArchivedService("my.portal", url="http://a:80")]
    )

    used = [one["token_env"] for one in tomllib.loads(made.text)["services"]]
    assert used == list(made.variables) == ["MY_PORTAL_TOKEN", "MY_PORTAL_TOKEN_2"]
