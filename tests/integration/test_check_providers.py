"""`hubless check` with a provider of logins that does not answer."""

from click.testing import CliRunner

from embedded.cli import main


def test_check_names_a_provider_that_does_not_answer(tmp_path):
    settings = tmp_path / "hubless.toml"
    settings.write_text(
        '[[providers]]\nname = "sso"\nkind = "oidc"\nissuer = "http://127.0.0.1:9"\n'
        'client_id = "hub"\nclient_secret = "secret"\n'
    )
    answer = CliRunner().invoke(main, ["check", "--data", str(tmp_path / "data"), "--settings", str(settings)])
    assert answer.exit_code == 1
    assert "register the redirect URI http://127.0.0.1:8000/hub/oauth_callback" in answer.stdout
    assert "Provider sso: 127.0.0.1:9 gave no answer to GET /.well-known/openid-configuration" in answer.stderr
