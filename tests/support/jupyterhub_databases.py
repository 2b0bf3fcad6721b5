"""Databases that real JupyterHubs made, what is known of each, and copies with changes."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "data" / "jupyterhub"
VERSIONS = ("1.5.1", "2.3.1", "3.1.1", "4.1.6", "5.4.6", "6.1.1")


class Made:
    """A database of a hub at work."""

    def __init__(self, version):
        self.version, self.major = version, int(version[0])
        self.path = FOLDER / f"jupyterhub-{version}.sqlite"
        self.known = json.loads((FOLDER / f"jupyterhub-{version}.known.json").read_text())
        self.at = datetime.fromisoformat(self.known["made_at"])

    def copied(self, folder, *changes):
        """Return the path of a copy on which the statements *changes* ran."""
        path = folder / "jupyterhub.sqlite"
        shutil.copyfile(self.path, path)
        with closing(sqlite3.connect(path)) as connection:
            for change in changes:
                connection.execute(*change) if isinstance(change, tuple) else connection.execute(change)
            connection.commit()
        return path
