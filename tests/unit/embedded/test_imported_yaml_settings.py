"""Configurations as people have them, of TLJH and Zero to JupyterHub, as a hubless.toml that the loader takes."""

import os
import tomllib
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from embedded.settings_import import logins, mapping, providers, reading, yaml_text
from embedded.settings_import.old_settings import OldSettings
from hubless.bootstrap.roles import role_table_of
from hubless.settings import SettingsError, parse
from hubless.settings.contradictions import contradictions

SECRET = "xK93-this-is-the-secret"


@pytest.fixture
def imported(tmp_path):
    def imported(text, name="config.yaml"):
        file = tmp_path / name
        file.write_text(text)
        return reading.import_settings(file)

    return imported


def loaded(made, tmp_path):
    secrets = {name: f"{number:032}" for number, name in enumerate(made.variables)}
    found = parse(made.text, tmp_path, secrets, secrets=secrets)
    role_table_of(found)
    return found


TLJH_FIRST_USE = """
users:
  admin: [Ada]
  banned: [mallory]
auth: {type: firstuseauthenticator.FirstUseAuthenticator}
limits: {memory: 1G, cpu: 2}
user_environment: {default_app: classic}
"""
TLJH_NATIVE = """
users: {admin: [ada], allowed: [bob], extra_user_groups: {lab: [bob]}}
auth:
  type: nativeauthenticator.NativeAuthenticator
  NativeAuthenticator: {open_signup: true, minimum_password_length: 12, allowed_failed_logins: 5}
https: {enabled: true, letsencrypt: {email: ada@example.org, domains: [hub.example.org]}}
http: {port: 8080}
services: {cull: {enabled: true, timeout: 3600, max_age: 86400, every: 120}}
"""
TLJH_GITHUB = f"""
users: {{admin: [ada]}}
auth:
  type: oauthenticator.github.GitHubOAuthenticator
  GitHubOAuthenticator:
    client_id: iv1.0011223344
    client_secret: {SECRET}
    oauth_callback_url: https://hub.example.org/hub/oauth_callback
    allowed_organizations: [physics]
services: {{cull: {{enabled: false}}}}
"""
TLJH_LDAP = f"""
auth:
  type: ldapauthenticator.LDAPAuthenticator
  LDAPAuthenticator:
    server_address: ldap.school.example
    bind_dn_template: ["uid={{username}},ou=people,dc=school,dc=example"]
    lookup_dn_search_password: {SECRET}
"""
Z2JH_DUMMY = """
hub: {config: {DummyAuthenticator: {password: a-shared-one}, Authenticator: {admin_users: [ada]}}}
"""
Z2JH_GITHUB = f"""
hub:
  cookieSecret: {SECRET}
  allowNamedServers: true
  namedServerLimitPerUser: 3
  activeServerLimit: 40
  config:
    JupyterHub: {{authenticator_class: github}}
    Authenticator: {{admin_users: [ada], auto_login: true, enable_auth_state: true}}
    GitHubOAuthenticator:
      client_id: iv1.0011223344
      client_secret: {SECRET}
      allowed_organizations: [physics, "chemistry:staff"]
      scope: [read:org]
  services:
    announcer: {{url: "http://announcer:8888", apiToken: {SECRET}}}
    grader: {{apiToken: {SECRET}}}
  loadRoles:
    grader: {{scopes: ["list:users", "read:groups"], services: [grader], users: [bob]}}
    user: {{scopes: ["self", "shares!user"]}}
  extraConfig: {{hooks: "c.Spawner.pre_spawn_hook = None"}}
proxy: {{secretToken: {SECRET}, https: {{enabled: true, hosts: [hub.example.org]}}}}
singleuser:
  image: {{name: quay.io/jupyter/scipy-notebook, tag: "2026-01-05"}}
  memory: {{limit: 2Gi, guarantee: 1G}}
  cpu: {{limit: "500m"}}
  startTimeout: 300
  defaultUrl: /lab
  extraEnv: {{EDITOR: vim, DB_PASSWORD: {SECRET}}}
  profileList:
    - {{display_name: "<b>Small</b>", description: "For &lt;two&gt; hours"}}
    - display_name: Large
      default: true
      kubespawner_override: {{mem_limit: 16G, cpu_limit: 4, node_selector: {{kind: large}}}}
      profile_options:
        image:
          choices:
            a: {{display_name: A, kubespawner_override: {{image: "quay.io/a:1"}}}}
            b: {{display_name: B, default: true, kubespawner_override: {{image: "quay.io/b:1"}}}}
cull: {{timeout: 7200, maxAge: 172800, users: true}}
"""
Z2JH_GOOGLE = f"""
jupyterhub:
  hub:
    config:
      JupyterHub: {{authenticator_class: google}}
      GoogleOAuthenticator:
        {{client_id: x.apps.example, client_secret: {SECRET}, hosted_domain: [example.org], allow_all: true}}
  cull: {{enabled: false}}
"""
Z2JH_KEYCLOAK = f"""
hub:
  config:
    JupyterHub: {{authenticator_class: generic-oauth}}
    GenericOAuthenticator:
      client_id: hub
      client_secret: {SECRET}
      authorize_url: https://sso.example.org/realms/main/protocol/openid-connect/auth
      token_url: https://sso.example.org/realms/main/protocol/openid-connect/token
      userdata_url: https://sso.example.org/realms/main/protocol/openid-connect/userinfo
      username_claim: preferred_username
      claim_groups_key: groups
      allowed_groups: [staff]
      admin_groups: [admins]
      scope: [profile, email]
      login_service: Campus
"""
Z2JH_ENTRA = f"""
hub:
  config:
    JupyterHub: {{authenticator_class: azuread}}
    AzureAdOAuthenticator:
      {{client_id: c, client_secret: {SECRET}, tenant_id: 11111111-2222-3333-4444-555555555555, allow_all: true}}
"""
Z2JH_CILOGON = f"""
hub:
  config:
    JupyterHub: {{authenticator_class: cilogon}}
    CILogonOAuthenticator:
      client_id: cilogon:/client_id/0
      client_secret: {SECRET}
      allow_all: true
      allowed_idps:
        https://idp.example.org/shibboleth:
          username_derivation: {{username_claim: eppn, action: strip_idp_domain, domain: example.org}}
"""
Z2JH_OTHER = f"""
hub:
  config:
    JupyterHub: {{authenticator_class: ltiauthenticator.LTI11Authenticator}}
    LTI11Authenticator: {{consumers: {{key: {SECRET}}}}}
"""
EXAMPLES = {name: text for name, text in dict(globals()).items() if name.startswith(("TLJH_", "Z2JH_"))}


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_loader_takes_what_an_example_becomes(imported, tmp_path, name):
    made = imported(EXAMPLES[name])

    loaded(made, tmp_path)
    assert SECRET not in made.text


def test_a_tljh_with_native_accounts_keeps_its_rules(imported, tmp_path):
    made = imported(TLJH_NATIVE)
    found = loaded(made, tmp_path)

    assert found.hub.public_url == "https://hub.example.org"
    assert found.hub.port == 8080
    assert found.login.kind == "password"
    assert found.login.sign_up
    assert not found.sign_up.approval
    assert found.login.admins == ("ada",)
    assert found.login.max_failures == 5
    assert found.culling.idle_after == timedelta(hours=1)
    assert found.culling.max_age == timedelta(days=1)
    assert "users.allowed (a list of 1)" in made.text
    assert "users.extra_user_groups" in made.text


def test_a_tljh_without_a_word_about_it_culls_after_ten_minutes(imported, tmp_path):
    found = loaded(imported(TLJH_FIRST_USE), tmp_path)

    assert found.culling.idle_after == timedelta(minutes=10)
    assert found.login.blocked_users == ("mallory",)
    assert found.profiles[0].memory_bytes == 1024**3
    assert found.profiles[0].cpus == 2
    assert found.profiles[0].default_url == "/tree"
    assert not found.login.sign_up


def test_a_hub_that_culls_nothing_goes_on_so(imported, tmp_path):
    for text in (TLJH_GITHUB, Z2JH_GOOGLE):
        assert loaded(imported(text), tmp_path).culling.idle_after is None


def test_an_ldap_password_becomes_a_variable_of_the_plug_in(imported, tmp_path):
    made = imported(TLJH_LDAP)
    found = loaded(made, tmp_path)

    (variable,) = made.variables
    assert found.plugin.authenticator_class == "ldap"
    assert tomllib.loads(made.text)["plugin"]["config_env"] == {"LDAPAuthenticator.lookup_dn_search_password": variable}
    assert found.plugin.config["LDAPAuthenticator"]["server_address"] == "ldap.school.example"


def test_zero_to_jupyterhub_with_github_becomes_what_it_was(imported, tmp_path):
    made = imported(Z2JH_GITHUB)
    found = loaded(made, tmp_path)

    (github,) = found.providers
    assert github.organizations == ("physics", "chemistry:staff")
    assert github.match_existing
    assert set(made.variables) == {"GITHUB_CLIENT_SECRET", "ANNOUNCER_TOKEN", "GRADER_TOKEN"}
    assert found.login.kind == "none"
    assert found.login.allow_all  # of the organisations
    assert found.login.auth_state
    assert found.login.auto_login
    assert (found.servers.named_limit, found.servers.active_limit) == (3, 40)
    assert found.servers.launch_timeout == timedelta(minutes=5)
    assert found.culling.idle_after == timedelta(hours=2)
    assert [service.name for service in found.services] == ["announcer", "grader"]
    roles = {role.name: role for role in found.roles}
    assert roles["grader"].services == ("grader",)
    assert roles["grader"].users == ("bob",)
    assert roles["user"].scopes == ("self", "shares!user")
    assert contradictions(found) == []


def test_profiles_have_what_all_servers_have_and_their_own(imported, tmp_path):
    made = imported(Z2JH_GITHUB)
    small, large = loaded(made, tmp_path).profiles

    assert (large.name, large.memory_bytes, large.cpus, large.is_default) == ("large", 16 * 1024**3, 4, True)
    assert (small.display_name, small.description) == ("Small", "For <two> hours")
    assert (small.memory_bytes, small.cpus, small.image) == (
        2 * 1024**3,
        0.5,
        "quay.io/jupyter/scipy-notebook:2026-01-05",
    )
    assert small.environment == {"EDITOR": "vim"}
    assert [one.is_default for one in large.options[0].choices] == [False, True]
    assert "kubespawner_override.node_selector" in made.text
    assert "singleuser.extraEnv.DB_PASSWORD" in made.text


OPTIONS = "hub: {{}}\nsingleuser: {{profileList: [{{display_name: A, profile_options: {{{}}}}}]}}\n"


def test_an_image_that_no_pattern_bounds_may_not_be_typed(imported, tmp_path):
    text = "image: {unlisted_choice: {enabled: true, kubespawner_override: {image: '{value}'}}, choices: {a: {}}}"
    made = imported(OPTIONS.format(text))

    assert loaded(made, tmp_path).profiles[0].options[0].unlisted is None
    assert "no pattern says what users may type" in " ".join(made.text.replace("#", "").split())


def test_what_a_text_cannot_change_is_told(imported, tmp_path):
    override = "{image: 'x:{value}', mem_limit: 2G, environment: {API_TOKEN: k, TAG: '{value}'}}"
    unlisted = f"{{enabled: true, validation_regex: a, kubespawner_override: {override}}}"
    text = f"i: {{choices: {{a: {{}}}}, unlisted_choice: {unlisted}}}"
    made = imported(OPTIONS.format(text))

    found = loaded(made, tmp_path).profiles[0].options[0].unlisted
    assert (found.changes.image, found.changes.environment) == ("x:{value}", {"TAG": "{value}"})
    assert "a text changes no memory" in " ".join(made.text.replace("#", "").split())


@pytest.mark.parametrize(
    "text",
    [
        "a: 1",
        "a: {choices: [1]}",
        "a: {choices: {}}",
        "'a b': {choices: {a: {}}}",
        "profile: {choices: {a: {}}}",
        "7: {choices: {8: {display_name: 9, kubespawner_override: {image: [1], args: [--x], mem_limit: -1}}}}",
        "a: {choices: {b: {allowed_groups: 3}}, unlisted_choice: {enabled: true, validation_regex: '('}}",
        "a: {choices: {b: {kubespawner_override: {extra_resource_limits: {amd.com/gpu: many}}}}}",
    ],
)
def test_options_of_another_form_become_comments(imported, tmp_path, text):
    made = imported(OPTIONS.format(text))

    loaded(made, tmp_path)
    assert made.comments > 1


def test_a_domain_of_google_is_checked_and_cut_off(imported, tmp_path):
    found = loaded(imported(Z2JH_GOOGLE), tmp_path)

    (google,) = found.providers
    assert google.required_claims == {"hd": ("example.org",)}
    assert google.rules.strip_domain == "example.org"
    assert found.login.allow_all


def test_a_generic_login_is_known_by_its_address(imported, tmp_path):
    found = loaded(imported(Z2JH_KEYCLOAK), tmp_path)

    (keycloak,) = found.providers
    assert keycloak.issuer == "https://sso.example.org/realms/main"
    assert keycloak.label == "Campus"
    assert keycloak.scopes == ("openid", "profile", "email")
    assert keycloak.rules.groups_claim == "groups"
    assert (found.login.allow_groups, found.login.admin_groups) == (("staff",), ("admins",))


def test_a_name_that_two_may_have_takes_over_no_account(imported, tmp_path):
    (entra,) = loaded(imported(Z2JH_ENTRA), tmp_path).providers

    assert entra.rules.username_claim == "name"
    assert not entra.match_existing


def test_cilogon_names_the_identity_providers(imported, tmp_path):
    (cilogon,) = loaded(imported(Z2JH_CILOGON), tmp_path).providers

    assert cilogon.required_claims == {"idp": ("https://idp.example.org/shibboleth",)}
    assert cilogon.rules.strip_domain == "example.org"


def test_a_login_without_counterpart_lets_nobody_in(imported, tmp_path):
    made = imported(Z2JH_OTHER)

    assert loaded(made, tmp_path).login.kind == "none"
    assert "[[lti_platforms]]" in made.text


def test_the_password_of_all_is_a_variable(imported, tmp_path):
    made = imported(Z2JH_DUMMY)

    assert set(made.variables) == {"HUBLESS_SHARED_PASSWORD", "HUBLESS_ADMIN_PASSWORD"}
    assert "a-shared-one" not in made.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a list", "must be a table"),
        ("a: [", "in line 1"),
        ("x: !!python/object/apply:os.system [id]", "in line 1"),
        ("unknown: 1", "neither sections"),
        ("hub: {a: 2026-02-30}", "cannot be read"),
        ("hub: " + "[" * 500, "can be read"),
        ("hub: " + "{a: " * 60 + "1" + "}" * 60, "can be read"),
        ("hub: &a [*a]", "nested deeper"),
        ("hub: " + "9" * 5000, "can be read"),
    ],
)
def test_what_is_no_old_configuration_is_refused(imported, text, said):
    with pytest.raises(SettingsError, match=said):
        imported(text)


def test_a_file_of_another_kind_is_refused(imported):
    with pytest.raises(SettingsError, match="no file with settings"):
        imported("", name="config.ini")


def test_aliases_that_grow_without_end_are_refused(imported):
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n + 1}: &a{n + 1} [*a{n}, *a{n}, *a{n}]\n" for n in range(18))

    with pytest.raises(SettingsError, match="more than"):
        imported(bomb + "hub: {x: *a18}\n")


def test_merges_that_grow_without_end_are_refused(imported):
    bomb = "a0: &a0 {x: 1}\n" + "".join(f"a{n + 1}: &a{n + 1} {{<<: [*a{n}, *a{n}]}}\n" for n in range(40))

    with pytest.raises(SettingsError, match="can be read"):
        imported(bomb + "hub: {}\n")


def test_aliases_and_merges_as_people_use_them_work(imported, tmp_path):
    made = imported(
        "x: &env {EDITOR: vim}\nsingleuser:\n  extraEnv: {<<: *env, LANG: C}\n  memory: {limit: 1G}\nhub: {}\n"
    )

    assert loaded(made, tmp_path).profiles[0].environment == {"LANG": "C", "EDITOR": "vim"}


def test_a_file_that_is_too_long_is_refused(imported):
    with pytest.raises(SettingsError, match="longer than"):
        imported("hub: {}\n" + "#" * yaml_text.MAX_BYTES)


def test_control_characters_stay_out_of_comments_and_texts(imported, tmp_path):
    made = imported('hub: {"a\\nb = 1": 1}\nsingleuser: {defaultUrl: "/l\\u0001\\"ab"}\n')

    assert loaded(made, tmp_path).profiles[0].default_url == '/l\x01"ab'
    assert "b" not in tomllib.loads(made.text)


def test_a_key_that_is_there_twice_is_refused_with_its_line(imported):
    with pytest.raises(SettingsError, match="a key twice in one table in line 3: remove"):
        imported("hub:\n  baseUrl: /a\n  baseUrl: /b\n")


def test_a_merged_key_may_be_there_again(imported, tmp_path):
    made = imported("x: &env {EDITOR: vim, LANG: C}\nsingleuser:\n  extraEnv: {<<: *env, LANG: D}\nhub: {}\n")

    assert loaded(made, tmp_path).profiles[0].environment == {"EDITOR": "vim", "LANG": "D"}


def test_a_tab_is_named(imported):
    with pytest.raises(SettingsError, match="in line 2: begin lines with spaces, not with tabs"):
        imported("hub:\n\tbaseUrl: /a\n")


def test_a_mark_of_byte_order_and_other_ends_of_lines_do_not_count(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_bytes(b"\xef\xbb\xbfusers:\r\n  admin: [ada]\r\n")

    assert loaded(reading.import_settings(file), tmp_path).login.admins == ("ada",)


def test_a_link_to_a_file_is_followed(tmp_path):
    (tmp_path / "real").write_text("users: {admin: [ada]}\n")
    (tmp_path / "config.yaml").symlink_to("real")

    assert loaded(reading.import_settings(tmp_path / "config.yaml"), tmp_path).login.admins == ("ada",)


@pytest.mark.parametrize("name", ["config.yaml", "jupyterhub_config.py"])
def test_what_is_no_file_is_refused(tmp_path, name):
    """A pipe, too: nobody would ever write to it."""
    (tmp_path / name).mkdir()
    os.mkfifo(tmp_path / f"pipe-{name}")

    for path in (tmp_path / name, tmp_path / f"pipe-{name}"):
        with pytest.raises(SettingsError, match="is no file"):
            reading.import_settings(path, run=True)


def test_a_file_of_fifty_megabytes_is_not_read(tmp_path):
    file = tmp_path / "config.yaml"
    with file.open("wb") as opened:
        opened.truncate(50_000_000)

    with pytest.raises(SettingsError, match="too large"):
        reading.import_settings(file)


def test_text_that_is_not_utf_8_is_refused(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_bytes("users: {admin: [zoë]}\n".encode("utf-16"))

    with pytest.raises(SettingsError, match="not UTF-8"):
        reading.import_settings(file)


@pytest.mark.parametrize(
    "text",
    [
        "hub: {services: {a: {info: {password: hunter2}}}}",
        "hub: {config: {JupyterHub: {load_groups: {a: {users: [], properties: {api_key: hunter2}}}}}}",
        (
            "hub: {config: {JupyterHub: {authenticator_class: google}, GoogleOAuthenticator: {extra_authorize_params:"
            " {client_secret: hunter2}}}}"
        ),
        "auth: {type: ldap, ldap: {server: {address: a}, dn: {search: {password: hunter2}}}}\nhub: {}\nproxy: {}",
        "auth: {type: custom, custom: {className: a.B, config: {token: hunter2}}}\nhub: {}\nproxy: {}",
    ],
)
def test_a_secret_is_known_by_the_name_of_its_key(imported, tmp_path, text):
    made = imported(text)

    loaded(made, tmp_path)
    assert "hunter2" not in made.text + str(made.variables)


@pytest.mark.parametrize(
    "text",
    [
        "hub: {}\nproxy: {}\nauth: {1: 2, type: 3, 3: {a: b}}",
        "hub: {}\nproxy: {}\nauth: {type: ldap, ldap: {1: 2, server: {2: 3, address: {a: b}}, dn: [1]}}",
        "hub: {}\nproxy: {}\nauth: {type: custom, custom: {className: 7, config: 8}}",
        "hub: {}\nproxy: {}\nauth: {type: [a], admin: {users: {a: 1}}, whitelist: 3, state: {enabled: maybe}}",
        "hub: {}\nproxy: {}\nauth: {type: lti, lti: {consumers: 3}}",
        (
            "hub: {config: {JupyterHub: {authenticator_class: cilogon}, CILogonOAuthenticator: {allowed_idps: {a: 1, b:"
            " {username_derivation: {username_claim: [x], action: prefix, prefix: '{'}}}}}}"
        ),
        "hub: {config: {JupyterHub: {authenticator_class: cilogon}, CILogonOAuthenticator: {allowed_idps: [a, 1]}}}",
        (
            "hub: {config: {JupyterHub: {authenticator_class: a.LTI13Authenticator}, LTI13Authenticator: {issuer: [1],"
            " client_id: {a: 1}, username_key: 3, jwks_endpoint: 'x'}}}"
        ),
        (
            "hub: {config: {JupyterHub: {authenticator_class: a.JWTAuthenticator}, JWTAuthenticator: {header_name: 3,"
            " expected_audience: [1], username_claim_field: {}}}}"
        ),
        'hub: {config: {JupyterHub: {authenticator_class: globus}, GlobusOAuthenticator: {identity_provider: "a\'b"}}}',
        "hub: {config: {JupyterHub: {authenticator_class: okta}, OktaOAuthenticator: {okta_domain: 'a b'}}}",
    ],
)
def test_values_of_another_type_become_comments(imported, tmp_path, text):
    made = imported(text)

    loaded(made, tmp_path)
    assert made.comments


@pytest.mark.parametrize("name", sorted({*logins.CLASSES.values(), *providers.KINDS}))
def test_the_documentation_has_each_class_that_is_known(name):
    assert name in (Path(__file__).parents[3] / "docs" / "moving-settings.md").read_text()


NAMES = st.sampled_from(
    [
        *("JupyterHub", "Authenticator", "GitHubOAuthenticator", "GenericOAuthenticator", "LDAPAuthenticator"),
        *("CILogonOAuthenticator", "GoogleOAuthenticator", "AzureAdOAuthenticator", "Spawner", "KubeSpawner", "Cull"),
        *("LocalProcessSpawner", "PAMAuthenticator", "DummyAuthenticator", "NativeAuthenticator", "Other"),
        *("LTI13Authenticator", "JWTAuthenticator", "RemoteUserAuthenticator", "GlobusOAuthenticator"),
    ]
)
TRAITS = st.sampled_from(
    [
        *("authenticator_class", "spawner_class", "bind_url", "public_url", "base_url", "ip", "port", "services"),
        *("load_roles", "load_groups", "custom_scopes", "admin_users", "allowed_users", "allow_all", "scope"),
        *("client_id", "authorize_url", "username_claim", "claim_groups_key", "allowed_groups", "allowed_idps"),
        *("mem_limit", "cpu_limit", "environment", "default_url", "cmd", "args", "image", "profile_list"),
        *("allowed_images", "start_timeout", "cookie_max_age_days", "log_level", "allow_named_servers", "timeout"),
        *("named_server_limit_per_user", "active_server_limit", "hosted_domain", "tenant_id", "oauth_callback_url"),
        *("extra_authorize_params", "allowed_organizations", "server_address", "trait", "issuer", "jwks_endpoint"),
        *("username_key", "header_name", "expected_audience", "identity_provider", "strip_domain", "admin_groups"),
    ]
)
CHOSEN = st.sampled_from(
    [
        *("github", "google", "azuread", "cilogon", "generic-oauth", "ldap", "pam", "native", "firstuse", "dummy"),
        *("a.LTI13Authenticator", "a.JWTAuthenticator", "a.RemoteUserAuthenticator", "gitlab", "bitbucket", "okta"),
        *("null", "a.b.MyAuthenticator", "auth0", "globus", "https://a/realms/b/protocol/openid-connect/auth", "2G"),
        *("http://[::1]:80", "https://x.auth0.com/authorize", "ada", "custom:x", "list:users", "admin"),
    ]
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12), CHOSEN)
KEYS = st.one_of(
    st.sampled_from(
        [
            *("name", "scopes", "users", "services", "url", "command", "display_name", "kubespawner_override", "slug"),
            *("allowed_groups", "unlisted_choice", "enabled", "validation_regex", "extra_resource_limits"),
            *("profile_options", "choices", "default", "info", "properties", "description", "oauth_client_id"),
        ]
    ),
    st.text(max_size=8),
)
HIDDEN = st.tuples(st.sampled_from(["password", "client_secret", "api_token", "secret_key", "GITHUB_TOKEN"])).map(
    lambda name: {name[0]: SECRET}
)
VALUES = st.recursive(
    st.one_of(LEAVES, HIDDEN), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4)
)
SECRET_TRAITS = st.dictionaries(
    st.sampled_from(["client_secret", "password", "cookie_secret", "api_tokens", "lookup_dn_search_password"]),
    st.just(SECRET) | st.just({SECRET: "ada"}),
    max_size=2,
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    traits=st.dictionaries(
        NAMES,
        st.tuples(st.dictionaries(TRAITS, VALUES, max_size=6), SECRET_TRAITS).map(lambda two: {**two[0], **two[1]}),
        max_size=6,
    ),
    kind=st.sampled_from(["jupyterhub", "tljh", "z2jh"]),
    chosen=CHOSEN,
)
@example(traits={"JupyterHub": {"services": [{"name": {"password": SECRET}}]}}, kind="jupyterhub", chosen="github")
def test_whatever_goes_in_the_text_loads_and_has_no_secret(traits, kind, chosen):
    traits = {**traits, "JupyterHub": {"authenticator_class": chosen, **traits.get("JupyterHub", {})}}

    made = mapping.settings_from(OldSettings(source="x", kind=kind, traits=traits))

    secrets = {name: f"{number:032}" for number, name in enumerate(made.variables)}
    parse(made.text, reading.Path("data"), secrets, secrets=secrets)
    assert SECRET not in made.text
    assert SECRET not in str(made.variables)
