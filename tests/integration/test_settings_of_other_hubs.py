"""Settings in the shapes that other programs document: what becomes of each, and that nothing of it gets lost."""

import re
from datetime import timedelta
from pathlib import Path

import pytest

from embedded.settings_import import python_config, reading
from hubless.bootstrap.roles import role_table_of
from hubless.domain.login_proxies import ProxyKind
from hubless.settings import parse
from hubless.settings.contradictions import contradictions
from hubless.settings.types import NEVER

FOLDER = Path(__file__).parents[1] / "data" / "old-settings"
FILES = sorted(one.name for one in FOLDER.iterdir() if one.suffix in {".py", ".yaml"})
SECRET = "xK93"
NOBODY = "nobody can log in"
NO_RULE = "login has no rule"
NO_GROUPS = "no login says anybody's groups"
# Everything else is free of contradictions.
CONTRADICTORY = {
    **dict.fromkeys(
        ("helm-lti11.yaml", "helm-null.yaml", "helm-tmp.yaml", "jwt_config.py", "remote_user_config.py"), NOBODY
    ),
    "saml_config.py": NOBODY,
    **dict.fromkeys(("helm-lti13-edx.yaml", "helm-lti13-moodle.yaml", "lti13_config.py"), NO_RULE),
    **dict.fromkeys(("helm-globus.yaml", "helm-old-auth-custom.yaml", "tljh-awscognito.yaml"), NO_RULE),
    "kube_config.py": NO_GROUPS,  # a function said them
}


@pytest.fixture(scope="module")
def imported():
    """Return what a file becomes; each is run once."""
    way, known = python_config.isolation(), {}

    def imported(name):
        if name not in known:
            known[name] = reading.import_settings(FOLDER / name, run=name.endswith(".py"), way=way)
        return known[name]

    return imported


@pytest.fixture
def settings_of(imported, tmp_path):
    def settings_of(name):
        made = imported(name)
        secrets = {variable: f"{number:032}" for number, variable in enumerate(made.variables)}
        found = parse(made.text, tmp_path, secrets, secrets=secrets)
        role_table_of(found)
        return found

    return settings_of


@pytest.fixture
def said(imported):
    """Return the comments of a file, as one line."""

    def said(name):
        rows = [row.removeprefix("#").strip() for row in imported(name).text.split("\n") if row.startswith("#")]
        return " ".join(rows)

    return said


@pytest.mark.parametrize("name", FILES)
def test_the_hub_takes_what_settings_of_another_become(imported, settings_of, name):
    found = contradictions(settings_of(name))

    assert SECRET not in imported(name).text + str(imported(name).variables)
    assert "The hub refuses" not in imported(name).text
    assert len(found) == (name in CONTRADICTORY), found
    assert CONTRADICTORY.get(name, "") in "".join(found)


@pytest.mark.parametrize("name", FILES)
def test_nothing_that_a_hub_used_is_said_to_be_unused(said, name):
    assert "do not use its class" not in said(name)


@pytest.mark.parametrize("name", FILES)
def test_what_settings_become_is_the_same_each_time(imported, name):
    again = reading.import_settings(FOLDER / name, run=name.endswith(".py"), way=python_config.isolation())

    assert again.text == imported(name).text


def test_each_example_that_needs_a_look_is_there():
    assert set(FILES) >= set(CONTRADICTORY)


# The Littlest JupyterHub


def test_all_keys_of_tljh_are_settings_or_comments(settings_of, said):
    found = settings_of("tljh-everything.yaml")

    assert (found.hub.host, found.hub.port) == ("127.0.0.1", 8080)
    assert found.login.admins == ("ada", "grace")
    assert found.login.blocked_users == ("mallory",)
    assert found.culling.idle_after == timedelta(minutes=30)
    assert found.culling.max_age == timedelta(days=3)
    (profile,) = found.profiles
    assert (profile.memory_bytes, profile.cpus, profile.default_url) == (4 * 1024**3, 1.5, "/lab")
    for key in ("https", "users.allowed", "users.extra_user_groups", "services.cull.users", "traefik_api"):
        assert f"Not brought over: {key} (" in said("tljh-everything.yaml")


def test_an_admin_that_is_one_text_is_one_admin(settings_of):
    assert settings_of("tljh-dummy.yaml").login.admins == ("ada",)


# Charts before 1.0


def test_a_login_of_an_old_chart_is_no_shared_password(settings_of):
    found = settings_of("helm-old-auth-github.yaml")

    assert found.login.kind == "none"
    assert found.login.auth_state
    assert (found.login.admins, found.login.allow_users) == (("ada",), ("alan", "barbara"))
    (github,) = found.providers
    assert (github.client_id, github.organizations) == ("Iv1.0011223344", ("physics",))


def test_a_class_of_its_own_of_an_old_chart_is_known(settings_of):
    found = settings_of("helm-old-auth-custom.yaml")

    (campus,) = found.providers
    assert (campus.label, campus.client_id) == ("Campus", "hub")
    assert campus.issuer == "https://sso.example.org/auth/realms/main"


def test_ldap_of_an_old_chart_keeps_its_search(settings_of, imported):
    found = settings_of("helm-old-auth-ldap.yaml")

    config = found.plugin.config["LDAPAuthenticator"]
    assert found.plugin.authenticator_class == "ldap"
    assert (config["server_address"], config["lookup_dn"], config["user_attribute"]) == (
        "ldap.example.org",
        True,
        "uid",
    )
    assert list(imported("helm-old-auth-ldap.yaml").variables) == ["LDAPAUTHENTICATOR_LOOKUP_DN_SEARCH_PASSWORD"]


# OAuthenticator


def test_groups_of_github_are_named_as_here(settings_of):
    found = settings_of("helm-github-enterprise.yaml")

    assert found.login.admin_groups == ("github:physics",)
    assert found.providers[0].rules.groups_claim == "teams"


def test_gitlab_asks_for_the_scopes_of_names(settings_of):
    found = settings_of("helm-gitlab.yaml")

    assert found.providers[0].scopes[:3] == ("openid", "profile", "email")
    assert found.providers[0].rules.groups_claim == "groups_direct"
    assert found.login.allow_groups == ("gitlab:lab",)


def test_several_domains_of_google_are_not_cut_off(settings_of):
    (google,) = settings_of("helm-google.yaml").providers

    assert google.rules.domains == ("uni.example", "alumni.example")
    assert google.rules.strip_domain == ""


def test_microsofts_names_and_groups_have_their_new_claims(settings_of):
    (entra,) = settings_of("helm-azuread.yaml").providers

    assert (entra.rules.username_claim, entra.rules.groups_claim) == ("preferred_username", "groups")


def test_okta_is_known_by_its_domain(settings_of):
    assert settings_of("helm-okta.yaml").providers[0].issuer == "https://dev-1.okta.com"
    assert settings_of("helm-okta-generic.yaml").providers[0].rules.groups_claim == "groups"


def test_only_people_of_the_domain_come_from_globus(settings_of):
    (globus,) = settings_of("helm-globus.yaml").providers

    assert globus.rules.strip_domain == "uni.example"
    assert globus.rules.allow_expression == "ends_with(email, '@uni.example')"
    assert globus.required_claims == {}


def test_names_of_several_rules_take_over_no_account(settings_of, said):
    (cilogon,) = settings_of("helm-cilogon.yaml").providers

    assert not cilogon.match_existing
    assert cilogon.rules.strip_domain == ""  # which one identity provider of two had
    assert settings_of("helm-cilogon.yaml").login.allow_all
    assert "another rule for each identity provider" in said("helm-cilogon.yaml")


def test_a_name_that_a_program_made_takes_over_no_account(settings_of):
    (entra,) = settings_of("kube_config.py").providers

    assert not entra.match_existing


def test_the_user_pool_of_cognito_is_asked_for(settings_of, said):
    (cognito,) = settings_of("helm-cognito-generic.yaml").providers

    assert cognito.issuer == "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_POOL"
    assert "in place of eu-central-1_POOL" in said("helm-cognito-generic.yaml")


@pytest.mark.parametrize("name", ["bitbucket", "mediawiki", "openshift"])
def test_a_provider_without_counterpart_stays_its_class(settings_of, imported, said, name):
    made = imported(f"helm-{name}.yaml")

    assert settings_of(f"helm-{name}.yaml").plugin.authenticator_class == name
    assert len(made.variables) == 1
    assert "client_secret" in made.text
    assert re.search("pip install .* '?oauthenticator", said(f"helm-{name}.yaml"))


def test_a_list_of_users_lets_in_those_of_the_database_too(settings_of):
    """As JupyterHub's default of allow_existing_users does."""
    for name, users in (("helm-azuread.yaml", ("ada@example.org",)), ("remote_user_config.py", ("alan",))):
        login = settings_of(name).login
        assert login.allow_users == users
        assert login.allow_existing_users


@pytest.mark.parametrize("name", ["tljh-awscognito.yaml", "docker_config.py", "helm-globus.yaml", "batch_config.py"])
def test_nobody_is_let_in_by_a_guess(settings_of, said, name):
    login = settings_of(name).login

    assert not any((login.allow_all, login.allow_users, login.allow_existing_users))
    assert (login.kind == "password") != ("No setting says who may log in" in said(name))


# LMS and proxies


def test_canvas_becomes_an_lms_for_each_client(settings_of):
    first, second = settings_of("helm-lti13-canvas.yaml").lti_platforms

    assert (first.kind, first.client_id, second.client_id) == ("canvas", "125900000000000085", "125900000000000086")
    assert first.token_url == "https://sso.canvaslms.com/login/oauth2/token"
    assert not first.match_existing


def test_moodle_is_known_by_its_addresses(settings_of):
    (moodle,) = settings_of("helm-lti13-moodle.yaml").lti_platforms

    assert (moodle.kind, moodle.issuer) == ("moodle", "https://moodle.school.example")
    assert moodle.username_claim == "custom.login"


def test_another_lms_keeps_its_addresses(settings_of, said):
    (lms,) = settings_of("helm-lti13-edx.yaml").lti_platforms

    assert lms.issuer == "https://courses.example.org"
    assert lms.key_set_url.endswith("/public_keysets/0a1b")
    assert "https://TOKEN-URL.invalid" in said("helm-lti13-edx.yaml")


def test_an_lms_of_the_environment_names_the_variable(settings_of, said):
    (lms,) = settings_of("lti13_config.py").lti_platforms

    assert (lms.kind, lms.issuer) == ("brightspace", "https://lms.d2l.example")
    assert "put the variable LTI13_CLIENT_ID in place of CLIENT-ID" in said("lti13_config.py")


def test_lti_1_1_says_what_to_do(said):
    assert "Register the hub at the LMS anew, by LTI 1.3" in said("helm-lti11.yaml")


@pytest.mark.parametrize(
    ("name", "kind", "header"),
    [("remote_user_config.py", ProxyKind.HEADER, "x-forwarded-user"), ("jwt_config.py", ProxyKind.JWT, None)],
)
def test_a_sketch_of_a_proxy_works_once_it_is_filled_in(imported, tmp_path, name, kind, header):
    text = imported(name).text
    sketch = re.search(r"^# \[\[login_proxies\]\]\n(?:# \w+ = .*\n)+", text, re.MULTILINE)[0]
    filled = re.sub(r"^# ", "", sketch, flags=re.MULTILINE).replace(".invalid", ".example.org")
    trusted = '[hub]\ntrusted_proxies = ["10.0.0.7/32"]\n'

    (proxy,) = parse(trusted + filled, tmp_path, {}, secrets={"LOGIN_PROXY_SECRET": "s" * 16}).login_proxies

    assert proxy.kind is kind
    assert header in {None, proxy.header}


def test_saml_says_which_ways_there_are(said):
    assert "Keycloak" in said("saml_config.py")
    assert "docs/login-proxy.md" in said("saml_config.py")


# Services and roles


def test_services_and_roles_of_a_chart_are_what_they_were(settings_of, imported):
    found = settings_of("helm-services-and-roles.yaml")

    assert [one.name for one in found.services] == ["dask-gateway", "binder", "announcement", "prometheus"]
    roles = {one.name: one for one in found.roles}
    assert roles["binder"].scopes == ("servers", "admin:users", "tokens!service=gone")
    assert roles["teachers"].scopes == ("access:servers!group=physics", "list:users!group=physics")
    assert "ANNOUNCEMENT_TOKEN" in imported("helm-services-and-roles.yaml").variables


def test_arguments_of_the_idle_culler_are_settings(settings_of, said):
    culling = settings_of("pam_systemd_config.py").culling

    assert (culling.idle_after, culling.max_age, culling.sweep_every) == (
        timedelta(hours=1),
        timedelta(days=1),
        timedelta(minutes=5),
    )
    assert culling.users["ada"].idle_after == NEVER  # of --cull-admin-users=false
    assert "--cull-users: the hub removes no users" in said("pam_systemd_config.py")


# Spawners


def test_a_machine_with_tls_leaves_that_port_to_a_proxy(settings_of):
    assert settings_of("pam_systemd_config.py").hub.port == 8000


def test_announcements_come_along_and_other_variables_are_named(settings_of, said):
    hub = settings_of("pam_systemd_config.py").hub

    assert (hub.announcement, hub.announcement_home) == ("Hello", "")
    assert hub.announcement_login == "Closed on **Friday**. [More](https://example.org/more)"
    assert "only templates of the old hub know these variables" in said("pam_systemd_config.py")


def test_old_names_of_traits_are_new_ones(settings_of):
    config = settings_of("pam_systemd_config.py").plugin.config

    assert config["Authenticator"]["allowed_users"] == ["ada", "alan"]
    assert config["LocalAuthenticator"]["allowed_groups"] == ["students"]


def test_images_of_dockerspawner_are_profiles(settings_of):
    base, science = settings_of("docker_config.py").profiles

    assert (base.name, science.image) == ("base", "quay.io/jupyter/scipy-notebook:1")
    assert base.memory_bytes == 2 * 1024**3


def test_profiles_of_wrapspawner_say_what_they_lose(settings_of, said):
    assert [one.name for one in settings_of("profiles_spawner_config.py").profiles] == ["local", "slurm2"]
    assert "c.ProfilesSpawner.profiles[1] had a spawner of its own" in said("profiles_spawner_config.py")


def test_profiles_of_kubespawner_are_what_they_were(settings_of):
    found = {one.name: one for one in settings_of("helm-profiles.yaml").profiles}

    assert list(found) == ["minimal-environment", "data", "gpu", "choose-yourself", "only-for-staff"]
    assert [one.is_default for one in found.values()] == [True, False, False, False, False]
    assert (found["data"].cpus, found["gpu"].gpus, found["gpu"].memory_bytes) == (2, 1, 2 * 1024**3)
    assert found["data"].environment == {"LANG": "C.UTF-8", "OMP_NUM_THREADS": "2"}
    assert found["only-for-staff"].access.groups == ("staff",)


def test_options_of_a_profile_offer_what_they_offered(settings_of):
    profile = next(one for one in settings_of("helm-profiles.yaml").profiles if one.name == "choose-yourself")
    image, size = profile.options

    assert [(one.name, one.changes.image, one.is_default) for one in image.choices] == [
        ("small", "quay.io/small:1", False),
        ("large", "quay.io/large:1", True),
    ]
    assert image.unlisted.pattern == "^quay.io/.+:.+$"
    assert [one.changes.memory_bytes for one in size.choices] == [2 * 1024**3, 8 * 1024**3]
    assert [one.is_default for one in size.choices] == [True, False]
    assert size.choices[1].access.groups == ("staff",)


def test_a_class_that_is_only_imported_has_no_methods_of_its_own(said):
    assert "its own methods are Python" not in said("simple_config.py")
    assert "its own methods are Python" in said("kube_config.py")
