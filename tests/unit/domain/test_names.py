# ruff: noqa: RUF001 letters that look alike are what this is about
import contextlib
import unicodedata
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubless.domain import look_alikes, names
from hubless.domain.errors import InvalidRequestError


@pytest.mark.parametrize("name", ["a", "alice", "a@b.example", "x-y", "ü", "a b", "名前", "a.b", "a%b", "x" * 255])
def test_ordinary_and_unusual_names_are_allowed(name):
    assert names.check_user_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        " a",
        "a ",
        "a/b",
        ".",
        "..",
        "...",
        "%2e%2E",
        "a\nb",
        "a\x00b",
        "\x7f",
        "a\u2028b",
        "x" * 256,
        "\u202enimda",
        "a\u2066b",
        "\u202aa",
        "ᾂ" * 171,
    ],
)
def test_names_that_break_a_rule_are_refused_with_the_rule(name):
    with pytest.raises(InvalidRequestError, match="Invalid username"):
        names.check_user_name(name)


def test_an_error_shortens_a_long_name():
    with pytest.raises(InvalidRequestError) as refused:
        names.check_user_name("y" * 100_000)

    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("name", ["a", "lab1", "a-b-c", "a" * 30])
def test_server_names_of_jupyterhub_6_are_allowed(name):
    assert names.check_server_name(name) == name


@pytest.mark.parametrize("name", ["", "Upper", "1st", "a--b", "-a", "a-", "a" * 31, "a.b", "a b", "ü", "a\n"])
def test_other_server_names_are_refused(name):
    with pytest.raises(InvalidRequestError):
        names.check_server_name(name)


@pytest.mark.parametrize("name", ["My book", "Ünïcode 📓", "a" * 255])
def test_display_names_are_printable(name):
    assert names.check_display_name(name)


@pytest.mark.parametrize("name", ["", " a", "a ", "a  b", "a\tb", "a\x00", "a" * 256])
def test_deceptive_display_names_are_refused(name):
    with pytest.raises(InvalidRequestError):
        names.check_display_name(name)


def test_prefixes_of_two_owners_never_collide():
    assert names.route_prefix("x-y", "") != names.route_prefix("x", "y")
    assert names.route_prefix("a", "b") == "/user/a/b/"


def test_login_names_are_normalised():
    assert names.normalise_user_name("ALICE") == names.normalise_user_name("alice")
    assert names.normalise_user_name("u\u0308") == "ü"


@pytest.mark.parametrize(
    "rule",
    [
        names.normalise_user_name,
        names.composed_user_name,
        names.check_user_name,
        names.check_display_name,
        names.skeleton,
    ],
)
def test_what_is_too_long_for_a_name_is_never_composed(monkeypatch, rule):
    composed = []
    for module in (names, look_alikes):
        fake = SimpleNamespace(normalize=lambda _, text: composed.append(text) or text)
        monkeypatch.setattr(module, "unicodedata", fake)
    with contextlib.suppress(InvalidRequestError):
        rule("a" + "\u0316\u0300" * 1000)
    assert composed == []


HIDDEN = ["\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u034f", "\u115f", "\u3164", "\ufe0f", "\u2800", "\ue000"]


@pytest.mark.parametrize("character", [*HIDDEN, "\U000e0041", "\U000e0100", "\uffa0", "\u061c", "\u0378"])
def test_a_new_name_has_no_character_that_nobody_can_see(character):
    with pytest.raises(InvalidRequestError, match=r"nobody can see|reading direction"):
        names.check_user_name(f"al{character}ice")
    assert names.skeleton(f"al{character}ice") == "alice"


@pytest.mark.parametrize("name", ["\u0430lice", "ali\u03bde", "admi\u0578", "\u13aalice"])
def test_a_new_name_mixes_no_scripts_that_look_alike(name):
    with pytest.raises(InvalidRequestError, match=r"mixes letters that look alike: \w+ and \w+"):
        names.check_user_name(name)


@pytest.mark.parametrize("name", ["a\u0301\u0301", "z\u0308\u0302\u0304\u0303\u0306"])
def test_a_new_name_piles_no_marks(name):
    with pytest.raises(InvalidRequestError, match="mark"):
        names.check_user_name(name)


@pytest.mark.parametrize(
    "name", ["иван", "αλέξης", "山田taro", "zoë", "nguyễn", "дима-2", "김철수", "محمد", "राम", "😀"]
)
def test_names_of_the_world_are_allowed(name):
    assert names.check_user_name(name) == name


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("Alice", "alice"),
        ("ａｌｉｃｅ", "alice"),
        ("сосо", "coco"),
        ("оса", "oca"),
        ("ѕсоре", "scope"),
        ("u\u0308", "ü"),
        ("ﬁn", "fin"),
        ("𝐛𝐨𝐛", "bob"),
        ("al\u200bice", "alice"),
        ("STRASSE", "straße"),
        ("\u04d3", "ä"),
        ("admi\u0307n", "admin"),
        ("ADMİN", "admin"),
        ("\u0458\u0307\u043e", "jo"),
        ("i\u0323\u0307", "ị"),
        ("mary\u2010ann", "mary-ann"),
        ("mary\u2013ann", "mary-ann"),
        ("mary\u2011ann", "mary-ann"),
        ("o\u2019brien", "o'brien"),
        ("ann\u02cdb", "ann_b"),
        ("mary\u1680ann", "mary ann"),
    ],
)
def test_names_that_look_alike_have_one_skeleton(one, two):
    assert names.skeleton(one) == names.skeleton(two)


@pytest.mark.parametrize(("one", "two"), [("tom1", "toml"), ("bob", "b0b"), ("zoe", "zoë"), ("modem", "modern")])
def test_names_that_people_tell_apart_have_two_skeletons(one, two):
    assert names.skeleton(one) != names.skeleton(two)


@given(st.text(st.characters(exclude_categories=["C", "Z"]), max_size=40))
def test_a_skeleton_and_a_normal_form_are_of_themselves(name):
    assert names.skeleton(names.skeleton(name)) == names.skeleton(name)
    assert names.skeleton(names.normalise_user_name(name)) == names.skeleton(name)


def test_each_look_alike_stands_in_the_form_that_it_is_compared_in():
    for plain, some in look_alikes.LOOK_ALIKES.items():
        for letter in some:
            form = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", letter).casefold())
            assert (form, names.skeleton(letter)) == (letter, plain)
