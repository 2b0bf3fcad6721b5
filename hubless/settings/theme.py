"""The section `[theme]`: logo, colours, texts and templates of the pages."""

import re
from pathlib import Path, PurePosixPath
from typing import Any, Final

from hubless.domain.contrast import ENOUGH, contrast
from hubless.domain.values import value
from hubless.settings.types import TEXT, SettingsError, SettingType, setting

PICTURES: Final = (".png", ".jpg", ".jpeg", ".webp", ".svg")
ICONS: Final = (*PICTURES, ".ico")
STATIC: Final = (*ICONS, ".css", ".js", ".woff2")
TEMPLATES: Final = (".html",)
MAX_FILE: Final = 500_000  # bytes of one file
MAX_FILES: Final = 200  # in one folder
# Where links and buttons stand: the grounds of style.css, light and dark, which a test compares.
GROUNDS: Final = {
    "color": ("#ffffff", "#f6f7f9", "#e9f7ec", "#fdeeee", "#fff4dc"),
    "color_dark": ("#1d232c", "#14181f", "#16301d", "#381b1d", "#362a10"),
}
_COLOUR = re.compile(r"#[0-9a-f]{6}")


def _colour(given: Any) -> str:
    if not isinstance(given, str):
        raise TypeError
    if given and not _COLOUR.fullmatch(given.lower()):
        raise ValueError
    return given.lower()


def _place(given: Any, endings: tuple[str, ...] = ()) -> str:
    if not isinstance(given, str):
        raise TypeError
    path = PurePosixPath(given)
    if given and (path.is_absolute() or ".." in path.parts or not path.parts):
        raise ValueError
    if given and endings and not given.lower().endswith(endings):
        raise ValueError
    return given


COLOUR = SettingType('a colour such as "#1864ab", or "" for hubless\'s own', _colour)
PICTURE = SettingType(
    f'a file at or below the settings\' folder that ends in {", ".join(PICTURES)}, or ""',
    lambda given: _place(given, PICTURES),
)
ICON = SettingType(
    f'a file at or below the settings\' folder that ends in {", ".join(ICONS)}, or ""',
    lambda given: _place(given, ICONS),
)
FOLDER = SettingType('a folder below the settings\' folder, or ""', _place)


@value
class ThemeSettings:
    """How the pages look, and what they say of your own (docs/theming.md)."""

    logo: str = setting("", PICTURE, "The picture beside the hub's name")
    logo_dark: str = setting("", PICTURE, "The same where pages are dark; empty for `logo`")
    favicon: str = setting("", ICON, "The icon of browsers' tabs")
    color: str = setting("", COLOUR, "The colour of links and of the main buttons")
    color_dark: str = setting("", COLOUR, "The same where pages are dark")
    login_heading: str = setting("", TEXT, "The heading of the login page, instead of `Log in`")
    login_text: str = setting("", TEXT, "Some sentences for the login page, in Markdown")
    footer: str = setting("", TEXT, "A line for the end of all pages, in Markdown")
    templates: str = setting("", FOLDER, "A folder of templates that replace or extend hubless's own")
    static: str = setting("", FOLDER, "A folder of style sheets, scripts, pictures and fonts for your templates")

    @property
    def pictures(self) -> dict[str, str]:
        """Return the files that the settings name, by their keys."""
        return {key: name for key in ("logo", "logo_dark", "favicon") if (name := getattr(self, key))}

    @property
    def folders(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Return the folders that the settings name, by their keys, each with the endings of its files."""
        known = {"templates": TEMPLATES, "static": STATIC}
        return {key: (name, known[key]) for key in known if (name := getattr(self, key))}


def checked_theme(theme: ThemeSettings) -> ThemeSettings:
    """Return *theme* if people can read text in its colours, and on them.

    Raises:
        SettingsError: naming the key, its contrast, and what is needed.
    """
    for key, grounds in GROUNDS.items():
        colour: str = getattr(theme, key)
        if not colour:
            continue
        lowest = min(contrast(colour, ground) for ground in grounds)
        if lowest < ENOUGH:
            change = "darker" if key == "color" else "lighter"
            raise SettingsError(
                f'theme.{key} is "{colour}", whose contrast with the page is {lowest:.1f}:1, but text needs at least'
                f" {ENOUGH}:1 (WCAG AA): take a {change} one"
            )
    return theme


def theme_files(theme: ThemeSettings, beside: Path) -> list[Path]:
    """Return the files of *theme*, which are at or below the folder *beside*.

    Raises:
        SettingsError: naming a file or a folder that is not there, or too large.
    """
    found = [_checked(beside / name, f"theme.{key}") for key, name in theme.pictures.items()]
    for key, (name, endings) in theme.folders.items():
        found += _files_in(beside / name, endings, f"theme.{key}")
    return found


def folder_files(folder: Path, endings: tuple[str, ...]) -> list[Path]:
    """Return the files in *folder* and below that have one of *endings*; no link leads elsewhere."""
    inside = folder.resolve()
    found = (file for file in sorted(folder.rglob("*")) if file.suffix.lower() in endings and file.is_file())
    return [file for file in found if file.resolve().is_relative_to(inside)]


def _files_in(folder: Path, endings: tuple[str, ...], key: str) -> list[Path]:
    if not folder.is_dir():
        raise SettingsError(f"{key}: there is no folder {folder}. Make it, or remove {key}")
    files = folder_files(folder, endings)
    if len(files) > MAX_FILES:
        raise SettingsError(f"{key}: {folder} has {len(files)} files, more than {MAX_FILES}. Remove some")
    return [_checked(file, key) for file in files]


def _checked(file: Path, key: str) -> Path:
    if not file.is_file():
        raise SettingsError(f"{key}: there is no file {file}. Put it there, or remove {key}")
    if (size := file.stat().st_size) > MAX_FILE:
        raise SettingsError(f"{key}: {file} has {size:,} bytes, more than {MAX_FILE:,}. Make it smaller")
    return file
