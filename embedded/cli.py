"""The command line: `hubless up`, and what an admin does from a shell.

Each command imports what it needs, so that the supervisor, which keeps running, stays small.
"""
# ruff: noqa: PLC0415 see above

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from embedded import moving, opening, people_commands
from embedded.announcement_commands import announce, maintenance
from embedded.audit_report import audit, record
from embedded.backup_commands import backup, restore
from embedded.budget_commands import budget
from embedded.files_commands import files
from embedded.home_limit_commands import home_limit
from embedded.imported_secrets import imported_secrets
from embedded.join_link_commands import join_link
from embedded.message_commands import message
from embedded.name_commands import check_names
from embedded.schedule_commands import schedule
from embedded.settings_import.command import import_settings
from embedded.strays_command import strays
from embedded.usage_report import usage
from hubless.domain.audit import Act
from hubless.settings import DEFAULT_FILE, Settings, parse, read_text
from operations import commands
from operations.trial.command import trial

if TYPE_CHECKING:
    from edge_proxy.route_comparison import RouteRow
    from hubless.bootstrap.hub import Hub

DIFFERENT, CANNOT_SAY = 1, 3  # exit codes of `hubless routes`
_DATA, _STAGE, _settings, _hub = opening.DATA, opening.STAGE, opening.settings_of, opening.hub


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="hubless", message="hubless %(version)s")
def main() -> None:
    """Run a hub for Jupyter servers on this machine, and manage hubs here and in AWS."""


for _command in (
    *commands.ALL,
    trial,
    moving.import_,
    moving.export,
    imported_secrets,
    import_settings,
    audit,
    usage,
    budget,
    home_limit,
    files,
    schedule,
    announce,
    maintenance,
    message,
    join_link,
    backup,
    restore,
    strays,
):
    main.add_command(_command)


@main.command()
@_DATA
@commands.SETTINGS
@click.option("--host", help="Address to listen on; 0.0.0.0 for all.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen on.  [default: 8000]")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that answer requests.  [default: 1]")
@click.option("--stop-servers-on-exit", is_flag=True, default=None, help="Stop users' servers when the hub stops.")
@click.option("--open-browser", is_flag=True, help="Open the hub in a browser once it is ready.")
@click.option(
    "--ready-line",
    is_flag=True,
    help="Print the line `ready` to standard output once the hub answers.",
)
def up(
    *,
    data: Path,
    file: Path | None,
    host: str | None,
    port: int | None,
    workers: int | None,
    stop_servers_on_exit: bool | None,
    open_browser: bool,
    ready_line: bool,
) -> None:
    """Start a hub on this machine and run it until Ctrl-C."""
    from embedded import console_messages, ipc, supervisor

    with commands.errors_as_messages():
        found = commands.settings_file(file)
        text, source = read_text(found), str(found or DEFAULT_FILE)
        settings = ipc.with_overrides(
            parse(text, data, source=source),
            host=host,
            port=port,
            workers=workers,
            stop_on_exit=stop_servers_on_exit,
        )
        config = ipc.ChildConfig(
            data=str(settings.data),
            settings_text=text,
            settings_source=source,
            host=settings.hub.host,
            port=settings.hub.port,
            workers=settings.hub.workers,
            stop_on_exit=settings.servers.stop_on_exit,
            first=True,
        )

        def ready(facts: dict[str, Any], tell: Callable[[str], None]) -> None:
            tell(console_messages.ready(settings, facts))
            if ready_line:
                click.echo("ready")
            if open_browser:
                click.launch(settings.url + facts.get("first_admin_link", "/"))

        def starting() -> None:
            click.echo(console_messages.starting(settings, found), err=True)

        def tell(text: str) -> None:
            click.echo(text, err=True)

        supervisor.up(config, settings, ready, starting, tell)


@main.command()
@_DATA
@commands.SETTINGS
def check(data: Path, file: Path | None) -> None:
    """Check settings, programs, providers of logins and the mail server. Start nothing."""
    from embedded import data_folder, lti_check, mail_check, preflight, virtual_environment
    from hubless.bootstrap.roles import role_table_of
    from hubless.bootstrap.settings_at_start import require_strong_admin_password
    from hubless.settings.contradictions import contradictions
    from hubless.settings.stage import load_stages

    with commands.errors_as_messages():
        settings = _settings(data, file)
        role_table_of(settings)
        require_strong_admin_password(settings)
        for sentence in contradictions(settings):
            click.echo(f"Who may log in: {sentence}.", err=True)
        if settings.workloads or settings.login_proxies:
            _check_keys(settings)
        lti_check.check(settings)
        stages = load_stages(commands.settings_file(file))
        if settings.providers:
            _check_providers(settings, has_stages=bool(stages))
        mail_check.check(settings)
        data_folder.require_own(settings.data)
        if (facts := data_folder.running_hub(settings.data)) is not None:
            preflight.check_programs(settings)
            preflight.check_pictures(settings)
            preflight.check_theme(settings)
            click.echo(f"Everything is fine. A hub already runs in {settings.data}: {facts.get('url')}")
            return
        data_folder.require_writable(settings.data)
        preflight.check(settings, data_folder.run_folder_path(settings.data))
    installs = virtual_environment.must_be_installed(settings)
    first = " It installs JupyterLab for users' servers first." if installs else ""
    click.echo(f"Everything is fine. `hubless up` would start at {settings.url} with data in {settings.data}.{first}")


def _check_keys(settings: Settings) -> None:
    from embedded.key_check import check_keys
    from hubless.adapters.system_clock import SystemClock

    check_keys(settings, SystemClock())


def _check_providers(settings: Settings, *, has_stages: bool) -> None:
    from embedded.provider_check import check_providers
    from hubless.adapters.system_clock import SystemClock
    from hubless.bootstrap.providers import login_providers_of

    check_providers(settings, login_providers_of(settings.providers, SystemClock()), click.echo, has_stages=has_stages)


@main.group()
def user() -> None:
    """Add, list and remove users, and set their passwords."""


user.add_command(people_commands.import_people)
user.add_command(check_names)


@user.command("add")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@_DATA
@commands.SETTINGS
@_STAGE
@click.option("--admin", is_flag=True, help="Make them admins.")
@click.option("--password-stdin", is_flag=True, help="Read the password of one NAME from standard input.")
@people_commands.GROUPS
@click.option("--links", is_flag=True, help="Print a link to choose a password for each of several new users.")
def add_user(
    *,
    names: tuple[str, ...],
    data: Path,
    file: Path | None,
    stage: str | None,
    admin: bool,
    password_stdin: bool,
    groups: tuple[str, ...],
    links: bool,
) -> None:
    """Add users. For one NAME without --password-stdin, print a link where the user chooses a password."""
    from hubless.domain.errors import InvalidRequestError, NameTakenError
    from hubless.domain.names import typed_user_name

    if len(names) > 1 or groups or links:
        if password_stdin:
            raise click.UsageError("--password-stdin is for one NAME without --group and --links")
        with _hub(data, file, stage, new=True) as hub:
            people_commands.add(hub, names, groups, admin=admin, links=links)
        return
    with _hub(data, file, stage, new=True) as hub:
        name = typed_user_name(names[0])
        try:
            hub.accounts.add(name, admin=admin)
        except NameTakenError as taken:
            raise InvalidRequestError(f"{taken}. For a new password run `hubless user passwd`.") from None
        record(hub, Act.USER_ADDED, name, admin="yes" if admin else "")
        _give_password(hub, name, from_stdin=password_stdin)


@user.command("passwd")
@click.argument("name")
@_DATA
@commands.SETTINGS
@_STAGE
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--keep-sessions", is_flag=True, help="Keep browsers logged in; with --password-stdin.")
@click.option("--revoke-tokens", is_flag=True, help="Revoke all API tokens of NAME; with --password-stdin.")
def change_password(
    *,
    name: str,
    data: Path,
    file: Path | None,
    stage: str | None,
    password_stdin: bool,
    keep_sessions: bool,
    revoke_tokens: bool,
) -> None:
    """Set the password of NAME, or print a link where NAME chooses a new one.

    A new link ends earlier links of NAME. A new password ends links and browser sessions.
    """
    if (keep_sessions or revoke_tokens) and not password_stdin:
        raise click.UsageError("--keep-sessions and --revoke-tokens need --password-stdin: the page of a link asks")
    with _hub(data, file, stage) as hub:
        name = hub.accounts.stored_name(name)
        _give_password(hub, name, from_stdin=password_stdin, keep_sessions=keep_sessions, revoke_tokens=revoke_tokens)


def _give_password(
    hub: "Hub", name: str, *, from_stdin: bool, keep_sessions: bool = False, revoke_tokens: bool = False
) -> None:
    if not hub.has_passwords:
        shares = hub.settings.login.kind == "shared-password"
        click.echo(f"{name} logs in {'with the shared password' if shares else 'at a provider'}.")
    elif from_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        hub.accounts.set_password(name, password, keep_sessions=keep_sessions, revoke_tokens=revoke_tokens)
        record(hub, Act.PASSWORD_CHANGED, name)
        click.echo(f"The password of {name} is set.")
    else:
        base = people_commands.address_for_others(hub)
        link = base.url + hub.accounts.password_link(name)
        record(hub, Act.PASSWORD_LINK_MADE, name)
        click.echo(
            f"Send {name} this link to choose a password. It works once, within three days. "
            f"Earlier links of {name} have ended.\n{link}"
        )
        if base.is_only_here:
            click.echo(people_commands.ONLY_HERE, err=True)


@user.command("link")
@click.argument("name")
@click.option("--issuer", required=True, help="Who vouches for NAME: the issuer of the provider's tokens.")
@click.option("--subject", required=True, help="What the provider calls NAME: the claim `sub`.")
@click.option("--provider", default="", help="The provider's name in the settings.")
@click.option("--label", default="", help="What NAME knows this login by, such as an e-mail address.")
@_DATA
@commands.SETTINGS
@_STAGE
def link_user(
    *, name: str, issuer: str, subject: str, provider: str, label: str, data: Path, file: Path | None, stage: str | None
) -> None:
    """Let NAME log in with an identity of a provider, whatever the lists of allowed users say."""
    from hubless.domain.external_identities import ExternalId

    with _hub(data, file, stage) as hub:
        found, external = hub.accounts.find(hub.accounts.stored_name(name)), ExternalId(issuer, subject)
        linked = hub.external_logins.linked_by(found, external, provider=provider, label=label, by_admin=True)
        hub.external_logins.link(found, linked)
        record(hub, Act.LOGIN_LINKED, found.name, issuer=issuer)
        click.echo(f"{name} logs in as {subject} of {issuer} from now on.")


@user.command("unlink")
@click.argument("name")
@click.option("--issuer", required=True, help="Who vouches for NAME.")
@click.option("--subject", required=True, help="What the provider calls NAME.")
@_DATA
@commands.SETTINGS
@_STAGE
def unlink_user(*, name: str, issuer: str, subject: str, data: Path, file: Path | None, stage: str | None) -> None:
    """End the link of NAME to an identity, the only way in too. Sessions that are open stay."""
    from hubless.domain.external_identities import ExternalId

    with _hub(data, file, stage) as hub:
        found = hub.accounts.find(hub.accounts.stored_name(name))
        hub.external_logins.unlink(found, ExternalId(issuer, subject), by_admin=True)
        record(hub, Act.LOGIN_UNLINKED, found.name, issuer=issuer)
        click.echo(f"{name} no longer logs in as {subject} of {issuer}.")


@user.command("email")
@click.argument("name")
@click.argument("address", required=False)
@click.option("--remove", is_flag=True, help="Remove the address.")
@_DATA
@commands.SETTINGS
@_STAGE
def user_email(
    *, name: str, address: str | None, remove: bool, data: Path, file: Path | None, stage: str | None
) -> None:
    """Show the e-mail address of the user NAME, or set it to ADDRESS without asking there.

    Links to new passwords go to this address.
    """
    if remove and address:
        raise click.UsageError("--remove and ADDRESS exclude each other")
    with _hub(data, file, stage) as hub:
        found = hub.accounts.find(hub.accounts.stored_name(name))
        if address or remove:
            address = hub.emails.set(found, address or "")
            record(hub, Act.EMAIL_CHANGED, found.name)
        else:
            address = hub.emails.of(found).address
        click.echo(f"{name}: {address or 'no e-mail address'}")


@user.command("reset-factors")
@click.argument("name")
@_DATA
@commands.SETTINGS
@_STAGE
def reset_factors(name: str, data: Path, file: Path | None, stage: str | None) -> None:
    """Remove all second factors of NAME: apps, passkeys and recovery codes. NAME is told at the next login."""
    with _hub(data, file, stage) as hub:
        found = hub.accounts.find(hub.accounts.stored_name(name))
        if hub.second_factors.reset(found, "An operator of this hub"):
            record(hub, Act.FACTORS_RESET, found.name)
            click.echo(f"{name} has no second factor any more, and logs in with the password alone.")
        else:
            click.echo(f"{name} has no second factor.")


@user.command("list")
@_DATA
@commands.SETTINGS
@_STAGE
def list_users(data: Path, file: Path | None, stage: str | None) -> None:
    """List all users."""
    with _hub(data, file, stage) as hub:
        for one in hub.accounts.all():
            seen = f"{one.last_activity_at:%Y-%m-%d %H:%M} UTC" if one.last_activity_at else "never seen"
            click.echo(f"{one.name:<30}  {'admin' if one.admin else '':<5}  {seen}")


@user.command("remove")
@click.argument("name")
@_DATA
@commands.SETTINGS
@_STAGE
def remove_user(name: str, data: Path, file: Path | None, stage: str | None) -> None:
    """Remove the user NAME with all tokens and servers; keep the files."""
    with _hub(data, file, stage) as hub:
        if hub.login_plugin is not None and hub.users.find(name) is not None:
            hub.login_plugin.delete_user(name)
        removed = hub.accounts.find(name)
        hub.accounts.remove(name)
        record(hub, Act.USER_REMOVED, name, id=removed.id)
        more = ": see `hubless files list`" if stage is None else ""
        click.echo(f"Removed {name}. The files stay{more}.")


@main.command()
@click.argument("name")
@_DATA
@commands.SETTINGS
@_STAGE
@click.option("--promote", is_flag=True, help="Make NAME an admin without asking, if the user exists already.")
@click.option("--revoke", is_flag=True, help="End the sessions, API tokens and links of NAME first.")
def admin(*, name: str, data: Path, file: Path | None, stage: str | None, promote: bool, revoke: bool) -> None:
    """Make NAME an admin. Add the user if needed, and print a link to choose a first password.

    Ask before an existing user becomes an admin: the browsers and tokens of that user become an admin's too.
    """
    with _hub(data, file, stage, new=True) as hub:
        name = hub.accounts.stored_name(name)
        found = hub.users.find(name)
        if found is None:
            found = hub.accounts.add(name, admin=True)
            record(hub, Act.USER_ADDED, name, admin="yes")
        elif not found.admin:
            revoke = _may_promote(name, promote=promote, revoke=revoke)
            found = hub.accounts.promote(found, revoke=revoke)
            record(hub, Act.ADMIN_GIVEN, name)
        elif revoke:
            hub.accounts.end_logins(found)
            record(hub, Act.SESSIONS_ENDED, name)
            click.echo(f"The sessions, API tokens and links of {found.name} have ended.")
        if hub.has_passwords and hub.passwords.get(found.id):
            click.echo(f"{found.name} is an admin and keeps the password.")
        else:
            click.echo(f"{found.name} is an admin.")
            _give_password(hub, found.name, from_stdin=False)


def _may_promote(name: str, *, promote: bool, revoke: bool) -> bool:
    """Return whether to end the logins of an existing user who becomes an admin; ask at a terminal.

    Raises:
        InvalidRequestError: when nobody can be asked.
        click.Abort: when the answer is no.
    """
    from hubless.domain.errors import InvalidRequestError

    if promote:
        return revoke
    if not sys.stdin.isatty():
        raise InvalidRequestError(
            f"The user {name} exists and is no admin. Add --promote to make this user an admin, "
            "and --revoke to end the user's sessions and tokens first."
        )
    click.confirm(f"The user {name} exists already. Make this user an admin?", abort=True)
    return revoke or click.confirm(f"End the sessions, API tokens and links of {name} first?", default=True)


@main.command()
@click.argument("name")
@_DATA
@commands.SETTINGS
@_STAGE
@click.option("--note", default="", help="What the token is for.")
@click.option("--expires-in", metavar="DURATION", help="How long it stays valid, such as 90s, 8h or 14d.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    help="A scope of the token; repeat for more.  [default: all of the user's]",
)
def token(
    *,
    name: str,
    data: Path,
    file: Path | None,
    stage: str | None,
    note: str,
    expires_in: str | None,
    scopes: tuple[str, ...],
) -> None:
    """Print a new API token for the user NAME."""
    from hubless.settings.types import DURATION

    with _hub(data, file, stage) as hub:
        lifetime = DURATION.value(expires_in, "--expires-in") if expires_in else None
        issued, secret = hub.tokens.issue(name, note=note, expires_in=lifetime, scopes=list(scopes) or None)
        record(hub, Act.TOKEN_ISSUED, name, token=issued.id)
        click.echo(secret)


@main.group()
def lti() -> None:
    """Manage LMS whose users log in by LTI 1.3, and their courses."""


@lti.command("list")
@_DATA
@commands.SETTINGS
@_STAGE
def list_platforms(data: Path, file: Path | None, stage: str | None) -> None:
    """List the LMS, and the courses from which somebody has logged in."""
    with _hub(data, file, stage) as hub:
        for platform in hub.lti.platforms.all():
            where = "settings" if platform in hub.settings.lti_platforms else "registered"
            click.echo(f"{platform.name:<30}  {where:<10}  {platform.issuer}  {platform.client_id}")
        for course in hub.lti_store.courses():
            click.echo(f"  {course.group:<28}  {course.platform:<30}  {course.title}")


@lti.command("register")
@_DATA
@commands.SETTINGS
@_STAGE
def allow_registration(data: Path, file: Path | None, stage: str | None) -> None:
    """Print a link with which one LMS registers itself, once and within a day (Dynamic Registration)."""
    from functions.api.lti_tickets import new_registration_key

    with _hub(data, file, stage) as hub:
        click.echo(
            f"{people_commands.address_for_others(hub).url}/hub/lti/register?key={new_registration_key(hub.key)}"
        )
        record(hub, Act.LMS_LINK_MADE)


@lti.command("remove")
@click.argument("name")
@_DATA
@commands.SETTINGS
@_STAGE
def remove_platform(name: str, data: Path, file: Path | None, stage: str | None) -> None:
    """Remove the LMS NAME, which registered itself. Its users and courses stay."""
    with _hub(data, file, stage) as hub:
        hub.lti.platforms.remove(name)
        record(hub, Act.LMS_REMOVED, name)
        click.echo(f"Removed {name}. Its users and their courses stay.")


@lti.command("roster")
@click.argument("group")
@_DATA
@commands.SETTINGS
@_STAGE
def fill_course(group: str, data: Path, file: Path | None, stage: str | None) -> None:
    """Bring all people of the course with the group GROUP into its groups; add those who are no users yet."""
    with _hub(data, file, stage) as hub:
        filled = hub.lti.courses.fill(hub.lti.courses.named(group))
        record(hub, Act.GROUP_CHANGED, group, joined=str(filled.joined), left=str(filled.left))
        click.echo(
            f"{group}: {filled.people} people, {filled.joined} joined, {filled.left} left, {filled.refused} not let in."
        )
        if not filled.is_whole:
            click.echo("The roster is longer than the hub reads. Nobody left for that reason.")


@lti.command("rotate-key")
@_DATA
@commands.SETTINGS
@_STAGE
@click.option("--discard", is_flag=True, help="End the old keys at once: they are lost, or others have them.")
def rotate_key(*, data: Path, file: Path | None, stage: str | None, discard: bool) -> None:
    """Make a new key with which the hub signs what it sends to an LMS. It signs from tomorrow on."""
    with _hub(data, file, stage) as hub:
        new = hub.lti.keys.rotate(discard=discard)
        when = "signs now, and LMS refuse it until they read the key set again" if discard else "signs from tomorrow on"
        click.echo(f"The new key is {new.id}. It {when}.")


@main.group()
def mail() -> None:
    """Try whether the hub can send mails."""


@mail.command("test")
@click.argument("address")
@_DATA
@commands.SETTINGS
@_STAGE
def test_mail(address: str, data: Path, file: Path | None, stage: str | None) -> None:
    """Send a mail to ADDRESS, as [mail] in the settings says.

    With --stage this command sends it with your own credentials, not those of the hub's functions.
    """
    from hubless.domain.mails import Mail, check_address

    with _hub(data, file, stage) as hub:
        name, to = hub.settings.hub.name, check_address(address)
        words = f"This mail shows that the hub {name} at {hub.settings.url} can send mails.\n"
        hub.mailer.send(Mail(to, f"A test of {name}", words))
        click.echo(f"The mail server has taken a mail to {to}. Look whether it arrives.")


@main.command()
@_DATA
@commands.SETTINGS
def status(data: Path, file: Path | None) -> None:
    """Show whether the hub runs. If so, show its address, servers, queue and edge."""
    from embedded import console_messages, data_folder, route_report

    with commands.errors_as_messages():
        settings = _settings(data, file)
        facts = data_folder.running_hub(settings.data)
    if facts is None:
        click.echo(f"No hub runs in {settings.data}.")
        raise SystemExit(3)
    with _hub(data, file) as hub:
        click.echo(console_messages.status(hub, facts))
    click.echo(f"haproxy   {route_report.haproxy_state(lambda: _compared_routes(settings))}")


def _compared_routes(settings: Settings) -> "list[RouteRow]":
    """Return the routes of a running hub's store and HAProxy.

    Raises:
        HublessError: when one of them does not answer.
    """
    from edge_proxy.route_comparison import compare_running
    from embedded import data_folder
    from embedded.edge import edge_configuration
    from hubless.bootstrap import machine

    store, _ = machine.open_routes(settings)
    return compare_running(store, edge_configuration(settings, data_folder.run_folder_path(settings.data)))


@main.command()
@click.argument("text", default="")
@_DATA
@commands.SETTINGS
@click.option(
    "--limit",
    type=click.IntRange(0),
    help="Print at most this many routes, those that differ first; 0 for all.  [default: 200; all with --json]",
)
@commands.JSON
def routes(*, text: str, data: Path, file: Path | None, limit: int | None, as_json: bool) -> None:
    """Compare the store's routes with HAProxy's.

    Compares all routes, or those whose prefix contains TEXT. Exits with 0 when both agree, 1 when they differ (marked
    with !), and 3 when they cannot be compared.
    """
    from embedded import data_folder, route_report

    with commands.errors_as_messages(exit_code=CANNOT_SAY):
        settings = _settings(data, file)
        if data_folder.running_hub(settings.data) is None:
            raise data_folder.DataFolderError(
                f"No hub runs in {settings.data}. Start it with `hubless up`, or name its folder with --data."
            )
        rows = [row for row in _compared_routes(settings) if text in row.prefix]
    if as_json:
        click.echo(route_report.as_json(rows, limit or 0))
    else:
        shown = route_report.DEFAULT_LIMIT if limit is None else limit
        click.echo("\n".join(route_report.as_text(rows, shown, text)))
    if any(row.differs for row in rows):
        raise SystemExit(DIFFERENT)


if __name__ == "__main__":
    main()
