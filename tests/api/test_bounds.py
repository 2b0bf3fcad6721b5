"""No work grows with a text from outside before its bound: what each entry passes on to normalisation, hashes, scopes
and the store, and how the work grows with lists. The entries are read from the routes and the handlers' sources.
"""

import hashlib
import re
import sys
import unicodedata
from encodings import idna
from pathlib import Path
from typing import get_args
from urllib.parse import quote

import httpx
import pytest
from pydantic import BaseModel
from starlette.datastructures import ImmutableMultiDict, QueryParams

import functions.api
from functions.api.app import ROUTERS
from functions.api.auth.visitors import anonymous_form, own_form
from functions.api.pages import admin_filter, audit
from functions.api.route_class import HubRoute
from functions.api.routes import oauth
from hubless.adapters.sqlite.database import Database
from hubless.domain import scopes
from hubless.domain.bounds import MAX_FIELD, MAX_PROPERTIES, MAX_SCOPE, MAX_TARGET, MAX_TYPED_NAME
from hubless.domain.users import Group
from tests.api.hub import ADDRESS, OPENED, An, build_hub

MARKS = "\u0316\u0300"  # composing sorts such marks, in the square of their number
FITTING = quote("a" + MARKS * 1200)  # with the largest target that is let through
FIELD = "a" + MARKS * 600 + "x" * MAX_FIELD
IN_JSON = "a" + MARKS * 12_000
IN_HEADERS = {
    "Accept": "x" * 60_000,
    "Authorization": "token " + "x" * 60_000,
    "Content-Type": "x" * 60_000,
    "Cookie": "_xsrf=" + "x" * 60_000,
    "If-None-Match": "x" * 60_000,
    "Origin": "https://" + "x" * 60_000,
    "Sec-Fetch-Site": "x" * 60_000,
    "User-Agent": "x" * 60_000,
    "X-Forwarded-Host": "x" * 60_000,
    "X-XSRFToken": "x" * 60_000,
}
SOURCES = "".join(file.read_text() for file in Path(functions.api.__file__).parent.rglob("*.py"))
FORM_FIELDS = sorted({"_xsrf", "profile", *re.findall(r'form\.texts?\("(\w+)"', SOURCES)})
READ_BY_NAME = {*admin_filter.FILTERS, *audit.FIELDS, "sort", "before", "after", "offset", "limit", "_xsrf", "opt-x"}
QUERY = sorted({*re.findall(r'query(?:_params)?\.get\("(\w+)"', SOURCES), *READ_BY_NAME})
EVERY_FIELD = {*FORM_FIELDS, *QUERY}
BY_FIELD = ("__getitem__", "__contains__", "getlist")
STORED_AS_IT_COMES = {"properties", "info", "user_options", "planet"}
BOUNDS = {"store": MAX_TARGET, "scope": MAX_SCOPE, "normal": MAX_TYPED_NAME, "idna": 300, "hash": 70_000}

ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, HubRoute)]
CASES = [(route, method) for route in ROUTES for method in sorted(route.methods)]


class Recorder:
    """Records the longest text that reached each kind of work, and spares the work with what is too long."""

    def __init__(self):
        self.longest = dict.fromkeys(BOUNDS, 0)
        self.fields = set()

    def saw(self, kind, text):
        if isinstance(text, str | bytes):
            self.longest[kind] = max(self.longest[kind], len(text))

    def beyond(self, bounds=BOUNDS):
        found = {kind: size for kind, size in self.longest.items() if size > bounds[kind]}
        self.longest = dict.fromkeys(BOUNDS, 0)
        return found

    def wrapped(self, kind, function, place=0):
        def call(*arguments):
            self.saw(kind, arguments[place])
            return function(*(one[:2000] if n == place else one for n, one in enumerate(arguments)))

        return call

    def hashed(self, function):
        def call(data=b"", **more):
            if sys._getframe(1).f_globals["__name__"] != "functions.api.etags":  # which hashes answers
                self.saw("hash", bytes(data))
            return function(data, **more)

        return call

    def asked(self, function, name):
        """Wrap a method of a query or a form: it is asked for one field, or for all."""

        def call(fields, *field):
            if sys._getframe(1).f_code.co_name != "close":  # which closes a form's files
                self.fields |= {field[0]} if name in BY_FIELD else EVERY_FIELD
            return function(fields, *field)

        return call

    def of_statement(self, function):
        def call(database, statement, values=()):
            for one in values.values() if isinstance(values, dict) else values:
                self.saw("store", one)
            return function(database, statement, values)

        return call


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    hub = build_hub(tmp_path_factory.mktemp("hub"))
    hub.hub.home_poll_seconds = hub.hub.home_seconds = 0.0  # streams end at once
    hub.user("alice", groups=["staff"])
    hub.as_token(An.ADMIN_TOKEN).put("/users/alice/servers/lab", {})
    hub.people = [hub.browser(), hub.browser("root")]
    hub.people[0].get("/hub/login")
    yield hub
    OPENED.remove(hub)
    hub.close()


@pytest.fixture
def owner(filled, request):
    """Return the name of a new user, and of a group: requests of other tests may have removed theirs."""
    name = f"u{abs(hash(request.node.name))}"
    user = filled.hub.accounts.add(name)
    filled.hub.groups.create(Group(f"g-{name}", name, (name,)))
    filled.hub.spawning.create(user, "lab")
    return name


@pytest.fixture
def recorder(monkeypatch):
    made = Recorder()
    monkeypatch.setattr(unicodedata, "normalize", made.wrapped("normal", unicodedata.normalize, 1))
    monkeypatch.setattr(idna, "ToASCII", made.wrapped("idna", idna.ToASCII))
    monkeypatch.setattr(scopes, "parse", made.wrapped("scope", scopes.parse))
    monkeypatch.setattr(hashlib, "sha256", made.hashed(hashlib.sha256))
    for name in ("read", "read_one", "write"):
        monkeypatch.setattr(Database, name, made.of_statement(getattr(Database, name)))
    for name in (*BY_FIELD, "__iter__", "keys", "values", "items", "multi_items"):
        monkeypatch.setattr(ImmutableMultiDict, name, made.asked(getattr(ImmutableMultiDict, name), name))
    monkeypatch.setattr(QueryParams, "__str__", made.asked(QueryParams.__str__, "__str__"))
    return made


def path_of(route, who, /, **long):
    parts = {"name": who, "owner": who, "server": "lab", "token_id": "t", "status": "404"} | long
    return re.sub(r"\{(\w+):\w+\}", lambda part: parts.get(part[1], "x"), route.path)


def bodies(model, depth=3):
    """Yield bodies with a text that is too long at each place of *model* that takes one, and the key at the top."""
    for name, field in model.model_fields.items():
        yield from (({name: value}, name) for value in values(field.annotation, depth))


def values(annotation, depth):
    text = str(annotation)
    if "str" in text:
        yield IN_JSON
    if "list[" in text:
        yield [IN_JSON]
    if "dict[" in text:
        yield {IN_JSON: 1}
        yield {"a": IN_JSON}
    for one in models_in(annotation):
        if depth:
            yield from (body for body, _ in bodies(one, depth - 1))


def models_in(annotation):
    parts = (annotation, *get_args(annotation))
    return [one for one in parts if isinstance(one, type) and issubclass(one, BaseModel)]


def model_of(route):
    found = [one for field in route.dependant.body_params for one in models_in(field.field_info.annotation)]
    return found[0] if found else None


def takes_form(dependant):
    return dependant.call in {own_form, anonymous_form, oauth.token} or any(map(takes_form, dependant.dependencies))


def fields_of(route, method, hub, owner, recorder):
    """Return the fields that *route* asks for: with all others it would answer the same again."""
    how = {"data": {}} if takes_form(route.dependant) and method == "POST" else {}
    list(answers(hub, method, whole(path_of(route, owner)), how))
    return recorder.fields | {"opt-x"}


def sent(route, method, owner, fields):
    """Yield each place of *route* that takes a text, with a path and the other arguments of a request."""
    for part in re.findall(r"\{(\w+):(?:segment|path)\}", route.path):
        yield part, path_of(route, owner, **{part: FITTING}), {}
    for key in (
        sorted(fields.intersection(QUERY))
        if method == "GET"
        else ["_xsrf", "code", "key"]
        if takes_form(route.dependant)
        else []
    ):
        yield key, f"{path_of(route, owner)}?{key}={FITTING}", {}
    if (model := model_of(route)) is not None:
        for body, name in bodies(model):
            yield name, path_of(route, owner), {"json": body}
    elif route.dependant.body_params:
        yield "planet", path_of(route, owner), {"json": {"planet": IN_JSON}}
    elif takes_form(route.dependant):
        for name in sorted(fields.intersection(FORM_FIELDS)):
            yield name, path_of(route, owner), {"data": {name: FIELD}}


def whole(path):
    """Return the URL of *path*, parsed once: a client parses a path three times more for each of its requests."""
    return httpx.URL(ADDRESS + path)


def answers(hub, method, url, how):
    """Yield the answers to an admin's program, or to a visitor and to an admin with a browser."""
    if url.path.startswith("/hub/api"):
        headers = {"Authorization": f"token {An.ADMIN_TOKEN}"} | how.pop("headers", {})
        yield hub.client.request(method, url, headers=headers, **how)
        return
    if not any("login" in cookie for cookie in hub.people[1].cookies):  # a request before has logged them out
        hub.people[1].log_in("root")
    for browser in hub.people:
        data = {"data": {"_xsrf": browser.xsrf} | how["data"]} if "data" in how else {}
        yield browser.request(method, url, **how | data)


@pytest.mark.parametrize(("route", "method"), CASES, ids=[f"{method} {route.path}" for route, method in CASES])
def test_no_entry_passes_on_a_text_beyond_its_bound(filled, owner, recorder, route, method):
    fields = fields_of(route, method, filled, owner, recorder)
    for place, path, how in sent(route, method, owner, fields):
        bounds = BOUNDS | ({"store": 4 * MAX_PROPERTIES} if place in STORED_AS_IT_COMES else {})
        for answer in answers(filled, method, whole(path), how):
            assert answer.status_code < 500, (place, answer.text[:200])
            assert recorder.beyond(bounds) == {}, place


@pytest.mark.parametrize("header", IN_HEADERS)
@pytest.mark.parametrize("path", ["/hub/api/user", "/hub/login", "/hub/home", "/hub/user/alice/tree"])
def test_no_header_is_passed_on_beyond_its_bound(filled, recorder, header, path):
    for method in ("GET", "POST"):
        for answer in answers(filled, method, whole(path), {"headers": {header: IN_HEADERS[header]}}):
            assert answer.status_code < 500
            assert recorder.beyond() == {}


def test_the_entries_are_found():
    assert len(CASES) > 90
    assert {"username", "scopes", "server_name", "client_id"} <= {*FORM_FIELDS}
    assert {"next", "code", "key", "name_filter", "client_id"} <= {*QUERY}
    assert sum(model_of(route) is not None for route in ROUTES) > 15
    assert sum(takes_form(route.dependant) for route in ROUTES) > 15


def test_a_hub_with_subdomains_hashes_a_long_name_for_its_host(tmp_path, recorder):
    hub = build_hub(tmp_path, '[hub]\npublic_url = "https://hub.test"\nsubdomains = true\n[login]\nkind = "password"\n')
    assert hub.client.get(f"/user/{FITTING}/", headers={"Host": "x.hub.test"}).status_code < 500
    assert (recorder.longest["idna"], recorder.longest["normal"]) == (0, 0)


# --- lists: twice as much is twice the work ---


def steps_of(call):
    """Return how many bytecodes *call* executes in Python."""
    count, before = 0, sys.gettrace()

    def trace(frame, event, _argument):
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


LISTS = {
    "options in a query": lambda n: ("GET", "/hub/spawn?profile=none&" + "&".join(f"a{i}=1" for i in range(n)), {}),
    "a parameter again and again": lambda n: (
        "GET",
        "/hub/spawn?profile=none&" + "&".join("a=1" for i in range(n)),
        {},
    ),
    "cookies": lambda n: ("GET", "/hub/login", {"headers": {"Cookie": "; ".join(f"c{i}=1" for i in range(n))}}),
    "anonymous tokens": lambda n: (
        "GET",
        "/hub/login",
        {"headers": {"Cookie": "; ".join(f"_xsrf={i}" for i in range(n))}},
    ),
    "kinds accepted": lambda n: ("GET", "/hub/api/", {"headers": {"Accept": ",".join(f"a/{i}" for i in range(n))}}),
    "entity tags": lambda n: ("GET", "/hub/api/", {"headers": {"If-None-Match": ",".join(f'"{i}"' for i in range(n))}}),
    "parts of a path": lambda n: ("GET", "/hub/" + "/".join("a" for i in range(n)), {}),
    "names": lambda n: ("POST", "/hub/api/users", {"json": {"usernames": [f"a/{i}" for i in range(n)]}}),
    "members": lambda n: ("POST", "/hub/api/groups/staff/users", {"json": {"users": [f"u{i}" for i in range(n)]}}),
    "scopes": lambda n: (
        "POST",
        "/hub/api/users/alice/tokens",
        {"json": {"scopes": [f"read:users!user=u{i}" for i in range(n // 5)]}},
    ),
    "keys": lambda n: ("PUT", "/hub/api/groups/staff/properties", {"json": {f"a{i}": i for i in range(n)}}),
    "fields of a form": lambda n: ("POST", "/hub/login", {"data": {f"a{i}": "1" for i in range(n // 10)}}),
}


@pytest.mark.parametrize("name", LISTS)
def test_the_work_of_a_list_grows_no_faster_than_the_list(filled, name):
    def asked(n):
        method, path, how = LISTS[name](n)
        if path.startswith("/hub/api"):
            how["headers"] = how.get("headers", {}) | {"Authorization": f"token {An.ADMIN_TOKEN}"}
            return lambda: filled.client.request(method, path, **how)
        browser = filled.browser("alice" if "spawn" in path else None)
        return lambda: browser.request(method, path, **how)

    asked(3)()  # what only the first request does
    base, once, four_times = (steps_of(asked(n)) for n in (10, 400, 1600))
    assert four_times - base < 6 * (once - base) + 2000


def test_many_groups_of_many_members_are_not_added_at_once(filled):
    admin = filled.as_token(An.ADMIN_TOKEN)
    body = {"groups": [f"many{number}" for number in range(200)], "users": [f"none{number}" for number in range(101)]}
    refused = admin.post("/groups", body)
    assert refused.status_code == 400
    assert "add fewer groups at once" in refused.json()["message"]
    assert "No such user" in admin.post("/groups", body | {"users": ["none"] * 100}).json()["message"]
