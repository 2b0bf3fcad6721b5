"""Authenticator classes of JupyterHub's interface, each with one habit that the hub must bear."""

import asyncio
import threading

from jupyterhub.auth import Authenticator
from jupyterhub.handlers import BaseHandler
from tornado import web
from traitlets import Unicode

HELD = threading.Event()  # what `Hanging` waits for; a test sets it in the end


class Fussy(Authenticator):
    """Each name has its own fault; everybody else gets in whose password is `right`."""

    greeting = Unicode("", config=True)

    async def authenticate(self, handler, data):
        name = data["username"].strip().lower()
        if name == "broken":
            raise RuntimeError(f"the directory said {data['password']}")
        if name == "told":
            raise web.HTTPError(403, "Your contract has ended: ask the office")
        if name == "slow":
            await asyncio.sleep(3600)
        if name == "stuck":
            HELD.wait(60)
        return name if data["password"] == "right" else None

    def get_custom_html(self, base_url):
        return "<p>{{ login_error or 'Our own form' }}</p><input name=_xsrf value={{ xsrf }}>" if self.greeting else ""


class WithState(Authenticator):
    """Gives groups, the admin flag and a state, and refreshes them."""

    def authenticate(self, handler, data):
        return {
            "name": data["username"],
            "admin": data["username"] == "chief",
            "groups": data["password"].split(),
            "auth_state": {"ticket": data["password"]},
        }

    async def refresh_user(self, user, handler=None):
        state = await user.get_auth_state()
        if state and "broken" in state:
            raise RuntimeError("the provider is away")
        return {"auth_state": {"ticket": "fresh"}, "groups": ["new"]} if state else False

    async def pre_spawn_start(self, user, spawner):
        state = await user.get_auth_state()
        if state:
            spawner.environment["TICKET"] = state["ticket"]


class Enters(BaseHandler):
    """Logs in whoever opens it, as a class with a login page of its own does."""

    async def get(self):
        user = self.user_from_username(self.get_argument("as"))
        self.set_login_cookie(user)
        self.set_cookie("own-cookie", "kept")
        self.set_cookie("jupyterhub-hub-login", "forged")
        self.redirect(self.get_next_url(user))


class Fails(BaseHandler):
    """Logs somebody in, and then fails."""

    async def get(self):
        self.set_login_cookie(await self.auth_to_user({"name": "alice"}))
        raise RuntimeError("too late")


class Posted(BaseHandler):
    """Takes a form of another site, as some providers send one."""

    def check_xsrf_cookie(self):
        pass

    def post(self):
        self.finish(f"posted by {self.current_user.name if self.current_user else 'a stranger'}")


class Plain(web.RequestHandler):
    """Knows nothing of JupyterHub."""

    def get(self):
        self.set_header("Content-Type", "text/plain")
        self.write(f"cookies: {sorted(self.request.cookies)}, token: {self.request.headers.get('Authorization')}")

    def post(self):
        self.write("posted")


class WithPages(Authenticator):
    """Has pages of its own, and no form."""

    login_service = "the Office"
    allow_all = True

    def login_url(self, base_url):
        return f"{base_url}enter"

    def get_handlers(self, app):
        return [
            ("/enter", Enters),
            ("/fails", Fails),
            ("/posted", Posted),
            ("/plain/([^/]*)", Whose),
            ("/plain", Plain),
        ]


class Whose(BaseHandler):
    """Shows who asks, to those who are logged in."""

    @web.authenticated
    def get(self, part):
        self.finish(f"{self.current_user.name}: {part}")


class WithHooks(Authenticator):
    """Notes the hooks that the hub calls, and refuses some."""

    allow_all = True

    def authenticate(self, handler, data):
        return data["username"]

    def add_user(self, user):
        CALLED.append(("add", user.name))
        if user.name == "unwelcome":
            raise KeyError(f"User {user.name} does not exist on the system")
        super().add_user(user)

    def delete_user(self, user):
        CALLED.append(("delete", user.name))
        if user.name == "sticky":
            raise OSError("the directory is read-only")

    def post_spawn_stop(self, user, spawner):
        CALLED.append(("stop", user.name, spawner.name))


CALLED = []
