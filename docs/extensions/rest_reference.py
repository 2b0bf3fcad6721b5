"""A Sphinx extension: fills the page `rest-api` from the OpenAPI document that the application serves."""

import asyncio
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

PAGE = "rest-api"
METHODS = ("get", "post", "put", "patch", "delete", "head")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("source-read", fill)
    app.connect("env-get-outdated", always_outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def always_outdated(*_args: object) -> list[str]:
    """Return the page, which depends on code that Sphinx does not watch."""
    return [PAGE]


def fill(_app: Sphinx, page: str, source: list[str]) -> None:
    """Append the reference to the page's own text."""
    if page == PAGE:
        source[0] += "\n" + markdown(served_document())


def served_document() -> dict[str, Any]:
    """Return the OpenAPI document of a hub with default settings, as the application answers it."""
    from functions.api.app import create_app
    from hubless.bootstrap import machine
    from hubless.settings import parse

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "secret").write_bytes(b"k" * 32)
        app = create_app(machine.build(parse("", Path(folder), {})))
        return json.loads(asyncio.run(get(app, "/hub/api/openapi.json")))


async def get(app: Any, path: str) -> bytes:
    """Return the body that an ASGI application answers to a GET request.

    Raises:
        RuntimeError: when the status is not 200.
    """
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8000")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if sent[0]["status"] != 200:
        raise RuntimeError(f"GET {path} answered {sent[0]['status']}")
    return b"".join(message.get("body", b"") for message in sent[1:])


def markdown(document: dict[str, Any]) -> str:
    """Return the reference: one section for each resource, then the schemas."""
    operations: dict[str, list[tuple[str, str, dict[str, Any]]]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method in METHODS:
            if method in methods:
                operations[resource(path)].append((method.upper(), path, methods[method]))
    lines: list[str] = []
    for name, those in operations.items():
        lines += [f"## {name}", ""]
        for method, path, operation in those:
            lines += described(method, path, operation)
    lines += ["## Schemas", ""]
    for name, schema in sorted(document["components"]["schemas"].items()):
        lines += shape(name, schema)
    return "\n".join(lines)


def resource(path: str) -> str:
    """Return the heading under which a path is listed: its first part, or the hub itself."""
    first = path.removeprefix("/hub/api").strip("/").partition("/")[0]
    return first if first and not first.startswith("{") else "hub"


def described(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    """Yield the lines about one operation."""
    yield from (f"### {method} `{path}`", "")
    yield from (line for part in ("summary", "description") if (text := operation.get(part)) for line in (text, ""))
    yield from access(operation)
    for place, heading in (("query", "Query"), ("header", "Headers")):
        if given := [one for one in operation.get("parameters", []) if one.get("in") == place]:
            yield f"- {heading}: " + ", ".join(f"`{one['name']}` ({kind(one.get('schema', {}))})" for one in given)
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield f"- Body: {kind(content.get('schema', {}))} (`{media}`)"
    yield from answers(operation.get("responses", {}))
    yield ""


def access(operation: dict[str, Any]) -> Iterator[str]:
    """Yield a line about the scopes that an operation asks for."""
    if operation.get("security") == []:
        yield "- Needs no login."
    scopes = {scope for one in operation.get("security", []) for given in one.values() for scope in given}
    if scopes:
        yield "- Scopes: " + ", ".join(f"`{scope}`" for scope in sorted(scopes))


def answers(statuses: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each success, and one for all errors."""
    for status, answer in statuses.items():
        if status.startswith(("2", "3")):
            shapes = [kind(one["schema"]) for one in answer.get("content", {}).values() if "schema" in one]
            yield f"- {status}: {answer.get('description', '')}" + (f", {shapes[0]}" if shapes else "")
    if errors := [status for status in statuses if status.startswith(("4", "5"))]:
        yield "- Errors: " + ", ".join(errors)


def shape(name: str, schema: dict[str, Any]) -> Iterator[str]:
    """Yield the lines about one schema."""
    yield from (f"### {name}", "", schema.get("description", ""), "")
    if fields := schema.get("properties"):
        needed = schema.get("required", [])
        yield from ("| field | type | required |", "|---|---|---|")
        yield from (f"| `{field}` | {kind(of)} | {'yes' if field in needed else ''} |" for field, of in fields.items())
        yield ""


def kind(schema: dict[str, Any]) -> str:
    """Return a few words for the type of a schema."""
    if reference := schema.get("$ref"):
        name = reference.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if several := schema.get("anyOf") or schema.get("oneOf"):
        return " or ".join(dict.fromkeys(kind(one) for one in several))
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{json.dumps(one)}`" for one in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {kind(schema.get('items', {}))}"
    named = schema.get("type", "anything")
    return f"{named} ({schema['format']})" if "format" in schema else str(named)
