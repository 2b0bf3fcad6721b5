"""The frame of all pages: language, theme, what a form's answer says, help and contact."""

import time

import pytest
from itsdangerous import TimestampSigner

from functions.api import rendering
from functions.api.auth.cookies import FLASH_COOKIE, LANGUAGE_COOKIE, THEME_COOKIE
from functions.api.flashes import LIFETIME, MAX_FLASH
from hubless.domain.translatable import gettext
from tests.api.hub import SETTINGS, build_hub

SAID = "The servers of 2 users stop"


def stop_servers(root):
    return root.submit("/hub/admin/selected", act="stop", name=["root", "alice"])


class TestPreferences:
    def test_the_reader_chooses_a_language_without_a_script(self, hub):
        browser = hub.browser("alice")

        browser.headers["Referer"] = "http://hub.test/hub/token?offset=0"
        answer = browser.submit("/hub/preferences", language="es")

        assert (answer.status_code, answer.headers["location"]) == (303, "/hub/token?offset=0")
        assert '<html lang="es"' in browser.get("/hub/home", headers={"Accept-Language": "de"}).text
        assert "httponly" in answer.headers["set-cookie"].lower()

    def test_a_stranger_may_choose_as_well(self, hub):
        browser = hub.browser()
        browser.get("/hub/login")

        assert browser.submit("/hub/preferences", language="de", next="/hub/login").status_code == 303
        assert "<h1>Anmelden</h1>" in browser.get("/hub/login").text

    def test_the_server_writes_the_theme_into_the_page(self, hub):
        browser = hub.browser("alice")
        assert "data-theme" not in browser.get("/hub/home").text

        browser.submit("/hub/preferences", theme="dark", next="/hub/home")

        assert 'data-theme="dark"' in browser.get("/hub/home").text
        assert '<meta name="color-scheme" content="dark">' in browser.get("/hub/home").text
        browser.submit("/hub/preferences", theme="system", next="/hub/home")
        assert "data-theme" not in browser.get("/hub/home").text

    @pytest.mark.parametrize("fields", [{}, {"theme": "pink"}, {"language": "fr"}, {"theme": "x" * 300}])
    def test_what_is_not_offered_changes_nothing(self, hub, fields):
        browser = hub.browser("alice")

        answer = browser.submit("/hub/preferences", **fields)

        assert (answer.status_code, answer.headers["location"]) == (303, "/hub/home")
        assert "set-cookie" not in answer.headers

    @pytest.mark.parametrize("where", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "\\\\evil"])
    def test_leads_to_no_other_site(self, hub, where):
        browser = hub.browser("alice")
        assert browser.submit("/hub/preferences", theme="dark", next=where).headers["location"] == "/hub/home"

        browser.headers["Referer"] = where
        assert browser.submit("/hub/preferences", theme="dark").headers["location"] == "/hub/home"

    def test_a_page_that_answers_a_form_leads_home(self, hub):
        browser = hub.browser("alice")

        refused = browser.submit("/hub/home/new-server", server_name="Not A Name")

        assert '<input type="hidden" name="next" value="/hub/home">' in refused.text
        assert 'name="next"' not in browser.get("/hub/home").text

    def test_a_foreign_form_changes_nothing(self, hub):
        browser = hub.browser("alice")

        answer = browser.post("/hub/preferences", data={"theme": "dark", "_xsrf": "wrong"})

        assert answer.status_code == 403
        assert THEME_COOKIE not in browser.cookies

    @pytest.mark.parametrize("kept", ['"><script>', "pink", ""])
    def test_a_strange_cookie_changes_no_page(self, hub, kept):
        browser = hub.browser("alice")
        browser.cookies.set(THEME_COOKIE, kept, path="/hub/")
        browser.cookies.set(LANGUAGE_COOKIE, kept, path="/hub/")

        page = browser.get("/hub/home").text

        assert '<html lang="en">' in page
        assert "data-theme" not in page


class TestFlash:
    @pytest.fixture
    def root(self, hub):
        hub.user("root", admin=True)
        hub.user("alice")
        return hub.browser("root")

    def test_says_what_a_form_did_once_and_in_the_readers_language(self, root):
        answer = stop_servers(root)

        assert (answer.status_code, answer.headers["location"]) == (303, "/hub/admin")
        assert "Die Server von 2" in root.get("/hub/admin", headers={"Accept-Language": "de"}).text
        assert SAID not in root.get("/hub/admin").text
        assert FLASH_COOKIE not in root.cookies

    def test_what_was_changed_on_the_way_is_not_said(self, root):
        stop_servers(root)
        sent = root.cookies[FLASH_COOKIE]
        for other in (sent[:-1], "x" + sent, "", "x" * (MAX_FLASH + 1), "W10.x.y"):
            root.cookies.set(FLASH_COOKIE, other, domain="hub.test", path="/hub/")
            page = root.get("/hub/admin")
            assert page.status_code == 200
            assert SAID not in page.text

    def test_another_persons_message_is_not_said(self, hub, root):
        stop_servers(root)
        alice = hub.browser("alice")
        alice.cookies.set(FLASH_COOKIE, root.cookies[FLASH_COOKIE], path="/hub/")

        assert SAID not in alice.get("/hub/home").text

    @pytest.mark.parametrize(("seconds", "is_said"), [(LIFETIME - 2, True), (LIFETIME + 2, False)])
    def test_a_message_is_not_said_a_minute_later(self, root, monkeypatch, seconds, is_said):
        stop_servers(root)
        later = int(time.time()) + seconds
        monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: later)

        page = root.get("/hub/admin")

        assert page.status_code == 200
        assert (SAID in page.text) is is_said

    @pytest.mark.parametrize("language", ["en", "de"])
    def test_what_a_person_wrote_is_escaped(self, root, monkeypatch, language):
        said = gettext("%(user)s is logged out everywhere", user="<b>%(x)s</b>")
        monkeypatch.setattr(rendering, "flash_of", lambda _: said)

        page = root.get("/hub/admin", headers={"Accept-Language": language})

        assert "&lt;b&gt;%(x)s&lt;/b&gt; " in page.text
        assert "<b>%(x)s" not in page.text


def test_settings_name_help_and_contact(tmp_path):
    more = '[hub]\nhelp_url = "https://help.example/start"\ncontact = "Ask room 12 <b>"\n'
    page = build_hub(tmp_path, more + SETTINGS).browser().get("/hub/login").text

    assert 'href="https://help.example/start"' in page
    assert "Ask room 12 &lt;b&gt;" in page
