"""Which language a reader gets: their own choice, else their browser's, else the hub's."""

import pytest

from hubless.domain.languages import MAX_ACCEPT_LANGUAGE, chosen

OFFERED = ("en", "de", "es")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("DE-at", "de"),
        ("fr-FR, es;q=0.5, en;q=0.4", "es"),
        ("en;q=0.2, es;q=0.9", "es"),
        ("es;q=0.5, de;q=0.5", "es"),
        ("de;q=0, es", "es"),
        ("fr", "en"),
        ("*", "en"),
        ("fr, *;q=0.1, es;q=0.05", "en"),
        (" de ; q=0.7 , es ; q=0.8 ", "es"),
        ("de;level=1, es", "es"),
        ("de;q=1.00000, es;q=0.1", "es"),
        ("de;q=x, es;q=0.1", "es"),
        ("de;q=-1, es;q=0.1", "es"),
        ("de;q=٢, es;q=0.1", "es"),
        ("de;q=2, es", "de"),
        (",,;q=1,de", "de"),
        ("\x00\xff,de", "de"),
    ],
)
def test_reads_the_header_as_rfc_9110_says(accept, expected):
    assert chosen([], accept, OFFERED) == expected


def test_the_readers_own_choice_comes_first():
    assert chosen(["es"], "de", OFFERED) == "es"


@pytest.mark.parametrize("kept", [["fr"], [""], ["../de"], ["DE"]])
def test_a_choice_that_the_hub_does_not_offer_is_none(kept):
    assert chosen(kept, "de", OFFERED) == "de"


def test_the_hubs_language_is_the_last_resort():
    assert chosen([], "fr", ("de", "en")) == "de"
    assert chosen([], "es", ("de",)) == "de"


def test_reads_only_the_beginning_of_a_long_header():
    assert chosen([], "x," * (MAX_ACCEPT_LANGUAGE // 2) + "de", OFFERED) == "en"
    assert chosen([], "x," * 20 + "de", OFFERED) == "en"
    assert chosen([], "x," * 19 + "de", OFFERED) == "de"
