"""While a long call to the store runs for one person, the hub answers the others."""

import asyncio
import inspect
import threading
from urllib.parse import quote

import httpx
import pytest

from functions.api import app, store_pool
from functions.api.paging import PAGINATED
from functions.api.routes import users
from functions.api.store_pool import OPEN, has_long_store_calls, in_store_pool, is_long
from hubless.adapters.sqlite.database import Database
from hubless.adapters.sqlite.users import CHUNK, SqliteUserStore
from tests.api.hub import ADDRESS, An
from tests.support.builders import a_user

CHECKER = "http://127.0.0.1:18555/services/checker/oauth_callback"
CLIENT_CONNECTIONS = 100  # that HTTPX (`httpx.Limits`) and aiohttp (`TCPConnector`) open unless told otherwise
GIVE_UP = 10  # seconds; only a hub that fails the test waits so long
CALLS = {
    "a list of users": ("users.page", "GET", "/hub/api/users", None),
    "new users": ("users.create", "POST", "/hub/api/users", {"usernames": ["new"]}),
    "a list of groups": ("groups.page", "GET", "/hub/api/groups", None),
    "a new group": ("groups.create", "POST", "/hub/api/groups/new", {"users": ["alice"]}),
    "new members": ("groups.add_users", "POST", "/hub/api/groups/sharers/users", {"users": ["alice"]}),
    "members who leave": ("groups.remove_users", "DELETE", "/hub/api/groups/sharers/users", {"users": ["alice"]}),
    "a group that goes": ("groups.delete", "DELETE", "/hub/api/groups/sharers", None),
    "a list of tokens": ("token_store.of_owner", "GET", "/hub/api/users/alice/tokens", None),
    "a list of sessions": ("sessions.of_user", "GET", "/hub/api/users/alice/sessions", None),
    "the end of all sessions": ("sessions.end_all", "DELETE", "/hub/api/users/alice/sessions", None),
    "the routes": ("servers.in_states", "GET", "/hub/api/proxy", None),
    "the metrics": ("users.count", "GET", "/hub/api/metrics", None),
}


class Held:
    """A call to the store that lasts until it is released; it says whether it had to give up."""

    def __init__(self, call):
        self._call, self.began, self.released, self.gave_up = call, threading.Event(), threading.Event(), False

    def __call__(self, *arguments, **named):
        self.began.set()
        self.gave_up |= not self.released.wait(GIVE_UP)
        return self._call(*arguments, **named)


def held(monkeypatch, hub, name):
    store, _, method = name.partition(".")
    target = type(getattr(hub, store))
    call = Held(getattr(target, method))
    monkeypatch.setattr(target, method, lambda *arguments, **named: call(*arguments, **named))
    return call


async def ask_both(application, call, headers, method, path, body=None):  # noqa: PLR0917 a request
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url=ADDRESS, headers=headers) as client:
        long = asyncio.create_task(client.request(method, path, json=body))
        await asyncio.to_thread(call.began.wait, GIVE_UP)
        other = await client.get("/hub/api/user", headers={"Authorization": f"token {An.ADMIN_TOKEN}"})
        was_waiting = not long.done()
        call.released.set()
        return await long, other, was_waiting


@pytest.mark.parametrize("what", CALLS)
def test_a_long_call_for_one_holds_up_nobody_else(hub, monkeypatch, what):
    name, method, path, body = CALLS[what]
    hub.user("alice", groups=["sharers"])
    call = held(monkeypatch, hub.hub, name)
    headers = {"Authorization": f"token {An.ADMIN_TOKEN}"}
    long, other, was_waiting = asyncio.run(ask_both(hub.transport.app, call, headers, method, path, body))
    assert not call.gave_up
    assert (long.status_code // 100, other.status_code, was_waiting) == (2, 200, True)


def test_a_search_that_finds_few_answers_as_a_long_one(hub, monkeypatch):
    for name in ("anna", "hannah", "annabel", "bob"):
        hub.user(name)
    headers = {"Authorization": f"token {An.ADMIN_TOKEN}", "Accept": PAGINATED}
    for query in (
        "name_filter=ANN&limit=2",
        "name_filter=ann&limit=2&offset=2",
        "name_filter=%20nobody",
        "name_filter=an",
    ):
        with monkeypatch.context() as patched:
            patched.setattr(users, "FEW", 0)
            slow = asyncio.run(_get(hub.transport.app, headers, query))
        assert asyncio.run(_get(hub.transport.app, headers, query)) == slow


async def _get(application, headers, query):
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url=ADDRESS, headers=headers) as client:
        answer = await client.get(f"/hub/api/users?{query}")
    assert answer.status_code == 200
    return answer.json()


LOGIN = f"/hub/api/oauth2/authorize?client_id=service-checker&response_type=code&redirect_uri={quote(CHECKER, safe='')}"


@pytest.mark.parametrize(
    ("path", "name"),
    [("/hub/token", "token_store.of_owner"), ("/hub/admin", "users.table")],
)
def test_a_long_page_of_one_holds_up_nobody_else(hub, monkeypatch, path, name):
    browser = hub.browser("root")
    call = held(monkeypatch, hub.hub, name)
    headers = cookies_of(browser)
    page, other, was_waiting = asyncio.run(ask_both(hub.transport.app, call, headers, "GET", path))
    assert not call.gave_up
    assert (page.status_code, other.status_code, was_waiting) == (200, 200, True)


async def flood(application, call, cookies, number, others):
    """Send *number* requests for one user's token page while the store holds; return what others got meanwhile."""
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url=ADDRESS) as client:
        pages = [asyncio.create_task(client.get("/hub/token", headers=cookies)) for _ in range(number)]
        await asyncio.to_thread(call.began.wait, GIVE_UP)
        answers = [await client.get(path, headers=headers) for path, headers in others]
        call.released.set()
        return answers, await asyncio.gather(*pages)


def cookies_of(browser):
    return {"Cookie": "; ".join(f"{one.name}={one.value}" for one in browser.cookies.jar if one.path in {"/", "/hub/"})}


def held_for(monkeypatch, hub, user):
    """Hold the calls for the tokens of this user, and of nobody else."""
    store = type(hub.hub.token_store)
    of_owner = store.of_owner
    call = Held(of_owner)

    def of_owner_or_held(self, kind, owner_id):
        return (call if owner_id == user.id else of_owner)(self, kind, owner_id)

    monkeypatch.setattr(store, "of_owner", of_owner_or_held)
    return call


def test_one_users_flood_of_long_calls_holds_up_no_other_and_no_login(hub, monkeypatch):
    flooding, other = hub.browser("root"), hub.browser(hub.user("bob", admin=True).name)
    call = held_for(monkeypatch, hub, hub.user("root"))
    theirs = [("/hub/token", cookies_of(other)), (LOGIN, cookies_of(other))]
    own_login = (LOGIN, cookies_of(flooding))
    answers, _ = asyncio.run(flood(hub.transport.app, call, cookies_of(flooding), OPEN, [*theirs, own_login]))
    assert not call.gave_up
    assert [answer.status_code for answer in answers] == [200, 200, 200]


def test_beyond_a_number_of_open_long_calls_a_user_is_asked_to_wait(hub, monkeypatch):
    browser = hub.browser("alice")
    call = held_for(monkeypatch, hub, hub.user("alice"))
    _, pages = asyncio.run(flood(hub.transport.app, call, cookies_of(browser), OPEN + 2, []))
    refused = [page for page in pages if page.status_code == 429]
    assert [page.status_code for page in pages if page not in refused] == [200] * OPEN
    assert [page.headers["Retry-After"] for page in refused] == ["1", "1"]
    assert "still open" in refused[0].text
    assert browser.get("/hub/token").status_code == 200
    assert not store_pool._open
    assert not store_pool._running


async def add_each(application, users):
    headers = {"Authorization": f"token {An.ADMIN_TOKEN}"}
    transport = httpx.ASGITransport(application)
    async with httpx.AsyncClient(transport=transport, base_url=ADDRESS, headers=headers) as client:
        path = "/hub/api/groups/sharers/users"
        answers = await asyncio.gather(*[client.post(path, json={"users": [name]}) for name in users])
        return [answer.status_code for answer in answers], (await client.get("/hub/api/groups/sharers")).json()["users"]


def test_a_script_with_all_connections_of_its_client_is_refused_nothing(hub):
    class_ = [hub.user(f"student-{number}").name for number in range(CLIENT_CONNECTIONS)]
    hub.user("alice", groups=["sharers"])
    statuses, members = asyncio.run(add_each(hub.transport.app, class_))
    assert statuses == [200] * CLIENT_CONNECTIONS
    assert set(class_) <= set(members)


def test_no_marked_handler_awaits():
    marked = [route.endpoint for router in app.ROUTERS for route in router.routes if is_long(route.endpoint)]
    assert len(marked) >= len(CALLS)
    assert [handler for handler in marked if "await " in inspect.getsource(handler)] == []


def test_a_marked_handler_that_awaits_is_a_fault_and_no_hang():
    @has_long_store_calls
    async def handler():
        await asyncio.sleep(0)

    with pytest.raises(TypeError, match="awaits"):
        asyncio.run(in_store_pool(handler, {}, "alice"))
    store_pool._long.discard(handler)


def test_many_new_users_leave_others_room_to_write(tmp_path):
    """Adding 10,000 users takes a second: nobody may wait for it, and no user is lost on the way."""
    database, other = Database(tmp_path / "hub.sqlite"), Database(tmp_path / "hub.sqlite")
    users, others, rests = SqliteUserStore(database), SqliteUserStore(other), []
    in_turns = database.in_turns

    def write_between(_seconds):
        rests.append(others.create([a_user(f"between{len(rests)}")]))

    database.in_turns = lambda things, size, act: in_turns(things, size, act, sleep=write_between)
    asked = [a_user(f"user{number}") for number in range(CHUNK * 2 + 1)]
    assert users.create(asked) == asked
    assert len(rests) == 2
    assert users.count() == len(asked) + len(rests)
    database.close()
    other.close()
