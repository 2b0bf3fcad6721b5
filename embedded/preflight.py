"""Checks before a hub starts: programs, HAProxy and the port. Each error says what to do."""

import errno
import resource
import shutil
import socket
from pathlib import Path

from edge_proxy.haproxy_binary import find_haproxy
from edge_proxy.haproxy_config import EdgeConfiguration, UnixSocket
from edge_proxy.haproxy_process import haproxies_of
from embedded import virtual_environment
from hubless.bootstrap import plugin
from hubless.domain.errors import HublessError
from hubless.settings import Settings
from hubless.settings.pictures import MAX_PICTURE, picture_file
from hubless.settings.profiles import ON_ONE_MACHINE, require_no_spares
from hubless.settings.theme import theme_files

LEAST_FILES = 256  # that a process may open: HAProxy needs two for each of its 100 connections, and some itself


class PreflightError(HublessError):
    """Raised when the hub cannot start; the message says why and what to do."""

    code = "preflight"


def check(settings: Settings, run_folder: Path) -> None:
    """Check that everything is there that the hub starts.

    Raises:
        HublessError: for the first thing that is missing.
        SettingsError: when a profile has `warm`, or the login plug-in cannot be used.
    """
    require_no_spares(settings.profiles, ON_ONE_MACHINE)
    check_open_files()
    check_programs(settings)
    check_pictures(settings)
    check_theme(settings)
    plugin.check(settings)
    find_haproxy()
    if not haproxy_is_running(settings, run_folder):
        check_port(settings)


def haproxy_is_running(settings: Settings, run_folder: Path) -> bool:
    """Say whether a HAProxy of this hub still runs: the next agent adopts or replaces it, and has its port."""
    edge = EdgeConfiguration(settings.hub.host, settings.hub.port, UnixSocket(Path()), run_folder)
    if haproxies_of(edge):
        return True
    with socket.socket(socket.AF_UNIX) as trial:
        return trial.connect_ex(str(edge.runtime_socket)) == 0


def check_open_files() -> None:
    """Check that processes may open as many files as the least hub needs.

    Raises:
        PreflightError: when not; HAProxy's own words for that are about bytes and options.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < LEAST_FILES:
        raise PreflightError(
            f"A process may open {hard} files here, and the hub needs {LEAST_FILES}. Raise the limit (`ulimit -Hn`, or"
            " LimitNOFILE in a unit of systemd)."
        )


def check_programs(settings: Settings) -> None:
    """Check that the programs of all profiles are installed.

    Raises:
        PreflightError: when one is not; the message names it and its profile.
    """
    for profile in settings.profiles:
        program = profile.command[0]
        if program == virtual_environment.PROGRAM and virtual_environment.must_be_installed(settings):
            continue
        if shutil.which(program, path=settings.search_path) is None:
            raise PreflightError(
                f"{program}, which the profile {profile.name!r} starts, is not installed. Install it where it is on "
                "the PATH, or name a virtual environment that has it as servers.virtual_environment."
            )


def check_pictures(settings: Settings) -> None:
    """Check that the pictures of all profiles are there, and not too large.

    Raises:
        PreflightError: when one is not; the message names it and its profile.
    """
    for profile in settings.profiles:
        file = picture_file(settings, profile.picture) if profile.picture else None
        if file is None:
            continue
        if not file.is_file():
            raise PreflightError(f"The picture of the profile {profile.name!r} is not at {file}. Put it there.")
        if file.stat().st_size > MAX_PICTURE:
            raise PreflightError(
                f"{file}, the picture of the profile {profile.name!r}, has more than {MAX_PICTURE:,} bytes."
                " Make it smaller."
            )


def check_theme(settings: Settings) -> None:
    """Check that the files of the theme are there, and that its templates can be read.

    Raises:
        SettingsError: naming a file or a folder that is not there, or too large.
        PreflightError: naming the template and the line that is wrong.
    """
    if settings.file is None:
        return
    theme_files(settings.theme, settings.file.parent)
    if not settings.theme.templates:
        return
    from functions.api.rendering import template_fault  # noqa: PLC0415 large, and few hubs have templates

    if fault := template_fault(settings.file.parent / settings.theme.templates):
        raise PreflightError(f"A template of theme.templates cannot be used: {fault}. Mend it, or remove it.")


def check_port(settings: Settings) -> None:
    """Check that the hub can listen on its public port.

    Raises:
        PreflightError: when another program uses it, or it is reserved for root.
    """
    host, port = settings.hub.host, settings.hub.port
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror:
        raise PreflightError(
            f"The address {host} does not belong to this machine. Choose another with --host."
        ) from None
    with socket.socket(family, kind, protocol) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(address)
        except OSError as error:
            raise PreflightError(_why_not(error, host, port)) from None


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} is in use{_by_whom(port)}. Stop that program, or choose --port {_other(port)}."
    if error.errno == errno.EACCES:
        return f"Port {port} is reserved for root. Choose one above 1023, such as --port 8000."
    return f"The hub cannot listen on {host}, port {port}: {error.strerror}. Choose another with --host and --port."


def _other(port: int) -> int:
    return port + 1 if port < 65535 else 8000  # noqa: PLR2004 the highest port


def _by_whom(port: int) -> str:
    import psutil  # noqa: PLC0415 large, and only for this message

    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return ""
