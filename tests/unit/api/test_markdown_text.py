"""Markdown of admins: what becomes HTML, and what stays text."""

import subprocess
import sys

import pytest

from functions.api.markdown_text import MAX_TEXT, markdown


def test_marks_become_html() -> None:
    assert markdown("A **bold** [link](https://example.org/a)\n\n- one\n- two") == (
        '<p>A <strong>bold</strong> <a href="https://example.org/a">link</a></p>\n'
        "<ul>\n<li>one</li>\n<li>two</li>\n</ul>\n"
    )


@pytest.mark.parametrize("text", ["Tom & Ana's", "1 < 2", 'say "hi"', "<b>x</b>"])
def test_html_is_shown_as_text(text: str) -> None:
    assert "<b>" not in markdown(text)
    assert markdown(text).startswith("<p>")


@pytest.mark.parametrize("address", ["file:///etc", "ftp://example.org", "//example.org", "data:text/plain,x"])
def test_links_lead_to_the_web_to_mail_or_to_the_hub(address: str) -> None:
    assert "href" not in markdown(f"[link]({address})")
    for good in ("https://example.org", "mailto:help@example.org", "/hub/home"):
        assert f'href="{good}"' in markdown(f"[link]({good})")


def test_pictures_are_left_out() -> None:
    assert "<img" not in markdown("![a picture](https://example.org/p.png)")


def test_a_text_has_a_bound() -> None:
    assert len(markdown("x" * 10 * MAX_TEXT)) < 2 * MAX_TEXT
    assert markdown("") == ""


def test_a_plain_sentence_needs_no_library() -> None:
    script = "from functions.api.markdown_text import markdown; markdown('One. Two!')"
    ask = "import sys; print('markdown_it' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", f"{script}; {ask}"], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "False"
