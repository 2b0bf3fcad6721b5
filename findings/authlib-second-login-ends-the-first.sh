#!/usr/bin/env bash
# With authlib's Starlette client, a login that begins in a second tab makes the first tab's callback fail.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check \
  authlib==1.9.10 starlette==1.10.0 httpx==0.28.1 itsdangerous==2.2.0
"$folder/bin/python" -W ignore - <<'PYTHON'
import asyncio
import sys
from importlib.metadata import version
from urllib.parse import parse_qs, urlsplit

import httpx
from authlib.integrations.base_client.errors import MismatchingStateError
from authlib.integrations.starlette_client import OAuth
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route


class Provider(httpx.AsyncBaseTransport):
    """The token endpoint of a provider."""

    async def handle_async_request(self, request):
        return httpx.Response(200, json={"access_token": "t", "token_type": "Bearer"})


oauth = OAuth()
oauth.register(
    "provider",
    client_id="client",
    client_secret="secret",
    authorize_url="http://provider.example/authorize",
    access_token_url="http://provider.example/token",
    client_kwargs={"transport": Provider()},
)


async def login(request):
    return await oauth.provider.authorize_redirect(request, "http://app.example/callback")


async def callback(request):
    try:
        await oauth.provider.authorize_access_token(request)
    except MismatchingStateError as error:
        return PlainTextResponse(type(error).__name__, 400)
    return PlainTextResponse("logged in")


app = Starlette(
    routes=[Route("/login", login), Route("/callback", callback)],
    middleware=[Middleware(SessionMiddleware, secret_key="key")],
)


async def two_tabs():
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app.example") as browser:
        begun = [await browser.get("/login"), await browser.get("/login")]
        states = [parse_qs(urlsplit(one.headers["location"]).query)["state"][0] for one in begun]
        return [(await browser.get("/callback", params={"code": "c", "state": state})).text for state in states]


seen = asyncio.run(two_tabs())
print("authlib", version("authlib"), "starlette", version("starlette"))
print("A browser keeps the state of one login for each provider. Restored tabs therefore fail, except the last one.")
print("first tab:", seen[0], "| second tab:", seen[1])
sys.exit(seen != ["MismatchingStateError", "logged in"])
PYTHON
