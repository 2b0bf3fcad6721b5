"""Why a server failed, in words: known causes, found in what its launcher said and in the last lines of its log.

Nothing is guessed: where no rule fits there is no cause, and people read the log. The rules know what launchers of this
hub say, what ECS says (https://docs.aws.amazon.com/AmazonECS/latest/developerguide/stopped-task-error-codes.html), and
what `jupyterhub-singleuser` and Python print; `tests/data/failures` has real outputs.
"""

from collections.abc import Iterable, Sequence

from hubless.domain.translatable import gettext as _
from hubless.domain.values import value

MAX_LINES, MAX_LINE = 40, 500  # of a log, and characters of a line and of a reason: more is not looked at
LAST_WORDS = 6  # lines after an uncaught error, at most: what a program had not printed yet
_NO_NEWS = ("[D ", "[I ", "[W ")  # what Jupyter's lines begin with that are no errors


@value
class Cause:
    """A known cause of a failure, in sentences for people. The *code* is stable."""

    code: str
    what: str  # for the owner: what happened
    todo: str  # for the owner: what to do
    for_admin: str  # what it is called, and what to do


DISK_FULL = Cause(
    "disk-full",
    _("There is no space left for your files."),
    _("Ask an admin to free space, or to remove files for you."),
    _("A disk or a quota is full (ENOSPC, EDQUOT). Free space in the home, or raise its limit."),
)
IMAGE = Cause(
    "image",
    _("The programs of this server type could not be fetched."),
    _("Choose another server type, or tell an admin."),
    _("The image cannot be pulled. Check its name and tag, and whether the hub may pull it."),
)
OUT_OF_MEMORY = Cause(
    "out-of-memory",
    _("Your server needed more memory than it may use."),
    _("Try again, load less data at once, or choose a larger server type."),
    _("It ran out of memory. Give the profile more memory."),
)
KILLED = Cause(
    "killed",
    _("Your server was ended from outside. Perhaps there was not enough memory."),
    _("Try again. If it happens again, choose a larger server type or tell an admin."),
    _("It was killed (SIGKILL). Look for the kernel's out-of-memory killer in the machine's log."),
)
NO_COMMAND = Cause(
    "no-command",
    _("The program of this server type is not installed."),
    _("Choose another server type, or tell an admin."),
    _("The profile's command was not found, or cannot be run. Correct the command, or install it."),
)
CAPACITY = Cause(
    "capacity",
    _("There is no free machine for your server right now."),
    _("Try again in a few minutes, or choose a smaller server type."),
    _("AWS has no capacity for this size now. Other zones, or on-demand in place of Spot, may have some."),
)
RECLAIMED = Cause(
    "reclaimed",
    _("The cloud took back the machine of your server."),
    _("Start it again. Files that you saved are still there."),
    _("AWS reclaimed Spot capacity. Profiles that must not end so need capacity on demand."),
)
QUOTA = Cause(
    "quota",
    _("The hub has reached a limit of its cloud account."),
    _("Try again when fewer servers run. Only an admin can raise the limit."),
    _("A quota of the AWS account is reached. Ask AWS for a higher one; `hubless preflight` compares them."),
)
NO_TURN = Cause(
    "no-turn",
    _("Too many servers wanted to start at the same time."),
    _("Try again in a few minutes."),
    _("The launch got no slot in time: see the launch rate, the capacity, and the queue in `hubless status`."),
)
SIZE = Cause(
    "size",
    _("This server type has a size that the cloud does not offer."),
    _("Choose another server type, and tell an admin."),
    _("Fargate has no such pair of CPUs and memory. Correct the profile; docs/settings.md lists the sizes."),
)
OPTION = Cause(
    "option",
    _("What you chose for this server is no longer offered."),
    _("Start it again, and choose once more."),
    _("The settings have changed since the choice. Nothing is to be done, unless they are wrong."),
)
NO_GPU = Cause(
    "no-gpu",
    _("This server type needs a graphics processor (GPU), and none is free for it."),
    _("Choose another server type, or tell an admin."),
    _("The profile asks for more GPUs than its servers can see. Correct the profile's gpus."),
)
PORT_IN_USE = Cause(
    "port-in-use",
    _("Another program took the place at which your server answers."),
    _("Try again: the hub then takes another place."),
    _("The port was in use (EADDRINUSE). If it happens again, the command starts two programs at one port."),
)
PACKAGE = Cause(
    "package",
    _("A part of the server's software is missing or does not work."),
    _("Choose another server type, or tell an admin what you installed last."),
    _("An import failed. Repair the environment or image; packages in the home come before its own."),
)
PYTHON = Cause(
    "python-version",
    _("A part of the server's software does not fit its Python."),
    _("Choose another server type, or tell an admin what you installed last."),
    _("A package is made for another version of Python. Install one that fits, or change the Python."),
)
SETTINGS_FILE = Cause(
    "settings-file",
    _("A settings file of your server has a mistake."),
    _("Ask an admin to correct or remove the file that the log names."),
    _("A file such as jupyter_server_config.py, or an argument of the command, is wrong. The log names it."),
)
NOT_WRITABLE = Cause(
    "not-writable",
    _("Your server may not write where your files are."),
    _("Ask an admin to correct the rights of your folder."),
    _("Permission denied, or a read-only file system. The home must belong to the account of the server."),
)
TOO_SLOW = Cause(
    "too-slow",
    _("Your server took too long to start."),
    _("Try again: a second start is often faster."),
    _("It did not answer in time. If it is only slow, raise start_timeout; else read its log."),
)
EDGE = Cause(
    "edge",
    _("Your server ran, but the way to it was not open in time."),
    _("Try again in a few minutes."),
    _("An edge did not apply the route. `hubless status` and `hubless routes` say which."),
)
HOME_MOUNT = Cause(
    "home-mount",
    _("Your files could not be reached."),
    _("Try again in a few minutes. If it happens again, tell an admin."),
    _("EFS could not be mounted. Check its mount targets, security groups, and the access point."),
)
CLOUD_SETUP = Cause(
    "cloud-setup",
    _("The cloud could not set up your server."),
    _("Try again in a few minutes. If it happens again, tell an admin."),
    _("ECS could not prepare the task. Check the subnets' way to S3 and ECR, and the execution role."),
)
KEY_REFUSED = Cause(
    "key-refused",
    _("The hub did not accept your server's key."),
    _("Start it again: it then gets a new key."),
    _("The hub refused the server's token. If it happens again, compare the versions of JupyterHub."),
)
HUB_UNREACHED = Cause(
    "hub-unreached",
    _("Your server could not reach the hub."),
    _("Try again. If it happens again, tell an admin."),
    _("Servers cannot connect to JUPYTERHUB_API_URL. Check the network, name resolution and public_url."),
)
AS_ROOT = Cause(
    "as-root",
    _("This server type is set up wrongly."),
    _("Choose another server type, or tell an admin."),
    _("Jupyter refuses to run as root. Name a user in the image, or add --allow-root to args."),
)
TOO_MANY = Cause(
    "too-many-processes",
    _("Your server wanted to run more programs at once than it may."),
    _("Try again. If it happens again, tell an admin."),
    _("Its limit of processes or open files is reached. Raise the limit."),
)
CAUSES = (
    DISK_FULL,
    IMAGE,
    OUT_OF_MEMORY,
    KILLED,
    NO_COMMAND,
    CAPACITY,
    RECLAIMED,
    QUOTA,
    NO_TURN,
    SIZE,
    OPTION,
    NO_GPU,
    PORT_IN_USE,
    PACKAGE,
    PYTHON,
    SETTINGS_FILE,
    NOT_WRITABLE,
    TOO_SLOW,
    EDGE,
    HOME_MOUNT,
    CLOUD_SETUP,
    KEY_REFUSED,
    HUB_UNREACHED,
    AS_ROOT,
    TOO_MANY,
)
# What a launcher says, in small letters. Each rule is decisive: the launcher knows why.
_SAID = (
    (OUT_OF_MEMORY, ("outofmemoryerror", "memory limit of ")),
    (TOO_MANY, (" processes and threads",)),
    (IMAGE, ("cannotpullcontainererror", "cannotpullimagemanifesterror", "pull image manifest")),
    (HOME_MOUNT, ("efs utils commands", "efs volume", "mount.nfs4", "efsvolumeconfiguration")),
    (RECLAIMED, ("reclaimed its spot capacity",)),
    (CAPACITY, ("capacity is unavailable", "has no capacity for the server")),
    (SIZE, ("no fargate configuration exists",)),
    (QUOTA, ("limitexceeded", "servicequotaexceeded", "reached the limit on the number of")),
    (NO_TURN, ("had no free slot in time", "could not set up the server in time")),
    (OPTION, ("is no longer offered", "cannot start with what was chosen")),
    (NO_GPU, (" gpus. ", "gpus are not")),
    (
        NO_COMMAND,
        (" is not installed on this machine", "executable file not found"),
    ),
    (DISK_FULL, ("no space left on device", "disk quota exceeded")),
    (EDGE, ("did not reach every edge",)),
    (CLOUD_SETUP, ("resourceinitializationerror",)),
)
# What a program prints that gives up, wherever in its last lines.
_GAVE_UP = (
    (PORT_IN_USE, ("could not be started because port",)),
    (SETTINGS_FILE, ("bad config encountered during initialization", "error: unrecognized arguments")),
    (AS_ROOT, ("running as root is not recommended. use --allow-root",)),
)
# What the uncaught error says that ended a program, or its last words.
_ENDED = (
    (DISK_FULL, ("[errno 28]", "[errno 122]", "no space left on device", "database or disk is full")),
    (
        NOT_WRITABLE,
        ("[errno 13]", "[errno 30]", "permissionerror", "readonly database"),
    ),
    (PORT_IN_USE, ("[errno 98]", "address already in use")),
    (TOO_MANY, ("can't start new thread", "[errno 11]", "[errno 24]", "too many open files")),
    (OUT_OF_MEMORY, ("memoryerror", "[errno 12]", "cannot allocate memory", "failed to map segment")),
    (PYTHON, ("requires python", "requires a different python")),
    (PACKAGE, ("no module named", "cannot import name", "importerror", "error while loading shared libraries")),
)
# What Jupyter logs and goes on. It is no proof: where nothing else is known, it is the most likely cause.
_LOGGED = (
    (DISK_FULL, ("no space left on device", "database or disk is full", "disk quota exceeded")),
    (KEY_REFUSED, ("error notifying hub of activity: 403", "error notifying hub of activity: 401")),
    (HUB_UNREACHED, ("failed to connect to my hub", "clientconnectorerror: cannot connect to host")),
    (TOO_MANY, ("[errno 24] too many open files",)),
    (SETTINGS_FILE, ("exception while loading config file",)),
)
_LIBRARIES = ("/site-packages/", "/dist-packages/")
# What exit codes and time-outs suggest, if the log says no more.
_SUGGESTED = (
    (KILLED, ("was killed by sigkill", "exited with code 137 ")),
    (NO_COMMAND, ("exited with code 127 ", "exited with code 126 ")),
    (TOO_SLOW, ("did not answer within", "did not get an address within")),
)


_Rules = Sequence[tuple[Cause, tuple[str, ...]]]


def cause_of(reason: str, log_tail: Sequence[str] = ()) -> Cause | None:
    """Return the cause of a failure, or None where no rule fits.

    Args:
        reason: what the launcher said, a sentence. It has the exit code, if there was one.
        log_tail: the last lines of the server's log, oldest first.
    """
    said = [f"{reason[:MAX_LINE].lower()} "]
    lines = [line[:MAX_LINE] for line in log_tail[-MAX_LINES:]]
    log = [line.lower() for line in lines]
    return (
        _first(_SAID, said)
        or _first(_GAVE_UP, log)
        or _first(_ENDED, _last_words(lines))
        or _of_syntax(lines)
        or _first(_LOGGED, log)
        or _first(_SUGGESTED, said)
    )


def _first(rules: _Rules, lines: Iterable[str]) -> Cause | None:
    """Return the cause of the first rule one of whose phrases is in one of the *lines*."""
    known = list(lines)
    return next((cause for cause, phrases in rules if any(words in line for line in known for words in phrases)), None)


def _last_words(lines: Sequence[str]) -> list[str]:
    """Return the last lines that are neither a frame of a traceback nor a message of Jupyter that all is well."""
    told = [line for line in lines if line[:1].strip() and not line.startswith(_NO_NEWS)]
    return [line.lower() for line in told[-LAST_WORDS:]]


def _of_syntax(lines: Sequence[str]) -> Cause | None:
    """Return the cause of an uncaught SyntaxError: a library that a newer or older Python cannot read."""
    if not any(line.startswith("syntaxerror: ") for line in _last_words(lines)):
        return None
    frames = [line for line in lines if line.startswith('  File "')]
    return PYTHON if frames and any(place in frames[-1] for place in _LIBRARIES) else None
