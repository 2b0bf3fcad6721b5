"""The page of the REST API is made from the OpenAPI document that the application serves."""

import importlib.util
from pathlib import Path

FILE = Path(__file__).parents[3] / "docs/extensions/rest_reference.py"
SPEC = importlib.util.spec_from_file_location("rest_reference", FILE)
reference = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(reference)

DOCUMENT = {
    "paths": {
        "/": {"get": {"summary": "Return the version.", "security": [], "responses": {"200": {"description": "OK"}}}},
        "/users/{name}": {
            "get": {
                "summary": "Return a user.",
                "security": [{"token": ["read:users"]}],
                "parameters": [{"name": "state", "in": "query", "schema": {"type": "string"}}],
                "responses": {
                    "200": {
                        "description": "OK",
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/User"}}},
                    },
                    "404": {"description": "Not Found"},
                },
            }
        },
    },
    "components": {
        "schemas": {
            "User": {
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "groups": {"type": "array", "items": {"anyOf": [{"type": "string"}, {"type": "null"}]}},
                },
            }
        }
    },
}


def test_an_operation_is_listed_under_its_resource():
    page = reference.markdown(DOCUMENT)

    assert page.index("## hub") < page.index("### GET `/`") < page.index("## users")
    assert "### GET `/users/{name}`\n\nReturn a user.\n" in page


def test_an_operation_names_scopes_query_body_and_errors():
    page = reference.markdown(DOCUMENT)

    assert "- Needs no login." in page
    assert "- Scopes: `read:users`\n- Query: `state` (string)\n- 200: OK, [User](#user)\n- Errors: 404\n" in page


def test_a_schema_is_a_table_of_fields():
    page = reference.markdown(DOCUMENT)

    assert "### User" in page
    assert "| `name` | string | yes |\n| `groups` | list of string or null |  |" in page


def test_every_path_of_the_application_is_listed():
    document = reference.served_document()
    page = reference.markdown(document)

    assert len(document["paths"]) > 30
    assert [path for path in document["paths"] if f"`{path}`" not in page] == []
