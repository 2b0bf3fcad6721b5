"""A school's hub for tests of pages that add people: users with passwords, and a helper with few rights."""

from tests.api.hub import build_hub

WORDS = "a kettle of violets"
SCHOOL = """
[hub]
name = "School"

[login]
kind = "password"
admins = ["boss"]

[[roles]]
name = "helpers"
scopes = ["admin-ui", "admin:users", "list:users", "groups!group=physics"]
users = ["helper"]

[[roles]]
name = "lab"
scopes = ["servers"]
groups = ["lab"]

[groups.physics]
[groups.lab]
"""


def a_school(folder, settings=SCHOOL, names=("boss", "helper", "tom")):
    """Return a hub in which the users of these names have passwords."""
    made = build_hub(folder, settings)
    for name in names:
        made.user(name, admin=name == "boss")
        made.hub.accounts.set_password(name, WORDS)
    return made


def log_in(hub, name, password=WORDS, **more):
    """Return a browser in which the user is logged in."""
    browser = hub.browser(**more)
    browser.get("/hub/login")
    assert browser.submit("/hub/login", username=name, password=password).status_code == 302
    return browser
