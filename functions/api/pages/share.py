"""The page on which users share a server: by links, with people and with groups. It needs no JavaScript."""

from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import record
from functions.api.auth.visitors import Form, OwnForm, Person, user_of
from functions.api.flashes import flash
from functions.api.pages.opening import ServerPart
from functions.api.pages.share_recipients import Found, Recipients
from functions.api.pages.views import url_part
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.serializers import instant
from functions.api.store_pool import has_long_store_calls
from hubless.domain import shares
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_TYPED_NAME
from hubless.domain.errors import HublessError, InvalidRequestError, NotFoundError, QuotaExceededError
from hubless.domain.shares import MAX_CODES, MAX_SHARES, START
from hubless.domain.translatable import Message
from hubless.domain.translatable import gettext as _
from hubless.domain.users import Group, User
from hubless.domain.values import value
from hubless.services.identity import Actor
from hubless.services.sharing import ShareCodeDetails, ShareDetails, SharedServer

router = page_router()
SEARCH: Final = "q"
_MOST_SHOWN = 200  # shares on a page
_STARTING = frozenset({START, "servers", "admin:servers"})  # each lets its holder start the server
_DEFAULT_HOURS = 168
_HOURS: Final = {1: _("1 hour"), 24: _("1 day"), _DEFAULT_HOURS: _("1 week"), 720: _("30 days")}
_USES: Final = {0: _("everybody who has it"), 1: _("1 person"), 5: _("5 people"), 30: _("30 people")}


@value
class _Share:
    """One server, and the person who shares it."""

    request: Request
    who: Actor
    users: dependencies.Users
    recipients: Recipients
    spawning: dependencies.Spawning
    sharing: dependencies.Sharing
    visits: dependencies.Visits
    privileges: dependencies.Privileges
    settings: dependencies.Settings
    render: Render

    def of(self, owner_name: str, server_name: str, *, to_change: bool = False) -> SharedServer:
        """Return the server when the person may share it. It is stored if it is *to_change*.

        Raises:
            HTTPException: 404, the same if the owner does not exist and if the server is out of reach; 403 where
                settings let users share nothing.
        """
        user, owner = user_of(self.who), self.users.find(owner_name)
        covers = self.who.scopes.covers_server
        if owner is None or not (owner.id == user.id or covers("shares", owner.name, server_name, owner.groups)):
            raise HTTPException(404, "No such user, or not within your reach")
        if not (self.settings.sharing.users_may_share or covers("shares", owner.name, server_name, owner.groups)):
            raise HTTPException(403, "On this hub users cannot share their servers. Ask the people who run it.")
        try:
            look_up = self.spawning.stored if to_change else self.spawning.find
            return SharedServer(look_up(owner, server_name), owner)
        except NotFoundError:
            raise HTTPException(404, "There is no such server") from None

    def page(self, of: SharedServer, *, error: str | None = None, status: int = 200) -> Response:
        """Return the page."""
        query = self.request.query_params
        wanted = query.get(SEARCH, "").strip()[:MAX_TYPED_NAME]
        granted, total = self.sharing.page(offset=0, limit=_MOST_SHOWN, of_server=of.server)
        codes, _count = self.sharing.code_page(offset=0, limit=MAX_CODES, of_server=of.server)
        entered = {visit.visitor_id: visit for visit in self.visits.by_share(of.server)}
        direct = {one.share.user_id for one in granted}
        known = {(one.user, one.group) for one in granted}
        found = self.recipients.search(of, wanted, known) if wanted and not error else Found([])
        if found.refused:
            error, status = found.refused.message, _status(found.refused)
        return self.render(
            "share.html",
            status_code=status,
            owner=of.owner.name,
            is_own=of.owner.id == user_of(self.who).id,
            title=of.server.display_name or of.server.name,
            action=self.address(of),
            shares=[self._share_view(one, entered) for one in granted],
            more_shares=max(0, total - _MOST_SHOWN),
            links=[self._link_view(one) for one in codes],
            others=[
                {"name": visit.visitor_name, "at": instant(visit.at)}
                for visit in entered.values()
                if visit.visitor_id not in direct
            ],
            search=wanted,
            found=found.rows,
            lets_start=self.may_start(of),
            hours=_HOURS,
            default_hours=_DEFAULT_HOURS,
            uses=_USES,
            error=error,
        )

    def address(self, of: SharedServer) -> str:
        """Return the page's address."""
        return f"/hub/share/{url_part(of.owner, of.server.name)}"

    def may_start(self, of: SharedServer) -> bool:
        """Say whether the person may start the server, and so let others start it."""
        return self.who.scopes.covers_server("start:servers", of.owner.name, of.server.name, of.owner.groups)

    def scopes(self, of: SharedServer, *, starts: bool) -> tuple[str, ...]:
        """Return what a share gives: access, and the start of the server if the person *starts* it for others.

        Raises:
            HTTPException: 403 when the person may not start the server.
        """
        if starts and not self.may_start(of):
            raise HTTPException(403, "You cannot let others start this server, because you may not start it yourself.")
        return (*shares.ACCESS, START) if starts else shares.ACCESS

    def end_share(self, of: SharedServer, share_id: str) -> None:
        """End the share of that id, if there is one of this server."""
        for one, to in self._shares_of(of, share_id):
            self.privileges.require_may_revoke(self.who, of, to=to)
            self.sharing.end(one.share)
            self.record(Act.SHARE_ENDED, of, to)

    def let_start(self, of: SharedServer, share_id: str, *, starts: bool) -> None:
        """Say for the share of that id whether its receivers may start the server; nothing happens if it has ended."""
        scopes = self.scopes(of, starts=starts)
        for _one, to in self._shares_of(of, share_id):
            if to is not None and starts:
                self.sharing.grant(of.server, to, scopes)
                self.record(Act.SHARE_GRANTED, of, to)
            elif to is not None:
                self.privileges.require_may_revoke(self.who, of, to=to, names=[START])
                self.sharing.revoke(of.server, to, (START,))
                self.record(Act.SHARE_ENDED, of, to)

    def _shares_of(self, of: SharedServer, share_id: str) -> list[tuple[ShareDetails, User | Group | None]]:
        granted, _total = self.sharing.page(offset=0, limit=MAX_SHARES, of_server=of.server)
        return [
            (one, self.users.find(one.user) if one.user else self.recipients.groups.find(one.group or ""))
            for one in granted
            if one.share.id == share_id
        ]

    def record(self, act: Act, of: SharedServer, to: User | Group | None = None) -> None:
        """Record what was done to the shares of a server."""
        kind = "group" if isinstance(to, Group) else "user"
        record(self.request, act, of.owner.name, server=of.server.name, **({kind: to.name} if to else {}))

    def _share_view(self, one: ShareDetails, entered: dict[str, Any]) -> dict[str, Any]:
        visit = entered.get(one.share.user_id or "")
        return {
            "id": one.share.id,
            "user": one.user,
            "group": one.group,
            "since": instant(one.share.created_at),
            "starts": not _STARTING.isdisjoint(one.share.scopes),
            "may_change": START in one.share.scopes or _STARTING.isdisjoint(one.share.scopes),
            "entered": instant(visit.at) if visit else None,
        }

    def _link_view(self, one: ShareCodeDetails) -> dict[str, Any]:
        secret = self.sharing.link_secret(one.code)
        here = (self.settings.hub.public_url or str(self.request.base_url)).rstrip("/")
        return {
            "id": one.code.id,
            "url": f"{here}/hub/accept-share?code={secret}" if secret else "",
            "expires": instant(one.code.expires_at),
            "used": one.code.exchange_count,
            "max_uses": one.code.max_uses,
            "is_used_up": one.code.is_used_up,
            "starts": not _STARTING.isdisjoint(one.code.scopes),
        }


async def _share(
    request: Request,
    who: Person,
    users: dependencies.Users,
    recipients: Recipients,
    spawning: dependencies.Spawning,
    sharing: dependencies.Sharing,
    visits: dependencies.Visits,
    privileges: dependencies.Privileges,
    settings: dependencies.Settings,
    render: Render,
) -> _Share:
    return _Share(request, who, users, recipients, spawning, sharing, visits, privileges, settings, render)


Share = Annotated[_Share, Depends(_share)]


@router.get("/share/{owner:segment}")
@router.get("/share/{owner:segment}/{server:segment}")
@has_long_store_calls
async def show(owner: str, server: ServerPart, share: Share) -> Response:
    """Show with whom a server is shared, and offer to share it."""
    return share.page(share.of(owner, server))


@router.post("/share/{owner:segment}")
@router.post("/share/{owner:segment}/{server:segment}")
@has_long_store_calls
async def change(owner: str, server: ServerPart, form: OwnForm, share: Share) -> Response:
    """Share the server, make a link, or end one of these: the form's button says what."""
    of = share.of(owner, server, to_change=True)
    try:
        done = _do(share, of, form)
    except HublessError as refused:
        return share.page(of, error=refused.message, status=_status(refused))
    response = RedirectResponse(share.address(of), 303)
    flash(share.request, response, done)
    return response


def _status(refused: HublessError) -> int:
    return 429 if isinstance(refused, QuotaExceededError) and refused.retry else 400


def _do(share: _Share, of: SharedServer, form: Form) -> Message:
    """Do what the form asks for, and return a sentence that says so."""
    match form.text("do"):
        case "share":
            to = share.recipients.chosen(of, form.text("kind"), form.text("name").strip())
            share.sharing.grant(of.server, to, shares.ACCESS)
            share.record(Act.SHARE_GRANTED, of, to)
            return _("The server is shared. You see below with whom.")
        case "remove":
            share.end_share(of, form.text("id"))
            return _("This share has ended.")
        case "let-start":
            share.let_start(of, form.text("id"), starts=True)
            return _("They may start the server now when it does not run.")
        case "not-start":
            share.let_start(of, form.text("id"), starts=False)
            return _("They may no longer start the server.")
        case "link":
            hours, uses = _number(form.text("hours")), _number(form.text("uses"))
            scopes = share.scopes(of, starts=bool(form.text("starts")))
            share.sharing.create_link(of.server, timedelta(hours=hours), uses, scopes)
            share.record(Act.SHARE_CODE_MADE, of)
            return _("The link is ready. Copy it, and send it to whom you trust.")
        case "end-link":
            share.sharing.delete_codes(of.server, code_id=form.text("id"))
            share.record(Act.SHARE_CODE_ENDED, of)
            return _("The link has ended. Who used it before keeps the access that is listed below.")
        case _:
            raise InvalidRequestError("This form is not one of this page. Load the page again.")


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len("10000")):
        raise InvalidRequestError("Choose how long the link works, and for how many people")
    return int(text)
