import re
from pathlib import Path

import pytest

from functions.api.page_files import STATIC
from functions.api.themes import colours_of
from hubless.domain.contrast import ENOUGH, contrast
from hubless.settings import SettingsError, parse
from hubless.settings.theme import GROUNDS, MAX_FILE, MAX_FILES, ThemeSettings, theme_files


def read(text: str) -> ThemeSettings:
    return parse(f"[theme]\n{text}", Path("/data"), {}).theme


def test_colours_are_read_in_lower_case() -> None:
    assert read('color = "#0B5394"').color == "#0b5394"
    assert read("") == ThemeSettings()


@pytest.mark.parametrize("colour", ["red", "#fff", "0b5394", "#0b5394;", "#0b5394\\n", "#0g5394"])
def test_a_colour_has_six_digits(colour: str) -> None:
    with pytest.raises(SettingsError, match="must be a colour such as"):
        read(f'color = "{colour}"')


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('color = "#ffcc00"', r"theme.color is \"#ffcc00\", whose contrast with the page is 1\.3:1.*a darker one"),
        (
            'color_dark = "#0b5394"',
            r"theme.color_dark is \"#0b5394\".* at least 4\.5:1 \(WCAG AA\): take a lighter one",
        ),
    ],
)
def test_a_colour_that_few_can_read_is_refused_with_its_contrast(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        'logo = "/etc/logo.svg"',
        'logo = "../logo.svg"',
        'logo = "logo.exe"',
        'favicon = "icon.bmp"',
        'templates = "/templates"',
        'templates = "a/../../b"',
        'static = "."',
        "logo = 1",
    ],
)
def test_files_are_at_or_below_the_folder_of_the_settings(text: str) -> None:
    with pytest.raises(SettingsError, match="must be"):
        read(text)


def test_the_grounds_are_those_of_the_style_sheet() -> None:
    css = (STATIC / "style.css").read_text()
    light, dark = (re.search(rf"{start} \{{(.*?)\}}", css, re.DOTALL) for start in (":root", r"\[data-theme=dark\]"))
    assert light
    assert dark

    for key, found in (("color", light[1]), ("color_dark", dark[1])):
        grounds = re.findall(r"--(?:card|[a-z-]*ground): (#[0-9a-f]+)", found)
        assert {one if len(one) == 7 else "#" + "".join(c * 2 for c in one[1:]) for one in grounds} == {*GROUNDS[key]}


@pytest.mark.parametrize(("key", "text"), [("color", "#ffffff"), ("color_dark", "#08131f")])
def test_a_button_can_be_read_in_each_colour_that_links_can(key: str, text: str) -> None:
    css = (STATIC / "style.css").read_text()
    assert f"--on-accent: {text.replace('#ffffff', '#fff')}" in css

    for red, green, blue in (
        (r, g, b) for r in range(0, 256, 15) for g in range(0, 256, 15) for b in range(0, 256, 15)
    ):
        colour = f"#{red:02x}{green:02x}{blue:02x}"
        if min(contrast(colour, ground) for ground in GROUNDS[key]) >= ENOUGH:
            shown = re.findall(r"--accent(?:-hover)?: (#\w+)", colours_of(ThemeSettings(**{key: colour})))
            assert all(contrast(one, text) >= ENOUGH for one in shown)


def test_the_files_of_a_theme_are_found(tmp_path: Path) -> None:
    (tmp_path / "templates/parts").mkdir(parents=True)
    for name in ("logo.svg", "templates/page.html", "templates/parts/foot.html", "templates/notes.txt"):
        (tmp_path / name).write_text("x")
    (tmp_path / "templates/secret.html").symlink_to("/etc/passwd")

    found = theme_files(ThemeSettings(logo="logo.svg", templates="templates"), tmp_path)

    assert [file.relative_to(tmp_path).as_posix() for file in found] == [
        "logo.svg",
        "templates/page.html",
        "templates/parts/foot.html",
    ]


def test_a_file_that_is_missing_or_too_large_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"theme\.logo: there is no file .*logo\.svg\. Put it there"):
        theme_files(ThemeSettings(logo="logo.svg"), tmp_path)
    with pytest.raises(SettingsError, match=r"theme\.templates: there is no folder"):
        theme_files(ThemeSettings(templates="own"), tmp_path)
    (tmp_path / "logo.svg").write_bytes(bytes(MAX_FILE + 1))
    with pytest.raises(SettingsError, match="has 500,001 bytes, more than 500,000"):
        theme_files(ThemeSettings(logo="logo.svg"), tmp_path)
    (tmp_path / "own").mkdir()
    for number in range(MAX_FILES + 1):
        (tmp_path / f"own/{number}.css").touch()
    with pytest.raises(SettingsError, match="has 201 files, more than 200"):
        theme_files(ThemeSettings(static="own"), tmp_path)
