"""Where things lie in the checkout."""

from pathlib import Path

TOP = Path(__file__).parents[1]
IMAGES = TOP / "images"
FRONT = TOP / "infra" / "constructs" / "front.js"
