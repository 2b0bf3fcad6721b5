"""The hub's own look by `[theme]`: where its files are, and what pages say of it."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from functions.api.markdown_text import markdown
from hubless.domain.contrast import mixed
from hubless.domain.values import value
from hubless.settings import Settings
from hubless.settings.theme import STATIC, ThemeSettings, folder_files

FOLDER = "theme/"  # below /hub/static/
FILES = f"{FOLDER}files/"  # those of `static`, which templates of the theme name
COLOURS = f"{FOLDER}colors.css"
_HOVER = 0.2  # how much darker, or lighter, a button becomes below the pointer
TYPES = {
    ".css": "text/css",
    ".ico": "image/x-icon",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webp": "image/webp",
    ".woff2": "font/woff2",
}


@value
class Theme:
    """The files of a theme by their paths below /hub/static/, and the folder of its templates."""

    settings: ThemeSettings
    files: Mapping[str, Path]
    colours: str
    """A style sheet; "" if the colours are hubless's own."""
    templates: Path | None

    def picture(self, key: str) -> Path | None:
        """Return the file of a setting such as `logo`; None if the theme has none."""
        name = getattr(self.settings, key)
        return self.files.get(f"{FOLDER}{key}{Path(name).suffix.lower()}") if name else None

    def url(self, path: str) -> str:
        """Return the address of a file, which changes with its content; "" if there is none at *path*."""
        if path == COLOURS:
            content = self.colours.encode()
        elif (file := self.files.get(path)) is not None:
            content = file.read_bytes()
        else:
            return ""
        digest = hashlib.sha256(content).hexdigest()[:12]
        return f"/hub/static/{quote(path)}?v={digest}" if content else ""


@value
class Look:
    """What every page shows of a theme; addresses are "" where it shows hubless's own."""

    logo: str
    logo_dark: str
    favicon: str
    favicon_type: str
    colours: str
    footer: str


@lru_cache(maxsize=4)
def _theme(settings: ThemeSettings, beside: Path | None) -> Theme:
    if beside is None:
        return Theme(settings, {}, colours_of(settings), None)
    files = {
        f"{FOLDER}{key}{Path(name).suffix.lower()}": beside / name
        for key, name in settings.pictures.items()
        if (beside / name).is_file()  # somebody may have removed it meanwhile
    }
    if settings.static:
        folder = beside / settings.static
        files |= {f"{FILES}{file.relative_to(folder).as_posix()}": file for file in folder_files(folder, STATIC)}
    templates = beside / settings.templates if settings.templates else None
    return Theme(settings, files, colours_of(settings), templates)


def theme_of(settings: Settings) -> Theme:
    """Return the theme of a hub: its files are at or below the folder of the settings' file."""
    return _theme(settings.theme, settings.file.parent if settings.file else None)


@lru_cache(maxsize=4)
def _look(settings: ThemeSettings, beside: Path | None) -> Look:
    theme = _theme(settings, beside)
    places = {Path(path).stem: path for path in theme.files if "/" not in path.removeprefix(FOLDER)}
    icon = places.get("favicon", "")
    return Look(
        logo=theme.url(places.get("logo", "")),
        logo_dark=theme.url(places.get("logo_dark", "")),
        favicon=theme.url(icon),
        favicon_type=TYPES.get(Path(icon).suffix, ""),
        colours=theme.url(COLOURS),
        footer=markdown(settings.footer),
    )


def look_of(settings: Settings) -> Look:
    """Return what every page shows of the hub's theme. A file that changes later keeps its address until a restart."""
    return _look(settings.theme, settings.file.parent if settings.file else None)


def colours_of(settings: ThemeSettings) -> str:
    """Return the style sheet of the colours. A reader's choice of light or dark counts as in style.css."""
    css = ""
    if settings.color:
        css += f":root {{ {_colours(settings.color, '#000000')} }}\n"
    if settings.color_dark:
        dark = _colours(settings.color_dark, "#ffffff")
        css += f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme]) {{ {dark} }} }}\n"
        css += f":root[data-theme=dark] {{ {dark} }}\n"
    return css


def _colours(colour: str, towards: str) -> str:
    return f"--accent: {colour}; --accent-hover: {mixed(colour, towards, _HOVER)};"
