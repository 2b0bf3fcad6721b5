"""What `If-Match` and `If-None-Match` list."""

import pytest

from functions.api.etags import is_among, listed


@pytest.mark.parametrize(
    ("header", "tags"),
    [
        ("", set()),
        (" \t", set()),
        ("*", {"*"}),
        (" * ", {"*"}),
        ('"*"', {'"*"'}),
        ('"a"', {'"a"'}),
        ('W/"a"', {'W/"a"'}),
        ('"a","b"', {'"a"', '"b"'}),
        (' ,"a" \t,, W/"b" , ', {'"a"', 'W/"b"'}),
        ('"a,b"', {'"a,b"'}),
        ('""', {'""'}),
        ('"\xfc"', {'"\xfc"'}),
    ],
)
def test_the_tags_of_a_list_are_found(header, tags):
    assert listed(header) == tags


@pytest.mark.parametrize("header", ["W/*", "*,*", '*, "a"', '"a", *', "a", '"a"x', '"a" "b"', '"a', 'w/"a"', '"a b"'])
def test_what_is_no_list_is_refused(header):
    with pytest.raises(ValueError, match="ETags"):
        listed(header)


@pytest.mark.parametrize("header", ['"', '"a" ', "W/", " "])
def test_a_long_header_is_read_in_one_go(header):
    with pytest.raises(ValueError, match="ETags"):
        listed('"a"' + header * 100_000 + "x")


def test_a_weak_tag_counts_only_where_tags_are_compared_weakly():
    assert is_among('"a"', listed('"b", "a"'))
    assert is_among('"a"', listed("*"))
    assert not is_among('"a"', listed('W/"a"'))
    assert is_among('"a"', listed('W/"a"'), weakly=True)
    assert not is_among('"a"', listed('"b", W/"b"'), weakly=True)
