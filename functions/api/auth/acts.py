"""Recording acts: who sent a request, and from where, goes with each (ADR 54)."""

from starlette.requests import Request

from functions.api.auth.authentication import known_sender
from functions.api.dependencies import address_of, hub_of
from functions.api.request_metrics import note_login
from hubless.domain.audit import Act, Doer, DoerKind
from hubless.domain.bounds import MAX_TYPED_NAME
from hubless.domain.names import is_possible_user_name, normalise_user_name
from hubless.domain.users import User
from hubless.services.identity import Actor


def doer_of(request: Request, user: User | None = None) -> Doer:
    """Return who sent the request: *user* if given, or whom a dependency of its handler has found."""
    address = address_of(request)
    if user is not None:
        return Doer(DoerKind.USER, user.name, address)
    actor: Actor | None = known_sender(request)
    if actor is None:
        return Doer(address=address)
    token_id = actor.token.id if actor.token is not None else ""
    return Doer(DoerKind(actor.kind.value), actor.name, address, token_id)


def record(request: Request, act: Act, *on: str, **about: str) -> None:
    """Record an act of who sent the request, after it is done, once for each name in *on*.

    Args:
        request: the request that asked for it.
        act: what was done.
        on: the names of whom or what it is about; for a server, its owner's.
        about: details. They are no secrets, and nothing that a person typed as one.
    """
    hub_of(request).auditing.record(doer_of(request), act, *on, about=about)


def record_by(user: User, request: Request, act: Act, *on: str, **about: str) -> None:
    """Record an act of *user*, whom the request proves by a password or alike; otherwise as `record`."""
    hub_of(request).auditing.record(doer_of(request, user), act, *on, about=about)


def record_of_server(request: Request, act: Act, owner: User, server_name: str) -> None:
    """Record what somebody did to a server of another user; what owners do to their own is no news."""
    by = doer_of(request)
    if by.kind is not DoerKind.USER or by.name != owner.name:
        hub_of(request).auditing.record(by, act, owner.name, about={"server": server_name})


def login_failed(request: Request, name: str = "") -> None:
    """Note that the request is a login that failed, and record it.

    Args:
        request: the login.
        name: as it was typed. It is recorded if a user has it: people type passwords there too.
    """
    note_login(request, succeeded=False)
    wrong_guess(request, name)


def wrong_guess(request: Request, name: str = "") -> None:
    """Record a wrong password or code that is no login of a browser."""
    hub, typed = hub_of(request), normalise_user_name(name.strip()) if len(name) <= MAX_TYPED_NAME else ""
    user = hub.users.find(typed) if is_possible_user_name(typed) else None
    hub.auditing.login_failed(address_of(request), user.name if user is not None else "")
