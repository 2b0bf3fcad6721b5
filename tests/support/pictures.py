"""Pictures of the documents, taken while a test drives the hub: `make pictures`. Without it nothing is written."""

import os
from pathlib import Path

from playwright.sync_api import Page

PHONE, LAPTOP = 390, 1440
HEIGHTS = {PHONE: 844, LAPTOP: 900}
LARGEST = 150_000  # bytes of a file, as each clone of the repository has them all


def take(page: Page, name: str, width: int) -> None:
    """Write NAME.png of *page* at *width* into the folder that PICTURES names; in any case the page must fit."""
    before = page.viewport_size
    page.set_viewport_size({"width": width, "height": HEIGHTS[width]})
    assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{name} is cut off at {width} px"
    if folder := os.environ.get("PICTURES"):
        file = Path(folder) / f"{name}.png"
        page.screenshot(path=file, animations="disabled")
        assert file.stat().st_size < LARGEST, f"{file} has {file.stat().st_size} bytes"
    page.set_viewport_size(before)
