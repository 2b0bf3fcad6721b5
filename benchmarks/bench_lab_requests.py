"""Requests of a JupyterLab tab by itself, as CloudFront would count them: with and without hubless's extension.

Real JupyterLab in real Chromium, a notebook open in each tab. A tab is in use (the mouse moves every ten seconds),
untouched or hidden. It counts for ten minutes, or MINUTES. All tabs are open at the same time.
"""

import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

TOP = Path(__file__).parents[1]
sys.path.insert(0, str(TOP))

from tests.e2e.conftest import QUIET  # noqa: E402
from tests.support.jupyter_lab import jupyter_lab, open_notebook  # noqa: E402

MINUTES = float(os.environ.get("MINUTES", "10"))
SETTLE_SECONDS, BETWEEN_INPUTS = 20, 10
# Headless Chromium shows each tab: this makes the page believe otherwise.
HIDE = """
() => {
  Object.defineProperty(document, 'visibilityState', { get: () => 'hidden' });
  Object.defineProperty(document, 'hidden', { get: () => true });
  document.dispatchEvent(new Event('visibilitychange'));
}
"""


class Tab:
    """One tab with a notebook of its own, and the requests that it makes."""

    def __init__(self, browser: Browser, address: str, folder: Path, use: str) -> None:
        self.use, self.requests = use, Counter()
        self._page: Page = browser.new_context().new_page()
        open_notebook(self._page, address, folder, use)

    def start_counting(self) -> None:
        if self.use == "hidden":
            self._page.evaluate(HIDE)
        self._page.on("request", lambda request: self.requests.update([_kind(request.method, request.url)]))

    def go_on(self, turn: int) -> None:
        if self.use == "used":
            self._page.mouse.move(400 + turn % 2, 300)
        self._page.evaluate("1")  # lets Playwright report what happened


def _kind(method: str, url: str) -> str:
    path = urlsplit(url).path
    return f"{method} {'/lab/api/workspaces' if path.startswith('/lab/api/workspaces/') else path}"


def main() -> None:
    with ExitStack() as stack:
        top = Path(tempfile.mkdtemp(prefix="hubless-lab-"))
        stack.callback(shutil.rmtree, top, ignore_errors=True)
        browser = stack.enter_context(sync_playwright()).chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=QUIET
        )
        tabs = {}
        for extended in (False, True):
            folder = top / ("extended" if extended else "plain")
            address = stack.enter_context(jupyter_lab(folder, extended=extended))
            for use in ("used", "untouched", "hidden"):
                tabs[use, extended] = Tab(browser, address, folder, use)
        time.sleep(SETTLE_SECONDS)
        for tab in tabs.values():
            tab.start_counting()
        for turn in range(round(MINUTES * 60 / BETWEEN_INPUTS)):
            time.sleep(BETWEEN_INPUTS)
            for tab in tabs.values():
                tab.go_on(turn)
        report(tabs)
        browser.close()


def report(tabs: dict[tuple[str, bool], Tab]) -> None:
    print("| a tab | JupyterLab as it is, requests a minute | with hubless's extension |")
    print("| --- | --- | --- |")
    for use in ("used", "untouched", "hidden"):
        plain, extended = (tabs[use, extended].requests.total() / MINUTES for extended in (False, True))
        print(f"| {use} | {plain:.1f} | {extended:.1f} |")
    for (use, extended), tab in tabs.items():
        print(f"\n{use}, {'with' if extended else 'without'} the extension, in {MINUTES:g} minutes:")
        print("\n".join(f"  {count:4} {kind}" for kind, count in tab.requests.most_common()))


if __name__ == "__main__":
    main()
