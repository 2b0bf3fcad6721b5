"""The epoch of a database: it says of which run of a hub the file is, so that a restored one is known."""

from hubless.adapters.sqlite.database import Database


def read_epoch(database: Database) -> str:
    """Return the epoch; empty in a file of which no hub has been told yet.

    Raises:
        StoreUnavailableError: when the file cannot be read.
    """
    row = database.read_one("SELECT epoch FROM epoch")
    return str(row[0]) if row else ""


def write_epoch(database: Database, epoch: str) -> None:
    """Write the epoch of a run that begins.

    Raises:
        StoreUnavailableError: when the file cannot be written.
    """
    database.write(
        "INSERT INTO epoch (id, epoch) VALUES (1, ?) ON CONFLICT DO UPDATE SET epoch = excluded.epoch", (epoch,)
    )
