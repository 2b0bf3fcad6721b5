"""What the hub may tell each page: `PAGES` maps a sample's name to its template and context."""

from datetime import UTC, datetime
from urllib.parse import quote

from markupsafe import Markup

from functions.api.admin_pages import admin_pages
from functions.api.bar_charts import bar_chart
from functions.api.error_handlers import CHANGED_MEANWHILE
from functions.api.linked_text import linked
from functions.api.markdown_text import markdown
from functions.api.pages.admin_filter import COLUMNS, FILTERS, IDLE_HOURS, SIZES
from functions.api.pages.people import LABELS
from functions.api.pages.spawn_form import profile_views
from functions.api.qr_codes import qr_code
from functions.api.themes import Look
from hubless.domain.browsers import browser_in_words, program_in_words
from hubless.domain.limits import Resource
from hubless.domain.profile_options import (
    Changes,
    Choice,
    ChoiceOption,
    FileOption,
    NumberOption,
    SwitchOption,
    TextOption,
    Unlisted,
)
from hubless.domain.profiles import Profile
from hubless.domain.scopes import ADMIN_ROLE, Bearer, expand
from hubless.domain.users import User

WAS = "2026-03-14T09:26:53.589793Z"
TAIL = [
    "[I 2026-03-14 09:26:51.010 ServerApp] jupyterlab | extension was successfully loaded.",
    "Traceback (most recent call last):",
    '  File "/opt/site/startup.py", line 3, in <module>',
    "    import pandas",
    "ModuleNotFoundError: No module named 'pandas'",
]


class Person:
    def __init__(self, name, admin=False):
        self.name, self.admin = name, admin


ALICE, ROOT = Person("alice"), Person("ada", admin=True)


NO_LOOK = Look("", "", "", "", "", Markup())
A_LOOK = Look(
    "/hub/static/theme/logo.svg?v=1",
    "/hub/static/theme/logo_dark.svg?v=1",
    "/hub/static/theme/favicon.png?v=1",
    "image/png",
    "/hub/static/theme/colors.css?v=1",
    markdown("University of Wherever · [Privacy](/services/privacy/)"),
)


ADMIN_PAGES = admin_pages(expand(ADMIN_ROLE, Bearer("ada")))


def frame(user=None, **changes):
    """What every page gets."""
    facts = {
        "hub_name": "hubless",
        "user": user,
        "may_admin": bool(user and user.admin),
        "admin_pages": ADMIN_PAGES if user and user.admin else [],
        "xsrf": "2|token|of|the|form",
        "language": "en",
        "languages": {"de": "Deutsch", "en": "English"},
        "theme": "",
        "flash": None,
        "answers_form": False,
        "hub_announcement": "",
        "hub_announcements": [],
        "hub_maintenance": None,
        "unread_messages": 0,
        "look": NO_LOOK,
        "help_url": "/services/help/" if user else "",
        "hub_contact": "it@example.org" if user else "",
        "base_url": "/hub/",
        "static_url": lambda path: f"/hub/static/{path}?v=1",
        "version": "6.1.1",
        "services": [{"name": "grades", "url": "/services/grades/"}] if user else [],
    }
    return facts | changes


def load(**changes):
    """What a running server uses, measured so long ago that pages say when."""
    return {"memory": "512 MiB", "limit": "2 GiB", "cpus": "0.4", "measured": WAS} | changes


def server(name="", state="stopped", owner="alice", **changes):
    where = quote(owner) + (f"/{name}" if name else "")
    facts = {
        "name": name,
        "display_name": name or "Main server",
        "state": state,
        "url": f"/user/{where}/",
        "spawn_url": f"/hub/spawn/{where}",
        "stop_url": f"/hub/stop/{where}",
        "delete_url": f"/hub/delete/{where}",
        "share_url": f"/hub/share/{where}",
        "failure": None,
        "limits_reached": [],
        "frozen": None,
        "other_version": "",
        "chosen": [],
        "stopped_because": "You stopped this server" if state == "stopped" else "",
        "since": WAS,
        "version": "7",
        "next_stop": None,
        "may_keep": False,
        "times_kept": 0,
        "load": load(measured=None) if state == "ready" else None,
        "started": WAS if state == "ready" else None,
        "last_activity": WAS,
        "profile": "JupyterLab",
    }
    return facts | changes


FAILURE = {
    "code": "package",
    "what": "A part of the server's software is missing or does not work.",
    "todo": "Choose another server type, or tell an admin what you installed last.",
    "for_admin": "An import failed. Repair the environment or image; packages in the home come before its own.",
    "reason": "The server exited with code 1",
    "log_tail": TAIL,
    "had_started": False,
}
FAILED = {"failure": FAILURE}
UNKNOWN = {
    "failure": FAILURE
    | {"code": "", "what": "The server did not start.", "todo": "Its last lines may say why.", "for_admin": ""}
}
RAN = {"failure": FAILURE | {"code": "killed", "log_tail": [], "had_started": True}}

lti_choose_link = {"ticket": "facts.of.the.link", "action": "/hub/lti/deep-link", "error": "", "fields": {}}

login = {
    "next": "",
    "username": "",
    "error": None,
    "announcement": None,
    "sign_up": False,
    "resets_passwords": False,
    "action": "/hub/login",
    "passkey_options": "",
    "passkey_action": "/hub/passkey/login",
    "providers": [],
    "has_form": True,
    "heading": "",
    "intro": "",
}
PASSKEY = '{"challenge": "YQ", "rpId": "hub.example", "allowCredentials": []}'
second_factor = {
    "user_name": "ada",
    "has_app": True,
    "has_codes": True,
    "has_passkeys": True,
    "passkey_options": PASSKEY,
    "action": "/hub/second-factor?next=%2Fhub%2Ftoken",
    "is_login": True,
    "error": None,
}
add_factor = {
    "offer": "sealed",
    "secret": "ABCD EFGH IJKL MNOP QRST UVWX YZ23 4567",
    "qr_code": qr_code("otpauth://totp/hubless:ada?secret=ABCDEFGHIJKLMNOPQRSTUVWXYZ234567&issuer=hubless"),
    "passkey_options": PASSKEY,
    "why_no_passkeys": None,
    "longest_name": 64,
}
second_factor_setup = add_factor | {
    "error": None,
    "user_name": "ada",
    "app_action": "/hub/second-factor/app",
    "passkey_action": "/hub/second-factor/passkey",
}
second_factors = add_factor | {
    "action": "/hub/account/second-factors",
    "error": None,
    "message": None,
    "app_added": None,
    "passkeys": [],
    "recovery_codes": 0,
    "is_set_up": False,
    "is_demanded": False,
}
WITH_FACTORS = {
    "app_added": WAS,
    "passkeys": [
        {"id": "YQ", "name": "Phone", "added": WAS, "last_used": WAS, "rp_id": "hub.example"},
        {"id": "Yg", "name": "Key in the drawer", "added": WAS, "last_used": None, "rp_id": "hub.example"},
    ],
    "recovery_codes": 9,
    "is_set_up": True,
    "is_demanded": True,
}
recovery_codes = {"codes": ["0123-4567-89ab-cdef", "ghjk-mnpq-rstv-wxyz"] * 5, "following": "/hub/home"}
second_factors_reset = {
    "reset_by": "root",
    "reset_at": WAS,
    "action": "/hub/second-factors-reset",
    "contact": "help@example.org",
}
login_providers = [
    {"label": "Our SSO", "url": "/hub/oauth_login?provider=sso&next=%2Fhub%2Fhome"},
    {"label": "GitHub", "url": "/hub/oauth_login?provider=github"},
]
LONG_NAMES = [
    "Computing Centre of the University of Somewhere-upon-the-Water (students, staff and guests)",
    "Forschungsdateninfrastrukturverbundsanmeldungsdienst",
    "GitHub",
    "Research Federation: Authentication and Authorisation Infrastructure",
]
many_providers = [
    {"label": label, "url": f"/hub/oauth_login?provider=p{number}"} for number, label in enumerate(LONG_NAMES)
]
login_failed = {
    "message": "The login at Our SSO was cancelled, or Our SSO does not let you use this hub.",
    "contact": "Ask the help desk: help@example.org",
    "again": "/hub/login?next=%2Fhub%2Fhome",
}
set_password = {
    "has_logins": True,
    "user_name": "ada",
    "action": "/hub/set-password?key=k",
    "error": None,
    "minimum_length": 10,
}
email = {"address": "ada@example.org", "pending": "", "typed": "", "asks_for_password": False, "error": None}
change_password = {"asks_for_password": True, "error": None, "minimum_length": 8}

sign_up = {
    "username": "",
    "action": "/hub/sign-up",
    "error": None,
    "minimum_length": 10,
    "email": "",
    "code": "",
    "asks_for_email": False,
    "email_domains": (),
    "asks_for_code": False,
    "needs_code": False,
    "needs_approval": False,
}
a_message = {
    "id": "le1",
    "subject": "The exam is on Friday",
    "text": linked("Bring a pen & your card.\n\nRooms: https://example.org/rooms?day=friday&x=" + "y" * 90 + "."),
    "sent_by": "tina",
    "sent": WAS,
    "read": None,
    "is_put_away": False,
}
MANY_MESSAGES = [a_message | {"id": f"le{n}", "subject": one} for n, one in enumerate(["x" * 120, "Party", "Room"])]
home = {
    "default": None,
    "named": [],
    "named_limit": 5,
    "named_left": 5,
    "shared": [],
    "new_shares": [],
    "messages": [],
    "messages_shown": 2,
    "error": None,
    "home_notice": None,
    "keep_for": "1 hour",
    "needs": [],
    "named_shown": 8,
    "longest_name": 255,
    "refreshes": False,
    "changes_url": "",
    "may_share": True,
    "visits": [],
}
confirm_start = {
    "for_user": None,
    "server_name": "",
    "display_name": "",
    "options": [("profile", "small")],
    "action": "/hub/spawn/alice?next=%2Fuser%2Falice%2Flab",
}
OWNER = User("u1", "alice", datetime(2026, 3, 14, tzinfo=UTC))
OFFERED = {
    "small": Profile("small", "Small", "Notebooks and text.", memory_bytes=2 * 2**30, cpus=1.0, price_per_hour=0.05),
    "large": Profile(
        "large",
        "Large",
        "For **models** and large tables; [ask first](/hub/home) when you need it for more than a day.",
        memory_bytes=16 * 2**30,
        cpus=3.5,
        gpus=1,
        picture="large.png",
        options=(
            ChoiceOption(
                "image",
                (
                    Choice("this", "This term", "Python 3.13", changes=Changes(price_per_hour=1.5)),
                    Choice("next", "Next term, which has much longer words than a phone is wide"),
                ),
                "Version",
                "What is *installed*.",
                Unlisted("Another image", "lab:.+", Changes(image="{value}")),
            ),
            NumberOption("memory", 1, 64, 16, "Memory", unit="GiB"),
            TextOption("branch", "Branch", "The branch of the course's repository.", "main"),
            SwitchOption("debug", "Write a long log", "If an admin asks you for it."),
            FileOption("packages", "Packages", "A list, one a line.", ".txt"),
        ),
    ),
    "bare": Profile("bare"),
}


def offered(options, profiles=OFFERED):
    return profile_views(profiles, options, OWNER, held=frozenset(Resource), currency="$")


HOME_SIZE = {
    "size": "1.5 GiB",
    "limit": "",
    "is_over": False,
    "is_nearly_full": False,
    "overrun": None,
    "measured": WAS,
}
spawn = {
    "for_user": None,
    "server_name": "",
    "display_name": "",
    "profiles": offered({}),
    "next": "",
    "action": "/hub/spawn/alice",
    "error": None,
    "wrong_option": "",
    "home_notice": HOME_SIZE,
}
LARGE_HOME = HOME_SIZE | {"size": "at least 12 GiB", "limit": "10 GiB", "is_over": True, "overrun": "30 minutes"}
SOON = {"at": WAS, "why": "A server that nobody uses for 1 hour is stopped."}
REACHED = [
    {"resource": "memory", "limit": "memory limit of 1 GiB", "count": 2, "at": WAS},
    {"resource": "processes", "limit": "limit of 1024 processes and threads", "count": 40, "at": WAS},
]
spawn_pending = {
    "server_name": "",
    "for_user": None,
    "progress": 30,
    "place": "",
    "asked_at": WAS,
    "steps": [
        ("Waiting for a free slot", "3 seconds"),
        ("Launching the server", ""),
        ("Waiting for Jupyter to answer", ""),
        ("Opening the way to the server", ""),
    ],
    "current": 1,
    "seconds": 12.5,
    "is_late": False,
    "usually": "about 40 seconds",
    "progress_url": "/hub/api/users/alice/server/progress?_xsrf=2%7Ctoken",
    "next_url": "/user/alice/lab?a=1&b=2",
    "stop_url": "/hub/stop/alice",
}
full = {
    "server_name": "",
    "for_user": None,
    "is_full": True,
    "ahead": 3,
    "leave_url": "/hub/stop-waiting/alice",
    "message": "The hub is full right now. Try again in a few minutes.",
    "seconds": 20,
    "url": "/hub/spawn/alice?opt-profile=small",
}
unreached = {"frozen": None, "last_activity": WAS, "stop_url": "", "seconds": 5}
not_running = {
    "server_name": "",
    "for_user": None,
    "url": "/user/alice/",
    "failure": None,
    "spawn_url": "/hub/spawn/alice?next=%2Fuser%2Falice%2Flab",
    "can_start": True,
    "implicit": False,
}


def part(*rows, offset=0, total=0, newer_url=None, older_url=None):
    """Return one part of a list."""
    return {
        "rows": list(rows),
        "offset": offset,
        "total": total or len(rows),
        "newer_url": newer_url,
        "older_url": older_url,
    }


THIS_BROWSER = {
    "id": "s1",
    "browser": browser_in_words("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    "address": "2001:db8:1234:5678:9abc:def0:1234:5678",
    "created": WAS,
    "is_this": True,
}
OWN_CHOICES = [
    {"scope": "read:users!user", "words": "See your name, your groups and when you were active."},
    {"scope": "servers!user", "words": "Start and stop your servers."},
]
token = {
    "tokens": part(),
    "server_tokens": part(),
    "applications": part(),
    "new_token": None,
    "own_choices": OWN_CHOICES,
    "other_choices": [],
    "first_day": "2026-03-14",
    "last_day": "",
    "chosen_day": "2026-04-13",
    "form_id": "1773480413.0123456789abcdef0123456789abcdef",
    "note": "",
    "is_narrow": False,
    "chosen": [],
    "scopes": "",
    "error": None,
}


def token_row(**changes):
    facts = {
        "id": "a1",
        "note": "Backup script",
        "is_whole": True,
        "scopes": [{"raw": "inherit", "words": "Everything that you may do."}],
        "created": WAS,
        "last_activity": WAS,
        "last_address": "192.0.2.7",
        "last_program": program_in_words("python-requests/2.32.3"),
        "expires_at": "2127-03-14T09:26:53.000000Z",
    }
    return facts | changes


NARROW_SCOPES = [
    {"raw": "read:users!user=alice", "words": "Read users. (alice)"},
    {"raw": "servers!user=alice", "words": "Start and stop servers. (alice)"},
    {"raw": "custom:gone", "words": ""},
]
token_full = token | {
    "tokens": part(
        token_row(is_whole=False, scopes=NARROW_SCOPES),
        token_row(id="a2", note="", last_activity=None, expires_at=None),
        token_row(id="a3", last_address=""),
        token_row(id="a4", last_program=""),
        token_row(id="a5", last_address="", last_program=""),
        offset=50,
        total=102,
        newer_url="/hub/token?offset=0#tokens",
        older_url="/hub/token?offset=100#tokens",
    ),
    "server_tokens": part(
        token_row(id="a3", note="Server at /user/alice/", is_whole=False, scopes=NARROW_SCOPES, expires_at=None)
    ),
    "applications": part(
        {
            "client_id": "jupyterhub-user-alice",
            "description": "Server at /user/alice/",
            "tokens": 2,
            "last_activity": WAS,
        },
        {"client_id": "service-grades", "description": "", "tokens": 1, "last_activity": None},
    ),
    "new_token": "c0ffee0123456789abcdef0123456789",
    "other_choices": [{"scope": "list:users", "words": "List users by name."}],
    "last_day": "2026-03-28",
    "chosen_day": "2026-03-28",
}
TOKEN_REFUSED = {
    "is_narrow": True,
    "note": "Backup",
    "chosen": ["servers!user"],
    "scopes": "no:scope",
    "other_choices": [{"scope": "list:users", "words": "List users by name."}],
    "error": "No such scope: 'no:scope'",
}
SESSIONS = part(
    THIS_BROWSER,
    {
        "id": "s2",
        "browser": browser_in_words(
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 "
            "Mobile/15E148 Safari/604.1"
        ),
        "address": "192.0.2.7",
        "created": WAS,
        "is_this": False,
    },
    {"id": "s3", "browser": "", "address": "", "created": WAS, "is_this": False},
    total=10,
    older_url="/hub/account?sessions=3#sessions",
)
admin = {
    "rows": [],
    "total": 0,
    "is_cut": False,
    "is_filtered": False,
    "table_url": "/hub/admin?group=physics",
    "fields": dict.fromkeys(FILTERS, ""),
    "order": "name",
    "limit": 50,
    "sizes": SIZES,
    "idle_hours": IDLE_HOURS,
    "all_columns": COLUMNS,
    "columns": ["groups", "last_activity", "files", "failure"],
    "sorts": {"name": "/hub/admin?sort=-name", "created": "/hub/admin?sort=created"},
    "here": "/hub/admin",
    "first_url": None,
    "previous_url": None,
    "next_url": None,
    "running": 0,
    "profiles": [],
    "error": None,
    "isolation": "sandbox",
    "can_set_passwords": True,
    "changes_groups": True,
    "sends_messages": True,
    "sign_ups": [],
    "keeps_files": True,
}


def in_table(owner, name="", state="stopped", **changes):
    """A server as the table of users shows it."""
    key, made = f"{owner}/{name}", server(name, state, owner)
    phases = {"launching": "spawn", "starting": "spawn", "stopping": "stop", "ready": "ready"}
    facts = {"key": key, "called": key, "phase": phases.get(state, ""), "may_start": True, "may_stop": True}
    measured = {"load": load() if state == "ready" else None}
    return made | facts | measured | {"profile": "", "started": None, "other_version": ""} | changes


def row(name, *servers, **changes):
    facts = {
        "name": name,
        "url": f"/hub/admin/users/{quote(name)}",
        "admin": False,
        "groups": [],
        "roles": [],
        "servers": list(servers),
        "profiles": ["Small"],
        "started": None,
        "failures": [one["failure"] for one in servers if one["failure"]],
        "files": "1.5 GiB",
        "files_are_over": False,
        "files_measured": WAS,
        "load_words": load(),
        "hours": "12.5",
        "cost": "$1.25",
        "last_activity": WAS,
        "sees_activity": True,
        "created": WAS,
    }
    return facts | changes


PEOPLE = [
    row("ada", in_table("ada"), admin=True),
    row(
        "alice",
        in_table("alice", state="ready", other_version="4.1.6"),
        in_table("alice", "dask", "starting"),
        in_table("alice", "old", "failed", **FAILED),
        groups=["physics", "first-year"],
        roles=["teachers"],
        files="at least 12 GiB",
        files_are_over=True,
        started=WAS,
    ),
    row("zoë o'neil@uni.example", last_activity=None, files=""),
    row("bob", in_table("bob", state="stopping"), admin=True, groups=["teachers"]),
]
admin_user = {
    "name": "alice",
    "is_own": False,
    "is_admin": False,
    "servers": [],
    "password_link": None,
    "error": None,
    "edit_url": lambda name, what: f"/hub/admin/users/{quote(name)}/{what}",
    "may": {"admin:users": True, "tokens": True, "delete:users": True},
    "may_make_admin": True,
    "note": {"text": "", "stored": "", "revision": 0, "max_text": 2000, "by": "", "written": None},
    "home_limit": None,
    "offers_factors": True,
    "links_logins": True,
    "can_set_passwords": True,
    "changes_groups": True,
    "message_url": "/hub/admin/selected?act=message&name=alice",
    "messages": [],
    "groups": [],
    "roles": ["user"],
    "created": WAS,
    "sees_activity": True,
    "last_activity": None,
    "files": "",
    "files_limit": "",
    "files_measured": None,
    "folder": "homes/u-0123456789abcdef",
    "launches": [],
    "sessions": [],
    "tokens": [],
    "counts": {"sessions": 0, "tokens": 0, "received": 0, "given": 0},
    "shares": {"received": [], "given": []},
}
admin_user_full = admin_user | {
    "is_admin": True,
    "home_limit": {"typed": "50G", "now": "50 GiB"},
    "note": {
        "text": "Writes the exam on paper.\nAsk Tina.",
        "stored": "Needs a large screen.",
        "revision": 3,
        "max_text": 2000,
        "by": "ada",
        "written": WAS,
    },
    "servers": PEOPLE[1]["servers"],
    "password_link": "https://hub.example/hub/set-password?key=0123456789abcdef",
    "messages": [MANY_MESSAGES[0], MANY_MESSAGES[1] | {"read": WAS, "is_put_away": True}],
    "groups": ["physics", "first-year"],
    "roles": ["teachers", "user"],
    "last_activity": WAS,
    "files": "1.5 GiB",
    "files_limit": "10 GiB",
    "files_measured": WAS,
    "launches": [
        {"profile": "Small", "started": WAS, "ended": WAS, "outcome": ""},
        {"profile": "Small", "started": WAS, "ended": WAS, "outcome": "The server exited with code 1"},
    ],
    "sessions": [{"browser": "Firefox on Linux", "address": "192.0.2.7", "created": WAS}],
    "tokens": [{"note": "backup", "created": WAS, "expires": WAS}, {"note": "", "created": WAS, "expires": None}],
    "counts": {"sessions": 1, "tokens": 2, "received": 1, "given": 30},
    "shares": {"received": [{"server": "bob", "to": "alice"}], "given": [{"server": "alice/dask", "to": "physics"}]},
}


def removed_files(name="", **changes):
    """Files of a removed user as their page shows them."""
    facts = {
        "name": name,
        "folder": f"/srv/hub/homes/u01m86ch3m0040g2081040g20{len(name)}",
        "removed": WAS,
        "size": "1.5 GiB",
        "task": "",
        "progress": 0,
        "failure": "",
        "url": "/hub/admin/files/u01m86ch3m0040g2081040g2081",
    }
    return facts | changes


REMOVED_FILES = [
    removed_files("maria"),
    removed_files(removed=None, size=""),
    removed_files("zoë o'neil@uni.example", task="delete", progress=12000),
    removed_files("bob", task="give"),
    removed_files("carl", failure="/home/anna is on another file system. Archive the files, and unpack them there."),
]
admin_ask = {
    "title": "Delete alice?",
    "words": "Nobody can undo it.",
    "button": "Delete alice",
    "action": "/hub/admin/users/alice/delete",
    "fields": [("admin", "1")],
    "back": "/hub/admin/users/alice",
}
admin_selected = {
    "title": "Stop servers",
    "asks": False,
    "has_begun": True,
    "chosen": (),
    "to_group": "",
    "total": 250,
    "done": 100,
    "failed": 0,
    "is_finished": False,
    "failures": [],
    "left_out": 0,
    "action": "/hub/admin/selected?sure=1",
    "fields": [("act", "stop"), ("whom", "all"), ("after", "=bob")],
    "back": "/hub/admin?state=ready",
}
people = {
    "has_passwords": True,
    "manages_groups": False,
    "may_make_admins": True,
    "days_offered": (1, 3, 7, 14, 30),
    "groups": "physics, 10b",
    "links": "new",
    "days": 7,
    "admin": False,
}
people_form = people | {"text": "", "error": None}


def line(name, **facts):
    fields = {"full_name": "", "email": "", "groups": ("10b",), "has_password": False, "is_known": False, "fault": ""}
    return {"line": 4, "name": name} | fields | facts


people_preview = people | {
    "action": "/hub/admin/people/0123456789abcdef0123456789abcdef",
    "error": None,
    "columns": [
        {"number": 1, "title": "Name", "example": "Müller", "kind": "last"},
        {"number": 2, "title": "", "example": "Anna", "kind": "first"},
        {"number": 3, "title": "Kennwort", "example": "", "kind": "password"},
    ],
    "is_sure": True,
    "labels": LABELS,
    "good": [
        line("anna.mueller", full_name="Anna Müller", email="anna.mueller@school.example"),
        line("bert", is_known=True),
        line("carl", has_password=True, groups=()),
    ],
    "bad": [],
    "box": "",
    "new_groups": ["10b"],
}
BAD_LINES = {
    "bad": [
        line("a/b", fault="Invalid username: 'a/b' has a slash"),
        line("x", line=17, fault="'x' is on line 3 already."),
    ],
    "box": "a/b;10b\nx;10b",
}
SECRET_LINK = "https://jupyter.school.example/hub/set-password?key=01ab23cd45ef67gh"


def added(name, **facts):
    return {
        "name": name,
        "full_name": "Anna Müller",
        "groups": ("10b",),
        "is_new": True,
        "is_lost": False,
        "link": SECRET_LINK,
    } | facts


people_added = people | {
    "place": "/hub/admin/people/0123456789abcdef0123456789abcdef",
    "rows": [
        added("anna.mueller"),
        added("bert", full_name="", is_new=False, link=""),
        added("carl", link=""),
        added("dora", is_lost=True, link=""),
    ],
    "number_new": 2,
    "only_links": False,
    "number_of_links": 1,
    "has_links": True,
    "all_links": f"anna.mueller\t{SECRET_LINK}",
    "until": WAS,
    "is_only_here": False,
    "address": "https://jupyter.school.example",
    "rest": "",
    "rest_columns": [],
}
people_links = {
    "error": None,
    "action": "/hub/admin/people/0123456789abcdef0123456789abcdef",
    "names": [f"user-{number:02}" for number in range(30)],
    "refused": [("boss", "boss may do more than you (admin:users): only an admin may do this")],
    "unknown": ["nobody"],
    "days": 7,
    "days_offered": (1, 3, 7, 14, 30),
}
NO_LINKS = {"error": "You may make a link for none of these users.", "names": []}
join_link = {
    "code": "ab12-cd34-ef56",
    "url": "https://jupyter.school.example/hub/sign-up?code=ab12-cd34-ef56",
    "sign_up": "https://jupyter.school.example/hub/sign-up",
    "group": "physics",
    "places": 30,
    "used": 12,
    "needs_approval": True,
    "made_by": "ada",
    "until": WAS,
    "show_url": "/hub/admin/join-links/j1",
    "end_url": "/hub/admin/join-links/j1/end",
}
join_links = {
    "error": None,
    "links": [],
    "manages_groups": False,
    "days_offered": (1, 7, 30),
    "most_places": 1000,
    "group": "",
    "days": "7",
    "places": "30",
    "needs_approval": False,
}
announcement_form = {
    "text": "",
    "kind": "info",
    "starts": "",
    "ends": "2026-11-30T18:00",
    "zone": "Europe/Berlin",
    "groups": "",
}
an_announcement = {
    "text": Markup("<p>The exams are on <em>Friday</em>.</p>"),
    "is_warning": False,
    "groups": [],
    "starts": "",
    "ends": WAS,
    "made_by": "ada",
    "edit_url": "/hub/admin/announcements/n1",
    "remove_url": "/hub/admin/announcements/n1/remove",
    "revision": 2,
}
messages_sent = {
    "messages": [one | {"reached": 30, "read": 7} for one in MANY_MESSAGES],
    "older_url": "/hub/admin/messages?before=le9",
    "newest_url": "/hub/admin/messages",
}
message_new = {
    "chosen": ("alice", "bob"),
    "total": 30,
    "action": "/hub/admin/selected",
    "fields": [("act", "message"), ("name", "alice"), ("name", "bob")],
    "draft": "le1",
    "filled": {"subject": "", "text": "", "mail": ""},
    "max_subject": 120,
    "max_text": 2000,
    "sends_mails": True,
    "back": "/hub/admin",
    "error": None,
}
announcements = {"announcements": [], "filled": announcement_form, "max_text": 2000, "error": None, "not_done": None}
maintenance_admin = {
    "is_on": False,
    "on_id": "",
    "by": "",
    "began": "",
    "active": 0,
    "filled": {"text": "", "ends": "", "zone": "UTC", "admins_start": "1"},
    "seen": "",
    "theirs": None,
    "max_text": 1000,
    "error": None,
    "not_done": None,
}
TOLD = {
    "hub_announcements": [
        {"id": "n1", "text": Markup("<p>The disk is <strong>nearly full</strong>.</p>"), "is_warning": True},
        {"id": "n2", "text": an_announcement["text"], "is_warning": False},
    ],
    "hub_maintenance": {"text": Markup("<p>New disks.</p>"), "until": WAS},
}
people_print = {
    "rows": [added(name) | {"code": qr_code(SECRET_LINK)} for name in ("anna.mueller", "bert")],
    "until": WAS,
    "address": "https://jupyter.school.example",
    "is_only_here": False,
    "back": "/hub/admin/people/0123456789abcdef0123456789abcdef",
}
admin_logins = {
    "name": "zoë o'neil@uni.example",
    "identities": [],
    "providers": [{"name": "campus", "label": LONG_NAMES[0]}, {"name": "github", "label": "GitHub"}],
    "action": "/hub/admin/users/zo%C3%AB%20o%27neil%40uni.example/logins",
    "chosen": "",
    "subject": "",
    "label": "",
    "error": None,
}
groups = {
    "groups": [],
    "search": "",
    "is_beginning": True,
    "first_url": None,
    "next_url": None,
    "follows_logins": False,
    "may_create": True,
    "name": "",
    "error": None,
}


def group_row(name, members=30, **changes):
    facts = {
        "name": name,
        "url": f"/hub/admin/groups/{quote(name)}",
        "sees_members": True,
        "members": members,
        "has_more": False,
        "roles": [],
        "profiles": [],
    }
    return facts | changes


FULL_GROUPS = {
    "groups": [
        group_row("physics", roles=["teacher-of-physics"], profiles=["Large", "GPU"]),
        group_row("einführung-in-die-höhere-mathematik-für-ingenieurinnen-2026", members=1),
        group_row("all", members=10_000, has_more=True),
        group_row("hidden", sees_members=False),
    ],
    "search": "h",
    "first_url": "/hub/admin/groups?q=h",
    "next_url": "/hub/admin/groups?q=h&after=hidden",
    "is_beginning": False,
}
group = {
    "name": "physics",
    "members": 3,
    "has_more": False,
    "rows": ["alice", "bob", "zoë.o'neil-with-a-long-name@students.example.org"],
    "search": "",
    "after": "",
    "first_url": None,
    "next_url": None,
    "is_long": False,
    "roles": [],
    "profiles": [],
    "choices": [],
    "join_codes": [],
    "join_links": [],
    "shared_servers": 0,
    "limits": [],
    "schedules": [],
    "schedules_url": "",
    "ways": {"message": "", "people": "", "budget": "", "usage": ""},
    "url": "/hub/admin/groups/physics",
    "groups_url": "/hub/admin/groups",
    "follows_logins": False,
    "course": None,
    "sees_members": True,
    "has_user_pages": True,
    "may_change": True,
    "may_change_members": True,
    "may_delete": True,
    "typed": "",
    "faults": [],
    "added": 0,
    "properties": "{}",
    "properties_version": "0123456789abcdef",
    "home_limit": None,
    "has_properties": False,
    "error": None,
    "error_of": "",
}
GIVES = {
    "roles": [
        {
            "name": "teacher-of-physics",
            "scopes": [
                {"raw": "list:users!group=physics", "words": "List users by name. (physics)"},
                {"raw": "custom:gone", "words": ""},
            ],
        }
    ],
    "profiles": ["Large"],
    "choices": [{"profile": "Small", "choice": "64 GB"}],
    "join_codes": ["physics-2026"],
    "join_links": [
        {"code": "ab12-cd34-ef56", "url": "/hub/admin/join-links/j1", "used": 12, "places": 30, "until": WAS}
    ],
    "shared_servers": 2,
    "limits": [
        {"budget": "physics", "is_each": True, "is_monthly": True, "at_once": True, "used": "0", "limit": "2 servers"},
        {"budget": "physics", "is_each": True, "is_monthly": True, "at_once": False, "used": "0", "limit": "9 hours"},
        {"budget": "term", "is_each": True, "is_monthly": False, "at_once": False, "used": "0", "limit": "$8.00"},
        {"budget": "all", "is_each": False, "is_monthly": True, "at_once": True, "used": "3", "limit": "9 CPUs"},
        {"budget": "all", "is_each": False, "is_monthly": True, "at_once": False, "used": "3.5", "limit": "9 hours"},
        {"budget": "sum", "is_each": False, "is_monthly": False, "at_once": False, "used": "$3", "limit": "$9.00"},
    ],
}
LESSON = {"day": "Monday", "date": "2026-11-30", "begins": "08:50", "ends": "10:30", "is_on": False}
LONG_GROUP = {
    "ways": {
        "message": "/hub/admin/selected?act=message&whom=all&group=physics",
        "people": "/hub/admin?group=physics",
        "budget": "/hub/admin/budgets?group=physics#set",
        "usage": "/hub/admin/usage?by=group&of=physics",
    },
    "schedules_url": "/hub/admin/schedules?group=physics#edit",
    "schedules": [{"name": "Physics lab", "next": LESSON}, {"name": "over", "next": []}],
    "has_more": True,
    "members": 10_000,
    "search": "a",
    "after": "u1",
    "first_url": "/hub/admin/groups/physics?q=a#members",
    "next_url": "/hub/admin/groups/physics?q=a&after=u2#members",
    "is_long": True,
    "course": {"title": "Physics I", "platform": "Moodle"},
    "properties": '{\n  "room": "B 12"\n}',
    "home_limit": {"typed": "", "now": "10 GiB"},
    "has_properties": True,
}
FAULTY = {
    "typed": "carol\nmäx",
    "faults": [
        {"typed": "carol", "why": "There is no user 'carol'"},
        {"typed": "mäx", "why": "There is no user 'mäx'"},
    ],
    "added": 28,
}
SCOPES = GIVES["roles"][0]["scopes"]


def holders(*names, more=0):
    return {"names": list(names), "more": more}


def role_row(name, **changes):
    facts = {
        "name": name,
        "description": "",
        "scopes": SCOPES,
        "default": "",
        "is_in_settings": True,
        "users": holders(),
        "groups": holders(),
        "on": holders(),
    }
    return facts | changes


ROLES = [
    role_row("user", description="What every user may do", default="user", is_in_settings=False),
    role_row("admin", description="What admins may do", default="admin", users=holders("ada")),
    role_row("server", default="server", is_in_settings=False, scopes=SCOPES[:1]),
    role_row(
        "teacher-of-einführung-in-die-höhere-mathematik",
        users=holders("tina", "zoë.o'neil-with-a-long-name@students.example.org", more=12),
        groups=holders("physics"),
        on=holders("grades"),
    ),
]


def service_row(name, **changes):
    facts = {
        "name": name,
        "from_settings": True,
        "reads": True,
        "reads_roles": True,
        "remove_url": None,
        "url": "",
        "address": "",
        "last_seen": None,
        "client_id": "",
        "asks": [],
        "asks_for_consent": True,
        "admin": False,
        "roles": [],
        "opened_by": [],
    }
    return facts | changes


SERVICES = [
    service_row(
        "grades",
        url="/services/grades/",
        address="http://10.0.0.7:8080/a/long/path/of/the/service/that/grades",
        last_seen=WAS,
        client_id="service-grades",
        asks=SCOPES,
        roles=GIVES["roles"],
        opened_by=["user", "admin"],
    ),
    service_row("culler", admin=True, roles=[{"name": "admin", "scopes": SCOPES}]),
    service_row("help", from_settings=False, client_id="service-help", asks_for_consent=False)
    | {"remove_url": "/hub/admin/services/help/remove"},
    {"name": "hidden", "from_settings": True, "reads": False, "reads_roles": False, "remove_url": None},
]
group_delete = {
    "name": "physics",
    "members": 30,
    "has_more": False,
    "action": "/hub/admin/groups/physics/delete",
    "url": "/hub/admin/groups/physics",
    "is_in_settings": False,
    "course": None,
    "roles": [],
    "profiles": [],
    "choices": [],
    "join_codes": [],
    "shared_servers": 0,
    "limits": [],
    "made_for_it": {"announcements": 0, "schedules": 0, "join_links": 0, "sign_ups": 0, "of_others_too": False},
    "error": None,
}
oauth = {
    "client_description": "Server at /user/alice/",
    "client_url": "/user/alice/oauth_callback",
    "scopes": [
        {
            "raw": "access:servers!server=alice/",
            "description": "Access notebook servers (server alice/)",
        },
        {"raw": "read:users:name!user", "description": "Read names of users (you)"},
        {"raw": "custom:grades:read", "description": ""},
    ],
    "scope_list": ["access:servers!server=alice/", "read:users:name!user"],
    "action": "/hub/api/oauth2/authorize?client_id=c&state=s",
    "for_owner": None,
}
error = {
    "status": 404,
    "title": "Not Found",
    "message": "There is nothing here.",
    "detail": "Check the address. What you look for may have been removed.",
    "correlation_id": None,
}

FULL_HOME = {
    "default": server(state="ready"),
    "named": [
        server("dask", "starting"),
        server("gpu", "failed", **FAILED),
        server("thesis", display_name="My thésis"),
        server("lab", "ready"),
        server("old", "stopping"),
    ],
    "named_left": 0,
    "error": "Invalid server name: 'X' must begin with a letter",
}

open_server = {
    "owner": "bob",
    "title": "Thesis",
    "is_shared": True,
    "is_offered": False,
    "scopes": [],
    "starts": False,
    "may_start": False,
    "is_starting": False,
    "is_running": True,
    "may_open": True,
    "action": "/hub/open/bob/thesis",
    "fields": [],
}
accept_share = open_server | {
    "is_shared": False,
    "is_offered": True,
    "action": "/hub/accept-share",
    "fields": [("code", "0123456789abcdef"), ("next", "")],
}
share = {
    "owner": "alice",
    "is_own": True,
    "title": "Thesis",
    "action": "/hub/share/alice/thesis",
    "shares": [],
    "more_shares": 0,
    "links": [],
    "others": [],
    "search": "",
    "found": [],
    "lets_start": True,
    "hours": {1: "1 hour", 168: "1 week"},
    "default_hours": 168,
    "uses": {0: "everybody who has it", 1: "1 person"},
    "error": None,
}
LINK = "https://hub.example.org/hub/accept-share?code=0123456789abcdef0123456789abcdef"
STARTS = {"starts": True, "may_change": True}
STARTS_NOT = {"starts": False, "may_change": True}
FULL_SHARE = {
    "shares": [
        {"id": "sh1", "user": "bob", "group": None, "since": WAS, "entered": WAS} | STARTS,
        {
            "id": "sh2",
            "user": "eve-with-a-long-name@students.example.org",
            "group": None,
            "since": WAS,
            "entered": None,
        }
        | STARTS_NOT,
        {"id": "sh3", "user": None, "group": "physics", "since": WAS, "entered": None} | STARTS | {"may_change": False},
    ],
    "more_shares": 3,
    "links": [
        {"id": "sc_1", "url": LINK, "expires": WAS, "used": 0, "max_uses": 5, "is_used_up": False, "starts": True},
        {"id": "sc_2", "url": LINK, "expires": WAS, "used": 1, "max_uses": 1, "is_used_up": True, "starts": False},
        {"id": "sc_3", "url": "", "expires": WAS, "used": 2, "max_uses": 0, "is_used_up": False, "starts": False},
    ],
    "others": [{"name": "carol", "at": WAS}],
    "search": "ph",
    "found": [
        {"kind": "group", "name": "physics", "has": True},
        {"kind": "user", "name": "phil", "has": False},
    ],
}
VISITS = [
    {"name": "ada", "server": "Thesis", "at": WAS},
    {"name": "ada", "server": "", "at": WAS},
]
SHARED = [
    {
        "owner": "bob",
        "title": "Thesis",
        "url": "/hub/open/bob/thesis",
        "state": "ready",
        "frozen": None,
        "through": "staff",
        "since": WAS,
        "is_news": True,
        "mark": "0123456789abcdef",
    },
    {
        "owner": "eve",
        "title": "",
        "url": "/hub/open/eve",
        "state": "stopped",
        "frozen": None,
        "through": None,
        "since": WAS,
        "is_news": True,
        "mark": "123456789abcdef0",
    },
]
account = {
    "identities": [
        {
            "issuer": "https://sso.example.org",
            "subject": "1001",
            "provider": "Campus",
            "label": "alice@example.org",
            "linked": WAS,
        }
    ],
    "providers": [{"name": "github", "label": "GitHub"}],
    "has_passwords": True,
    "sends_mail": True,
    "has_second_factors": True,
    "sessions": part(THIS_BROWSER),
    "received": part(),
    "given": part(),
    "error": None,
}


def share_row(**changes):
    facts = {
        "server_id": "s7",
        "owner": "eve",
        "server": "",
        "url": "/user/eve/",
        "user": None,
        "group": None,
        "created": WAS,
    }
    return facts | changes


MANY_IDENTITIES = {
    "identities": [
        {
            "issuer": "https://sso.example.org/realms/all",
            "subject": "f:8b1a9953-c461-1296-a827-abf8c47804d7:alice",
            "provider": LONG_NAMES[0],
            "label": "alice.bartholomew-featherstonehaugh@students.administration.somewhere.example",
            "linked": WAS,
        },
        {"issuer": "https://github.com", "subject": "1", "provider": "GitHub", "label": "alice", "linked": WAS},
        {
            "issuer": "https://login.example.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
            "subject": "A" * 43,
            "provider": "https://login.example.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
            "label": "A" * 43,
            "linked": WAS,
        },
    ],
    "providers": [{"name": f"p{number}", "label": label} for number, label in enumerate(LONG_NAMES)],
    "sessions": SESSIONS,
    "received": part(share_row(owner="bob"), share_row(server="Thesis", group="staff"), total=60, offset=0),
    "given": part(share_row(user="bob"), share_row(server="lab", group="staff")),
}

DAYS = [(f"2026-11-{day:02}", day % 7 * 3.5, f"{day % 7 * 3.5:.1f}") for day in range(1, 31)]
SUMS = {
    "launches": 12,
    "hours": "1234.5",
    "cpu_hours": "2469.0",
    "gb_hours": "4938.0",
    "gpu_hours": "",
    "cost": "$61.70",
}
usage = {
    "month": "2026-11",
    "month_name": "November 2026",
    "is_now": True,
    "earlier_url": "/hub/usage?month=2026-10",
    "later_url": None,
    "whole": SUMS | {"gpu_hours": "3.0"},
    "hours_chart": bar_chart(DAYS),
    "cost_chart": bar_chart([(day, amount / 20, f"${amount / 20:.2f}") for day, amount, _ in DAYS]),
    "days": [SUMS | {"day": day, "servers": "51.44"} for day, _, _ in DAYS if day != "2026-11-08"],
    "csv_url": "/hub/usage?month=2026-11&format=csv",
    "json_url": "/hub/usage?month=2026-11&format=json",
}
NO_USAGE = {"days": [], "cost_chart": None, "is_now": False, "later_url": "/hub/usage?month=2026-12"}
admin_audit = {
    "records": [
        {
            "at": WAS,
            "by": by,
            "kind": kind,
            "is_unknown": kind == "nobody",
            "words": words,
            "on": on,
            "address": address,
            "details": details,
            "count": count,
            "others": count // 10,
        }
        for by, kind, words, on, address, details, count in (
            ("ada", "user", "removed a user", "bob", "2001:db8::7", [], 1),
            ("", "nobody", "failed to log in", "ada", "203.0.113.9", [], 23),
            ("grader", "service", "made a token", "ada", "10.0.0.7", [("Token", "a01jd3"), ("As an admin", "")], 1),
            ("root", "operator", "made a password link", "a-very-long-name" * 4, "", [], 1),
            ("", "hub", "started with other settings", "", "", [("Tables of the settings", "hub, servers")], 1),
        )
    ],
    "search": dict.fromkeys(("by", "on", "act", "since", "until"), ""),
    "acts": [{"value": "login", "words": "logged in"}, {"value": "login-failed", "words": "failed to log in"}],
    "first_url": "/hub/admin/audit",
    "older_url": "/hub/admin/audit?before=1~r1",
    "file_url": "/hub/admin/audit/file",
    "kept_days": 365,
    "error": None,
}
LIMIT = {"used": "34.5", "limit": "40 hours", "share": 86.3, "is_nearly_used": True}
BUDGET = {"name": "physics", "group": "physics", "user": "", "is_each": False, "is_monthly": True, "is_fixed": False}
budgets = {
    "budgets": [
        BUDGET | {"limits": [LIMIT, {"used": "3", "limit": "30 servers", "share": 10, "is_nearly_used": False}]},
        BUDGET | {"name": "all", "group": "", "is_fixed": True, "is_monthly": False, "limits": [LIMIT]},
        BUDGET | {"name": "own", "is_each": True, "limits": [LIMIT | {"used": "", "is_nearly_used": False}]},
        BUDGET | {"name": "everybody", "group": "", "is_each": True, "limits": []},
        BUDGET | {"name": "zoë", "group": "", "user": "zoë", "limits": [LIMIT]},
    ],
    "currency": "$",
    "filled": dict.fromkeys(("name", "group", "user", "each", "period", "hours", "money", "servers", "cpus"), ""),
    "error": None,
}
SCHEDULE = {
    "name": "Physics lab",
    "version": 3,
    "groups": ("physics",),
    "profile": "Large",
    "lead": 10,
    "stops": True,
    "is_paused": False,
    "is_fixed": False,
    "zone": "Europe/Berlin",
    "next": [LESSON | {"is_on": True}, LESSON | {"date": "2026-12-07"}],
    "edit_url": "/hub/admin/schedules?edit=Physics+lab#edit",
}
schedules = {
    "schedules": [
        SCHEDULE,
        SCHEDULE | {"name": "of the settings", "is_fixed": True, "lead": 1, "profile": "", "stops": False},
        SCHEDULE | {"name": "a" * 64, "groups": ("physics", "b" * 100), "is_paused": True, "lead": 0, "next": [LESSON]},
        SCHEDULE | {"name": "over", "next": []},
    ],
    "edited": "",
    "theirs": None,
    "their_days": [],
    "filled": dict.fromkeys(("name", "groups", "date", "begins", "ends", "zone", "profile", "after", "version"), "")
    | {"lead": "10", "zone": "Europe/Berlin"},
    "days": [
        (day.lower(), day, day == "Monday")
        for day in ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    ],
    "groups": ["physics", "staff"],
    "profiles": [("small", "Small"), ("large", "Large")],
    "error": None,
    "not_done": None,
}
admin_usage = usage | {
    "by": "user",
    "of": "",
    "kinds": [
        {"name": name, "title": title, "url": f"/hub/admin/usage?month=2026-11&by={name}"}
        for name, title in (("user", "People"), ("group", "Groups"), ("profile", "Server types"))
    ],
    "whole_url": "/hub/admin/usage?month=2026-11&by=user",
    "rows": [
        SUMS | {"name": name, "url": f"/hub/admin/usage?of={number}", "share": 100 / (number + 1), "files": files}
        for number, (name, files) in enumerate((("alice", "3.1 GB"), ("a-very-long-name" * 3, ""), ("", "")))
    ],
    "hidden_rows": 1,
    "running": 2,
}

PAGES = {
    "account_with_many_logins": ("account.html", frame(ALICE) | account | MANY_IDENTITIES),
    "account": ("account.html", frame(ALICE, unread_messages=2) | account),
    "account_without_linked_logins": (
        "account.html",
        frame(ALICE) | account | {"identities": [], "error": "This is the only way in to this account."},
    ),
    "login": ("login.html", frame() | login),
    "login_refused": (
        "login.html",
        frame()
        | login
        | {"next": "/user/a/lab?x=1&y=2#z", "username": "alice", "error": "Invalid username or password."}
        | {"announcement": "The hub rests on Sunday from 8 to 9.", "sign_up": True, "resets_passwords": True},
    ),
    "login_with_a_theme": (
        "login.html",
        frame(look=A_LOOK)
        | login
        | {"heading": "Welcome to data science", "intro": markdown("Use your **university** account.\n\n- No VPN")},
    ),
    "home_with_a_theme": ("home.html", frame(ALICE, look=A_LOOK, theme="dark") | home | {"default": server()}),
    "login_passkey": ("login.html", frame() | login | {"passkey_options": PASSKEY}),
    "second_factor": ("second_factor.html", frame() | second_factor),
    "second_factor_wrong": ("second_factor.html", frame() | second_factor | {"error": "This code is not right."}),
    "second_factor_passkeys": (
        "second_factor.html",
        frame() | second_factor | {"has_app": False, "passkey_options": ""},
    ),
    "second_factor_confirm": ("second_factor.html", frame(ALICE) | second_factor | {"is_login": False}),
    "second_factor_setup": ("second_factor_setup.html", frame() | second_factor_setup),
    "second_factor_setup_without_passkeys": (
        "second_factor_setup.html",
        frame()
        | second_factor_setup
        | {"passkey_options": "", "why_no_passkeys": "Browsers take passkeys only over https.", "error": "Wrong"},
    ),
    "second_factors": ("second_factors.html", frame(ALICE) | second_factors),
    "second_factors_set_up": ("second_factors.html", frame(ALICE) | second_factors | WITH_FACTORS),
    "recovery_codes": ("recovery_codes.html", frame(ALICE) | recovery_codes),
    "second_factors_reset": ("second_factors_reset.html", frame(ALICE) | second_factors_reset),
    "log_in_again": (
        "log_in_again.html",
        frame(ALICE, again="/hub/login?next=%2Fhub%2Fhome&again=1", why="Only then."),
    ),
    "login_with_providers": ("login.html", frame() | login | {"providers": login_providers}),
    "login_at_providers_only": ("login.html", frame() | login | {"providers": login_providers, "has_form": False}),
    "login_with_many_providers": (
        "login.html",
        frame()
        | login
        | {"providers": many_providers, "passkey_options": PASSKEY, "sign_up": True, "resets_passwords": True}
        | {
            "username": "alice",
            "error": "Too many wrong guesses in this browser. Wait up to 15 minutes, then try again.",
        },
    ),
    "login_at_many_providers_only": (
        "login.html",
        frame() | login | {"providers": many_providers, "has_form": False, "error": "This form is invalid or expired."},
    ),
    "login_elsewhere_only": ("login.html", frame() | login | {"has_form": False}),
    "login_failed": ("login_failed.html", frame() | login_failed),
    "login_failed_for_a_user": ("login_failed.html", frame(ALICE) | login_failed | {"contact": ""}),
    "logged_out": ("logged_out.html", frame()),
    "denied": ("denied.html", frame() | {"message": "mallory is blocked on this hub.", "contact": "Ask in room 101."}),
    "plugin": ("plugin.html", frame() | {"title": "Log in", "main": Markup("<h1>Log in</h1>")}),
    "set_password": ("set_password.html", frame() | set_password),
    "set_password_refused": ("set_password.html", frame() | set_password | {"error": "The two passwords differ"}),
    "set_password_of_a_new_account": ("set_password.html", frame() | set_password | {"has_logins": False}),
    "forgot_password": ("forgot_password.html", frame() | {"error": None}),
    "forgot_password_too_often": ("forgot_password.html", frame() | {"error": "Too many links were asked for."}),
    "told": (
        "told.html",
        frame() | {"title": "Look at it", "words": "A mail comes.", "url": "/hub/login", "link": "Back"},
    ),
    "confirm": (
        "confirm.html",
        frame()
        | {
            "title": "Confirm it",
            "words": "This is an account.",
            "action": "/hub/email/confirm?key=k",
            "button": "Confirm",
        },
    ),
    "email": ("email.html", frame(ALICE) | email),
    "email_pending": (
        "email.html",
        frame(ALICE) | email | {"address": "", "pending": "a@example.org", "asks_for_password": True, "error": "Wrong"},
    ),
    "change_password": ("change_password.html", frame(ALICE) | change_password),
    "change_password_after_login": (
        "change_password.html",
        frame(ALICE) | change_password | {"asks_for_password": False, "error": "The two passwords differ"},
    ),
    "sign_up": ("sign_up.html", frame() | sign_up),
    "lti_new_window": ("lti_new_window.html", frame() | {"address": "/hub/lti/login?iss=x&login_hint=7", "why": ""}),
    "lti_new_window_without_cookies": (
        "lti_new_window.html",
        frame()
        | {"address": "/hub/lti/login?iss=x", "why": "Your browser keeps no cookies for the hub in this frame."},
    ),
    "lti_opening": ("lti_opening.html", frame() | {"address": "/hub/spawn"}),
    "lti_choose_link": ("lti_choose_link.html", frame() | lti_choose_link),
    "lti_choose_link_refused": (
        "lti_choose_link.html",
        frame()
        | lti_choose_link
        | {"error": "Enter the address of the repository.", "fields": {"kind": "repository", "title": "Week 1"}},
    ),
    "lti_add_link": (
        "lti_add_link.html",
        frame()
        | {"address": "https://lms.example.org/return", "token": "a.b.c", "title": "Week 1", "path": "/hub/spawn"},
    ),
    "lti_register": (
        "lti_register.html",
        frame()
        | {"host": "lms.example.org", "fields": {"key": "k", "openid_configuration": "https://lms.example.org/c"}},
    ),
    "lti_registered": ("lti_registered.html", frame() | {"name": "lms-example-org-cc4e50"}),
    "sign_up_with_all": (
        "sign_up.html",
        frame()
        | sign_up
        | {"asks_for_email": True, "email_domains": ["example.org"], "asks_for_code": True, "needs_approval": True},
    ),
    "sign_up_refused": (
        "sign_up.html",
        frame()
        | sign_up
        | {"asks_for_email": True, "email_domains": ["example.org", "example.com"], "asks_for_code": True}
        | {"username": "alice", "email": "a@example.net", "error": "This password is too easy to guess."},
    ),
    "sign_up_with_code": ("sign_up.html", frame() | sign_up | {"asks_for_code": True, "needs_code": True}),
    "home_first": ("home.html", frame(ALICE) | home),
    "home_full": ("home.html", frame(ROOT) | home | FULL_HOME),
    "home_needs": (
        "home.html",
        frame(
            ALICE,
            hub_announcement=Markup("<p>Closed on <strong>Friday</strong>. <a href='/hub/token'>More</a></p>"),
        )
        | home
        | {"messages": MANY_MESSAGES}
        | {"needs": [{"kind": "sign_ups", "count": 2}, {"kind": "token", "note": "backup script", "at": WAS}]}
        | {"named": [server("dask", state="failed", **FAILED)], "new_shares": SHARED * 3, "visits": VISITS}
        | {"default": server(state="ready", chosen=["Python: 3.13", "Memory: 8 GiB", "Course files"])},
    ),
    "home_many": (
        "home.html",
        frame(ALICE)
        | home
        | {"named": [server(f"project-{number}") for number in range(50)], "named_limit": 60, "named_left": 10},
    ),
    "home_soon": (
        "home.html",
        frame(ALICE)
        | home
        | {"default": server(state="ready", next_stop=SOON, may_keep=True)}
        | {
            "named": [server("dask", state="ready", next_stop=SOON), server("gpu", state="starting")],
            "refreshes": True,
        },
    ),
    "home_failed": ("home.html", frame(ALICE) | home | {"default": server(state="failed", **FAILED)}),
    "home_limits": (
        "home.html",
        frame(ALICE)
        | home
        | {"default": server(state="ready", limits_reached=REACHED), "home_notice": LARGE_HOME}
        | {"named": [server("dask", limits_reached=REACHED[:1])]},
    ),
    "home_frozen": (
        "home.html",
        frame(ALICE)
        | home
        | {"default": server(state="ready", frozen=WAS), "named": [server("dask", state="ready", frozen=WAS)]},
    ),
    "home_shared": ("home.html", frame(ALICE) | home | {"shared": SHARED}),
    "home_visited": ("home.html", frame(ALICE) | home | {"default": server(), "visits": VISITS}),
    "accept_share": ("open_server.html", frame(ALICE) | accept_share),
    "accept_share_default": ("open_server.html", frame(ALICE) | accept_share | {"title": "", "is_running": False}),
    "accept_share_scopes": (
        "open_server.html",
        frame(ALICE) | accept_share | {"scopes": [{"raw": "delete:servers", "description": "Stop servers."}]},
    ),
    "open_server": ("open_server.html", frame(ALICE) | open_server),
    "open_server_stopped": (
        "open_server.html",
        frame(ALICE) | open_server | {"title": "", "is_running": False, "may_open": False},
    ),
    "open_server_starting": (
        "open_server.html",
        frame(ALICE) | open_server | {"is_running": False, "is_starting": True, "may_open": False},
    ),
    "open_server_starts": (
        "open_server.html",
        frame(ALICE) | open_server | {"is_running": False, "starts": True, "may_start": True},
    ),
    "accept_share_starts": (
        "open_server.html",
        frame(ALICE) | accept_share | {"is_running": False, "starts": True, "may_start": True},
    ),
    "open_server_admin": (
        "open_server.html",
        frame(ROOT) | open_server | {"is_shared": False, "is_running": False, "starts": True},
    ),
    "share": ("share.html", frame(ALICE) | share),
    "share_full": ("share.html", frame(ALICE) | share | FULL_SHARE),
    "share_nobody": (
        "share.html",
        frame(ALICE)
        | share
        | {"title": "", "search": "x", "error": "There is no user “x”. Is the name spelled right?"},
    ),
    "share_admin": ("share.html", frame(ROOT) | share | FULL_SHARE | {"is_own": False, "lets_start": False}),
    "share_admin_default": ("share.html", frame(ROOT) | share | {"is_own": False, "title": ""}),
    "home_nearly_full": (
        "home.html",
        frame(ALICE) | home | {"home_notice": LARGE_HOME | {"is_over": False, "is_nearly_full": True}},
    ),
    "home_measured": ("home.html", frame(ALICE) | home | {"home_notice": LARGE_HOME | {"is_over": False}}),
    "spawn_large_home": ("spawn.html", frame(ALICE) | spawn | {"home_notice": LARGE_HOME}),
    "home_plain": ("home.html", frame(ALICE) | home | {"default": server(), "named_limit": 0, "named_left": 0}),
    "spawn": ("spawn.html", frame(ALICE) | spawn),
    "confirm_start": ("confirm_start.html", frame(ALICE) | confirm_start),
    "confirm_start_other": (
        "confirm_start.html",
        frame(ALICE) | confirm_start | {"for_user": "bob", "options": [], "server_name": "lab"},
    ),
    "spawn_other": (
        "spawn.html",
        frame(ROOT)
        | spawn
        | {
            "for_user": "alice",
            "server_name": "dask",
            "display_name": "Dask",
            "next": "/user/alice/dask/lab?a=1",
            "profiles": offered({"profile": "large", "memory": 99, "packages": {"name": "mine.txt"}}),
            "error": "Memory cannot be 99: it must be a number from 1 to 64",
            "wrong_option": "memory",
            "home_notice": None,
        },
    ),
    "spawn_one_profile": (
        "spawn.html",
        frame(ALICE) | spawn | {"profiles": offered({}, {"large": OFFERED["large"]})},
    ),
    "spawn_nothing_offered": ("spawn.html", frame(ALICE) | spawn | {"profiles": []}),
    "spawn_pending": ("spawn_pending.html", frame(ALICE) | spawn_pending),
    "spawn_pending_queued": (
        "spawn_pending.html",
        frame(ROOT)
        | spawn_pending
        | {"for_user": "alice", "server_name": "dask", "current": 0, "place": "12 servers are ahead of this one"},
    ),
    "spawn_pending_held": (
        "spawn_pending.html",
        frame(ALICE) | spawn_pending | {"current": 0, "place": "Waiting for free memory on the hub's machine"},
    ),
    "spawn_pending_late": ("spawn_pending.html", frame(ALICE) | spawn_pending | {"is_late": True, "asked_at": None}),
    "full": ("full.html", frame(ALICE) | full),
    "full_next": ("full.html", frame(ALICE) | full | {"ahead": 0}),
    "full_crowded": ("full.html", frame(ALICE) | full | {"ahead": None}),
    "full_throttled": (
        "full.html",
        frame(ROOT) | full | {"for_user": "alice", "server_name": "dask", "is_full": False, "message": "5 starts"},
    ),
    "stop_pending": ("stop_pending.html", frame(ALICE) | {"server_name": "dask"}),
    "unreached": (
        "unreached.html",
        frame(ALICE) | unreached | {"server_name": "", "edge_is_starting": False, "url": "/hub/user/alice/lab?a=1"},
    ),
    "unreached_frozen": (
        "unreached.html",
        frame(ALICE)
        | unreached
        | {"server_name": "", "edge_is_starting": False, "frozen": WAS, "stop_url": "/hub/stop/alice"}
        | {"url": "/hub/user/alice/lab?a=1"},
    ),
    "unreached_edge_is_starting": (
        "unreached.html",
        frame(ROOT)
        | unreached
        | {"for_user": "alice", "server_name": "dask", "edge_is_starting": True, "url": "/hub/user/alice/dask/"},
    ),
    "not_running": ("not_running.html", frame(ALICE) | not_running),
    "not_running_failed": ("not_running.html", frame(ALICE) | not_running | FAILED),
    "not_running_failed_admin": ("not_running.html", frame(ROOT) | not_running | FAILED | {"for_user": "alice"}),
    "not_running_unknown": ("not_running.html", frame(ALICE) | not_running | UNKNOWN),
    "not_running_ran": ("not_running.html", frame(ALICE) | not_running | RAN),
    "not_running_starts": ("not_running.html", frame(ALICE) | not_running | {"implicit": True}),
    "not_running_other": (
        "not_running.html",
        frame(ALICE) | not_running | {"for_user": "bob", "server_name": "dask", "can_start": False},
    ),
    "token_first": ("token.html", frame(ALICE) | token),
    "token_full": ("token.html", frame(ALICE) | token_full),
    "token_refused": ("token.html", frame(ALICE) | token | TOKEN_REFUSED),
    "admin_empty": (
        "admin.html",
        frame(ROOT)
        | admin
        | {"fields": admin["fields"] | {"name_filter": "x"}, "is_filtered": True}
        | {"error": "Invalid username: '' is empty"},
    ),
    "admin_cut": (
        "admin.html",
        frame(ROOT) | admin | {"total": None, "is_cut": True, "next_url": "/hub/admin?after=x"},
    ),
    "admin_full": (
        "admin.html",
        frame(ROOT, theme="dark", language="de", flash="2 added")
        | admin
        | {
            "rows": PEOPLE,
            "total": 254,
            "running": 12,
            "order": "-name",
            "fields": admin["fields"] | {"state": "ready", "idle": "24"},
            "profiles": [("small", "Small"), ("large", "Large")],
            "columns": list(COLUMNS),
            "first_url": "/hub/admin",
            "previous_url": "/hub/admin?before=b",
            "next_url": "/hub/admin?after=a&limit=50",
        },
    ),
    "roles": ("roles.html", frame(ROOT) | {"roles": ROLES}),
    "roles_of_nobody": ("roles.html", frame(ROOT) | {"roles": []}),
    "services": ("services.html", frame(ROOT) | {"listed": SERVICES, "error": None}),
    "services_empty": (
        "services.html",
        frame(ROOT) | {"listed": [], "error": "The service help is gone already."},
    ),
    "groups": ("groups.html", frame(ROOT) | groups | FULL_GROUPS),
    "groups_empty": ("groups.html", frame(ROOT) | groups),
    "groups_refused": (
        "groups.html",
        frame(ROOT) | groups | {"name": "a/b", "error": "Invalid group name: 'a/b' has a slash"},
    ),
    "groups_of_a_provider": (
        "groups.html",
        frame(ROOT) | groups | FULL_GROUPS | {"follows_logins": True, "may_create": False},
    ),
    "group": ("group.html", frame(ROOT) | group | GIVES),
    "group_long": ("group.html", frame(ROOT) | group | GIVES | LONG_GROUP),
    "group_with_faults": ("group.html", frame(ROOT) | group | FAULTY),
    "group_refused": (
        "group.html",
        frame(ROOT) | group | {"error": "Enter the usernames of the people to add.", "error_of": "add"},
    ),
    "group_refused_properties": (
        "group.html",
        frame(ROOT) | group | {"error": "The properties are not valid JSON: …", "error_of": "properties"},
    ),
    "group_that_one_only_reads": (
        "group.html",
        frame(ROOT)
        | group
        | LONG_GROUP
        | {"follows_logins": True, "may_change": False, "may_change_members": False, "may_delete": False},
    ),
    "group_refused_removal": (
        "group.html",
        frame(ROOT) | group | {"rows": [], "error": "Choose the members to remove."},
    ),
    "group_delete": (
        "group_delete.html",
        frame(ROOT)
        | group_delete
        | GIVES
        | {"is_in_settings": True, "course": {"title": "Physics I", "platform": "Moodle"}, "error": "Only an admin"}
        | {"made_for_it": {"announcements": 1, "schedules": 2, "join_links": 1, "sign_ups": 3, "of_others_too": True}},
    ),
    "join_links": ("join_links.html", frame(ROOT) | join_links),
    "join_links_refused": (
        "join_links.html",
        frame(ROOT)
        | join_links
        | {"links": [join_link, join_link | {"code": "xy12-cd34-ef56", "group": ""}], "needs_approval": True}
        | {"error": "A join link has 1 to 1000 places."},
    ),
    "messages": (
        "messages.html",
        frame(ALICE) | {"messages": [*MANY_MESSAGES, a_message | {"id": "le7", "read": WAS}]},
    ),
    "messages_sent": ("messages_sent.html", frame(ROOT) | messages_sent),
    "message_new_refused": (
        "message_new.html",
        frame(ROOT, theme="dark")
        | message_new
        | {"chosen": (), "total": None, "filled": {"subject": "Exam", "text": "At\nnine", "mail": "1"}}
        | {"error": "The subject must be one line, without control characters."},
    ),
    "announcements": ("announcements.html", frame(ROOT) | announcements),
    "announcements_refused": (
        "announcements.html",
        frame(ROOT)
        | announcements
        | {
            "announcements": [
                an_announcement,
                an_announcement | {"is_warning": True, "groups": LONG_NAMES, "starts": WAS},
            ],
            "filled": announcement_form | {"text": "Exams", "kind": "warning", "groups": "physics"},
            "error": "The end must come after the start.",
        },
    ),
    "announcement": (
        "announcement.html",
        frame(ROOT)
        | {"action": "/hub/admin/announcements/n1", "revision": 2, "filled": announcement_form}
        | {"max_text": 2000, "error": CHANGED_MEANWHILE}
        | {"theirs": announcement_form | {"text": "Exams\n\n- on Friday", "kind": "warning", "groups": "physics"}},
    ),
    "maintenance_admin": ("maintenance_admin.html", frame(ROOT) | maintenance_admin),
    "maintenance_admin_on": (
        "maintenance_admin.html",
        frame(ROOT, **TOLD)
        | maintenance_admin
        | {
            "is_on": True,
            "on_id": "m1",
            "by": "ada",
            "began": WAS,
            "active": 12,
            "seen": "m1",
            "error": CHANGED_MEANWHILE,
        }
        | {"theirs": {"text": "New disks", "ends": "2026-11-30T18:00", "zone": "UTC", "admins_start": ""}},
    ),
    "maintenance": (
        "maintenance.html",
        frame(ALICE, **TOLD)
        | {"message": "Nobody can start a server now: the hub is under maintenance.", "again": "/hub/spawn"},
    ),
    "maintenance_after_a_form": (
        "maintenance.html",
        frame(ALICE, hub_maintenance={"text": "", "until": None})
        | {"message": "Nobody can start a server now: the hub is under maintenance.", "again": ""},
    ),
    "join_link": (
        "join_link.html",
        frame(ROOT) | {"link": join_link, "qr_code": qr_code(join_link["url"]), "is_only_here": False},
    ),
    "join_link_here": (
        "join_link.html",
        frame(ROOT) | {"link": join_link, "qr_code": qr_code(join_link["url"]), "is_only_here": True},
    ),
    "people": ("people.html", frame(ROOT) | people_form),
    "people_refused": (
        "people.html",
        frame(ROOT) | people_form | {"text": "anna\nbert", "admin": True, "error": "Line 2 has more than 40 columns."},
    ),
    "people_without_passwords": (
        "people.html",
        frame(ROOT) | people_form | {"has_passwords": False, "manages_groups": True, "may_make_admins": False},
    ),
    "people_preview": ("people_preview.html", frame(ROOT) | people_preview),
    "people_preview_guessed": (
        "people_preview.html",
        frame(ROOT) | people_preview | BAD_LINES | {"is_sure": False, "admin": True, "error": "Nobody here"},
    ),
    "people_preview_bad": (
        "people_preview.html",
        frame(ROOT) | people_preview | BAD_LINES | {"good": [], "columns": [], "new_groups": []},
    ),
    "people_added": ("people_added.html", frame(ROOT) | people_added),
    "people_added_here": (
        "people_added.html",
        frame(ROOT) | people_added | {"is_only_here": True, "rest": "a/b", "rest_columns": ["user"], "admin": True},
    ),
    "people_added_without_links": (
        "people_added.html",
        frame(ROOT) | people_added | {"has_links": False, "rows": [added("carl", link="")], "number_new": 1},
    ),
    "people_added_links": (
        "people_added.html",
        frame(ROOT) | people_added | {"only_links": True, "rows": [added("anna.mueller", full_name="", is_new=False)]},
    ),
    "people_links": ("people_links.html", frame(ROOT) | people_links),
    "people_links_refused": ("people_links.html", frame(ROOT) | people_links | NO_LINKS),
    "people_print": ("people_print.html", frame(ROOT) | people_print),
    "people_print_here": ("people_print.html", frame(ROOT) | people_print | {"is_only_here": True}),
    "admin_user": ("admin_user.html", frame(ROOT) | admin_user),
    "admin_user_full": ("admin_user.html", frame(ROOT) | admin_user_full),
    "admin_user_own": ("admin_user.html", frame(ROOT) | admin_user | {"name": "ada", "is_own": True, "is_admin": True}),
    "removed_files": (
        "removed_files.html",
        frame(ROOT) | {"listed": REMOVED_FILES, "hidden": 2, "is_working": True},
    ),
    "removed_files_empty": ("removed_files.html", frame(ROOT) | {"listed": [], "hidden": 0, "is_working": False}),
    "removed_files_give": (
        "removed_files_give.html",
        frame(ROOT)
        | {"home": REMOVED_FILES[0], "typed": "anna", "error": "There is no user anna.", "back": "/hub/admin/files"},
    ),
    "admin_ask": ("admin_ask.html", frame(ROOT) | admin_ask),
    "admin_selected": ("admin_selected.html", frame(ROOT) | admin_selected),
    "admin_selected_asks": (
        "admin_selected.html",
        frame(ROOT) | admin_selected | {"title": "Delete users", "asks": True, "chosen": ("ada", "bob"), "total": 2},
    ),
    "admin_selected_done": (
        "admin_selected.html",
        frame(ROOT)
        | admin_selected
        | {"is_finished": True, "done": 250, "failed": 2, "left_out": 1, "failures": [("bob", "It is stopping")]},
    ),
    "admin_logins": ("admin_logins.html", frame(ROOT) | admin_logins),
    "admin_logins_refused": (
        "admin_logins.html",
        frame(ROOT)
        | admin_logins
        | {"identities": MANY_IDENTITIES["identities"], "chosen": "github", "subject": "1001", "label": "zoe"}
        | {"error": "This identity is linked to another user"},
    ),
    "schedules": ("schedules.html", frame(ROOT) | schedules),
    "schedules_edited": (
        "schedules.html",
        frame(ROOT, theme="dark")
        | schedules
        | {"edited": "Physics lab", "error": CHANGED_MEANWHILE}
        | {"theirs": schedules["filled"] | {"groups": "physics", "version": "3"}, "their_days": ["Monday", "Friday"]}
        | {"filled": schedules["filled"] | {"groups": "physics", "after": "leave", "profile": "large", "version": "3"}},
    ),
    "schedules_none": (
        "schedules.html",
        frame(ROOT) | schedules | {"schedules": [], "groups": [], "profiles": [], "error": None},
    ),
    "budgets": ("budgets.html", frame(ROOT) | budgets),
    "budgets_empty": (
        "budgets.html",
        frame(ROOT)
        | budgets
        | {"budgets": [], "error": "The budget limits nothing: give hours, money, servers or CPUs"},
    ),
    "usage": ("usage.html", frame(ALICE) | usage),
    "usage_empty": ("usage.html", frame(ALICE) | usage | NO_USAGE),
    "admin_audit": ("admin_audit.html", frame(ROOT) | admin_audit),
    "admin_audit_refused": (
        "admin_audit.html",
        frame(ROOT, theme="dark")
        | admin_audit
        | {"records": [], "search": admin_audit["search"] | {"by": "x"}, "error": "since must be a day"},
    ),
    "admin_usage": ("admin_usage.html", frame(ROOT) | admin_usage),
    "admin_usage_of_one": ("admin_usage.html", frame(ROOT, theme="dark") | admin_usage | {"of": "alice"}),
    "admin_usage_empty": (
        "admin_usage.html",
        frame(ROOT) | admin_usage | NO_USAGE | {"rows": [], "by": "group", "hidden_rows": 0},
    ),
    "oauth": ("oauth.html", frame(ALICE) | oauth),
    "oauth_other": ("oauth.html", frame(ROOT) | oauth | {"for_owner": "alice", "scopes": [], "client_url": ""}),
    "api_docs": ("api_docs.html", frame(ALICE)),
    "error": ("error.html", frame(ALICE) | error),
    "error_500": (
        "error.html",
        frame()
        | error
        | {
            "status": 500,
            "title": "Internal Server Error",
            "message": "Something went wrong in the hub.",
            "detail": "Try again. If it happens again, tell the people who run this hub.",
            "correlation_id": "4f9ac0de",
        },
    ),
}
