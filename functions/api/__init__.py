"""The web: REST API, pages and OAuth provider."""

from functions.api import segments

__all__ = ["segments"]  # routes are written with its kind of path part: it comes before them
