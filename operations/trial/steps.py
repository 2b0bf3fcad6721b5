"""A step of a trial, and the order of all steps."""

from collections.abc import Callable
from datetime import timedelta

from hubless.domain.values import value
from operations.trial import edge_steps, hub_steps, stage_steps
from operations.trial.context import Facts, Trial

DEPLOY = "deploy"


def _none(_trial: Trial) -> int:
    return 0


def _one(_trial: Trial) -> int:
    return 1


def _many(trial: Trial) -> int:
    return trial.starts


@value(kw_only=True)
class Step:
    """One step.

    Attributes:
        name: what state files, reports and docs/trial.md call it.
        does: for the operator, in a few words.
        run: returns what it measured; raises OperationsError if the hub or AWS does not do what it should.
        needs: steps without which it makes no sense.
        undo: removes what it made, also what a killed run left; works if there is nothing to remove.
        longest: for how long it may run, of which the spend limit is told.
        servers: how many servers may run meanwhile.
        edges: the kinds of edge for which it makes sense; empty for all.
    """

    name: str
    does: str
    run: Callable[[Trial], Facts]
    longest: timedelta
    needs: tuple[str, ...] = ()
    undo: Callable[[Trial], Facts] | None = None
    servers: Callable[[Trial], int] = _one
    edges: tuple[str, ...] = ()


def reason_not_here(step: Step, trial: Trial) -> str:
    """Return why a step cannot run where this trial runs. An empty string if it can."""
    edge = trial.stage.settings.edge
    if step.edges and edge not in step.edges:
        return f"only for edge = {' or '.join(step.edges)}, and the stage has {edge}"
    return trial.unsupported.get(step.name, "")


STEPS = (
    Step(
        name="preflight",
        does="checks account, quotas and names",
        run=stage_steps.preflight,
        longest=timedelta(minutes=5),
        servers=_none,
    ),
    Step(
        name=DEPLOY,
        does="deploys all stacks",
        run=stage_steps.deploy,
        longest=timedelta(minutes=60),
        needs=("preflight",),
        undo=stage_steps.destroy,
        servers=_none,
    ),
    Step(
        name="admin-link",
        does="makes an admin, who chooses a password at the one-time link",
        run=hub_steps.use_admin_link,
        longest=timedelta(minutes=5),
        needs=(DEPLOY,),
        servers=_none,
    ),
    Step(
        name="login",
        does="logs in by the form, and creates a token",
        run=hub_steps.log_in,
        longest=timedelta(minutes=5),
        needs=("admin-link",),
        servers=_none,
    ),
    Step(
        name="spawn",
        does="starts a server, and with it the sleeping edge",
        run=hub_steps.spawn,
        longest=timedelta(minutes=15),
        needs=("login",),
        undo=stage_steps.stop_servers,
    ),
    Step(
        name="open",
        does="opens the server in the browser, through its OAuth",
        run=hub_steps.open_server,
        longest=timedelta(minutes=5),
        needs=("spawn",),
    ),
    Step(
        name="kernel",
        does="runs a cell over a WebSocket",
        run=hub_steps.run_cell,
        longest=timedelta(minutes=5),
        needs=("spawn",),
    ),
    Step(
        name="stop-under-get",
        does="stops the edge's instance while a page is read",
        run=edge_steps.stop_under_get,
        longest=timedelta(minutes=15),
        needs=("spawn",),
        edges=("economy",),
    ),
    Step(
        name="stop-under-post",
        does="stops it while a POST is repeated",
        run=edge_steps.stop_under_post,
        longest=timedelta(minutes=15),
        needs=("kernel",),
        edges=("economy",),
    ),
    Step(
        name="stop-under-websocket",
        does="stops it under a kernel's WebSocket",
        run=edge_steps.stop_under_websocket,
        longest=timedelta(minutes=15),
        needs=("kernel",),
        edges=("economy",),
    ),
    Step(
        name="redeploy",
        does="deploys again while requests run and a kernel is open",
        run=stage_steps.redeploy,
        longest=timedelta(minutes=45),
        needs=("kernel",),
    ),
    Step(
        name="progress",
        does="holds the stream of a start open for two minutes",
        run=hub_steps.follow_progress,
        longest=timedelta(minutes=10),
        needs=("login",),
        undo=stage_steps.stop_servers,
    ),
    Step(
        name="starts",
        does="starts many servers at once",
        run=hub_steps.start_many,
        longest=timedelta(minutes=30),
        needs=("login",),
        undo=stage_steps.stop_servers,
        servers=_many,
    ),
)
