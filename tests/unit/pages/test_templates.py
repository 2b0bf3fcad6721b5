"""Every page renders from what the hub tells it, and keeps to the rules that the pages promise."""

import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from jinja2 import StrictUndefined, UndefinedError
from page_samples import PAGES

from functions.api import page_files, rendering

TEMPLATES = page_files.TEMPLATES
DOCUMENTED = Path(__file__).parents[3] / "docs/theming.md"
VOID = {
    "area",
    "base",
    "br",
    "col",
    "embed",
    "hr",
    "img",
    "input",
    "link",
    "meta",
    "source",
    "track",
    "wbr",
}
FRAGMENTS = {
    "failure.html",
    "message.html",
    "page.html",
    "parts.html",
    "usage_parts.html",
    "account_identities.html",
    "account_sessions.html",
    "account_shares.html",
    "factor_forms.html",
    "login_passkey.html",
    "announcement_fields.html",
    "people_fields.html",
    "profile_option.html",
}
EVIL = "<script>alert(1)</script>\"' onload=x"
SOURCES = sorted(TEMPLATES.glob("*.html"))


class Page(HTMLParser):
    """The tags of a page as (name, attributes), and whatever is wrong with their nesting."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.open, self.faults, self.html = [], [], [], html
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {name: value or "" for name, value in attrs}))
        if len({name for name, _ in attrs}) != len(attrs):
            self.faults.append(f"<{tag}> repeats an attribute")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> at {self.getpos()} closes something else")

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def render(name, **changes):
    template, context = PAGES[name]
    return rendering.environment().get_template(template).render(context | changes)


def forms(html):
    return re.findall(r"<form\b.*?</form>", html, flags=re.DOTALL)


def poisoned(value):
    """The same context with every text made dangerous."""
    if isinstance(value, str):
        return value + EVIL
    if isinstance(value, list):
        return [poisoned(item) for item in value]
    if isinstance(value, dict):
        return {key: item if key == "state" else poisoned(item) for key, item in value.items()}
    if hasattr(value, "admin"):
        return type(value)(value.name + EVIL, value.admin)
    return value


every_page = pytest.mark.parametrize("name", PAGES)
every_source = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)


def test_every_template_has_a_sample():
    shown = {template for template, _ in PAGES.values()}

    assert shown == {path.name for path in SOURCES} - FRAGMENTS


def test_the_environment_escapes_and_knows_all_it_shows():
    environment = rendering.environment()

    assert environment.undefined is StrictUndefined
    assert environment.from_string("{{ text }}").render(text="<b>") == "&lt;b&gt;"


@every_page
def test_renders_as_one_well_formed_page(name):
    page = Page(render(name))

    assert page.faults == []
    assert page.open == []
    titles = [one for one in page.all("title") if "id" not in one]  # those of charts have one
    assert len(page.all("h1")) == len(page.all("main")) == len(titles) == 1
    assert page.all("html")[0]["lang"] == PAGES[name][1]["language"]
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert sorted(ids) == sorted(set(ids))


@every_page
def test_headings_skip_no_level(name):
    levels = [int(tag[1]) for tag, _ in Page(render(name)).tags if re.fullmatch(r"h[1-6]", tag)]

    assert levels[0] == 1
    assert all(later - earlier <= 1 for earlier, later in pairwise(levels))


@every_page
def test_everything_that_is_referred_to_is_there(name):
    page = Page(render(name))
    ids = {attributes["id"] for _, attributes in page.tags if "id" in attributes}

    for _, attributes in page.tags:
        for pointer in (
            "for",
            "aria-labelledby",
            "aria-describedby",
            "aria-controls",
            "data-same-as",
            "data-copy",
        ):
            assert set(attributes.get(pointer, "").split()) <= ids
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids


@every_page
def test_every_field_has_a_label(name):
    page = Page(render(name))
    labelled = {attributes.get("for") for attributes in page.all("label")}

    for tag in ("input", "select", "textarea"):
        for field in page.all(tag):
            wrapped = field.get("type") in {"radio", "checkbox"}
            unsent = field.get("type") in {"hidden", "submit"} or field.get("aria-hidden") == "true"
            assert wrapped or unsent or field["id"] in labelled


@every_page
def test_each_field_of_a_refused_form_tells_why(name):
    for form in forms(render(name)):
        fields = [attributes for tag, attributes in Page(form).tags if tag in {"input", "select", "textarea"}]
        typed = [
            field
            for field in fields
            if field.get("type") not in {"hidden", "submit", "radio", "checkbox"} and "aria-hidden" not in field
        ]
        if 'id="error"' in form:
            assert typed
            assert all("error" in field.get("aria-describedby", "").split() for field in typed)


TO_AN_LMS = {"lti_add_link"}  # whose form goes to another host, which must not get the token


@every_page
def test_every_form_that_changes_something_carries_the_token(name):
    for form in forms(render(name)):
        if name in TO_AN_LMS:
            assert "_xsrf" not in form
        elif 'method="post"' in form:
            assert form.count('<input type="hidden" name="_xsrf" value="2|token|of|the|form">') == 1
        else:
            assert 'method="get"' in form
            assert "_xsrf" not in form


def test_what_is_hard_to_undo_asks_first():
    ends = re.compile(r'action="[^>]*(remove|refuse|revoke|unlink|end_url|end-|leave-|log-out|reset-factors|take-back)')
    found = [(source.name, form) for source in SOURCES for form in forms(source.read_text()) if ends.search(form)]
    assert len(found) > 15
    # A session that was ended is one login away.
    assert {name for name, form in found if "call asks_first(" not in form} == {"account_sessions.html"}


OTHER_SCRIPTS = (
    {
        "api_docs": ["/hub/api/docs/swagger-ui-bundle.js", "/hub/static/api_docs.js?v=1"],
        "unreached": ["/hub/static/refresh.js?v=1"],
        "unreached_frozen": ["/hub/static/refresh.js?v=1"],
        "unreached_edge_is_starting": ["/hub/static/refresh.js?v=1"],
        **{
            name: ["/hub/static/spawn.js?v=1"]
            for name in ("spawn", "spawn_large_home", "spawn_other", "spawn_one_profile", "spawn_nothing_offered")
        },
        **{name: ["/hub/static/time_zone.js?v=1"] for name in ("schedules", "schedules_edited", "schedules_none")},
        "lti_registered": ["/hub/static/lti_close.js?v=1"],
        **{
            name: ["/hub/static/home.js?v=1", "/hub/static/log.js?v=1"]
            for name, (template, _) in PAGES.items()
            if template == "home.html"
        },
    }
    | {
        name: ["/hub/static/passkeys.js?v=1"]
        for name, (template, _) in PAGES.items()
        if template in {"login.html", "second_factor.html", "second_factor_setup.html", "second_factors.html"}
    }
    | {
        name: [f"/hub/static/{script}.js?v=1"]
        for name, (template, _) in PAGES.items()
        for script in [{"admin.html": "table", "admin_selected.html": "selected"}.get(template)]
        if script
    }
    | {
        name: ["/hub/static/log.js?v=1"]
        for name, (template, context) in PAGES.items()
        if template == "admin_user.html" or (template == "not_running.html" and context["failure"])
    }
    | {
        name: ["/hub/static/starting.js?v=1"]
        for name, (template, _) in PAGES.items()
        if template == "spawn_pending.html"
    }
    | {name: ["/hub/static/refresh.js?v=1"] for name, (template, _) in PAGES.items() if template == "full.html"}
)


@every_page
def test_no_text_becomes_markup(name):
    template, context = PAGES[name]
    facts = poisoned(context) | {"base_url": "/hub/", "static_url": context["static_url"]}

    page = Page(rendering.environment().get_template(template).render(facts))

    assert page.faults == []
    scripts = [attributes.get("src") for attributes in page.all("script")]
    assert scripts[:2] == ["/hub/static/hubless.js?v=1", "/hub/static/menu.js?v=1"]
    assert scripts[2:] == OTHER_SCRIPTS.get(name, [])
    assert not any("onload" in attributes for _, attributes in page.tags)


@every_page
def test_nothing_on_a_page_is_inline_or_from_elsewhere(name):
    page = Page(render(name))

    assert page.all("style") == []
    for tag, attributes in page.tags:
        assert not any(attribute == "style" or attribute.startswith("on") for attribute in attributes), tag
        for address in ("src", "href", "action"):
            if attributes.get("rel") == "noopener noreferrer nofollow":
                assert tag == "a"  # an address that a person typed, in a message
            elif name not in TO_AN_LMS or address != "action":
                assert re.match(r"/(?!/)|#|$", attributes.get(address, "")), attributes


@every_page
def test_a_page_misses_no_fact_silently(name):
    template, context = PAGES[name]

    with pytest.raises(UndefinedError):
        rendering.environment().get_template(template).render({k: v for k, v in context.items() if k != "xsrf"})


@every_source
def test_a_template_has_no_inline_script_or_style_and_trusts_nothing(source):
    text = source.read_text()

    assert re.search(r"<style|\bstyle=|\son[a-z]+=|javascript:", text) is None
    assert re.findall(r"<script(?![^>]*\ssrc=)", text) == []
    assert re.search(r"\|\s*safe\b|Markup|autoescape", text) is None


@pytest.mark.parametrize("path", ["hubless.js", "log.js", "menu.js", "passkeys.js"])
def test_the_script_inserts_text_only(path):
    script = (page_files.STATIC / path).read_text()

    assert re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|\.style\b", script) is None


@pytest.mark.parametrize(
    "path",
    [
        "style.css",
        "hubless.js",
        "icons.svg",
        "menu.js",
        "passkeys.js",
        "refresh.js",
        "api_docs.js",
        "favicon.svg",
        "logo.svg",
    ],
)
def test_what_pages_refer_to_is_there_and_of_this_host(path):
    text = (page_files.STATIC / path).read_text()

    assert rendering.static_url(path).startswith(f"/hub/static/{path}?v=")
    assert re.sub(r"http://www\.w3\.org/2000/svg", "", text).count("://") == 0
    assert "@import" not in text


def test_the_documented_blocks_are_there():
    documented = re.findall(r"^\| `(\w+\.html)` \| `(\w+)` \|", DOCUMENTED.read_text(), re.MULTILINE)
    frame = re.findall(r"{% block (\w+) %}", (TEMPLATES / "page.html").read_text())

    assert sorted(block for template, block in documented if template == "page.html") == sorted(frame)
    for template, block in documented:
        assert f"{{% block {block} %}}" in (TEMPLATES / template).read_text()


MAX_OWN_CODE = 60 * 1024  # bytes, uncompressed: a phone on a slow line loads all of it at the first page


def test_own_styles_and_scripts_stay_small():
    sizes = {file.name: file.stat().st_size for file in page_files.STATIC.rglob("*") if file.suffix in {".css", ".js"}}

    assert {"style.css", "hubless.js"} <= sizes.keys()
    assert sum(sizes.values()) <= MAX_OWN_CODE, sizes


# --- single pages ----------------------------------------------------------------------------------------------------


def test_login_has_the_fields_that_scripts_look_for():
    html = render("login")

    assert re.search(r'<input name="username"[^>]*>', html)
    assert re.search(r'<input name="password"[^>]*>', html)
    assert re.search(r'<input [^>]*id="login_submit"[^>]*type="submit"[^>]*>', html)


def test_login_leads_on_and_keeps_what_was_typed():
    html = render("login_refused")

    assert 'action="/hub/login?next=/user/a/lab%3Fx%3D1%26y%3D2%23z"' in html
    assert 'value="alice"' in html
    assert "Invalid username or password." in html
    assert "/hub/sign-up" in html


def test_login_offers_no_sign_up_where_there_is_none():
    assert "sign-up" not in render("login")


def test_a_stranger_sees_no_navigation():
    assert "<nav" not in render("login")
    assert "Log out" not in render("error_500")


def test_only_admins_see_the_way_to_the_admin_page():
    assert 'href="/hub/admin"' in render("home_full")
    assert 'href="/hub/admin"' not in render("home_first")


@pytest.mark.parametrize(
    ("state", "offered"),
    [
        ("stopped", {"Start"}),
        ("failed", {"Try again"}),
        ("requested", {"See progress", "Cancel"}),
        ("launching", {"See progress", "Cancel"}),
        ("starting", {"See progress", "Cancel"}),
        ("ready", {"Open", "Stop"}),
        ("stopping", set()),
    ],
)
def test_home_offers_what_fits_the_state(state, offered):
    server = PAGES["home_full"][1]["default"] | {"state": state}

    html = render("home_plain", default=server)

    words = ("Start", "Try again", "See progress", "Cancel", "Open", "Stop")
    shown = {word for word in words if re.search(rf'class="button[^"]*"[^>]*>{word}<', html)}
    assert shown == offered


def test_home_lets_nobody_delete_what_runs():
    html = render("home_full")

    assert set(re.findall(r'action="(/hub/delete/[^"]*)"', html)) == {
        "/hub/delete/alice/gpu",
        "/hub/delete/alice/thesis",
    }


def test_home_without_named_servers_does_not_speak_of_them():
    assert "named" not in render("home_plain").lower()


def test_home_offers_no_server_beyond_the_limit():
    assert "new-server" in render("home_first")
    assert "new-server" not in render("home_full")


def test_waiting_needs_no_script():
    html = render("spawn_pending")

    assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in html
    assert 'data-progress-url="/hub/api/users/alice/server/progress?_xsrf=2%7Ctoken"' in html
    assert 'data-next-url="/user/alice/lab?a=1&amp;b=2"' in html


def test_waiting_for_a_place_goes_on_by_itself():
    html = render("full")

    assert '<meta name="refresh" content="20" data-url="/hub/spawn/alice?opt-profile=small">' in html
    assert '<meta http-equiv="refresh" content="20; url=/hub/spawn/alice?opt-profile=small"></noscript>' in html
    assert "5 starts" in render("full_throttled")


def test_a_start_says_how_long_it_usually_takes():
    assert "Usually it is ready in about 40 seconds." in render("spawn_pending")
    assert "Once its turn comes, it is usually ready in about 40 seconds." in render("spawn_pending_queued")
    assert "This takes longer than usual." in render("spawn_pending_late").partition("data-late")[2].partition(">")[2]
    assert "it is ready in" not in render("spawn_pending", usually=None)


def test_a_start_shows_each_step_with_its_time():
    html = render("spawn_pending")
    steps = re.findall(r"<li([^>]*)><span>([^<]*)</span> <span class=\"took\">([^<]*)</span></li>", html)
    assert steps == [
        (' class="done"', "Waiting for a free slot", "3 seconds"),
        (' aria-current="step"', "Launching the server", ""),
        ("", "Waiting for Jupyter to answer", ""),
        ("", "Opening the way to the server", ""),
    ]
    assert 'data-seconds="12.5"' in html


def test_a_failed_start_says_why_and_offers_another():
    html = render("not_running_failed")

    assert "Your server failed to start" in html
    assert "A part of the server&#39;s software is missing" in html
    assert "Choose another server type" in html
    assert "exited with code 1" in html
    assert "For admins" not in html
    assert "No module named &#39;pandas&#39;" in html
    assert 'href="/hub/spawn/alice?next=%2Fuser%2Falice%2Flab"' in html


def test_an_admin_reads_the_technical_word_too():
    html = render("not_running_failed_admin")

    assert "For admins: An import failed." in html
    assert "alice’s server failed to start" in html  # noqa: RUF001 as it is shown
    assert "An import failed." in render("admin_full")


def test_a_cause_that_nobody_knows_is_not_made_up():
    html = render("not_running_unknown")

    assert "The server did not start." in html
    assert "Its last lines may say why." in html


def test_a_server_that_ran_is_not_said_to_have_failed_to_start():
    html = render("not_running_ran")

    assert "Your server stopped unexpectedly" in html
    assert "failed to start" not in html


def test_a_server_that_one_may_not_start_is_not_offered():
    html = render("not_running_other")

    assert "bob’s server “dask” is not running" in html  # noqa: RUF001 as it is shown
    assert "/hub/spawn" not in html


def test_a_tokens_last_day_stays_within_the_hubs():
    def days(html):
        field = next(one for one in Page(html).all("input") if one.get("type") == "date")
        return field.get("min"), field.get("max"), field["value"], "required" in field

    assert days(render("token_first")) == ("2026-03-14", None, "2026-04-13", False)
    assert days(render("token_full")) == ("2026-03-14", "2026-03-28", "2026-03-28", True)


def test_a_refused_token_form_keeps_what_was_chosen():
    fields = Page(render("token_refused")).all("input")

    assert [one["value"] for one in fields if "checked" in one] == ["some", "servers!user"]
    assert {one["name"]: one["value"] for one in fields if one["name"] in {"note", "scopes"}} == {
        "note": "Backup",
        "scopes": "no:scope",
    }


def test_a_new_token_is_shown():
    assert 'value="c0ffee0123456789abcdef0123456789"' in render("token_full")


def test_browsers_are_called_by_their_names():
    html = render("account_with_many_logins")

    assert "Firefox on Linux" in html
    assert "Safari on iPhone" in html
    assert "A browser" in html


def test_the_admin_pages_that_one_may_open_are_in_a_navigation():
    pages = [{"name": name, "title": name.title(), "url": f"/hub/{name}"} for name in ("users", "groups")]

    html = render("admin_full", admin_pages=pages)

    assert '<a href="/hub/users" aria-current="page">Users</a>' in html
    assert '<a href="/hub/groups">Groups</a>' in html
    assert "sections" not in render("admin_full", admin_pages=pages[:1])
    assert "sections" not in render("home_full", admin_pages=pages)
    assert 'href="/hub/groups" aria-current' in render("admin_full", admin_pages=pages, admin_page="groups")


def test_the_way_to_the_admin_pages_leads_to_the_first_that_one_may_open():
    groups = [{"name": "groups", "title": "Groups", "url": "/hub/admin/groups"}]

    assert '<a href="/hub/admin/groups">Admin</a>' in render("home_first", admin_pages=groups)


def test_admins_cannot_lock_themselves_out():
    other, own = render("admin_user_full"), render("admin_user_own")

    assert "/hub/admin/users/alice/delete" in other
    assert "/hub/admin/users/alice/admin" in other
    assert "/hub/admin/users/ada/delete" not in own
    assert "/hub/admin/users/ada/admin" not in own
    assert "/hub/admin/users/ada/password-link" in own


def test_password_links_are_offered_where_there_are_passwords():
    assert "password-link" in render("admin_user")
    assert "password-link" not in render("admin_user", can_set_passwords=False)
    assert 'value="links"' in render("admin_full")
    assert 'value="links"' not in render("admin_full", can_set_passwords=False)


def test_the_return_key_in_the_form_of_the_table_stops_no_server():
    html = render("admin_full")

    # Browsers press the first button of a form.
    form = html.index('class="of-many"')
    assert html.index(">Go<", form) < html.index("formaction", form)


def test_admins_see_that_servers_are_not_isolated():
    assert "Servers are not isolated" in render("admin_full", isolation="none")
    for kind in ("", "sandbox", "accounts"):
        assert "not isolated" not in render("admin_full", isolation=kind)


def test_consent_sends_every_scope_that_was_shown():
    html = render("oauth")

    assert html.count('<input type="hidden" name="scopes"') == 2
    assert 'value="access:servers!server=alice/"' in html
    assert "only if you trust alice." in render("oauth_other")


def test_an_error_shows_its_number_and_its_mark():
    html = render("error_500")

    assert "<h1>Something went wrong in the hub.</h1>" in html
    assert "Error 500 · Internal Server Error" in html
    assert "4f9ac0de" in html


@pytest.mark.parametrize("name", ["unreached", "unreached_frozen", "unreached_edge_is_starting"])
def test_a_page_that_waits_for_a_server_has_what_its_script_reads(name):
    template, context = PAGES[name]
    page = Page(rendering.environment().get_template(template).render(context))
    (found,) = [attributes for attributes in page.all("meta") if attributes.get("name") == "refresh"]
    assert (found["content"], found["data-url"]) == (str(context["seconds"]), context["url"])
