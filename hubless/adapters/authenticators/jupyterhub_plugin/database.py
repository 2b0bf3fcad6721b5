"""The SQLAlchemy session that classes expect as `db`: accounts of NativeAuthenticator, and which users there are."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from jupyterhub import orm
from sqlalchemy import create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from hubless.adapters.authenticators.jupyterhub_plugin.loading import PluginConfigError

_PRIVATE = 0o600


@contextmanager
def alone(file: Path) -> Iterator[None]:
    """Let one process of the hub at a time make tables: SQLite refuses whoever makes one that is there by then."""
    with file.with_name(f"{file.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class PluginDatabase:
    """A SQLite file beside the hub's own. A copy of JupyterHub's database serves too: its accounts come along.

    Use it in one thread. Several processes may use the file, so each request begins with a fresh view (`refresh`).
    """

    def __init__(self, file: Path) -> None:
        try:
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, _PRIVATE))
            engine = create_engine(f"sqlite:///{file}", connect_args={"timeout": 10, "check_same_thread": False})
            orm.Base.metadata.create_all(engine)  # JupyterHub loads a user with its roles
        except (OSError, SQLAlchemyError) as error:
            raise PluginConfigError(f"plugin.database: cannot use {file}: {error}") from error
        self.session = Session(engine, expire_on_commit=False)

    def refresh(self) -> None:
        """Forget what was read or not committed, and let other processes write."""
        self.session.rollback()

    def mirror(self, name: str, is_known: Callable[[str], bool]) -> None:
        """Make JupyterHub's table of users say of *name* what the hub's own store says; classes look there."""
        table = cast("Any", orm.User.__table__)
        found = self.session.execute(table.select().where(table.c.name == name)).first()
        if is_known(name) == (found is not None):
            return
        if found is None:
            self.session.execute(table.insert().values(name=name, admin=False, cookie_id=orm.new_token()))
        else:
            self.session.execute(table.delete().where(table.c.name == name))
        self.session.commit()
        self.session.expire_all()

    def close(self) -> None:
        """Close the file."""
        self.session.close()
        cast("Any", self.session.get_bind()).dispose()
