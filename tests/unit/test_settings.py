"""Settings in a file: allowed values, errors, and the tables in the documentation."""

import re
import subprocess
import sys
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from hubless.domain.idleness import IdlePolicy
from hubless.domain.tokens import sha256
from hubless.settings import NEVER, IdlePolicySettings, Settings, SettingsError, load, parse
from hubless.settings.profiles import ChoiceSettings, OptionSettings
from hubless.settings.sections import LISTS, NAMED, TABLES

DATA = Path("/srv/hub")
ROOT = Path(__file__).parents[2]


def read(text: str = "", **environ: str) -> Settings:
    return parse(text, DATA, environ)


def complaint(text: str, **environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(text, **environ)
    return str(caught.value).removeprefix("hubless.toml: ")


class TestDefaults:
    def test_a_hub_without_a_file_has_one_profile_and_passwords(self) -> None:
        settings = read()

        assert settings.hub.name == "hubless"
        assert settings.login.kind == "password"
        assert settings.servers.named_limit == 5
        assert settings.servers.start_timeout == timedelta(seconds=60)
        assert settings.culling.idle_after is None
        assert [profile.name for profile in settings.profiles] == ["default"]
        assert settings.services == settings.roles == ()

    def test_no_file_means_the_defaults(self) -> None:
        assert load(None, DATA, {}) == read()

    def test_everything_is_in_the_data_folder(self) -> None:
        settings = read()

        assert settings.database == DATA / "hub.sqlite"
        assert settings.secret_file == DATA / "secret"
        assert settings.launches == DATA / "servers"
        assert settings.homes == DATA / "homes"

    def test_homes_may_be_elsewhere(self) -> None:
        assert read('[servers]\nhomes = "/home"').homes == Path("/home")


class TestValues:
    def test_durations_are_read_in_their_units(self) -> None:
        settings = read('[servers]\nstart_timeout = "1h30m"\n[hub]\ncookie_max_age = "2d"')

        assert settings.servers.start_timeout == timedelta(minutes=90)
        assert settings.hub.cookie_max_age == timedelta(days=2)

    @pytest.mark.parametrize("given", ['"90"', "90", '"0s"', '"-1s"', '"1w"', '"soon"', "true", '"99999999d"', '"٣s"'])
    def test_other_durations_are_refused_with_what_is_allowed(self, given: str) -> None:
        said = complaint(f"[servers]\nstart_timeout = {given}")

        assert said.startswith("servers.start_timeout is ")
        assert '"90s", "15m", "8h" or "14d"' in said

    @pytest.mark.parametrize(
        ("given", "size"),
        [("2G", 2 * 1024**3), ("512M", 512 * 1024**2), ("1.5K", 1536), ("1000", 1000), ("", None)],
    )
    def test_sizes_are_read_in_powers_of_1024(self, given: str, size: int | None) -> None:
        (profile,) = read(f'[[profiles]]\nname = "small"\nmemory = "{given}"').profiles

        assert profile.memory_bytes == size

    @pytest.mark.parametrize("given", [f'memory = "{"9" * 400}"', f'memory = "{"1" * 308}T"', f"cpus = {'9' * 400}"])
    def test_a_number_of_hundreds_of_digits_is_refused(self, given: str) -> None:
        said = complaint(f'[[profiles]]\nname = "a"\n{given}')

        assert said.startswith(f"profiles.a.{given.partition(' ')[0]} is ")
        assert "but it must be a" in said

    def test_a_profile_may_name_an_image(self) -> None:
        plain, own = read('[[profiles]]\nname = "a"\n[[profiles]]\nname = "b"\nimage = "quay.io/jupyter/r:1"').profiles

        assert (plain.image, own.image) == ("", "quay.io/jupyter/r:1")

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            (
                'hub.port = "8000"',
                'hub.port is "8000", but it must be an integer from 1 to 65535',
            ),
            ("hub.port = 0", "hub.port is 0, but it must be an integer from 1 to 65535"),
            ("hub.port = true", "hub.port is true, but it must be an integer from 1 to 65535"),
            (
                'hub.websocket_timeout = "59s"',
                'hub.websocket_timeout is "59s", but it must be a duration from "1m" to "24d"',
            ),
            (
                'hub.websocket_timeout = "25d"',
                'hub.websocket_timeout is "25d", but it must be a duration from "1m" to "24d"',
            ),
            ("hub.websocket_timeout = 90", "hub.websocket_timeout is 90, but it must be a duration from"),
            ('servers.isolation = "docker"', 'servers.isolation is "docker", but it must be "sandbox", "accounts",'),
            ("servers.uid_range = [0, 10]", "servers.uid_range is [0, 10], but it must be a list of two user ids"),
            ("servers.uid_range = [5000, 5002]", "servers.uid_range is [5000, 5002], but it must be a list of two"),
            ("servers.uid_range = [5000, 2147483648]", "servers.uid_range is [5000, 2147483648], but it must be"),
            ("servers.uid_range = [5000]", "servers.uid_range is [5000], but it must be a list of two user ids"),
            ('servers.sandbox_read = ["course"]', "servers.sandbox_read is ['course'], but it must be a list of"),
            ('servers.sandbox_write = ["/a/.."]', "servers.sandbox_write is ['/a/..'], but it must be a list of"),
            ('servers.sandbox_tmp = ""', 'servers.sandbox_tmp is "", but it must be a size such as "512M" or "2G"'),
            ("hub.name = 7", "hub.name is 7, but it must be a non-empty string"),
            (
                'login.kind = "pam"',
                'login.kind is "pam", but it must be "password", "shared-password" or "none"',
            ),
            ("login.sign_up = 1", "login.sign_up is 1, but it must be true or false"),
            ('login.admins = "ada"', 'login.admins is "ada", but it must be a list of user names'),
            (
                'login.admins = ["a/b"]',
                "login.admins is ['a/b'], but it must be a list of user names (Invalid username: ",
            ),
            (
                'hub.trusted_proxies = ["10.0.0.0/33"]',
                "hub.trusted_proxies is ['10.0.0.0/33'], but it must be a list of n",
            ),
            (
                'hub.public_url = "hub.example.org"',
                'hub.public_url is "hub.example.org", but it must be an address such as',
            ),
            ("hub.subdomains = true", "hub.subdomains needs a hub.public_url whose host"),
            (
                '[hub]\nsubdomains = true\npublic_url = "https://192.0.2.1"',
                "hub.subdomains needs a hub.public_url whose host",
            ),
            (
                'hub.public_url = "https://h/base/"',
                'hub.public_url is "https://h/base/", but it must be an address such as',
            ),
            ("hub = 3", "hub must be a table, as in [hub]"),
            ("profiles = 3", "profiles must be a list of tables, each as in [[profiles]]"),
            (
                '[profiles]\nname = "one"',
                "profiles must be a list of tables, each as in [[profiles]]",
            ),
            ("[[profiles]]\ncpus = 1", "profiles.[1].name is missing"),
            (
                '[[profiles]]\nname = "a"\ncpus = -1',
                "profiles.a.cpus is -1, but it must be a number of CPUs",
            ),
            (
                '[[profiles]]\nname = "a"\ncommand = []',
                "profiles.a.command is [], but it must be a list of strings: the",
            ),
            (
                "[servers]\napi_page_limit = 300",
                "servers.api_page_limit is 300, but it must be at most servers.api_page_max_limit",
            ),
        ],
    )
    def test_a_wrong_value_is_named_with_the_allowed_values(self, line: str, said: str) -> None:
        assert complaint(line).startswith(said)

    def test_an_address_loses_its_slash(self) -> None:
        assert read('hub.public_url = "https://hub.example.org/"').hub.public_url == "https://hub.example.org"

    @pytest.mark.parametrize(
        ("given", "address"),
        [
            ("HTTPS://Hub.Example.org:443", "https://hub.example.org"),
            ("http://h:80/", "http://h"),
            ("https://h:80", "https://h:80"),
            ("https://[2001:DB8::1]:443", "https://[2001:db8::1]"),
        ],
    )
    def test_an_address_is_written_as_browsers_write_it(self, given: str, address: str) -> None:
        assert read(f'hub.public_url = "{given}"').hub.public_url == address

    def test_names_of_users_are_normalised(self) -> None:
        assert read('[login]\nadmins = ["Ada"]').login.admins == ("ada",)


class TestUnknownKeys:
    @pytest.mark.parametrize(
        ("line", "said"),
        [
            (
                "servers.start_timout = 1",
                "servers.start_timout is not a setting; did you mean servers.start_timeout?",
            ),
            ("hub.zzz = 1", "hub.zzz is not a setting"),
            (
                "hub.named_limit = 1",
                "hub.named_limit is not a setting; named_limit belongs in [servers]",
            ),
            ("server.named_limit = 1", "[server] is not a section; did you mean [servers]?"),
            (
                "zzz = 1",
                "[zzz] is not a section; the sections are " + ", ".join(sorted({*TABLES, *LISTS, *NAMED, "stages"})),
            ),
            (
                '[[services]]\nname = "s"\napi_token = "x"',
                "services.s.api_token is not a setting; did you mean services.s.token?",
            ),
            ("culling.users.ada.idle = 1", "culling.users.ada.idle is not a setting"),
        ],
    )
    def test_is_named_with_the_one_that_was_meant(self, line: str, said: str) -> None:
        assert complaint(line) == said


class TestFiles:
    def test_broken_toml_is_named_by_file_and_line(self, tmp_path: Path) -> None:
        file = tmp_path / "hubless.toml"
        file.write_text("[hub]\nname = \n")

        with pytest.raises(SettingsError, match=rf"^{re.escape(str(file))}: .*line 2"):
            load(file, DATA, {})

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match=r"Cannot read .*none\.toml: No such file"):
            load(tmp_path / "none.toml", DATA, {})

    def test_the_example_file_has_the_defaults(self) -> None:
        load(ROOT / "hubless.example.toml", DATA, {"CHECKER_TOKEN": "0123456789"})


class TestLogin:
    def test_the_shared_password_may_come_from_the_environment(self) -> None:
        settings = read('login.kind = "shared-password"', HUBLESS_SHARED_PASSWORD="from outside")

        assert settings.login.password == "from outside"

    def test_shared_password_logins_need_a_password(self) -> None:
        assert "HUBLESS_SHARED_PASSWORD" in complaint('login.kind = "shared-password"')

    def test_the_admins_password_is_another(self) -> None:
        shared = '[login]\nkind = "shared-password"\npassword = "for all"\n'

        assert read(shared, HUBLESS_ADMIN_PASSWORD="from outside").login.admin_password == "from outside"
        assert "choose another" in complaint(shared + 'admin_password = "for all"')

    def test_the_shared_password_opens_no_admins_name_unasked(self) -> None:
        shared = '[login]\nkind = "shared-password"\npassword = "for all"\nadmins = ["ada", "bo"]\n'
        said = complaint(shared)
        assert "login.admin_password is missing" in said
        assert "login.admins (ada, bo)" in said
        assert "HUBLESS_ADMIN_PASSWORD" in said
        assert read(shared + 'admin_password = "for admins"').login.admins == ("ada", "bo")
        assert read(shared, HUBLESS_ADMIN_PASSWORD="for admins").login.admins == ("ada", "bo")
        assert read(shared + "shared_password_opens_admins = true").login.admins == ("ada", "bo")
        assert read(shared.replace('"ada", "bo"', "")).login.admins == ()

    @pytest.mark.parametrize("line", ['second_factor = "required"', "admins_need_second_factor = true"])
    def test_who_shares_a_password_cannot_need_a_second_factor(self, line: str) -> None:
        shared = '[login]\nkind = "shared-password"\npassword = "for all"\n'
        assert 'need login.kind = "password"' in complaint(shared + line)
        assert read(f"[login]\n{line}")

    @pytest.mark.parametrize("line", ['password = "x"', 'admin_password = "x"'])
    def test_keys_without_effect_are_refused(self, line: str) -> None:
        assert 'only if login.kind is "shared-password"' in complaint(f"[login]\n{line}")


class TestAuthState:
    HEX, BASE64 = "ab" * 32, "q83v" * 10 + "q80="

    def test_keys_are_hexadecimal_or_base64_and_the_newest_comes_first(self) -> None:
        login = "[login]\nauth_state = true"
        keys = read(login, HUBLESS_AUTH_STATE_KEYS=f"{self.HEX}; {self.BASE64};").auth_state_keys
        assert keys[0] == bytes.fromhex(self.HEX)
        assert [len(key) for key in keys] == [32, 32]
        assert read(login).auth_state_keys == ()
        assert read("", HUBLESS_AUTH_STATE_KEYS="nonsense").auth_state_keys == ()

    @pytest.mark.parametrize("keys", ["xyz", "ab" * 31, "zz" * 32, "=" * 44])
    def test_a_key_of_another_form_is_refused_and_not_shown(self, keys: str) -> None:
        said = complaint("[login]\nauth_state = true", HUBLESS_AUTH_STATE_KEYS=keys)
        assert said.startswith("HUBLESS_AUTH_STATE_KEYS has a key that is neither")
        assert keys not in said

    def test_servers_get_variables_of_auth_state_that_are_free(self) -> None:
        told = '[login]\nauth_state = true\nauth_state_to_servers = { ACCESS_TOKEN = "access_token" }'
        assert read(told).login.auth_state_to_servers == {"ACCESS_TOKEN": "access_token"}
        assert "unless login.auth_state is true" in complaint(told.replace("true", "false"))
        for name in ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN", '"A B"', '"A=B"', '""'):
            assert "hub's own" in complaint(told.replace("ACCESS_TOKEN", name))


class TestServices:
    def test_the_token_is_kept_as_a_hash(self) -> None:
        (service,) = read('[[services]]\nname = "bot"\ntoken = "0123456789"').services

        assert service.token_sha256 == sha256("0123456789")
        assert service.oauth_client_id is None

    def test_a_service_with_an_address_is_an_oauth_client(self) -> None:
        (service,) = read('[[services]]\nname = "bot"\ntoken = "0123456789"\nurl = "http://127.0.0.1:1"').services

        assert service.oauth_client_id == "service-bot"
        assert service.oauth_redirect_uri == "/services/bot/oauth_callback"

    def test_the_token_may_come_from_the_environment(self) -> None:
        (service,) = read('[[services]]\nname = "bot"\ntoken_env = "BOT"', BOT="0123456789").services

        assert service.token_sha256 == sha256("0123456789")

    @pytest.mark.parametrize(
        ("lines", "said"),
        [
            ('token = "short"', "services.bot.token has 5 characters, but it must have 8 to 64"),
            (
                f'token = "{65 * "x"}"',
                "services.bot.token has 65 characters, but it must have 8 to 64",
            ),
            (
                'token_env = "NONE"',
                "services.bot.token_env names NONE, which is not in the environment",
            ),
            (
                'token = "0123456789"\ntoken_env = "NONE"',
                "services.bot.token and services.bot.token_env exclude each other",
            ),
            (
                'oauth_client_id = "bot"',
                'services.bot.oauth_client_id is "bot", but it must start with "service-"',
            ),
            (
                'url = "127.0.0.1"',
                'services.bot.url is "127.0.0.1", but it must be an address that starts with http',
            ),
            (
                'url = "http://a..b:80"',
                'services.bot.url is "http://a..b:80", but it must be an address that starts with http',
            ),
        ],
    )
    def test_contradictions_are_refused(self, lines: str, said: str) -> None:
        assert complaint(f'[[services]]\nname = "bot"\n{lines}').startswith(said)

    @pytest.mark.parametrize("name", ["a/b", "..", "", "a b"])
    def test_a_name_that_is_invalid_in_a_url_is_refused(self, name: str) -> None:
        assert "name" in complaint(f'[[services]]\nname = "{name}"')


class TestTogether:
    @pytest.mark.parametrize("where", ["profiles", "services", "roles"])
    def test_a_name_used_twice_is_refused(self, where: str) -> None:
        assert complaint(2 * f'[[{where}]]\nname = "one"\n') == f'{where}: the name "one" is used twice'

    def test_a_token_of_two_services_is_refused_and_not_shown(self) -> None:
        said = complaint("".join(f'[[services]]\nname = "{n}"\ntoken = "0123456789"\n' for n in "ab"))

        assert said == "services: a token is used twice"

    def test_an_oauth_client_of_two_services_is_refused(self) -> None:
        one = '[[services]]\nname = "{0}"\ntoken = "0123456789{0}"\noauth_client_id = "service-x"\n'

        assert complaint(one.format("a") + one.format("b")).endswith('"service-x" is used twice')

    def test_a_role_of_a_missing_service_is_refused(self) -> None:
        said = complaint('[[roles]]\nname = "r"\nscopes = []\nservices = ["bot"]')

        assert said == 'roles.r.services names "bot", which is not in [[services]]'

    def test_limits_of_users_and_profiles_are_idle_policies(self) -> None:
        settings = read(
            '[culling]\nidle_after = "1h"\nusers = { Ada = { idle_after = "never" } }\n'
            '[[profiles]]\nname = "long"\nmax_age = "2d"'
        )

        assert settings.culling.users == {"ada": IdlePolicySettings(idle_after=NEVER)}
        assert settings.profiles[0].idle_policy == IdlePolicy(max_age=timedelta(days=2))

    def test_groups_are_read_by_name(self) -> None:
        group = read('[groups.class]\nusers = ["Ada"]\nproperties = { year = 2 }').groups["class"]

        assert group.users == ("ada",)
        assert group.properties == {"year": 2}


class TestSecrets:
    def test_are_in_no_representation(self) -> None:
        settings = read(
            '[login]\nkind = "shared-password"\npassword = "s3cret-shared"\nadmin_password = "s3cret-admins"\n'
            '[[services]]\nname = "bot"\ntoken = "s3cret-token"'
        )

        assert "s3cret" not in repr(settings)
        assert "s3cret" not in str(settings)

    def test_are_not_shown_where_they_are_wrong(self) -> None:
        assert "1234567" not in complaint("[login]\npassword = 1234567")
        assert "7654321" not in complaint('[[services]]\nname = "bot"\ntoken = 7654321')

    def test_reach_no_server_through_its_environment(self) -> None:
        settings = read(PATH="/bin", LANG="C.UTF-8", HUBLESS_SHARED_PASSWORD="s3cret", BOT="s3cret")

        assert set(settings.server_environment) == {"PATH", "LANG"}
        assert settings.search_path.endswith("/bin")


class TestAddresses:
    @pytest.mark.parametrize(
        ("host", "url"),
        [
            ("127.0.0.1", "http://127.0.0.1:8000"),
            ("0.0.0.0", "http://127.0.0.1:8000"),
            ("::", "http://[::1]:8000"),
            ("hub.local", "http://hub.local:8000"),
            ("fe80::1", "http://[fe80::1]:8000"),
        ],
    )
    def test_programs_here_reach_the_hub_where_it_listens(self, host: str, url: str) -> None:
        assert read(f'hub.host = "{host}"').local_url == url

    def test_people_see_the_public_address(self) -> None:
        assert read('hub.public_url = "https://hub.example.org"').url == "https://hub.example.org"


SMTP = '[mail]\nkind = "smtp"\nsender = "Hub <hub@example.org>"\nhost = "mail.example.org"\n'


class TestMail:
    def test_a_hub_sends_no_mail_unless_it_is_told_how(self) -> None:
        assert not read().mail.is_on

    def test_the_password_comes_from_the_variable_that_is_named(self) -> None:
        mail = read(SMTP + 'user = "hub"\npassword_env = "MAIL"', MAIL="a secret").mail

        assert (mail.is_on, mail.password, mail.port, mail.security) == (True, "a secret", 587, "starttls")
        assert "a secret" not in repr(mail)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ('mail.sender = "hub@example.org"', "mail.sender has an effect only if mail.kind is set"),
            ('mail.kind = "smtp"', "mail.sender is missing"),
            ('usage.budget_mail_to = ["root@example.org"]', "budget_mail_to has an effect only if mail.kind is set"),
            (SMTP + '[usage]\nbudget_mail_to = ["root"]', "a list of at most 20 e-mail addresses"),
            ('[mail]\nkind = "smtp"\nsender = "hub@example.org"', "mail.host is missing"),
            ('[mail]\nkind = "smtp"\nsender = "nobody"', 'mail.sender is "nobody", but it must be an address such as'),
            ('[mail]\nkind = "ses"\nsender = "hub@example.org"\nhost = "x"', 'only if mail.kind is "smtp"'),
            (SMTP + 'region = "eu-west-1"', 'only if mail.kind is "ses"'),
            (SMTP + 'security = "none"', "but mail.host is another machine"),
            (SMTP + 'user = "hub"', "mail.user and mail.password belong together"),
            (SMTP + 'password = "x"', "mail.user and mail.password belong together"),
            (SMTP + 'password_env = "MAIL"', "mail.password_env names MAIL, which is not in the environment"),
            (SMTP + 'user = "hub"\npassword = "x"\npassword_env = "PATH"', "exclude each other"),
        ],
    )
    def test_what_does_not_fit_together_is_refused(self, text: str, said: str) -> None:
        assert said in complaint(text)

    @pytest.mark.parametrize("sender", ["hub@example.org", "Hub <hub@example.org>", "Ünï hub <hub@example.org>"])
    def test_a_sender_may_have_a_name(self, sender: str) -> None:
        assert read(f'[mail]\nkind = "ses"\nsender = "{sender}"').mail.sender == sender

    @pytest.mark.parametrize("sender", ["a@example.org, b@example.org", "Hub\\r\\nBcc: <hub@example.org>", "a@b@c"])
    def test_a_sender_is_one_address(self, sender: str) -> None:
        assert "mail.sender is" in complaint(f'[mail]\nkind = "ses"\nsender = "{sender}"')

    def test_a_server_on_the_same_machine_may_be_asked_without_encryption(self) -> None:
        assert read(SMTP.replace("mail.example.org", "localhost") + 'security = "none"').mail.security == "none"


class TestDocumentation:
    @pytest.mark.parametrize(("name", "section"), [*TABLES.items(), *LISTS.items(), *NAMED.items()])
    def test_has_every_setting_with_its_default_and_meaning(self, name: str, section: type) -> None:
        text = (ROOT / "docs" / "settings.md").read_text()
        _, _, rest = text.partition(f"\n## {heading(name)}\n")

        assert table_of(section) in rest.partition("\n## ")[0], f"docs/settings.md needs:\n\n{table_of(section)}"

    @pytest.mark.parametrize(
        ("name", "section"), [("profiles.options", OptionSettings), ("profiles.options.choices", ChoiceSettings)]
    )
    def test_has_every_setting_of_lists_in_lists(self, name: str, section: type) -> None:
        text = (ROOT / "docs" / "settings.md").read_text()
        _, _, rest = text.partition(f"\n### `[[{name}]]`\n")

        assert table_of(section) in rest.partition("\n##")[0], f"docs/settings.md needs:\n\n{table_of(section)}"

    def test_has_no_unknown_section(self) -> None:
        text = (ROOT / "docs" / "settings.md").read_text()

        assert re.findall(r"^## (.*)", text, re.MULTILINE) == [heading(n) for n in (*TABLES, *LISTS, *NAMED)]
        parts = re.findall(r"^### .*", text, re.MULTILINE)
        assert sorted(parts) == sorted(set(parts))


def heading(name: str) -> str:
    return f"`[[{name}]]`" if name in LISTS else f"`[{name}]`"


def table_of(section: type) -> str:
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for f in fields(section):
        kind, default, meaning = (f.metadata[key] for key in ("kind", "default", "meaning"))
        rows.append(f"| `{f.name}` | {kind.allowed} | {as_toml(default)} | {meaning} |")
    return "\n".join(rows) + "\n"


def as_toml(default: object) -> str:
    if default is None:
        return "needed"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, str):
        return f'`"{default}"`'
    return f"`{default}`".replace("'", '"')


def test_only_what_a_cold_start_needs_is_imported() -> None:
    heavy = "{'pydantic', 'tomllib', 'difflib', 'sqlite3', 'asyncio'}"
    script = f"import sys, hubless.settings; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "[]"
