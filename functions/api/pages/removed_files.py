"""The page of removed users' files: who they were of, to whom they go, and whether they stay. No JavaScript."""

from typing import Annotated, Any, Final

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.responses import Response

from functions.api.auth.acts import record
from functions.api.auth.visitors import OwnForm
from functions.api.error_handlers import STATUSES
from functions.api.pages.admin import Admin
from functions.api.pages.home_notices import bytes_in_words
from functions.api.routers import page_router
from functions.api.serializers import instant
from functions.api.store_pool import has_long_store_calls
from hubless.domain.audit import Act
from hubless.domain.bounds import MAX_TYPED_NAME
from hubless.domain.errors import HublessError
from hubless.domain.orphaned_homes import HomeTask, OrphanedHome
from hubless.domain.translatable import gettext as _
from hubless.domain.values import value
from hubless.services.home_keeping import HomeKeeping

router = page_router()
PAGE: Final = "/hub/admin/files"
_SHOWN: Final = 200  # on one page, the last removed first


@value
class _Files:
    """The files of removed users, as an admin sees them."""

    admin: Admin
    keeping: HomeKeeping

    def page(self) -> Response:
        """Return the list."""
        homes = self.keeping.all()
        return self.admin.render(
            "removed_files.html",
            listed=[self._view(home) for home in homes[:_SHOWN]],
            hidden=max(0, len(homes) - _SHOWN),
            is_working=any(home.task is not HomeTask.NONE for home in homes),
        )

    def ask_for_receiver(self, home: OrphanedHome, *, typed: str = "", error: str = "", status: int = 200) -> Response:
        """Return the page that asks who gets the files."""
        return self.admin.render(
            "removed_files_give.html", status_code=status, home=self._view(home), typed=typed, error=error, back=PAGE
        )

    def ask_to_delete(self, home: OrphanedHome) -> Response:
        """Return the page that asks before files are deleted."""
        name = _called(home)
        return self.admin.render(
            "admin_ask.html",
            title=_("Delete the files of %(user)s?", user=name),
            words=_("They are removed from the disk: %(size)s. Nobody can undo it.", size=_size(home))
            if home.size is not None
            else _("They are removed from the disk. Nobody can undo it."),
            button=_("Delete the files"),
            action=f"{PAGE}/{home.owner_id}/delete",
            fields=[],
            back=PAGE,
        )

    def give(self, home: OrphanedHome, typed: str) -> Response:
        """Begin to move the files to the user whose name was *typed*."""
        try:
            receiver = self.admin.accounts.find(self.admin.accounts.stored_name(typed))
            self.keeping.begin(home, HomeTask.GIVE, receiver)
        except HublessError as refused:
            return self.ask_for_receiver(home, typed=typed, error=refused.message, status=STATUSES[type(refused)])
        record(self.admin.request, Act.FILES_GIVEN, receiver.name, **{"from": _called(home)})
        said = _("The files of %(user)s go to %(receiver)s.", user=_called(home), receiver=receiver.name)
        return self.admin.done(said, PAGE)

    def delete(self, home: OrphanedHome) -> Response:
        """Begin to delete the files."""
        try:
            self.keeping.begin(home, HomeTask.DELETE)
        except HublessError as refused:
            return self.admin.done(_("Nothing is deleted: %(why)s", why=refused.message), PAGE)
        record(self.admin.request, Act.FILES_DELETED, _called(home))
        return self.admin.done(_("The files of %(user)s are being deleted.", user=_called(home)), PAGE)

    def _view(self, home: OrphanedHome) -> dict[str, Any]:
        return {
            "name": home.name,
            "folder": self.keeping.folders.path(home.owner_id),
            "removed": instant(home.removed_at),
            "size": _size(home),
            "task": home.task.value,
            "progress": home.progress,
            "failure": home.failure,
            "url": f"{PAGE}/{home.owner_id}",
        }


def _called(home: OrphanedHome) -> str:
    return home.name or home.owner_id


def _size(home: OrphanedHome) -> str:
    return "" if home.size is None else bytes_in_words(home.size, is_whole=home.is_whole)


async def _files(admin: Admin) -> _Files:
    keeping = admin.hub.home_keeping
    if not admin.who.is_admin:
        raise HTTPException(403, _("Only admins decide about the files of removed users"))
    if keeping is None:
        raise HTTPException(404, _("This hub does not reach the files of its users"))
    return _Files(admin, keeping)


Files = Annotated[_Files, Depends(_files)]


async def _home(owner_id: str, files: Files) -> OrphanedHome:
    home = files.keeping.store.get(owner_id)
    if home is None:
        raise HTTPException(404, _("These files are not here any more"))
    return home


Home = Annotated[OrphanedHome, Depends(_home)]


@router.get("/admin/files")
@has_long_store_calls
async def show_files(files: Files) -> Response:
    """List the files of removed users."""
    return files.page()


@router.get("/admin/files/{owner_id}/give")
async def ask_for_receiver(files: Files, home: Home) -> Response:
    """Ask who gets the files."""
    return files.ask_for_receiver(home)


@router.post("/admin/files/{owner_id}/give")
async def give_files(form: OwnForm, files: Files, home: Home) -> Response:
    """Begin to move the files to another user."""
    return files.give(home, form.text("user", longest=MAX_TYPED_NAME))


@router.get("/admin/files/{owner_id}/delete")
async def ask_to_delete(files: Files, home: Home) -> Response:
    """Ask before files are deleted."""
    return files.ask_to_delete(home)


@router.post("/admin/files/{owner_id}/delete")
async def delete_files(_form: OwnForm, files: Files, home: Home) -> Response:
    """Begin to delete the files."""
    return files.delete(home)
