"""Plain texts of people as HTML: nothing of them is markup, and addresses of web pages are links."""

from html import escape, unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.api.linked_text import linked


def link(url, text=None):
    return f'<a href="{escape(url)}" rel="noopener noreferrer nofollow">{escape(text or url)}</a>'


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("", ""),
        ("<b>a</b> & 'b'", "&lt;b&gt;a&lt;/b&gt; &amp; &#39;b&#39;"),
        (
            "<i>see</i> https://example.org/a?b=1&c=2.",
            f"&lt;i&gt;see&lt;/i&gt; {link('https://example.org/a?b=1&c=2')}.",
        ),
        ("(HTTP://example.org)!\nnow", f"({link('HTTP://example.org')})!\nnow"),
        (
            '"https://example.org" <https://a.example>',
            f"&#34;{link('https://example.org')}&#34; &lt;{link('https://a.example')}&gt;",
        ),
        ("https://a.example,https://b.example", link("https://a.example,https://b.example")),
        (
            "javascript:alert(1) data:text/html,x //evil.example ftp://a",
            "javascript:alert(1) data:text/html,x //evil.example ftp://a",
        ),
        ("https://... and http://", "https://... and http://"),
    ],
)
def test_a_text_is_escaped_and_its_addresses_are_links(text, html):
    assert str(linked(text)) == html


@given(st.text("<>\"'& aé/:.?h\n", max_size=30).map(lambda text: f"{text}https://x.example/{text}"))
def test_no_text_brings_markup_of_its_own(text):
    html = str(linked(text))
    shown = html.replace(' rel="noopener noreferrer nofollow"', "")
    bare, inside = "", False
    for part in shown.replace("</a>", "").split("<a href="):
        bare += part.partition(">")[2] if inside else part
        inside = True
    assert "<" not in bare
    assert unescape(bare) == text
