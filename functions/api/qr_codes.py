"""QR codes as SVG, by segno."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markupsafe import Markup


def qr_code(text: str) -> "Markup":
    """Return the QR code of *text* as an SVG element; it is black on white in dark pages too, as cameras need it."""
    import segno  # noqa: PLC0415 few pages need it
    from markupsafe import Markup  # noqa: PLC0415 see above

    made = segno.make(text, error="m", micro=False)
    return Markup(made.svg_inline(border=4, omitsize=True, light="#fff", dark="#000"))  # noqa: S704 numbers and colours
