"""The spawn page: what it offers to whom, what its form sends, and what it says of wrong options."""

import base64
import html
import re
from dataclasses import replace

import pytest

from hubless.domain.lifecycle import State
from tests.api.hub import SETTINGS, build_hub

PROFILES = """
[hub]
currency = "€ "
[[profiles]]
name = "plain"
[[profiles]]
name = "lab"
display_name = "Data science"
description = "Python with **pandas**, see [the course](https://example.org/course)."
picture = "lab.png"
price_per_hour = 0.25
[[profiles.options]]
name = "image"
display_name = "Version"
choices = [
  { name = "this", display_name = "This term", price_per_hour = 0.5 },
  { name = "next", display_name = "Next term", groups = ["staff"] },
]
unlisted = { display_name = "My own image", pattern = "lab:[a-z]+", image = "{value}" }
[[profiles.options]]
name = "memory"
kind = "number"
display_name = "Memory"
minimum = 1
maximum = 8
default = 2
unit = "GiB"
memory = "{value}G"
[[profiles.options]]
name = "branch"
kind = "text"
pattern = "[a-z]+"
environment = { BRANCH = "{value}" }
[[profiles.options]]
name = "debug"
kind = "switch"
default = true
args = ["--debug"]
[[profiles.options]]
name = "packages"
kind = "file"
max_bytes = 20
environment = { PACKAGES = "{value}" }
[[profiles]]
name = "gpu"
groups = ["staff"]
picture = "lab.png"
[[profiles.options]]
name = "memory"
kind = "number"
minimum = 1
maximum = 4
default = 3
"""
LAB = "profile-option-lab--"


@pytest.fixture
def hub(tmp_path):
    return build_hub(tmp_path / "hub", SETTINGS.replace("[groups.sharers]", "[groups.sharers]\n") + PROFILES)


@pytest.fixture
def maria(hub):
    return hub.browser("maria")


def options(hub, name="maria"):
    return hub.hub.servers.find(hub.user(name).id, "").user_options


def submit(browser, files=None, **fields):
    return browser.post("/hub/spawn/maria", data={"_xsrf": browser.xsrf, **fields}, files=files or {"none": b""})


def prices(page):
    return [html.unescape(shown) for shown in re.findall("<output[^>]*>([^<]*)</output> an hour", page)]


def alert(page):
    found = re.search(r'role="alert" id="error">([^<]*)<', page.text)
    return found and html.unescape(found[1])


def test_profiles_and_options_are_shown_to_whom_they_are_offered(hub, maria):
    page = maria.get("/hub/spawn/maria").text

    assert "<strong>pandas</strong>" in page
    assert 'href="https://example.org/course"' in page
    assert prices(page) == ["€ 0.50"]
    assert "€ 0.50 an hour" in page  # beside the choice
    assert all(text in page for text in ("This term", "My own image", "From 1 to 8 GiB", "At most 20 bytes"))
    assert "Next term" not in page
    assert 'value="gpu"' not in page

    hub.user("maria", groups=["staff"])
    page = maria.get("/hub/spawn/maria").text
    assert "Next term" in page
    assert 'value="gpu"' in page


BY_NUMBER = """
[hub]
currency = "$"
[[profiles]]
name = "lab"
price_per_hour = 0.25
[[profiles.options]]
name = "cpus"
kind = "number"
minimum = 1
maximum = 8
default = 2
cpus = "{value}"
price_per_hour = "0.05 * {value}"
[[profiles.options]]
name = "spot"
kind = "switch"
price_per_hour = 0.001
"""


def test_the_price_follows_a_number_and_what_sets_it_last(tmp_path):
    maria = build_hub(tmp_path / "hub", SETTINGS + BY_NUMBER).browser("maria")

    page = maria.get("/hub/spawn/maria").text
    assert prices(page) == ["$0.10"]
    assert 'data-price="0.25" data-currency="$"' in page
    assert re.search(r'type="number"[^>]* data-amount="0.05" data-each', page)
    refused = submit(maria, profile="lab", **{f"{LAB}cpus": "many", f"{LAB}spot": "off"}).text
    assert prices(refused) == ["$0.25"]
    refused = submit(maria, profile="lab", **{f"{LAB}cpus": "9", f"{LAB}spot": "on"}).text
    assert prices(refused) == ["$0.0010"]


def test_the_form_sends_what_the_user_chose_of_that_profile(hub, maria):
    file = {LAB + "packages": ("r.txt", b"numpy", "text/plain")}
    fields = {LAB + "image": "this", LAB + "memory": "4", LAB + "branch": "topic", LAB + "debug": ["off", "on"]}

    answer = submit(maria, file, profile="lab", **fields, **{"profile-option-plain--x": "1"})

    assert answer.status_code == 303
    content = base64.b64encode(b"numpy").decode()
    assert options(hub) == {
        "profile": "lab",
        "image": "this",
        "memory": "4",
        "branch": "topic",
        "debug": True,
        "packages": {"name": "r.txt", "content": content},
    }


def test_a_text_of_ones_own_takes_the_place_of_a_choice(hub, maria):
    fields = {LAB + "image": "unlisted-choice", LAB + "image--unlisted-choice": "lab:mine"}

    assert submit(maria, profile="lab", **fields).status_code == 303
    assert options(hub) == {"profile": "lab", "image--unlisted-choice": "lab:mine"}


def test_a_switch_without_its_mark_is_off(hub, maria):
    submit(maria, profile="lab", **{LAB + "debug": "off"})

    assert options(hub)["debug"] is False


def test_forms_of_jupyterhub_without_our_names_go_on_working(hub, maria):
    assert submit(maria, profile="lab", memory="3", other="x").status_code == 303
    assert options(hub) == {"profile": "lab", "memory": "3", "other": "x"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"memory": "99"}, "Memory cannot be '99': it must be a number from 1 to 8"),
        ({"branch": "UPPER"}, "branch cannot be 'UPPER': it must match [a-z]+"),
        ({"image": "next"}, "Version cannot be 'next': choose one of this"),
        ({"image": "unlisted-choice", "image--unlisted-choice": "evil"}, "My own image cannot be 'evil'"),
    ],
)
def test_a_wrong_option_is_named_and_nothing_is_typed_twice(hub, maria, fields, said):
    given = {LAB + name: text for name, text in fields.items()}

    page = submit(maria, profile="lab", **{LAB + "branch": "kept", **given})

    assert page.status_code == 400
    assert alert(page).startswith(said)
    assert 'value="lab" checked' in page.text
    assert page.text.count('aria-invalid="true" autofocus') == 1
    if "branch" not in fields:
        assert 'value="kept"' in page.text
    assert hub.hub.servers.find(hub.user("maria").id, "") is None


def test_a_file_that_is_too_large_is_refused_before_it_is_kept(hub, maria):
    page = submit(maria, {LAB + "packages": ("r.txt", bytes(21), "text/plain")}, profile="lab")

    assert (page.status_code, alert(page)) == (400, "packages is too large: at most 20 bytes")


def test_the_page_remembers_what_was_chosen_the_last_time(hub, maria):
    hub.user("maria", groups=["staff"])
    submit(maria, {LAB + "packages": ("r.txt", b"a")}, profile="lab", **{LAB + "memory": "6", LAB + "branch": "topic"})
    maria.submit("/hub/stop/maria")
    hub.hub.servers.write(*stopped(hub))

    page = maria.get("/hub/spawn/maria").text

    assert 'value="lab" checked' in page
    assert page.count('value="6"') == 1
    assert 'value="topic"' in page
    assert "r.txt" in page


def test_a_remembered_profile_that_has_vanished_is_no_error(hub, maria):
    submit(maria, profile="lab")
    hub.hub.servers.write(*stopped(hub))
    server = hub.hub.servers.find(hub.user("maria").id, "")
    hub.hub.servers.write(server, changed(server, user_options={"profile": "gone", "memory": ["odd"]}))

    page = maria.get("/hub/spawn/maria")

    assert page.status_code == 200
    assert 'value="plain" checked' in page.text


def test_a_link_starts_at_once_or_shows_what_is_wrong_with_it(hub, maria):
    page = maria.get("/hub/spawn/maria?opt-profile=lab&opt-memory=99&opt-branch=topic")
    assert page.status_code == 400
    assert 'value="topic"' in page.text

    assert maria.get("/hub/spawn/maria?opt-profile=lab&opt-memory=3").status_code == 302
    assert options(hub) == {"profile": "lab", "memory": "3"}


def test_the_api_holds_options_to_the_same_rules(hub):
    maria = hub.as_user("maria")

    refused = maria.post("/users/maria/server", {"profile": "lab", "memory": 99})
    assert (refused.status_code, refused.json()["message"]) == (
        400,
        "Memory cannot be 99: it must be a number from 1 to 8",
    )
    assert maria.post("/users/maria/server", {"profile": "gpu"}).status_code == 400
    assert maria.post("/users/maria/server", {"profile": "lab", "memory": 4, "debug": False}).status_code in {201, 202}


def test_one_profile_with_options_is_asked_for_and_one_without_starts(tmp_path):
    one = '[[profiles]]\nname = "a"\n[[profiles.options]]\nname = "debug"\nkind = "switch"\n'
    asked = build_hub(tmp_path / "asked", SETTINGS + one).browser("maria").get("/hub/spawn/maria")
    assert (asked.status_code, 'type="hidden" name="profile" value="a"' in asked.text) == (200, True)

    plain = build_hub(tmp_path / "plain", SETTINGS + '[[profiles]]\nname = "a"\n').browser("maria")
    assert plain.get("/hub/spawn/maria").status_code == 302


def test_whoever_is_offered_nothing_is_told_so(tmp_path):
    hub = build_hub(tmp_path / "hub", SETTINGS + '[[profiles]]\nname = "a"\ngroups = ["staff"]\n')
    maria = hub.browser("maria")

    assert "Ask an admin to allow you one" in maria.get("/hub/spawn/maria").text
    assert "Ask an admin" in hub.as_user("maria").post("/users/maria/server").json()["message"]


def test_an_admin_chooses_what_the_owner_may_have(hub):
    hub.user("maria")
    root = hub.browser("root")

    assert 'value="gpu"' not in root.get("/hub/spawn/maria").text
    hub.user("maria", groups=["staff"])
    assert 'value="gpu"' in root.get("/hub/spawn/maria").text


def test_a_picture_is_shown_to_those_who_may_choose_its_profile(hub, maria, tmp_path):
    (tmp_path / "lab.png").write_bytes(b"a picture")
    hub.hub.settings = changed(hub.hub.settings, file=tmp_path / "hubless.toml")
    address = "/hub/profile-picture?profile=lab"
    assert address in html.unescape(maria.get("/hub/spawn/maria").text)

    shown = maria.get(address)

    assert (shown.status_code, shown.content, shown.headers["content-type"]) == (200, b"a picture", "image/png")
    assert shown.headers["cache-control"] == "private, max-age=3600"
    for other in ("gpu", "plain", "none", ""):
        assert maria.get(f"/hub/profile-picture?profile={other}").status_code == 404
    assert hub.browser().get(address).status_code == 302
    (tmp_path / "lab.png").write_bytes(bytes(200_001))
    assert maria.get(address).status_code == 404


def changed(record, **facts):
    return replace(record, **facts, **({"revision": record.revision + 1} if hasattr(record, "revision") else {}))


def stopped(hub):
    server = hub.hub.servers.find(hub.user("maria").id, "")
    return server, changed(server, state=State.STOPPED)
