"""The OpenAPI document, made of what the routes say of themselves, the bodies that they check, and the table of scopes."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import field
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from functions.api import answers
from functions.api.bodies import Body
from functions.api.rendering import VERSION
from hubless.domain.scopes import DEFINITIONS
from hubless.domain.values import value

_JSON = "application/json"
_REF = "#/components/schemas/{model}"
_Schema = dict[str, Any]
_TEXT: _Schema = {"type": "string"}
_EVERYWHERE = (400, 403, 404, 503)
PAGING: Mapping[str, _Schema] = MappingProxyType(
    {
        "offset": {"type": "integer", "description": "How many to leave out"},
        "limit": {"type": "integer", "description": "How many to show; the hub has a maximum"},
    }
)


@value
class Operation:
    """What a route promises.

    Args:
        scopes: one of these opens it, for everything or for what its filter covers; none: see *is_open*.
        takes: the body; a *form* comes as the fields of one.
        gives: the answer's shape; None for an empty one.
        media: what the answer is when it is no JSON.
        also: other statuses than success and 400, 403, 404 and 503.
        query: the query's parameters and their schemas.
        is_open: whether it answers who proves nothing.
        needs_body: whether no body is an error.
        or_accepted: whether 202 says that what was asked for is on its way.
        problem: the shape of what went wrong.
    """

    scopes: tuple[str, ...] = ()
    takes: type[Body] | None = None
    gives: Any = None
    status: int = 200
    media: str = _JSON
    also: tuple[int, ...] = ()
    query: Mapping[str, _Schema] = field(default_factory=dict)
    form: tuple[str, ...] = ()
    is_open: bool = False
    needs_body: bool = False
    or_accepted: bool = False
    problem: Any = answers.Problem


@value
class Documented:
    """A route with what it promises."""

    method: str
    path: str
    summary: str
    name: str
    operation: Operation


def document(routes: Iterable[Documented]) -> _Schema:
    """Return the OpenAPI 3.1 document."""
    paths: dict[str, _Schema] = {}
    shapes = _Shapes()
    for route in routes:
        path = re.sub(r":\w+}", "}", route.path)
        paths.setdefault(path, {})[route.method.lower()] = _described(route, path, shapes)
    scopes = {name: known.description for name, known in DEFINITIONS.items()}
    flow = {"authorizationUrl": "/hub/api/oauth2/authorize", "tokenUrl": "/hub/api/oauth2/token", "scopes": scopes}
    return {
        "openapi": "3.1.0",
        "info": {"title": "hubless: JupyterHub's REST API", "version": VERSION},
        "servers": [{"url": "/hub/api"}],
        "security": [{"token": []}, {"oauth2": []}],
        "paths": paths,
        "components": {
            "schemas": shapes.all,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "A token; `token` does for `bearer`"},
                "oauth2": {"type": "oauth2", "flows": {"authorizationCode": flow}},
            },
        },
    }


class _Shapes:
    """The schemas of all models met, each once."""

    def __init__(self) -> None:
        self.all: dict[str, _Schema] = {}

    def of(self, model: Any, *, mode: Any = "serialization") -> _Schema:
        from pydantic import TypeAdapter  # noqa: PLC0415 few ask for the document
        from pydantic.json_schema import GenerateJsonSchema  # noqa: PLC0415

        schema = TypeAdapter(model).json_schema(ref_template=_REF, mode=mode, schema_generator=GenerateJsonSchema)
        self.all.update(schema.pop("$defs", {}))
        title = schema.get("title")
        if title is None or schema.get("type") != "object":
            return schema
        self.all[title] = schema
        return {"$ref": _REF.format(model=title)}


def _described(route: Documented, path: str, shapes: _Shapes) -> _Schema:
    operation = route.operation
    described: _Schema = {
        "summary": route.summary,
        "operationId": f"{route.name}_{len(path)}",
        "parameters": [
            {"name": part, "in": "path", "required": True, "schema": _TEXT} for part in re.findall(r"{(\w+)}", path)
        ]
        + [{"name": name, "in": "query", "schema": schema} for name, schema in operation.query.items()],
        "responses": _responses(operation, shapes),
    }
    if operation.is_open:
        described["security"] = []
    elif operation.scopes:
        described["security"] = [{"token": [scope]} for scope in operation.scopes]
    if operation.takes is not None:
        schema = shapes.of(operation.takes, mode="validation")
        described["requestBody"] = {"required": operation.needs_body, "content": {_JSON: {"schema": schema}}}
    if operation.form:
        fields = {"type": "object", "properties": dict.fromkeys(operation.form, _TEXT)}
        described["requestBody"] = {"content": {"application/x-www-form-urlencoded": {"schema": fields}}}
    return described


def _responses(operation: Operation, shapes: _Shapes) -> _Schema:
    success: _Schema = {"description": HTTPStatus(operation.status).phrase}
    if operation.gives is not None:
        success["content"] = {operation.media: {"schema": shapes.of(operation.gives)}}
    problem = {_JSON: {"schema": shapes.of(operation.problem)}}
    statuses = (*_EVERYWHERE, *operation.also, *((413,) if operation.takes else ()))
    refused = {
        str(status): {"description": HTTPStatus(status).phrase, "content": problem} for status in sorted(set(statuses))
    }
    accepted = {"202": {"description": "Accepted", "content": {"text/plain": {}}}} if operation.or_accepted else {}
    return {str(operation.status): success} | accepted | refused
