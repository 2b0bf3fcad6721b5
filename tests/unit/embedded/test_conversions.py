import pytest

from embedded.settings_import import conversions


@pytest.mark.parametrize(
    ("html", "markdown"),
    [
        ("Closed on Friday", "Closed on Friday"),
        ("<p>Closed on <strong> Friday </strong>,\n<em>all day</em></p>", "Closed on **Friday**, *all day*"),
        ("<a class='x' href='/hub/token'>Tokens</a> &amp; more", "[Tokens](/hub/token) & more"),
        ('<a href="https://example.org/a b">More</a>', "More"),
        ("<a name='x'>More</a>", "More"),
        ("<script>x</script>", "x"),
        ("", ""),
    ],
)
def test_an_announcement_in_html_is_markdown(html, markdown):
    assert conversions.markdown(html) == markdown


@pytest.mark.parametrize("given", [1, None, ["x"]])
def test_what_is_no_text_is_refused(given):
    with pytest.raises((ValueError, TypeError)):
        conversions.markdown(given)


def test_a_long_text_takes_no_time_out_of_proportion():
    assert conversions.markdown("<a href=" * 10_000 + "<b>" * 10_000)
