"""Links between the repository's Markdown files lead to files and headings that exist; so do references in the code."""

import re
import subprocess
from functools import cache
from pathlib import Path

import pytest

TOP = Path(__file__).parents[2]
LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
IMAGE = re.compile(r"!\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
TRACKED = subprocess.run(["git", "ls-files"], cwd=TOP, capture_output=True, text=True, check=True).stdout.split("\n")
PAGES = sorted(name for name in TRACKED if name.endswith(".md"))
CODE = sorted(name for name in TRACKED if name.endswith((".py", ".js", ".toml", "Makefile", "Dockerfile")))


def text_of(page):
    return FENCE.sub("", (TOP / page).read_text())


@cache
def anchors_of(page):
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    headings = re.findall(r"^#+ +(.+?) *$", text_of(page), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in plain}


GENERATED = "rest-api.md"  # Sphinx fills it and checks the links to its headings


def leads_nowhere(page, target):
    path, _, anchor = target.partition("#")
    file = ((TOP / page).parent / path if path else TOP / page).resolve()
    if not file.exists():
        return True
    if not anchor or file.suffix != ".md" or file.name == GENERATED:
        return False
    return anchor not in anchors_of(file.relative_to(TOP).as_posix())


def broken(page):
    targets = LINK.findall(text_of(page)) + IMAGE.findall(text_of(page))
    return [one for one in targets if not re.match(r"[a-z]+:", one) and leads_nowhere(page, one)]


@pytest.mark.parametrize("page", PAGES)
def test_a_page_links_to_what_exists(page):
    assert broken(page) == []


def test_the_code_names_documents_that_exist():
    named = {
        (file, name)
        for file in (*CODE, *PAGES)
        for name in re.findall(r"(?<![\w/])((?:docs|findings)/[\w/.-]+\.(?:md|sh|png))", (TOP / file).read_text())
    }
    assert len(named) > 20
    assert [f"{file}: {name}" for file, name in sorted(named) if not (TOP / name).exists()] == []


def test_the_code_names_decisions_that_exist():
    numbers = {int(path.name[:4]) for path in (TOP / "docs/adr").glob("[0-9]*.md")}
    texts = {file: (TOP / file).read_text() for file in (*CODE, *PAGES)}
    named = {
        (file, int(n))
        for file, text in texts.items()
        for n in re.findall(r"\bADR (\d+)\b|docs/adr/(\d{4})", text)
        for n in n
        if n
    }
    assert [f"{file}: ADR {number}" for file, number in sorted(named) if number not in numbers] == []


CODE_PATH = re.compile(
    r"`((?:hubless|functions|edge_proxy|embedded|operations|infra|images|benchmarks|tests|docs)/[\w./-]*\w)`"
)


@pytest.mark.parametrize("page", [page for page in PAGES if page != "CHANGELOG.md"])
def test_a_page_names_files_that_exist(page):
    named = CODE_PATH.findall((TOP / page).read_text())
    assert [name for name in named if "vN" not in name and not (TOP / name).exists()] == []
