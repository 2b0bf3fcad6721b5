"""hubless's extension of JupyterLab, in real JupyterLab and Chromium, whose clock the tests move."""

from collections import Counter
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from tests.support.jupyter_lab import jupyter_lab, open_notebook

KERNELS, FILES = "/api/kernels", "/api/contents"
STEP, ANSWER, ANSWERS = 5_000, 20, 500  # milliseconds of the page's clock, of ours, and how often


class Tab:
    """A tab with an open notebook, and what it asks by itself."""

    def __init__(self, page, address, folder):
        self.page, self.asked, self._pending = page, Counter(), set()
        page.clock.install()
        open_notebook(page, address, folder, "work")
        page.on("request", self._ask)
        for answered in ("requestfinished", "requestfailed"):
            page.on(answered, lambda request: self._pending.discard(request))

    def pass_time(self, seconds):
        """Let so many seconds pass in the page, and each request be answered."""
        self.asked.clear()
        for _ in range(seconds * 1000 // STEP):
            self.page.clock.run_for(STEP)
            for _ in range(ANSWERS):
                self.page.wait_for_timeout(ANSWER)
                if not self._pending:
                    break
            else:
                raise AssertionError(f"no answer to {[request.url for request in self._pending]}")
        return self.asked

    def _ask(self, request):
        self.asked.update([urlsplit(request.url).path])
        self._pending.add(request)


@pytest.fixture
def tab(new_page, tmp_path):
    """Return a function that starts JupyterLab and opens a tab; *extended* says whether it has the extension."""
    with ExitStack() as opened:

        def open_tab(*, extended):
            address = opened.enter_context(jupyter_lab(tmp_path / "lab", extended=extended))
            made = Tab(new_page(), address, tmp_path / "lab")
            opened.callback(made.page.close)  # before its server ends, or the page would report that
            return made

        yield open_tab


def test_a_tab_in_use_polls_files_once_a_minute_and_kernels_less(tab):
    opened = tab(extended=True)
    opened.pass_time(30)
    opened.page.mouse.move(600, 300)

    asked = opened.pass_time(110)

    assert 1 <= asked[FILES] <= 4  # a busy machine shows a tab late; without the extension it is nine
    assert asked[KERNELS] <= 1


def test_without_the_extension_jupyterlab_still_polls_each_ten_seconds(tab):
    """The figure that the extension is measured against; if this changes, it may not be needed any more."""
    asked = tab(extended=False).pass_time(110)

    assert asked[FILES] >= 9
    assert asked[KERNELS] >= 9


def test_an_untouched_tab_polls_rarely_until_somebody_returns(tab):
    opened = tab(extended=True)
    opened.pass_time(240)

    untouched = dict(opened.pass_time(300))
    while not opened.pass_time(5)[KERNELS]:
        pass
    late = dict(opened.pass_time(150))
    opened.page.mouse.move(600, 301)
    returned = opened.pass_time(5)

    assert 1 <= untouched[FILES] <= 2  # it polls each five minutes, and the first and the last second may both have one
    assert 1 <= untouched[KERNELS] <= 2
    assert KERNELS not in late
    assert returned[KERNELS]


def test_a_list_that_the_pointer_is_over_is_fresh(tab, tmp_path):
    opened = tab(extended=True)
    opened.page.mouse.move(600, 300)
    opened.pass_time(20)
    (tmp_path / "lab" / "work" / "result.csv").write_text("1\n")

    opened.page.locator(".jp-FileBrowser").first.hover()

    expect(opened.page.locator(".jp-DirListing-item", has_text="result.csv")).to_be_visible()
