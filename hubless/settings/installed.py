"""Which version of this product is installed."""

from functools import cache


@cache
def installed_version() -> str:
    """Return the version that was installed when this process first asked; "0" if it runs from files alone."""
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 few processes ask

    try:
        return version("hubless")
    except PackageNotFoundError:
        return "0"
