"""Pages speak the reader's language; the API speaks English."""

import pytest

from tests.api.hub import SETTINGS, An, build_hub

GERMAN = {"Accept-Language": "de-AT,de;q=0.9,en;q=0.5"}


def test_pages_speak_the_browsers_language(hub):
    page = hub.browser().get("/hub/login", headers=GERMAN)

    assert '<html lang="de"' in page.text
    assert "<h1>Anmelden</h1>" in page.text
    assert page.headers["content-language"] == "de"
    assert page.headers["vary"] == "Accept-Language, Cookie"
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("accept", ["", "fr", "*", "q=1;;;,,", "x" * 5000])
def test_pages_speak_the_hubs_language_to_others(hub, accept):
    page = hub.browser().get("/hub/login", headers={"Accept-Language": accept})

    assert page.status_code == 200
    assert '<html lang="en"' in page.text


def test_settings_choose_the_language_and_which_are_offered(tmp_path):
    hub = build_hub(tmp_path, '[hub]\nlanguage = "es"\nlanguages = ["en"]\n' + SETTINGS)

    assert '<html lang="es"' in hub.browser().get("/hub/login", headers={"Accept-Language": "de"}).text
    assert '<html lang="en"' in hub.browser().get("/hub/login", headers={"Accept-Language": "en"}).text


def test_an_error_of_a_service_speaks_it_too(hub):
    browser = hub.browser("alice")
    english = browser.submit("/hub/home/new-server", server_name="Not A Name")
    browser.headers.update(GERMAN)
    german = browser.submit("/hub/home/new-server", server_name="Not A Name")

    assert (german.status_code, english.status_code) == (400, 400)
    assert "Ungültiger Servername: " in german.text
    assert "Invalid server name: " in english.text


def test_an_error_page_speaks_it_too(hub):
    page = hub.browser("alice").get("/hub/spawn/nobody", headers=GERMAN)

    assert page.status_code == 404
    assert "<h1>Nicht gefunden</h1>" in page.text
    assert "Diese Person gibt es nicht, oder du hast keinen Zugriff auf sie" in page.text


def test_what_a_person_wrote_is_never_translated_or_trusted(hub):
    browser = hub.browser("alice")
    browser.headers.update(GERMAN)
    page = browser.submit("/hub/home/new-server", server_name="%(x)s<b>")

    assert page.status_code == 400
    assert "%(x)s&lt;b&gt;" in page.text


def test_the_api_speaks_english(hub):
    answer = hub.as_token(An.ADMIN_TOKEN).post("/users", {"usernames": ["a/b"]}, headers=GERMAN)

    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Invalid username")
    assert "content-language" not in answer.headers


def test_a_reader_of_german_and_one_of_english_at_once_get_theirs(hub):
    german, english = hub.browser("alice"), hub.browser("bob")

    for _ in range(3):
        assert "<h1>Hallo, alice</h1>" in german.get("/hub/home", headers=GERMAN).text
        assert "<h1>Hello, bob</h1>" in english.get("/hub/home").text
