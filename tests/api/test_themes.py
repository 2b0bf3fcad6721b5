"""A hub with a look of its own: logo, colours, texts, files and templates."""

import re
from dataclasses import replace

import pytest

from tests.api.hub import SETTINGS, build_hub

THEME = """
[theme]
logo = "look/logo.svg"
logo_dark = "look/night.png"
favicon = "look/tab.ico"
color = "#0b5394"
color_dark = "#9fc5e8"
login_heading = "Welcome to data science"
login_text = "Use your **university** account. <script>alert(1)</script> [Rules](javascript:alert(1))"
footer = "[Privacy](https://example.org/privacy)"
templates = "templates"
static = "files"
"""
PNG = b"\x89PNG\r\n\x1a\n"
YEAR = "public, max-age=31536000, immutable"


@pytest.fixture
def files(tmp_path):
    """The files of the theme, in the folder of the settings' file."""
    folder = tmp_path / "settings"
    for name, content in {
        "look/logo.svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
        "look/night.png": PNG,
        "look/tab.ico": b"icon",
        "files/extra.css": b"h1 { letter-spacing: 1px; }",
        "files/notes.txt": b"not for browsers",
        "templates/login.html": (
            b'{% extends "templates/login.html" %}{% block title %}Own{% endblock %}'
            b'{% block head %}<link rel="stylesheet" href="{{ theme_url("extra.css") }}">{% endblock %}'
        ),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def hub(tmp_path, files):
    return themed(tmp_path, files)


def themed(tmp_path, files, theme=THEME):
    made = build_hub(tmp_path / "hub", SETTINGS + theme)
    made.hub.settings = replace(made.hub.settings, file=files / "hubless.toml")
    return made


def test_pages_show_the_theme_and_its_files_are_kept_for_a_year(hub):
    page = hub.browser().get("/hub/login").text
    linked = re.findall(r'(?:href|src|srcset)="(/hub/static/theme/[^"]+)"', page)

    assert {re.sub(r"\?v=[0-9a-f]{12}$", "", one) for one in linked} == {
        "/hub/static/theme/logo.svg",
        "/hub/static/theme/logo_dark.png",
        "/hub/static/theme/favicon.ico",
        "/hub/static/theme/colors.css",
        "/hub/static/theme/files/extra.css",
    }
    for address in linked:
        answer = hub.client.get(address)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, YEAR), address
        assert hub.client.get(address.partition("?")[0]).headers["cache-control"] == "no-cache"
    assert '<link rel="icon" type="image/x-icon"' in page


def test_the_colours_are_a_style_sheet_for_light_and_dark(hub):
    answer = hub.client.get("/hub/static/theme/colors.css")

    assert answer.headers["content-type"].startswith("text/css")
    assert answer.text == (
        ":root { --accent: #0b5394; --accent-hover: #094276; }\n"
        "@media (prefers-color-scheme: dark) {"
        " :root:not([data-theme]) { --accent: #9fc5e8; --accent-hover: #b2d1ed; } }\n"
        ":root[data-theme=dark] { --accent: #9fc5e8; --accent-hover: #b2d1ed; }\n"
    )


def test_a_reader_who_chose_dark_gets_the_logo_for_dark(hub):
    browser = hub.browser("alice")
    assert '<img src="/hub/static/theme/logo.svg' in browser.get("/hub/home").text
    browser.submit("/hub/preferences", theme="dark")

    assert '<img src="/hub/static/theme/logo_dark.png' in browser.get("/hub/home").text
    assert "<picture" not in browser.get("/hub/home").text


def test_well_known_addresses_have_the_logo_and_the_icon(hub):
    assert hub.client.get("/hub/logo").text.startswith("<svg")
    for path in ("/favicon.ico", "/hub/favicon.ico"):
        assert (hub.client.get(path).content, hub.client.get(path).headers["content-type"]) == (b"icon", "image/x-icon")


def test_texts_are_markdown_without_html_and_foreign_links(hub):
    page = hub.browser().get("/hub/login").text

    assert "<h1>Welcome to data science</h1>" in page
    assert "<strong>university</strong>" in page
    assert "<script>alert" not in page
    assert 'href="javascript:' not in page
    assert '<a href="https://example.org/privacy">Privacy</a>' in page


def test_nothing_else_of_the_folder_is_served(hub):
    for path in (
        "theme/files/notes.txt",
        "theme/files/../../hubless.toml",
        "theme/files/%2e%2e/look/logo.svg",
        "theme/templates/login.html",
        "theme/files/",
        "theme/",
    ):
        assert hub.client.get(f"/hub/static/{path}").status_code == 404, path


def test_the_policy_of_pages_stays_as_it_is(hub, tmp_path):
    plain = build_hub(tmp_path / "plain")

    policies = [one.browser().get("/hub/login").headers["content-security-policy"] for one in (hub, plain)]

    assert policies[0] == policies[1]


def test_a_template_extends_the_hubs_own(hub):
    page = hub.browser().get("/hub/login").text

    assert "<title>Own · hubless</title>" in page
    assert 'name="username"' in page


@pytest.mark.parametrize(
    "text", ["{% if %}", "{{ nobody_knows_this }}", '{% extends "nothing.html" %}', '{{ theme_url("no.css") }}', "\xff"]
)
def test_a_broken_template_hides_no_error(hub, files, text, caplog):
    (files / "templates/error.html").write_bytes(text.encode("latin-1"))

    answer = hub.browser("alice").get("/hub/nothing")

    assert answer.status_code == 404
    assert "<h1>There is nothing here.</h1>" in answer.text
    assert "cannot show error.html" in caplog.text


def test_a_broken_page_is_an_error_with_a_mark_and_not_the_hubs_own(hub, files, caplog):
    (files / "templates/home.html").write_text("{{ nobody_knows_this }}")

    answer = hub.browser("alice").get("/hub/home")

    assert answer.status_code == 500
    assert "<h1>Something went wrong in the hub.</h1>" in answer.text
    mark = re.search(r"give this number: <code>(\w+)</code>", answer.text)[1]
    assert mark in caplog.text
    assert "nobody_knows_this" not in answer.text


def test_a_frame_that_is_broken_hides_no_error_either(hub, files):
    (files / "templates/page.html").write_text("{% block x %}")

    assert "<h1>There is nothing here.</h1>" in hub.browser("alice").get("/hub/nothing").text


def test_files_that_vanish_leave_the_hubs_own_look(tmp_path, files):
    (files / "look/logo.svg").unlink()
    hub = themed(tmp_path, files)

    assert 'src="/hub/static/logo.svg?v=' in hub.browser().get("/hub/login").text
    assert hub.client.get("/hub/logo").status_code == 200


def test_a_hub_without_a_theme_links_to_none_of_it(tmp_path, files):
    hub = themed(tmp_path, files, theme="")

    assert "/theme/" not in hub.browser().get("/hub/login").text
    assert hub.client.get("/hub/static/theme/colors.css").status_code == 404
