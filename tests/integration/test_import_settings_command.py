"""The command `hubless import-settings`."""

from click.testing import CliRunner

from embedded.cli import main

CONFIG = """
users: {admin: [ada]}
auth:
  type: oauthenticator.google.GoogleOAuthenticator
  GoogleOAuthenticator: {client_id: c, client_secret: not-to-be-seen, hosted_domain: [example.org]}
"""


def run(*arguments):
    return CliRunner().invoke(main, ["import-settings", *map(str, arguments)])


def test_the_settings_are_printed_and_the_variables_named(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG)

    done = run(file)

    assert done.exit_code == 0
    assert 'kind = "google"' in done.stdout
    assert "Set the variable GOOGLE_CLIENT_SECRET" in done.stderr
    assert "not-to-be-seen" not in done.output


def test_they_go_into_a_new_file_and_into_no_other(tmp_path):
    file, output = tmp_path / "config.yaml", tmp_path / "hubless.toml"
    file.write_text(CONFIG)

    first, second = run(file, "--output", output), run(file, "--output", output)

    assert first.exit_code == 0
    assert 'kind = "google"' in output.read_text()
    assert second.exit_code == 1
    assert "exists already" in second.stderr


def test_a_folder_that_is_not_there_and_a_wrong_file_are_refused(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("nothing: known\n")

    assert "neither sections" in run(file).stderr
    file.write_text(CONFIG)
    assert "Cannot write" in run(file, "--output", tmp_path / "none" / "hubless.toml").stderr
