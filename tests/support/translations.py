"""Finds the texts that pages show, and writes those that are new into the catalogues (`make translations`)."""

from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_file
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parents[2]
LOCALE = ROOT / "functions" / "api" / "locale"
LANGUAGES = sorted(folder.name for folder in LOCALE.iterdir() if folder.is_dir())
# Where texts of pages are written. A sentence of an error that a person meets needs no mark of its own.
FOLDERS = (
    "functions/api",
    "hubless/domain",
    "hubless/services",
    "hubless/adapters/authenticators",
    "hubless/adapters/login_proxies",
    "hubless/adapters/lti",
    "hubless/adapters/oidc",
)
FILES = ("hubless/adapters/passkeys.py",)
ERRORS = (
    "InvalidRequestError",
    "LoginRefusedError",
    "LoginUnavailableError",
    "LtiRefusedError",
    "NotAllowedError",
    "NotPermittedError",
    "ProviderUnavailableError",
    "QuotaExceededError",
    "StoreConflictError",
    "Refused",
    "WrongCode",
)
KEYWORDS = {**DEFAULT_KEYWORDS, **dict.fromkeys(ERRORS, (1,)), "HTTPException": (2,)}
TEMPLATE_OPTIONS = {"trimmed": "true", "newstyle_gettext": "true", "silent": "false"}
# What only programs, operators of one machine, or the API's clients read.
LEFT_OUT = (
    "functions/api/routes/",
    "functions/api/request_",
    "functions/api/oauth_provider",
    "functions/api/token_exchange",
    "functions/api/paging",
    "hubless/domain/archive",
    "hubless/domain/added_services",
    "hubless/domain/claims",
    "hubless/domain/imported",
    "hubless/domain/import_plan",
    "hubless/services/import_",
    "hubless/services/lti_courses",
    "hubless/services/lti_grades",
    "hubless/services/lti_platforms",
    "hubless/services/moving",
    "hubless/services/service_registry",
    "hubless/adapters/authenticators/jupyterhub_plugin",
)


def extracted() -> Catalog:
    """Return a catalogue of all texts, without translations."""
    found = Catalog(charset="utf-8", fuzzy=False)
    for path in sources():
        is_template = path.suffix == ".html"
        method, options = ("jinja2.ext.babel_extract", TEMPLATE_OPTIONS) if is_template else ("python", {})
        for _line, message, comments, context in extract_from_file(method, path, KEYWORDS, ["NOTE:"], options):
            found.add(message, context=context, auto_comments=comments)
    return found


def sources() -> list[Path]:
    """Return the files that have texts of pages."""
    files = [ROOT / file for file in FILES]
    for folder in FOLDERS:
        files += [path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in {".py", ".html"}]
    return [path for path in files if not path.relative_to(ROOT).as_posix().startswith(LEFT_OUT)]


def catalogue_of(language: str) -> Catalog:
    """Return the catalogue of *language* as it is checked in."""
    path = po_file(language)
    if not path.exists():
        return Catalog(locale=language, domain="hubless", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=language, domain="hubless")


def po_file(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "hubless.po"


def write(language: str, catalogue: Catalog) -> None:
    """Write a catalogue so that it changes little: sorted, an entry on one line, and nothing about when or where."""
    catalogue.obsolete.clear()
    catalogue.header_comment = (
        "# Edit this file by hand; `make translations` adds what is new, and removes what is gone."
    )
    path = po_file(language)
    with path.open("wb") as file:
        write_po(file, catalogue, width=0, no_location=True, omit_header=True, sort_output=True)
    body = path.read_text("utf-8").strip("\n")
    path.write_text(f"{catalogue.header_comment}\n{_HEADER % language}\n{body}\n", "utf-8")


_HEADER = r"""msgid ""
msgstr ""
"Language: %s\n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=utf-8\n"
"Content-Transfer-Encoding: 8bit\n"
"Plural-Forms: nplurals=2; plural=(n != 1);\n"
"""


def update() -> None:
    """Write the texts that are new into each catalogue, and remove those that are gone."""
    texts = extracted()
    for language in LANGUAGES:
        catalogue = catalogue_of(language)
        catalogue.update(texts, no_fuzzy_matching=True, update_header_comment=False)
        write(language, catalogue)
        missing = sum(1 for entry in catalogue if entry.id and not _has_text(entry.string))
        print(f"{po_file(language).relative_to(ROOT)}: {missing} entries need a translation")


def _has_text(translation: str | tuple[str, ...]) -> bool:
    return all(translation) if isinstance(translation, tuple) else bool(translation)


if __name__ == "__main__":
    update()
