"""What clients of servers send by themselves: requests that are no sign of a person's work.

An edge counts a person's requests as activity of their server (ADR 29). A tab that nobody touches sends requests too;
these tables name them. Each path is a regular expression for the decoded path below a server's prefix, and must match
all of it. HAProxy evaluates it, so it has no blank and no backslash.
"""

from hubless.domain.values import value

_PART = "[^/]+"  # of a path
_JUPYTER = "JupyterLab 4.6, Notebook 7.6, nbclassic 1.3"
_SINGLEUSER = "jupyterhub-singleuser 6.1"
_CODE_SERVER = "code-server 4.100"
_RSTUDIO = "RStudio Server"


@value
class Housekeeping:
    """Requests that change something, which *client* sends without a person."""

    client: str
    method: str
    path: str
    why: str


@value
class PublicPath:
    """A path that *server* answers to everybody: its answer does not show that somebody got in."""

    server: str
    path: str


@value
class KnownSocket:
    """A WebSocket of *client* that opens by itself, again after each interruption. Its work shows in *judged_by*."""

    client: str
    path: str
    judged_by: str


HOUSEKEEPING = (
    Housekeeping(
        "JupyterLab 4.6",
        "PUT",
        "lab/api/workspaces/.+",
        "a visible tab saves its layout every 10 seconds, changed or not",
    ),
    Housekeeping(_JUPYTER, "POST", "api/security/csp-report", "browsers report violations by themselves"),
    Housekeeping(_CODE_SERVER, "POST", "mint-key", "each page asks for its half of a key"),
)

PUBLIC_PATHS = (
    PublicPath(_SINGLEUSER, "api/?"),
    PublicPath(_SINGLEUSER, "static/.*"),
    PublicPath(_SINGLEUSER, "lab/(api/themes|extensions)/.*"),
    PublicPath(_SINGLEUSER, "nbextensions/.*"),
    PublicPath(_SINGLEUSER, "(logout|oauth_callback|favicon[.]ico)"),
    PublicPath(_CODE_SERVER, "(healthz|login|logout|mint-key|manifest[.]json|robots[.]txt|security[.]txt)/?"),
    PublicPath(_CODE_SERVER, "(_static|[.]well-known)/.*"),
    PublicPath(_RSTUDIO, "(auth-[a-z-]+|health-check)"),
)

KNOWN_SOCKETS = (
    KnownSocket(_JUPYTER, f"api/kernels/{_PART}/channels", "the kernel's state and its last activity"),
    KnownSocket(_JUPYTER, f"terminals/websocket/{_PART}", "the terminal's last activity"),
    KnownSocket(_JUPYTER, "api/events/subscribe", "nothing: the server tells, and the client listens"),
    KnownSocket("jupyterlab-lsp 5", f"lsp/ws/{_PART}", "files that are saved: the server only explains the text"),
)
