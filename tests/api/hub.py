"""A hub for tests of the API: its application, and people and programs who ask it."""

import asyncio
import socket
import weakref
from contextlib import contextmanager
from contextvars import copy_context
from threading import Thread

import httpx
import uvicorn

from functions.api.app import create_app
from hubless.bootstrap import machine
from hubless.domain.tokens import OwnerKind, Token, sha256
from hubless.services.identifiers import new_id, new_secret
from hubless.settings import parse
from tests.support.sqlite import with_tables

ADDRESS = "http://hub.test"


class An:
    ADMIN_TOKEN = "admin-service-token-0123456789"
    PASSWORD = "a long password"


SETTINGS = f"""
[login]
kind = "shared-password"
password = "{An.PASSWORD}"
admins = ["root"]
shared_password_opens_admins = true
max_failures = 1000

[servers]
named_limit = 5

[[services]]
name = "admin"
token = "{An.ADMIN_TOKEN}"
admin = true

[[services]]
name = "checker"
url = "http://127.0.0.1:18555"
token = "checker-service-token-0123456789"
oauth_redirect_uri = "http://127.0.0.1:18555/services/checker/oauth_callback"

[[roles]]
name = "sharer"
scopes = ["shares!user", "read:users:name", "read:groups:name"]
groups = ["sharers"]

[[roles]]
name = "teachers"
scopes = ["list:users"]
users = ["teacher"]

[groups.sharers]
"""


def _end(runner):
    """Close the loop of a client that its test forgot: otherwise the warning fails some later test."""
    if runner._loop is not None:
        runner._loop.close()


class InProcess(httpx.BaseTransport):
    """Carries requests to an application without a port, one after the other."""

    def __init__(self, app):
        self.app, self.inner, self.runner = app, httpx.ASGITransport(app, raise_app_exceptions=False), asyncio.Runner()
        weakref.finalize(self, _end, self.runner)

    def handle_request(self, request):
        return self.runner.run(self.carry(request), context=copy_context())

    async def carry(self, request):
        outer = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        answer = await self.inner.handle_async_request(outer)
        return httpx.Response(answer.status_code, headers=answer.headers, stream=httpx.ByteStream(await answer.aread()))

    def close(self):
        self.runner.close()


class Api:
    """An API client with one token, as JupyterHub's clients are."""

    def __init__(self, client, token, **headers):
        self.client, self.headers = client, ({"Authorization": f"token {token}"} if token else {}) | headers

    def __call__(self, method, path, **more):
        headers = self.headers | more.pop("headers", {})
        return self.client.request(method, "/hub/api" + path, headers=headers, follow_redirects=False, **more)

    def get(self, path, **more):
        return self("GET", path, **more)

    def post(self, path, json=None, **more):
        return self("POST", path, json=json, **more)

    def put(self, path, json=None, **more):
        return self("PUT", path, json=json, **more)

    def patch(self, path, json=None, **more):
        return self("PATCH", path, json=json, **more)

    def delete(self, path, json=None, **more):
        return self("DELETE", path, json=json, **more)

    def scopes(self):
        return self.get("/user").json()["scopes"]


class TheHub:
    def __init__(self, hub):
        self.hub = hub
        self.transport = InProcess(create_app(hub))
        self.client = httpx.Client(transport=self.transport, base_url=ADDRESS)
        self.anybody = Api(self.client, None)

    def user(self, name, *, admin=False, groups=()):
        user = self.hub.users.find(name) or self.hub.accounts.add(name, admin=admin)
        for group in groups:
            if self.hub.groups.find(group) is None:
                self.as_token(An.ADMIN_TOKEN).post(f"/groups/{group}", {})
            self.hub.groups.add_users(self.hub.groups.find(group).id, [name])
        return self.hub.users.find(user.name)

    def as_token(self, token):
        return Api(self.client, token)

    def as_user(self, name, scopes=("inherit",), **facts):
        """Return a client with a token of the user. The token is stored without a check of its scopes."""
        user, secret, now = self.user(name), new_secret(), self.hub.clock.now()
        self.hub.token_store.create(
            Token(new_id("a", now), sha256(secret), OwnerKind.USER, user.id, tuple(scopes), now, **facts)
        )
        api = self.as_token(secret)
        api.name, api.secret = name, secret
        return api

    def close(self):
        """Close the client, and with it the event loop that runs the application; and the login plug-in."""
        self.client.close()
        if self.hub.login_plugin is not None:
            self.hub.login_plugin.close()

    def browser(self, name=None, *, address=ADDRESS):
        """Return a browser, logged in as *name* where one is given."""
        browser = Browser(self.transport, address)
        if name is not None:
            browser.log_in(name)
        return browser


class Browser(httpx.Client):
    """Keeps cookies and follows nothing by itself."""

    def __init__(self, transport, address):
        headers = {"Accept": "text/html", "User-Agent": "a browser"}
        super().__init__(transport=transport, base_url=address, headers=headers, follow_redirects=False)

    @property
    def xsrf(self):
        return self.cookies.get("_xsrf")

    def log_in(self, name, **more):
        self.get("/hub/login")
        form = {"username": name, "password": An.PASSWORD, "_xsrf": self.xsrf}
        return self.post("/hub/login", data=form, **more)

    def submit(self, path, **fields):
        return self.post(path, data={"_xsrf": self.xsrf, **fields})


OPENED = []  # every hub that was built; tests/api/conftest.py closes those of a test at its end


def build_hub(folder, settings=SETTINGS):
    folder.mkdir(exist_ok=True)
    (folder / "secret").write_bytes(b"k" * 32)
    parsed = parse(settings, folder, {"PATH": "/usr/bin"})
    with_tables(parsed.database)
    built = machine.build(parsed)
    built.slow_call_seconds = 0.0  # no worker is here for which a start or a stop could wait
    made = TheHub(built)
    OPENED.append(made)
    return made


@contextmanager
def served(hub):
    """Serve the hub at a port of this machine, and return its address."""
    listening = socket.create_server(("127.0.0.1", 0))  # it takes connections before the server has begun
    app = create_app(hub.hub)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1))
    thread = Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
