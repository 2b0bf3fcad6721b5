"""What pages say of a server that failed: the cause in words, what to do, and the end of its log."""

from typing import Any

from hubless.domain.failure_causes import cause_of
from hubless.domain.lifecycle import Server, State
from hubless.domain.translatable import gettext as _


def failure_view(server: Server | None) -> dict[str, Any] | None:
    """Return what the pages show of the failure of *server*; None if its last launch did not fail.

    Keys: `code` of the cause, `what` and `todo` for the owner, `for_admin`, the `reason` in the hub's words, the
    `log_tail`, and whether the server `had_started`. An unknown cause has an empty code and nothing to do.
    """
    if server is None or not (server.failure or server.state is State.FAILED):
        return None
    had_started = server.started_at is not None
    facts = {"reason": server.failure or "", "log_tail": list(server.log_tail), "had_started": had_started}
    cause = cause_of(server.failure or "", server.log_tail)
    if cause is None:
        what = _("The server stopped unexpectedly.") if had_started else _("The server did not start.")
        return facts | {"code": "", "what": what, "todo": _("Its last lines may say why."), "for_admin": ""}
    return facts | {"code": cause.code, "what": cause.what, "todo": cause.todo, "for_admin": cause.for_admin}
