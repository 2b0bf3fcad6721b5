"""The page on which admins add people: a paste or a file, a preview of each line, and the links. No JavaScript."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, Final

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from functions.api import dependencies
from functions.api.auth.acts import doer_of
from functions.api.auth.visitors import Form, OwnForm, Person
from functions.api.dependencies import hub_of
from functions.api.error_handlers import STATUSES
from functions.api.flashes import flash
from functions.api.password_pool import in_new_password_pool
from functions.api.qr_codes import qr_code
from functions.api.rendering import Render
from functions.api.routers import page_router
from functions.api.serializers import instant
from functions.api.store_pool import has_long_store_calls
from hubless.domain.errors import HublessError, NotFoundError
from hubless.domain.pasted_people import MAX_COLUMNS, MAX_PASTE, Column, decoded
from hubless.domain.people_batches import AddedPerson, Batch, Links, Stage, csv_of_links
from hubless.domain.translatable import gettext as _
from hubless.domain.translatable import ngettext
from hubless.domain.values import value
from hubless.services.adding_people import GONE, PATIENCE, Content, Preview, Wishes
from hubless.services.identity import Actor

router = page_router()
PAGE: Final = "/hub/admin/people"
DAYS: Final = (1, 3, 7, 14, 30)  # that links may be valid
LABELS: Final = {
    Column.IGNORED: _("Leave out"),
    Column.USER: _("Username"),
    Column.PERSON: _("Full name"),
    Column.FIRST: _("First name"),
    Column.LAST: _("Last name"),
    Column.EMAIL: _("E-mail address"),
    Column.GROUP: _("Groups"),
    Column.PASSWORD: _("Password"),
}
_LONGEST_GROUPS: Final = 2000
_SHOWN: Final = 24  # characters of an example


@value
class _People:
    """The pages of one person who adds people."""

    request: Request
    who: Actor
    render: Render
    adding: dependencies.AddingPeople
    settings: dependencies.Settings
    clock: dependencies.Clock

    def form(
        self, wishes: Wishes | None = None, *, error: str | None = None, status: int = 200, batch_id: str = ""
    ) -> Response:
        """Return the page with the box, and what was typed before."""
        wishes = wishes or Wishes("")
        return self.render(
            "people.html",
            status_code=status,
            error=error,
            text=wishes.text,
            groups=", ".join(wishes.groups),
            links=wishes.links.value,
            days=wishes.lifetime.days,
            admin=wishes.admin,
            batch_id=batch_id,
            **self._offers(),
        )

    def _offers(self) -> dict[str, Any]:
        return {
            "has_passwords": self.adding.has_passwords,
            "manages_groups": self.adding.manages_groups,
            "may_make_admins": self.who.is_admin,
            "days_offered": DAYS,
        }

    def open(self, batch_id: str) -> tuple[Batch, Content]:
        """Return a batch of this person.

        Raises:
            HTTPException: 404; 403 when the person may not add users any more.
        """
        try:
            batch, content = self.adding.open(batch_id, self.who)
        except NotFoundError:
            raise HTTPException(404, GONE) from None
        if not content.only_links:
            self.require()
        return batch, content

    def require(self) -> None:
        """Refuse a person who may not add users.

        Raises:
            HTTPException: 403.
        """
        if not self.who.scopes.has_everywhere("admin:users"):
            raise HTTPException(403, "This page is for admins")

    def show(self, batch: Batch, content: Content, *, error: str | None = None, status: int = 200) -> Response:
        """Return the preview of a batch, or what came of it."""
        if content.stage is Stage.DONE:
            return self.added(batch, content)
        if content.stage is Stage.ADDING:
            return self._adding(batch, content)
        if content.only_links:
            return self._ask_for_links(batch, content, error=error, status=status)
        try:
            preview = self.adding.preview(content.wishes, self.who)
        except HublessError as refused:  # settings have changed since
            return self.form(content.wishes, error=refused.message, status=STATUSES[type(refused)])
        return self.render(
            "people_preview.html",
            status_code=status,
            error=error,
            action=f"{PAGE}/{batch.id}",
            columns=_columns(preview),
            is_sure=preview.table.is_sure or bool(content.wishes.columns),
            labels=LABELS,
            good=[_line(one) for one in preview.good],
            bad=[_line(one) for one in preview.bad],
            box=_box(preview),
            new_groups=preview.new_groups,
            admin=content.wishes.admin,
            **self._offers(),
        )

    def _ask_for_links(self, batch: Batch, content: Content, *, error: str | None, status: int) -> Response:
        found = self.adding.refusals_of_links(content, self.who)
        return self.render(
            "people_links.html",
            status_code=status,
            error=error,
            action=f"{PAGE}/{batch.id}",
            names=[one.name for one, why in found if not why],
            refused=[(one.name, why) for one, why in found if why],
            unknown=content.rest.splitlines(),
            days=content.wishes.lifetime.days,
            days_offered=DAYS,
        )

    def _adding(self, batch: Batch, content: Content) -> Response:
        here = f"{PAGE}/{batch.id}"
        if content.begun_at is not None and self.clock.now() - content.begun_at >= PATIENCE:
            return self.render(
                "confirm.html",
                title=_("Not all links are made yet") if content.only_links else _("Not all of them are added yet"),
                words=_("Something went wrong in the midst. Nobody is added twice if you go on."),
                action=here,
                button=_("Go on"),
            )
        words = _("This takes a few seconds.")
        title = _("Links are being made") if content.only_links else _("People are being added")
        return self.render("told.html", title=title, words=words, url=here, link=_("Look again"))

    def added(self, batch: Batch, content: Content) -> Response:
        """Return the page with the links, which it shows as long as the batch is stored."""
        base = hub_of(self.request).address_for_others(str(self.request.base_url))
        rows = self.rows(batch, content, base.url)
        with_links = [row for row in rows if row["link"]]
        return self.render(
            "people_added.html",
            place=f"{PAGE}/{batch.id}",
            rows=rows,
            number_new=sum(1 for one in content.people if one.is_new and not one.is_lost),
            only_links=content.only_links,
            number_of_links=len(with_links),
            has_links=bool(with_links),
            all_links="\n".join(f"{row['name']}\t{row['link']}" for row in with_links),
            until=instant(content.links_until),
            is_only_here=base.is_only_here,
            address=base.url,
            rest="" if content.only_links else content.rest,
            rest_columns=[one.value for one in content.rest_columns],
            groups=", ".join(content.wishes.groups),
            links=content.wishes.links.value,
            days=content.wishes.lifetime.days,
            admin=content.wishes.admin,
        )

    def record_added(self, batch: Batch, content: Content) -> None:
        """Record who was added to the hub and to groups, and for whom links were made."""
        linked = {one.name for one in content.people if self.adding.link_of(batch.id, one)}
        hub_of(self.request).auditing.people_added(doer_of(self.request), content.people, linked)

    def rows(self, batch: Batch, content: Content, base: str) -> list[dict[str, Any]]:
        """Return what became of each person."""

        def row(one: AddedPerson) -> dict[str, Any]:
            path = self.adding.link_of(batch.id, one)
            return {
                "name": one.name,
                "full_name": one.full_name,
                "groups": one.groups,
                "is_new": one.is_new,
                "is_lost": one.is_lost,
                "link": base + path if path else "",
            }

        return [row(one) for one in content.people]


def _columns(preview: Preview) -> list[dict[str, Any]]:
    """Return the columns with what they are and an example, if there are several to choose of."""
    if preview.table.width < 2 and preview.table.is_sure:  # noqa: PLR2004
        return []
    found = []
    titles = preview.table.header.cells if preview.table.header else ()
    for number, kind in enumerate(preview.columns):
        cells = [row.cells[number] for row in preview.table.rows if number < len(row.cells) and row.cells[number]]
        example = "" if kind is Column.PASSWORD else next(iter(cells), "")[:_SHOWN]
        title = titles[number][:_SHOWN] if number < len(titles) else ""
        found.append({"number": number + 1, "title": title, "example": example, "kind": kind.value})
    return found


def _line(one: Any) -> dict[str, Any]:
    return {
        "line": one.row.line,
        "name": one.user_name,
        "full_name": one.full_name,
        "email": one.email,
        "groups": one.groups,
        "has_password": bool(one.password),
        "is_known": one.outcome == "known",
        "fault": one.fault,
    }


def _box(preview: Preview) -> str:
    return "\n".join(one.row.text for one in preview.bad)


def _wishes(form: Form, text: str) -> Wishes:
    """Return what a form asks for; a field that it does not have, or that no button of ours sends, has its default."""
    links = form.text("links")
    return Wishes(
        text,
        _chosen_columns(form),
        tuple(filter(None, map(str.strip, form.text("groups", longest=_LONGEST_GROUPS).split(",")))),
        Links(links) if links in set(Links) else Links.NEW,
        _lifetime(form),
        form.text("admin") == "1",
    )


def _lifetime(form: Form) -> timedelta:
    days = form.text("days")
    return timedelta(days=int(days) if days in map(str, DAYS) else 7)


def _chosen_columns(form: Form) -> tuple[Column, ...]:
    given = form.texts("column")[:MAX_COLUMNS]
    return tuple(map(Column, given)) if all(one in set(Column) for one in given) else ()


async def _people(
    request: Request,
    who: Person,
    render: Render,
    adding: dependencies.AddingPeople,
    settings: dependencies.Settings,
    clock: dependencies.Clock,
) -> _People:
    if not who.scopes.has("admin:users"):
        raise HTTPException(403, "This page is for admins")
    return _People(request, who, render, adding, settings, clock)


People = Annotated[_People, Depends(_people)]


@router.get("/admin/people")
@has_long_store_calls
async def show_form(request: Request, people: People) -> Response:
    """Show the box for people, with what was in it before if somebody comes back from a preview."""
    people.require()
    batch_id = request.query_params.get("from", "")
    if not batch_id:
        return people.form()
    _batch, content = people.open(batch_id)
    return people.form(content.wishes)


@router.post("/admin/people")
async def begin(form: OwnForm, people: People) -> Response:
    """Store what was pasted or sent as a file, and go to its preview. Nobody is added yet."""
    people.require()
    text = form.text("people", longest=MAX_PASTE).strip("\r\n")
    sent = await form.file("file")
    wishes = _wishes(form, text)
    try:
        if sent is not None:
            wishes = _wishes(form, decoded(sent[1]))
        if not wishes.text.strip():
            return people.form(wishes, error=_("Paste names into the box, or choose a file."), status=400)
        batch = await in_new_password_pool(people.adding.begin, wishes, people.who)
    except HublessError as refused:
        return people.form(wishes, error=refused.message, status=STATUSES[type(refused)])
    return RedirectResponse(f"{PAGE}/{batch.id}", 303)


@router.get("/admin/people/{batch_id}")
@has_long_store_calls
async def show(batch_id: str, people: People) -> Response:
    """Show the preview of a batch; after it was added, the links."""
    return people.show(*people.open(batch_id))


@router.post("/admin/people/{batch_id}")
async def add(batch_id: str, form: OwnForm, people: People) -> Response:
    """Add those who can be added; or look once more at lines that were mended, and at columns that were chosen."""
    batch, content = people.open(batch_id)
    here = RedirectResponse(f"{PAGE}/{batch_id}", 303)
    try:
        if content.stage is Stage.DRAFT and content.only_links:
            content = replace(content, wishes=replace(content.wishes, lifetime=_lifetime(form)))
        elif content.stage is Stage.DRAFT and await in_new_password_pool(_changed, people, batch, content, form):
            flash(people.request, here, _("These lines were read once more. Nobody is added yet."))
            return here
        if await in_new_password_pool(people.adding.add, batch, content, people.who):
            people.record_added(*people.open(batch_id))
    except HublessError as refused:
        batch, content = people.open(batch_id)
        if content.stage is not Stage.DRAFT:
            raise  # in the midst: the page offers to go on
        return people.show(batch, content, error=refused.message, status=STATUSES[type(refused)])
    return here


def _changed(people: _People, batch: Batch, content: Content, form: Form) -> bool:
    """Store mended lines and chosen columns, and say whether there are any, or whether only a look is asked for."""
    preview = people.adding.preview(content.wishes, people.who)
    box = form.text("people", longest=MAX_PASTE).replace("\r\n", "\n").strip("\n")
    columns = _chosen_columns(form)
    is_same = box == _box(preview).strip("\n") and columns in {(), preview.columns}
    if is_same:
        return form.text("do") == "look"
    text = preview.lines(preview.good)
    wishes = Wishes(
        f"{text}\n{box}" if text else box,
        columns,
        content.wishes.groups,
        content.wishes.links,
        content.wishes.lifetime,
        content.wishes.admin,
    )
    people.adding.change(batch, content, wishes, people.who)
    return True


@router.get("/admin/people/{batch_id}/links.csv")
@has_long_store_calls
async def links_as_csv(batch_id: str, people: People) -> Response:
    """Return the links as a file for spreadsheets."""
    batch, content = _done(people, batch_id)
    base = hub_of(people.request).address_for_others(str(people.request.base_url)).url
    paths = [(one, people.adding.link_of(batch.id, one)) for one in content.people]
    table = csv_of_links([(one, base + path if path else "") for one, path in paths], content.links_until)
    headers = {"Content-Disposition": 'attachment; filename="links.csv"', "Cache-Control": "no-store"}
    return Response("\ufeff" + table, media_type="text/csv; charset=utf-8", headers=headers)


@router.get("/admin/people/{batch_id}/print")
@has_long_store_calls
async def print_sheet(batch_id: str, people: People) -> Response:
    """Show one strip for each person who has a link, to be printed and cut."""
    batch, content = _done(people, batch_id)
    base = hub_of(people.request).address_for_others(str(people.request.base_url))
    rows = [row | {"code": qr_code(row["link"])} for row in people.rows(batch, content, base.url) if row["link"]]
    return people.render(
        "people_print.html",
        rows=rows,
        until=instant(content.links_until),
        address=base.url,
        is_only_here=base.is_only_here,
        back=f"{PAGE}/{batch_id}",
    )


@router.post("/admin/people/{batch_id}/forget")
@has_long_store_calls
async def forget(batch_id: str, _form: OwnForm, people: People) -> Response:
    """Show the links no more. They stay valid."""
    batch, content = people.open(batch_id)
    people.adding.forget(batch)
    response = RedirectResponse("/hub/admin", 303)
    number = sum(1 for one in content.people if one.is_new and not one.is_lost)
    added = ngettext("%(count)s person was added.", "%(count)s people were added.", number)
    flash(people.request, response, _("The links are hidden. They stay valid.") if content.only_links else added)
    return response


def _done(people: _People, batch_id: str) -> tuple[Batch, Content]:
    batch, content = people.open(batch_id)
    if content.stage is not Stage.DONE:
        raise HTTPException(404, GONE)
    return batch, content
