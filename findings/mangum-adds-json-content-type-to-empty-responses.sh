#!/usr/bin/env bash
# Mangum adds `content-type: application/json` to a response without a content type, also to 204, 302 and 304.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check mangum==0.22.0 starlette==1.10.0
"$folder/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from mangum import Mangum
from starlette.applications import Starlette
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route


async def empty(request):
    return Response(status_code=204)


async def redirect(request):
    return RedirectResponse("/elsewhere", 302)


async def not_modified(request):
    return Response(status_code=304)


handler = Mangum(
    Starlette(routes=[Route("/204", empty), Route("/302", redirect), Route("/304", not_modified)]), lifespan="off"
)


def content_type(path):
    http = {"method": "GET", "path": path, "sourceIp": "192.0.2.1", "protocol": "HTTP/1.1"}
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "example.org"},
        "requestContext": {"http": http, "domainName": "example.org", "stage": "$default"},
        "isBase64Encoded": False,
    }
    return handler(event, None)["headers"].get("content-type")


seen = {path: content_type(path) for path in ("/204", "/302", "/304")}
print("mangum", version("mangum"), "starlette", version("starlette"))
print("The application sets none. A cache takes the headers of a 304 over (RFC 9111, 4.3.4), so a cached HTML page becomes JSON.")
print("content types:", seen)
sys.exit(set(seen.values()) != {"application/json"})
PYTHON
