"""Pages speak the reader's language; the API speaks English."""

import html
import json
import re
from dataclasses import replace

import pytest

from functions.api.translations import speaking, translated
from hubless.domain.admission import AdmissionPolicy
from hubless.domain.errors import InvalidRequestError, NameTakenError, NotFoundError
from hubless.domain.lifecycle import State
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
    assert "<title>Nicht gefunden ·" in page.text
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


@pytest.fixture
def followed(hub, monkeypatch):
    """The address at which a page of alice's follows the start of her server, and her browser."""
    monkeypatch.setattr(hub.hub, "progress_seconds", 0.0, raising=False)
    browser = hub.browser("alice")
    browser.submit("/hub/spawn")
    page = browser.get("/hub/spawn-pending/alice").text
    return browser, html.unescape(re.search(r'data-progress-url="([^"]+)"', page)[1])


def test_a_page_follows_a_start_in_the_readers_language(followed):
    browser, address = followed
    stream = {"Accept": "text/event-stream"}

    german = browser.get(address, headers=GERMAN | stream).text
    english = browser.get(address, headers=stream).text

    assert steps(german)[1]["message"] == steps(german)[1]["steps"][0][0] == "Warten auf einen freien Platz"
    assert steps(english)[1]["message"] == steps(english)[1]["steps"][0][0] == "Waiting for a free slot"
    assert len(steps(german)) == len(steps(english))


def test_programs_follow_a_start_in_english(hub, followed):
    browser, address = followed
    program = hub.as_token(An.ADMIN_TOKEN)

    streams = [
        browser.get(address, headers=GERMAN | {"Accept": "*/*"}).text,
        program.get("/users/alice/server/progress", headers=GERMAN | {"Accept": "text/event-stream"}).text,
    ]

    for stream in streams:
        assert {"progress": 10, "message": "Waiting for a free slot"} in steps(stream)


def test_the_end_of_a_start_is_told_in_the_readers_language(hub, followed):
    browser, address = followed
    hub.hub.stopping.fail(hub.hub.servers.find(hub.user("alice").id, ""), "it broke")

    stream = browser.get(address, headers=GERMAN | {"Accept": "text/event-stream"}).text

    assert steps(stream)[-1]["message"] == "Der Start ist fehlgeschlagen: it broke"


def steps(stream):
    return [json.loads(line.removeprefix("data: ")) for line in stream.splitlines() if line.startswith("data: ")]


@pytest.mark.parametrize(
    ("state", "english", "german"),
    [
        (State.LAUNCHING, "alice's server lab is pending spawn", "Der Server lab von alice startet gerade"),
        (State.READY, "alice's server lab is already running", "Der Server lab von alice läuft schon"),
        (State.STOPPING, "alice's server lab is pending stop", "Der Server lab von alice wird gerade gestoppt"),
    ],
)
def test_a_second_start_is_refused_in_the_readers_language(hub, monkeypatch, state, english, german):
    owner, spawning = hub.user("alice"), hub.hub.spawning
    server = replace(spawning.start(owner, "lab"), state=state)
    monkeypatch.setattr(type(hub.hub.servers), "find", lambda *_: server)

    with pytest.raises(InvalidRequestError) as refused:
        spawning.start(owner, "lab")

    assert refused.value.message == english
    with speaking("de"):
        assert translated(refused.value.message) == german


@pytest.mark.parametrize(
    ("error", "german"),
    [
        (NotFoundError("User", "zoe"), "Das Konto 'zoe' gibt es nicht"),
        (NotFoundError("Share code", ""), "Den Freigabecode '' gibt es nicht"),
        (NameTakenError("Server", "lab"), "Den Server lab gibt es schon"),
        (NameTakenError("LTI platform", "lms"), "LTI platform lms gibt es schon"),  # for operators alone
    ],
)
def test_what_is_missing_or_taken_is_named_in_the_readers_language(error, german):
    with speaking("de"):
        assert translated(error.message) == german


def test_a_blocked_person_reads_it_in_their_language():
    policy = AdmissionPolicy(blocked_users=frozenset({"eve"}))

    with speaking("de"):
        blocked, unknown = (translated(policy.refusal_of(name, None, is_existing=False)) for name in ("eve", "zoe"))

    assert blocked == "eve ist auf diesem Hub gesperrt."
    assert unknown == "zoe darf diesen Hub nicht benutzen."
