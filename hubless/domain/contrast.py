"""The contrast of two colours, by the formula of the Web Content Accessibility Guidelines (WCAG 2.2)."""

from typing import Final

ENOUGH: Final = 4.5  # to one, for text of ordinary size (WCAG 2.2, 1.4.3, level AA)
_LINEAR: Final = 0.04045  # below it, sRGB is linear


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, each as in `#1864ab`: from 1, the same, to 21, black on white."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def mixed(colour: str, other: str, share: float) -> str:
    """Return *colour* with a *share*, from 0 to 1, of *other* in it."""
    parts = zip(_parts(colour), _parts(other), strict=True)
    return "#" + "".join(f"{round(mine + (its - mine) * share):02x}" for mine, its in parts)


def _parts(colour: str) -> tuple[int, ...]:
    return tuple(bytes.fromhex(colour[1:]))


def _luminance(colour: str) -> float:
    red, green, blue = (_linear(part / 255) for part in _parts(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    linear: float = part / 12.92 if part <= _LINEAR else ((part + 0.055) / 1.055) ** 2.4
    return linear
