"""Paths in the checkout."""

from pathlib import Path

TOP = Path(__file__).parents[1]
IMAGES = TOP / "images"
VIEWER_REQUEST_JS = TOP / "infra" / "constructs" / "viewer_request.js"
