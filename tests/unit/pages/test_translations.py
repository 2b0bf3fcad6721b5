"""Every text of the pages has an entry in every catalogue, and every entry says the same with the same parts."""

import ast
import re
from functools import cache
from itertools import chain

import pytest

from functions.api import translations
from hubless.domain.languages import NAMES
from hubless.domain.translatable import gettext, ngettext
from tests.support.translations import LANGUAGES, ROOT, catalogue_of, extracted, po_file

TEMPLATES = sorted((ROOT / "functions/api/templates").glob("*.html"))
PAGES = sorted((ROOT / "functions/api/pages").glob("*.py"))
every_language = pytest.mark.parametrize("language", LANGUAGES)
PARAMETER = re.compile(r"%\((\w+)\)s")
TAG = re.compile(r"</?[a-z][^>]*>")
NO_TEXTS = re.compile(r"hubless · JupyterHub|UTC|&[a-z]+;|(?:aria|data)-[a-z-]+")  # names, and what has no language
SENTENCE = re.compile(r"[A-Za-z] [a-z]|^[A-Z][a-z]+$")
BROWSERS = {"Edg", "Edge", "Opera", "Firefox", "Chrome", "Safari", "Android", "Windows", "Linux", "T"}
WORDS = re.compile(r"[^\W\d_]{2}")
texts = cache(extracted)


def forms(entry):
    """The sentence in the code with each translation of it."""
    if isinstance(entry.id, tuple):
        return zip(entry.id, entry.string, strict=True)
    return [(entry.id, entry.string)]


def entries(language):
    return [entry for entry in catalogue_of(language) if entry.id]


def test_there_is_a_catalogue_for_each_language_that_is_offered():
    assert {*LANGUAGES, "en"} == set(NAMES)


def test_finds_texts_of_templates_pages_and_errors():
    found = {entry.id for entry in texts() if entry.id}

    assert {"Log in", "Choose one of the providers.", "The present password is wrong"} <= found
    assert ("%(count)s user", "%(count)s users") in found
    assert len(found) > 500


@every_language
def test_every_text_has_an_entry(language):
    known = {entry.id for entry in entries(language)}
    wanted = {entry.id for entry in texts() if entry.id}

    assert sorted(map(str, wanted - known)) == [], "run `make translations`, and translate what is new"
    assert sorted(map(str, known - wanted)) == [], "run `make translations`: no page says this any more"


@every_language
def test_every_entry_is_translated(language):
    catalogue = catalogue_of(language)

    assert [entry.id for entry in entries(language) if not all(said for _, said in forms(entry))] == []
    assert [entry.id for entry in entries(language) if entry.fuzzy] == []
    assert list(catalogue.obsolete) == []
    assert po_file(language).read_text("utf-8").count('\nmsgid "') == len(entries(language)) + 1, "an entry is doubled"


@every_language
def test_a_translation_has_the_same_parts_and_tags(language):
    for entry in entries(language):
        allowed = set(chain.from_iterable(PARAMETER.findall(one) for one in entry.id)) if entry.pluralizable else None
        for english, said in forms(entry):
            wanted = set(PARAMETER.findall(english))
            assert set(PARAMETER.findall(said)) == wanted or (allowed and set(PARAMETER.findall(said)) <= allowed)
            assert said.replace("%%", "").count("%") == len(PARAMETER.findall(said)), said
            assert sorted(TAG.findall(said)) == sorted(TAG.findall(english)), said
            assert said.strip() == said
            assert english.strip() == english


@every_language
def test_a_translation_ends_as_the_text_does(language):
    marks = ".…:!?"

    for entry in entries(language):
        for english, said in forms(entry):
            assert (english[-1] in marks) == (said[-1] in marks), (english, said)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_a_template_says_nothing_without_its_mark(template):
    source = re.sub(r"\{#.*?#\}", "", template.read_text("utf-8"), flags=re.DOTALL)
    literals = re.findall(r"(?:aria-label|title|placeholder|alt)=\"([^\"{]+)\"", source)
    for code in re.findall(r"\{[{%](.*?)[%}]\}", source, flags=re.DOTALL):
        bare = re.sub(r"\b_\(\s*\"[^\"]*\"", "", code)
        literals += [text for text in re.findall(r"\"([^\"]*)\"", bare) if SENTENCE.search(text)]
    unmarked = re.sub(r"\{% trans .*?endtrans %\}|\{% block width %\}[a-z ]+", "", source, flags=re.DOTALL)
    unmarked = re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", unmarked, flags=re.DOTALL)
    shown = re.split(r"<[^>]*>", unmarked)

    assert [text for text in literals if WORDS.search(text) and "{" not in text and text not in BROWSERS] == []
    assert [text for text in shown if WORDS.search(NO_TEXTS.sub("", text))] == []


@pytest.mark.parametrize("module", PAGES, ids=lambda path: path.name)
def test_a_page_marks_what_it_says(module):
    """A text with a value in it is no text of a catalogue: `_("… %(name)s …", name=name)` is."""
    unmarked = []
    for call in (node for node in ast.walk(ast.parse(module.read_text("utf-8"))) if isinstance(node, ast.Call)):
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        said = [one.value for one in call.keywords if one.arg in {"error", "message", "words", "why", "link"}]
        literal = [one for one in said if isinstance(one, ast.Constant) and " " in str(one.value)]
        if name.endswith(("Error", "Exception", "Refused")):
            said += call.args
        unmarked += [ast.unparse(one) for one in (*literal, *said) if isinstance(one, ast.JoinedStr) or one in literal]

    assert unmarked == []


def test_english_reads_no_catalogue():
    assert translations.catalogue("en") is translations.catalogue("en")
    with translations.speaking("en"):
        assert translations.translated("Log in") == "Log in"


def test_translates_a_sentence_with_its_parts():
    name = gettext("of this person")
    said = gettext("The login %(label)s at %(provider)s belongs to another user", label=name, provider="%(x)s")

    with translations.speaking("de"):
        assert translations.translated(said) == "Die Anmeldung dieser Person bei %(x)s gehört zu einem anderen Konto"
        assert translations.translated(ngettext("%(count)s user", "%(count)s users", 1)) == "1 Person"
        assert translations.translated(ngettext("%(count)s user", "%(count)s users", 0)) == "0 Personen"
        with translations.speaking("es"):
            assert translations.translated("Log in") == "Iniciar sesión"
        assert translations.translated("Log in") == "Anmelden"
    assert translations.translated("Log in") == "Log in"


@pytest.mark.parametrize("language", ["en", "de"])
def test_a_part_of_a_thing_is_a_plural(language):
    with translations.speaking(language):
        forms = [translations.find_plural("%(cpus)s CPU", "%(cpus)s CPUs", count) for count in (0.5, 1, 1.0, 1.5, 2.0)]

    assert forms == [f"%(cpus)s {word}" for word in ("CPUs", "CPU", "CPU", "CPUs", "CPUs")]


@pytest.mark.parametrize("text", ["", "no text of a page", "100 % of it"])
def test_what_no_catalogue_has_stays_as_it_is(text):
    with translations.speaking("de"):
        assert translations.translated(text) == text
