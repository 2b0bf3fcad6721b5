"""The pictures of profiles: files at or below the folder of the settings' file, which in AWS is in a bundle."""

from pathlib import Path
from typing import Final

from hubless.settings.loading import Settings

MAX_PICTURE: Final = 200_000  # bytes


def picture_file(settings: Settings, name: str) -> Path | None:
    """Return the file of a picture; None where no file has the settings."""
    return settings.file.parent / name if settings.file else None
