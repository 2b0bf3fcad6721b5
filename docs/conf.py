"""Configuration of Sphinx: `make docs` builds these pages into docs/_build/html."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "extensions"), str(HERE.parent)]

project = "hubless"
author = "the hubless contributors"
extensions = ["myst_parser", "rest_reference"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "extensions"]

html_theme = "furo"
html_title = "hubless"
html_favicon = "../functions/api/static/favicon.svg"
html_theme_options = {"navigation_with_keys": True}
highlight_language = "none"

# Headings get the anchors that GitHub gives them, so a link works in both places and Sphinx checks it.
myst_heading_anchors = 4
