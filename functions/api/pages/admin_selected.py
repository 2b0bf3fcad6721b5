"""What an admin does to many users at once, batch by batch (docs/adr/0058).

Each form carries where the next batch begins, so a reload or a crash repeats one batch at most. That does no harm: what
has started, stopped or joined already is no failure. With JavaScript the page goes on by itself, and only after a batch
of a form: whoever follows a link of somebody else to it, into the middle of an act, must press the button.
"""

import asyncio
import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import urlencode

from starlette.datastructures import FormData, QueryParams
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from functions.api.auth.acts import record, record_of_server
from functions.api.auth.refreshing import require_fresh_login
from functions.api.auth.visitors import Form, LoginRequired, OwnForm, user_of
from functions.api.error_handlers import STATUSES
from functions.api.languages import language_of
from functions.api.pages.admin import Admin
from functions.api.pages.admin_filter import FILTERS, PAGE, SELECTED
from functions.api.pages.messages import GONE as MESSAGE_GONE
from functions.api.pages.people import PAGE as PEOPLE
from functions.api.routers import page_router
from functions.api.routes.messages import sender_of
from functions.api.shown_once import forget_shown, show_once, shown_once
from functions.api.store_pool import in_store_pool
from functions.api.translations import speaking, translated
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_IDENTIFIER, MAX_TYPED_NAME
from hubless.domain.errors import HublessError, InvalidRequestError, NotFoundError
from hubless.domain.letters import MAX_SUBJECT, MAX_TEXT, Letter
from hubless.domain.lifecycle import ACTIVE, PENDING_START, State
from hubless.domain.loads import Load
from hubless.domain.pasted_people import MAX_PEOPLE
from hubless.domain.people_batches import Batch
from hubless.domain.stop_reasons import asked_by
from hubless.domain.translatable import Message, ngettext
from hubless.domain.translatable import gettext as _
from hubless.domain.usage import Totals
from hubless.domain.user_table import Row, Sort, TablePage
from hubless.domain.users import User
from hubless.domain.values import value
from hubless.services.letters import Draft

router = page_router()
MOST_CHOSEN = 100  # names of one form: as many as a page of the table has
MOST_CHARACTERS = 6_000  # of these names: they stand in the address of the page that asks, or goes on
MOST_EXPORTED = 50_000  # rows of one file
# A batch ends well before a request to a function does (29 seconds); deleting waits until servers have stopped.
BATCHES = {"start": 100, "stop": 100, "add": 100, "remove": 100, "message": 100, "delete": 20}
ASKS = frozenset({"delete"})
TITLES = {
    "start": _("Start servers"),
    "stop": _("Stop servers"),
    "add": _("Add to a group"),
    "remove": _("Remove from a group"),
    "links": _("Make password links"),
    "message": _("Send a message"),
    "delete": _("Delete users"),
    "export": _("Save as CSV"),
}
_MOST_TOLD = 2_000  # characters of failures that one answer leaves for the page after it
_TITLES = (
    *("name", "admin", "groups", "servers", "profile", "last_activity", "created", "files_bytes"),
    *("memory_bytes_now", "cpus_now", "hours_this_month", "cost_this_month"),
)
_STATE = ("act", "to_group", "letter", "whom", "back", "total", "done", "failed", "at", "after", "stays")


@value
class _Selected:
    """Some users, and what is done to them; *fields* is the state that forms and addresses carry."""

    admin: Admin
    fields: Mapping[str, str]
    chosen: tuple[str, ...]  # names; none: everybody whom the filter shows
    letter: Letter | None = None  # that a batch delivers

    @property
    def act(self) -> str:
        """Return what is done."""
        return self.fields["act"]

    @property
    def back(self) -> str:
        """Return the address of the page from which this began: the table, or that of a group or a user."""
        given = self.fields.get("back", "")
        return given if given == PAGE or given.startswith((f"{PAGE}?", f"{PAGE}/")) else PAGE

    def number(self, name: str) -> int:
        """Return one of the numbers of the state."""
        text = self.fields.get(name, "")
        return int(text) if text.isdecimal() and text.isascii() and len(text) < len("1000000000") else 0

    def with_fields(self, **changes: object) -> "_Selected":
        """Return the same with other fields."""
        return _Selected(self.admin, {**self.fields, **{k: str(v) for k, v in changes.items()}}, self.chosen)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Return the whole state, for a form or an address."""
        return [*((k, v) for k, v in self.fields.items() if v), *(("name", one) for one in self.chosen)]

    @property
    def address(self) -> str:
        """Return the address of the page that shows how far this is."""
        return f"{SELECTED}?{urlencode(self.pairs)}"

    @property
    def mark(self) -> str:
        """Return what a batch leaves for the page after it, as proof that a form has led there, and no link."""
        return "+" + hashlib.sha256(json.dumps(sorted(self.pairs)).encode()).hexdigest()

    @property
    def is_finished(self) -> bool:
        """Say whether no batch is left."""
        return self.fields.get("at") == "end"

    def total(self) -> int | None:
        """Return how many users this is about, if that is known."""
        if self.chosen:
            return len(self.chosen)
        return self.number("total") or None

    async def go_on(self, form: Form) -> Response:
        """Do the next batch; before the first one ask for the message, or whether what nobody can undo is meant."""
        if self.act == "message" and "letter" in self.fields:
            return await self.delivered()
        if self.act == "message" and "draft" in form.fields:
            return await self.sent(form)
        is_sure = "sure" in self.admin.request.query_params
        if self.act == "message" or (self.act in ASKS and not is_sure):
            return RedirectResponse(self.address, 303)
        return await self.run()

    # --- one batch ---

    async def run(self) -> Response:
        """Do one batch, and go on to the page that says how far this is, or back to the table if nothing is to tell."""
        admin = self.admin
        rows, unknown, following = await in_store_pool(_next_rows, {"selected": self}, user_of(admin.who).id)
        failed = [(name, self._in_words(_("No such user, or not within your reach"))) for name in unknown]
        if self.act == "delete":
            failed += filter(None, await asyncio.gather(*map(self._tried, rows)))
        else:
            for row in rows:
                refused = await self._tried(row)
                failed += [refused] if refused else []
                await asyncio.sleep(0)  # others' requests go on meanwhile
        done = len(rows) + len(unknown)
        after = self.with_fields(
            **following, done=self.number("done") + done, failed=self.number("failed") + len(failed)
        )
        is_quiet = not after.number("failed") and "stays" not in self.fields
        if after.is_finished and is_quiet:
            return admin.done(self._said(after.number("done")), self.back)
        response = RedirectResponse(after.address, 303)
        show_once(admin.request, response, user_of(admin.who), SELECTED, (after.mark, *_texts(failed)))
        return response

    async def _tried(self, row: Row) -> tuple[str, str] | None:
        """Do it to one user; return the name and the reason if it is refused."""
        try:
            match self.act:
                case "start":
                    await self._start(row)
                case "stop":
                    self._stop(row)
                case "delete":
                    await self._delete(row)
                case "message":
                    return self._message(row)
                case _:
                    self._change_group(row)
        except HTTPException as refused:
            return row.user.name, self._in_words(refused.detail)
        except HublessError as refused:
            return row.user.name, self._in_words(refused.message)
        except LoginRequired:
            return row.user.name, self._in_words(_("Log in again first."))
        return None

    def _in_words(self, said: str) -> str:
        with speaking(language_of(self.admin.request)):
            return str(translated(said))

    async def _start(self, row: Row) -> None:
        admin, user = self.admin, row.user
        if not admin.who.scopes.covers_server("start:servers", user.name, "", user.groups):
            raise HTTPException(403, _("You may not start this server"))
        main = next((server for server in row.servers if not server.name), None)
        if main is not None and main.state in PENDING_START | {State.READY}:
            return
        await require_fresh_login(admin.hub, admin.who, user, before_start=True)
        admin.spawning.start(user, "")
        record_of_server(admin.request, Act.SERVER_STARTED, user, "")

    def _stop(self, row: Row) -> None:
        admin, user = self.admin, row.user
        running = [server for server in row.servers if server.state in ACTIVE]
        covers = admin.who.scopes.covers_server
        if not all(covers("delete:servers", user.name, server.name, user.groups) for server in running):
            raise HTTPException(403, _("You may not stop these servers"))
        for server in running:
            admin.hub.stopping.request_until_done(server, asked_by(admin.who.name, user.name))
            record_of_server(admin.request, Act.SERVER_STOPPED, user, server.name)

    async def _delete(self, row: Row) -> None:
        admin = self.admin
        user = admin.subject(row.user.name, "delete:users")
        if user.admin:
            admin.require_admin()
        await admin.hub.user_removal.remove(user)
        record(admin.request, Act.USER_REMOVED, user.name, id=user.id)

    def _message(self, row: Row) -> tuple[str, str] | None:
        """Give one user the message; return the name and the reason if there is no mail, though one is wanted."""
        admin, user = self.admin, row.user
        if self.letter is None or not admin.who.scopes.covers_user("admin:users", user.name, user.groups):
            raise HTTPException(403, _("You may not send messages to this user"))
        why = admin.hub.letters.deliver(self.letter, user)
        record(admin.request, Act.MESSAGE_SENT, user.name, message=self.letter.id)
        return (user.name, self._in_words(why)) if why else None

    def _change_group(self, row: Row) -> None:
        admin, name, member = self.admin, self.fields.get("to_group", ""), row.user.name
        group = admin.hub.groups.find(name) if admin.who.scopes.covers_group("groups", name) else None
        if group is None:
            raise HTTPException(404, _("There is no group %(group)s, or it is not within your reach.", group=name))
        if self.act == "add" and name not in row.user.groups:
            admin.privileges.require_may_add(admin.who, [name], [member])
            admin.hub.groups.add_users(group.id, [member])
            record(admin.request, Act.MEMBER_ADDED, member, group=name)
        elif self.act == "remove" and name in row.user.groups:
            admin.privileges.require_may_take(admin.who, name, [member])
            admin.hub.groups.remove_users(group.id, [member])
            record(admin.request, Act.MEMBER_REMOVED, member, group=name)

    def _said(self, count: int) -> Message:
        group = self.fields.get("to_group", "")
        match self.act:
            case "start":
                return ngettext("%(count)s server starts", "%(count)s servers start", count)
            case "stop":
                return ngettext("%(count)s user's servers stop", "The servers of %(count)s users stop", count)
            case "add":
                return ngettext(
                    "%(count)s user is in %(group)s now", "%(count)s users are in %(group)s now", count, group=group
                )
            case "remove":
                return ngettext(
                    "%(count)s user is no longer in %(group)s",
                    "%(count)s users are no longer in %(group)s",
                    count,
                    group=group,
                )
            case "message":
                return ngettext("%(count)s person has the message", "%(count)s people have the message", count)
            case _:
                return ngettext("%(count)s user is deleted", "%(count)s users are deleted", count)

    # --- pages ---

    def page(self) -> Response:
        """Return the page that asks before the first batch, or says how far this is."""
        if self.act == "message" and "letter" not in self.fields:
            return self.compose()
        admin = self.admin
        told = shown_once(admin.request, user_of(admin.who), SELECTED)
        has_begun = self.mark in told
        response = admin.render(
            "admin_selected.html",
            title=TITLES[self.act],
            asks=self.act in ASKS and not has_begun and not self.is_finished,
            has_begun=has_begun,
            chosen=self.chosen[:20],
            to_group=self.fields.get("to_group", ""),
            total=self.total(),
            done=self.number("done"),
            failed=self.number("failed"),
            is_finished=self.is_finished,
            failures=[one[1:].partition("\n")[::2] for one in told if one[:1] == "-"],
            left_out=next((int(one[1:]) for one in told if one[:1] == "#"), 0),
            action=f"{SELECTED}?sure=1",
            fields=self.pairs,
            back=self.back,
        )
        forget_shown(admin.request, response, SELECTED)
        return response

    def compose(self, form: Form | None = None, *, error: str | None = None, status: int = 200) -> Response:
        """Return the page on which a message is written; with the *form* that was refused, if one was."""
        letters = self.admin.hub.letters
        return self.admin.render(
            "message_new.html",
            status_code=status,
            chosen=self.chosen[:20],
            total=self.total(),
            action=SELECTED,
            fields=self.pairs,
            draft=form.text("draft")[:MAX_IDENTIFIER] if form else letters.new_draft_id(),
            filled={name: form.text(name)[: 2 * MAX_TEXT] if form else "" for name in ("subject", "text", "mail")},
            max_subject=MAX_SUBJECT,
            max_text=MAX_TEXT,
            sends_mails=letters.sends_mails,
            back=self.back,
            error=error,
        )

    async def sent(self, form: Form) -> Response:
        """Store the message of the form, and deliver it to the first batch."""
        draft = Draft(form.text("subject"), form.text("text"), form.text("mail") == "1", form.text("draft"))
        who = self.admin.who
        try:
            letter = self.admin.hub.letters.begin(draft, who.name, sender_of(who))
        except HublessError as refused:
            return self.compose(form, error=refused.message, status=STATUSES[type(refused)])
        return await self.with_fields(letter=letter.id).delivered()

    async def delivered(self) -> Response:
        """Deliver the message to one batch. Only who has begun to send it goes on."""
        try:
            letter = self.admin.hub.letters.begun(self.fields["letter"], sender_of(self.admin.who))
        except NotFoundError:  # somebody took it back, perhaps between two batches
            raise HTTPException(404, MESSAGE_GONE) from None
        return await replace(self, letter=letter).run()

    async def exported(self) -> Response:
        """Return the users as a CSV file (RFC 4180), with a byte-order mark for spreadsheets."""
        text = await in_store_pool(_csv, {"selected": self}, user_of(self.admin.who).id)
        headers = {"Content-Disposition": 'attachment; filename="users.csv"', "Cache-Control": "no-store"}
        return Response("\ufeff" + text, media_type="text/csv; charset=utf-8", headers=headers)

    async def linked(self) -> Response:
        """Begin a batch of links, whose page asks until when they are valid, and then shows them."""
        begun = await in_store_pool(_links_begun, {"selected": self}, user_of(self.admin.who).id)
        return RedirectResponse(f"{PEOPLE}/{begun.id}", 303)

    def rows(self, number: int) -> tuple[list[Row], list[str], dict[str, str]]:
        """Return the next users, names that nobody in reach has, and the fields from which the next batch begins."""
        admin = self.admin
        if self.chosen:
            at = self.number("at")
            names = self.chosen[at : at + number]
            named = [user for name in names if (user := admin.users.find(name)) is not None]
            within = [user for user in named if admin.who.scopes.covers_user("list:users", user.name, user.groups)]
            servers = admin.servers.of_owners([user.id for user in within]) if within else []
            rows = [Row(user, tuple(one for one in servers if one.owner_id == user.id)) for user in within]
            unknown = [name for name in names if name not in {user.name for user in within}]
            return rows, unknown, {"at": str(at + number) if at + number < len(self.chosen) else "end"}
        table = self.table(number, self.fields.get("after") or None)
        return list(table.rows), [], {"after": table.after} if table.after else {"after": "", "at": "end"}

    def table(self, limit: int, cursor: str | None) -> TablePage:
        """Return a page of those whom the filter shows, in an order that no act changes."""
        query = self.admin.query_of(self.fields)
        return self.admin.users.table(query.wanted, Sort.NAME, limit=limit, cursor=cursor)


async def _links_begun(selected: _Selected) -> Batch:
    users, unknown, at = list[User](), list[str](), selected
    while not at.is_finished and len(users) <= MAX_PEOPLE:
        rows, strangers, following = at.rows(500)
        users += (row.user for row in rows)
        unknown += strangers
        at = at.with_fields(**following)
    return selected.admin.hub.adding_people.begin_links(users, unknown, selected.admin.who)


async def _next_rows(selected: _Selected) -> tuple[list[Row], list[str], dict[str, str]]:
    return selected.rows(BATCHES[selected.act])


def _texts(failed: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return what the next page shows once, as far as a cookie holds it; it says how many failures it leaves out."""
    found, size = list[str](), 0
    for number, (name, why) in enumerate(failed):
        size += len(json.dumps([name, why]))  # as the cookie has it: there an umlaut takes six characters
        if size > _MOST_TOLD:
            return (*found, f"#{len(failed) - number}")
        found.append(f"-{name}\n{why}")
    return tuple(found)


async def _csv(selected: _Selected) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(_TITLES)
    written, at = 0, selected
    while not at.is_finished:
        rows, _unknown, following = at.rows(500)
        homes = selected.admin.hub.home_usage.get_many([row.user.id for row in rows]) if rows else {}
        used = selected.admin.used(rows) if rows else {}
        for row, view in zip(rows, selected.admin.row_views.views(rows, homes, used), strict=True):
            home = homes.get(row.user.id) if view["sees_activity"] else None
            servers = (f"{one['name'] or 'main'}: {one['state']}" for one in view["servers"])
            fields = [
                view["name"],
                "yes" if view["admin"] else "",
                " ".join(view["groups"]),
                "; ".join(servers),
                "; ".join(view["profiles"]),
                view["last_activity"] or "",
                view["created"] or "",
                home.size if home else "",
                *_loads(view["load"]),
                *(_amounts(used[row.user.id]) if view["hours"] else ("", "")),
            ]
            writer.writerow([_no_formula(str(one)) for one in fields])
        written += len(rows)
        if written > MOST_EXPORTED:
            raise InvalidRequestError(
                _("A file has at most %(most)s users. Narrow the filter first.", most=MOST_EXPORTED)
            )
        at = at.with_fields(**following)
    return out.getvalue()


def _loads(load: Load | None) -> tuple[object, str]:
    return ("", "") if load is None else (load.memory, "" if load.cpus is None else f"{load.cpus:.3f}")


def _amounts(used: Totals) -> tuple[str, str]:
    return f"{used.hours:.6f}", f"{used.cost:.6f}"


def _no_formula(text: str) -> str:
    """Return *text* so that no spreadsheet takes it for a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t", "\r"} else text


def _selected(admin: Admin, given: FormData | QueryParams) -> _Selected:
    """Return what a form or an address asks for.

    Raises:
        InvalidRequestError: naming what is missing or too much.
    """
    admin.require("admin-ui")
    fields = {name: str(given.get(name, ""))[:4_000] for name in (*_STATE, *FILTERS)}
    if fields["act"] not in TITLES:
        raise InvalidRequestError(_("Choose what to do"))
    chosen = tuple(dict.fromkeys(str(one) for one in given.getlist("name")))
    if fields["whom"] == "all":
        chosen = ()
    elif not chosen:
        raise InvalidRequestError(_("Choose somebody first"))
    longest = max(map(len, chosen), default=0)
    if len(chosen) > MOST_CHOSEN or longest > MAX_TYPED_NAME or sum(map(len, chosen)) > MOST_CHARACTERS:
        raise InvalidRequestError(
            _("These are too many to choose one by one. Choose all that the filter finds instead.")
        )
    fields["to_group"] = fields["to_group"].strip()
    if fields["act"] in {"add", "remove"}:
        if admin.hub.manages_groups:
            raise InvalidRequestError(_("Groups follow logins here, so nobody changes them by hand"))
        if not 0 < len(fields["to_group"]) <= MAX_IDENTIFIER:
            raise InvalidRequestError(_("Write the name of a group"))
    return _Selected(admin, {name: text for name, text in fields.items() if text}, chosen)


@router.get("/admin/selected")
async def show_selected(admin: Admin) -> Response:
    """Ask before something is done to many users, or say how far it is."""
    return _selected(admin, admin.request.query_params).page()


@router.post("/admin/selected")
async def do_to_selected(form: OwnForm, admin: Admin) -> Response:
    """Do one batch; before the first one that nobody can undo, ask."""
    admin.require("admin-ui")
    try:
        selected = _selected(admin, form.fields)
        if selected.act == "export":
            return await selected.exported()
        if selected.act == "links":
            return await selected.linked()
    except InvalidRequestError as refused:
        asked = {name: form.text(name) for name in FILTERS}
        return admin.page(error=refused.message, status=400, asked=asked)
    if selected.is_finished:
        return RedirectResponse(selected.back, 303)
    return await selected.go_on(form)
