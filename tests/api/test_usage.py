"""Pages, files and addresses of usage."""

import csv
import io
from datetime import timedelta

import pytest

from hubless.domain.audit import Act, AuditQuery
from hubless.domain.metering import Metering
from hubless.domain.usage import Usage
from hubless.domain.users import Group
from tests.api.hub import An, build_hub

ROLES = """
[hub]
currency = "EUR "
[login]
kind = "shared-password"
password = "a long password"
admins = ["root"]
shared_password_opens_admins = true
[[services]]
name = "admin"
token = "admin-service-token-0123456789"
admin = true
[[services]]
name = "finance"
token = "finance-service-token-0123456789"
[[roles]]
name = "finance"
scopes = ["read:servers"]
services = ["finance"]
"""
SIZE = Metering(2000, 4096, 0, 500_000, "EUR ", ("=physics",))


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    made = build_hub(tmp_path_factory.mktemp("hub"), ROLES)
    alice = made.user("alice")
    made.user("bob")
    made.hub.groups.create(Group("g1", "=physics", users=("alice",)))
    made.now = made.hub.clock.now().replace(day=15, hour=12, minute=0, second=0, microsecond=0)
    made.month = f"{made.now:%Y-%m}"
    for number, (owner, hours) in enumerate(((alice.id, 10), (alice.id, 2), ("u-gone", 3))):
        made.hub.usage.add(
            Usage(f"l{number}", "s1", owner, "lab", made.now - timedelta(hours=hours), made.now, "stopped", SIZE)
        )
    yield made
    made.close()


def rows(answer):
    return {row["name"]: (row["hours"], row["cost"]) for row in answer.json()["rows"]}


def test_the_api_has_the_totals_of_a_month(hub):
    admin = hub.as_token(An.ADMIN_TOKEN)
    answer = admin.get(f"/usage?month={hub.month}")
    assert rows(answer) == {"alice": (12, "6.000000"), "": (3, "1.500000")}
    assert (answer.json()["currency"], answer.json()["by"]) == ("EUR ", "user")
    assert rows(admin.get(f"/usage?month={hub.month}&by=hub")) == {"": (15, "7.500000")}
    assert rows(admin.get(f"/usage?month={hub.month}&by=profile")) == {"lab": (15, "7.500000")}
    assert rows(admin.get("/usage?month=2019-01&by=group")) == {}


def test_the_api_has_the_days_of_one(hub):
    admin = hub.as_token(An.ADMIN_TOKEN)
    days = admin.get(f"/usage/days?month={hub.month}&by=user&subject=alice").json()["days"]
    assert [(day["day"][-2:], day["hours"]) for day in days if day["hours"]] == [("15", 12)]
    assert len(days) >= 28
    whole = admin.get(f"/usage/days?month={hub.month}").json()["days"]
    assert sum(day["hours"] for day in whole) == 15
    removed = admin.get(f"/usage/days?month={hub.month}&by=user&subject=u-gone").json()["days"]
    assert sum(day["hours"] for day in removed) == 3


@pytest.mark.parametrize("query", ["month=2026-13", "month=nov", "by=planet", "format=xml", f"month={'9' * 5000}"])
def test_a_query_that_means_nothing_is_refused(hub, query):
    admin, root = hub.as_token(An.ADMIN_TOKEN), hub.browser("root")
    assert admin.get(f"/usage?{query}").status_code == 400
    assert root.get(f"/hub/admin/usage?{query}").status_code == 400
    if "by" not in query:
        assert admin.get(f"/users/alice/usage?{query}").status_code == 400
        assert hub.browser("alice").get(f"/hub/usage?{query}").status_code == 400


def test_names_of_groups_need_their_own_scope(hub):
    finance = hub.as_token("finance-service-token-0123456789")
    assert finance.get("/usage").status_code == 200
    for refused in ("/usage?by=group", "/usage/days?by=group&subject=physics"):
        assert "list:groups" in finance.get(refused).json()["message"]


def test_people_read_their_own_usage_only(hub):
    alice = hub.as_user("alice")
    days = alice.get(f"/users/alice/usage?month={hub.month}").json()["days"]
    assert sum(day["hours"] for day in days) == 12
    assert alice.get("/usage").status_code == 403
    assert alice.get("/usage/days").status_code == 403
    assert alice.get("/users/bob/usage").status_code == 404
    assert hub.browser("alice").get("/hub/admin/usage").status_code == 403


def test_a_file_holds_no_formulas(hub):
    answer = hub.browser("root").get(f"/hub/admin/usage?month={hub.month}&by=group&format=csv")
    assert answer.headers["content-disposition"] == f'attachment; filename="usage-{hub.month}-group.csv"'
    found = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(row["name"], row["hours"], row["cost"], row["currency"]) for row in found] == [
        ("'=physics", "15.0", "7.5000", "EUR ")
    ]


def test_an_admin_sees_who_used_what(hub):
    root = hub.browser("root")
    page = root.get(f"/hub/admin/usage?month={hub.month}").text
    for shown in ("alice", "A removed user", "EUR 7.50", "15.0", "Groups", "<svg", "Table of days", "month="):
        assert shown in page
    one = root.get(f"/hub/admin/usage?month={hub.month}&by=user&of=alice").text
    assert "EUR 6.00" in one
    assert "Show the whole hub" in one
    assert "Later month" in root.get("/hub/admin/usage?month=2024-02").text
    assert 'href="/hub/admin/usage"' in root.get("/hub/admin").text


def test_everybody_sees_what_their_servers_used(hub):
    page = hub.browser("alice").get(f"/hub/usage?month={hub.month}").text
    assert "EUR 6.00" in page
    assert "12.0" in page
    assert "No server ran in this month." in hub.browser("bob").get("/hub/usage").text
    file = hub.browser("alice").get(f"/hub/usage?month={hub.month}&format=json")
    assert sum(day["hours"] for day in file.json()["days"]) == 12
    assert file.headers["content-disposition"].endswith(f'-{hub.month}.json"')


BUDGETS = """
[[budgets]]
name = "one"
servers = 1
[[budgets]]
name = "term"
user = "bob"
hours = 0.1
"""


def test_a_start_beyond_a_budget_is_refused_with_a_sentence(tmp_path):
    made = build_hub(tmp_path, ROLES + BUDGETS)
    made.user("alice")
    made.user("bob")
    bob = made.as_user("bob")
    refused = bob.post("/users/bob/server")
    assert refused.status_code == 403
    assert refused.json()["message"].startswith("The budget term of this month does not last for one server more")
    assert made.as_user("alice").post("/users/alice/server").status_code == 202
    made.user("carol")
    full = made.as_user("carol").post("/users/carol/server")
    assert (full.status_code, int(full.headers["Retry-After"]) > 0) == (429, True)
    assert "allows 1 server at once" in full.json()["message"]


def test_home_tells_of_a_budget_that_is_nearly_used_up(tmp_path):
    made = build_hub(tmp_path, ROLES + BUDGETS.replace("0.1", "10"))
    bob = made.user("bob")
    made.user("alice")
    now = made.hub.clock.now()
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    made.hub.usage.add(Usage("l1", "s1", bob.id, "lab", first, first + timedelta(hours=9), "stopped", SIZE))
    page = made.browser("bob").get("/hub/home").text
    assert "9.0 of 10 hours of the budget term are used in this month." in page
    assert "budget" not in made.browser("alice").get("/hub/home").text


def test_an_admin_sets_and_removes_budgets_on_a_page(tmp_path):
    made = build_hub(tmp_path, ROLES + BUDGETS)
    made.user("alice")
    root = made.browser("root")
    assert "0 of 1 server" in root.get("/hub/admin/budgets").text
    done = root.submit("/hub/admin/budgets", name="physics", group="physics", hours="40,5", servers="3", each="1")
    assert (done.status_code, done.headers["location"]) == (303, "/hub/admin/budgets")
    page = root.get("/hub/admin/budgets").text
    for shown in ("The budget physics counts from now on.", "Each member of physics", "40.5 hours", "3 servers"):
        assert shown in page
    assert made.hub.budgets.all()[-1].seconds == 145_800
    for fields in ({"name": "x"}, {"name": "x", "hours": "many"}, {"name": "one", "servers": "2"}, {"hours": "9" * 20}):
        refused = root.submit("/hub/admin/budgets", **fields)
        assert refused.status_code == 400
    assert 'value="many"' in root.submit("/hub/admin/budgets", name="x", hours="many").text
    assert root.submit("/hub/admin/budgets/remove", name="physics").status_code == 303
    assert root.submit("/hub/admin/budgets/remove", name="physics").status_code == 404
    now = made.hub.clock.now()
    everything = AuditQuery(now - timedelta(days=1), now + timedelta(days=1))
    acts = [one.act for one in made.hub.auditing.page(everything, limit=20).records]
    assert {Act.BUDGET_SET, Act.BUDGET_REMOVED} <= set(acts)
    assert made.browser("alice").get("/hub/admin/budgets").status_code == 403


def test_a_program_sets_reads_and_removes_budgets(tmp_path):
    made = build_hub(tmp_path, ROLES + BUDGETS)
    bob = made.user("bob")
    made.hub.groups.create(Group("g1", "=physics", users=("bob",)))
    now = made.hub.clock.now()
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    made.hub.usage.add(Usage("l1", "s1", bob.id, "lab", first, first + timedelta(hours=9), "stopped", SIZE))
    admin = made.as_token(An.ADMIN_TOKEN)
    created = admin.put("/budgets/lab", {"group": "=physics", "hours": 40.5, "money": 100, "cpus": 2.5})
    assert created.status_code == 201
    assert created.json() == {
        "name": "lab",
        "group": "=physics",
        "user": "",
        "each_user": False,
        "period": "month",
        "hours": 40.5,
        "money": 100.0,
        "servers": None,
        "cpus": 2.5,
        "used": {"hours": 9.0, "money": 4.5, "servers": None, "cpus": 0.0},
        "left": {"hours": 31.5, "money": 95.5, "servers": None, "cpus": 2.5},
        "currency": "EUR ",
        "from_settings": False,
    }
    replaced = admin.put("/budgets/lab", {"user": "bob", "hours": 4, "period": "total"})
    assert (replaced.status_code, replaced.json()["group"], replaced.json()["left"]["hours"]) == (200, "", 0)
    assert admin.get("/budgets/lab").json() == replaced.json()
    each = admin.put("/budgets/each", {"each_user": True, "servers": 2}).json()
    assert (each["servers"], each["used"], each["left"]) == (2, None, None)
    fixed = {one.name for one in made.hub.settings.budgets}
    listed = {one["name"]: one["from_settings"] for one in admin.get("/budgets").json()}
    assert listed == dict.fromkeys(fixed, True) | {"each": False, "lab": False}
    assert admin.put(f"/budgets/{min(fixed)}", {"servers": 9}).status_code == 400
    assert admin.delete(f"/budgets/{min(fixed)}").status_code == 400
    assert admin.delete("/budgets/lab").status_code == 204
    assert [admin.delete("/budgets/lab").status_code, admin.get("/budgets/lab").status_code] == [404, 404]
    query = AuditQuery(now - timedelta(days=1), now + timedelta(days=1), act=Act.BUDGET_SET)
    acts = [(one.by.name, one.on) for one in made.hub.auditing.page(query, limit=20).records]
    assert acts == [("admin", "each"), ("admin", "lab"), ("admin", "lab")]
    made.close()


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"hours": -1},
        {"hours": "40"},
        {"money": 1e10},
        {"servers": 1.5},
        {"servers": 1, "user": "bob", "group": "physics"},
        {"servers": 1, "period": "week"},
        {"servers": 1, "group": "g" * 300},
        {"servers": 1, "unknown": 1},
    ],
)
def test_a_budget_that_is_wrong_is_refused(hub, wrong):
    assert hub.as_token(An.ADMIN_TOKEN).put("/budgets/x", wrong).status_code == 400
    assert hub.hub.budgets.all() == []


def test_only_who_manages_all_servers_reads_and_sets_budgets(hub):
    for program in (hub.as_user("alice"), hub.as_token("finance-service-token-0123456789")):
        answers = [program.get("/budgets"), program.get("/budgets/x"), program.put("/budgets/x", {"servers": 1})]
        assert [answer.status_code for answer in (*answers, program.delete("/budgets/x"))] == [403] * 4
    assert hub.hub.budgets.all() == []
