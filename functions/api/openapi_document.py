"""The OpenAPI document: FastAPI's own, with what FastAPI cannot know. The first request for it builds it."""

import re
import warnings
from collections.abc import Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from pydantic.warnings import UnsupportedFieldAttributeWarning
from starlette.routing import BaseRoute

from functions.api.version import VERSION
from hubless.domain.scopes import DEFINITIONS

_PREFIX = "/hub/api"
_STREAM = "text/event-stream"
_HEADERS = {
    "ETag": {"description": "The version of what a GET answers now", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds after which to try again", "schema": {"type": "integer"}},
}
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "description": "ETags of earlier answers",
    "schema": {"type": "string"},
}
_Json = dict[str, Any]


def document_of(routes: Sequence[BaseRoute]) -> _Json:
    """Return the OpenAPI 3.1 document of *routes*; this builds all of them, which takes a while."""
    with warnings.catch_warnings():  # FastAPI does so too, but our models are built later (`defer_build`)
        warnings.simplefilter("ignore", UnsupportedFieldAttributeWarning)
        made = get_openapi(
            title="hubless: JupyterHub's REST API",
            version=VERSION,
            description="JupyterHub's REST API. A response leaves out what the scopes of the request do not show.",
            routes=routes,
            servers=[{"url": _PREFIX}],
        )
    made["paths"] = {path.removeprefix(_PREFIX): methods for path, methods in made["paths"].items()}
    for path, methods in made["paths"].items():
        for method, operation in methods.items():
            _complete(operation, path)
            _add_headers(operation, method)
    for unused in ("HTTPValidationError", "ValidationError"):
        made["components"]["schemas"].pop(unused, None)
    scopes = {name: known.description for name, known in DEFINITIONS.items()}
    flow = {"authorizationUrl": f"{_PREFIX}/oauth2/authorize", "tokenUrl": f"{_PREFIX}/oauth2/token", "scopes": scopes}
    made["components"]["headers"] = _HEADERS
    made["components"]["parameters"] = {"If-None-Match": _IF_NONE_MATCH}
    made["components"]["securitySchemes"]["oauth2"] = {"type": "oauth2", "flows": {"authorizationCode": flow}}
    return made


def _complete(operation: _Json, path: str) -> None:
    """Add to an operation what FastAPI does not know.

    Any one of the scopes is enough; dependencies read the path too; nothing answers 422; a docstring is a summary.
    """
    summary, _, rest = operation.pop("description").partition("\n")
    operation["summary"] = summary.removesuffix(".")
    if rest.strip():
        operation["description"] = rest.strip()
    scopes = [scope for each in operation.get("security", []) for scope in each["token"]]
    if scopes:
        operation["security"] = [{"token": [scope]} for scope in scopes]
    parameters = operation.setdefault("parameters", [])
    named = {one["name"] for one in parameters if one["in"] == "path"}
    missing = [part for part in re.findall(r"{(\w+)}", path) if part not in named]
    operation["parameters"] = [
        *({"name": part, "in": "path", "required": True, "schema": {"type": "string"}} for part in missing),
        *parameters,
    ]
    operation["responses"].pop("422", None)


def _add_headers(operation: _Json, method: str) -> None:
    """Add to an operation the headers that the middleware reads and sends (`etags`), and those of errors."""
    answers = operation["responses"]
    is_tagged = any(one["name"] == "If-Match" for one in operation["parameters"])
    if method == "get" and not any(_STREAM in answer.get("content", {}) for answer in answers.values()):
        is_tagged = True
        operation["parameters"].append({"$ref": "#/components/parameters/If-None-Match"})
        answers["304"] = {"description": "Not Modified"}
    sent = dict.fromkeys(("429", "503"), "Retry-After") | (
        dict.fromkeys(("200", "201", "304"), "ETag") if is_tagged else {}
    )
    for status in answers.keys() & sent.keys():
        answers[status]["headers"] = {sent[status]: {"$ref": f"#/components/headers/{sent[status]}"}}
