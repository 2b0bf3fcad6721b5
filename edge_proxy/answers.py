"""HAProxy's own answers: a page for a person, JSON of JupyterHub's shape for a program.

The configuration names an answer; HAProxy finds its text in one map, by the kind of client and that name.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path

PAGE, PROGRAM = "page", "program"  # what the client expects: a page for a person, or JSON for a program
CLEAR_COOKIES_PATH = "/hub/clear-cookies"  # HAProxy answers it itself: it must also work with too many cookies
MAX_HEADER_BYTES = 32_768  # of one request
NO_STORE = "hdr Cache-Control no-store"
_HTML = 'content-type "text/html; charset=utf-8"'
_HOME = '<a href="/hub/home">Go home</a>'
_FIRST_ERROR = 400
# The colours and sizes of the hub's pages (functions/api/static/style.css), which may not answer now.
_STYLE = (
    "<style>"
    ":root{color-scheme:light dark;--ground:#f6f7f9;--card:#fff;--ink:#1c2430;--soft:#5a6677;--line:#dde2e9;"
    "--accent:#1864ab;--on-accent:#fff}"
    "@media(prefers-color-scheme:dark){:root{--ground:#14181f;--card:#1d232c;--ink:#e7ebf1;--soft:#9fabba;"
    "--line:#333c49;--accent:#4dabf7;--on-accent:#08131f}}"
    "body{margin:0 auto;max-width:40rem;padding:8vh 1rem;background:var(--ground);color:var(--ink);"
    'font:1rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;overflow-wrap:anywhere}'
    "main{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:1.25rem;margin:0 0 1rem}"
    "h1{font-size:1.6rem;line-height:1.2;margin:0 0 .75rem}a{color:var(--accent)}p{margin:.75rem 0 0}"
    "footer{color:var(--soft);font-size:.875rem;padding:0 1.25rem}form{margin:.75rem 0}"
    "button{font:inherit;min-height:44px;padding:.45rem .95rem;border:1px solid;border-radius:7px;"
    "background:var(--accent);color:var(--on-accent);cursor:pointer}"
    "</style>"
)
_RETRY_SCRIPT = "<script src=/hub/static/refresh.js></script>"  # the hub's: it keeps the part of an address after #


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: the name in the map, the status, and what it says to a person and to a program."""

    name: str
    status: int
    title: str
    text: str  # HTML
    head: str = ""  # HTML
    message: str = ""  # to a program, if the title is not enough

    @property
    def page(self) -> str:
        """Return the page."""
        number = f"<footer>Error {self.status}</footer>" if self.status >= _FIRST_ERROR else ""
        return (
            '<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
            f"{self.head}<title>{self.title}</title>{_STYLE}"
            f"<main><h1>{self.title}</h1><div>{self.text}</div></main>{number}</html>"
        )

    @property
    def json(self) -> str:
        """Return the JSON: JupyterHub's shape of errors."""
        return json.dumps({"status": self.status, "message": self.message or self.title})

    def naming_hub(self, hub_origin: str) -> "Answer":
        """Return the same answer, which also says where the hub is: at another host."""
        link = f'The hub is at <a href="{hub_origin}">{hub_origin}</a>.'
        return replace(self, text=f"{self.text} {link}", message=f"{self.title}. The hub is at {hub_origin}")


NO_ROUTE = Answer("nowhere", 503, "There is no server here", f"{_HOME} to see your servers and start one.")
# An edge at users' own hosts knows all servers that run, so one without a route does not.
NOT_RUNNING = Answer("not-running", 424, "This server does not run", f"{_HOME} to see your servers and start one.")
NOT_HERE = Answer("not-here", 403, "The hub is at another address", "Send the request there.")
FOREIGN_HOST = Answer("foreign-host", 421, "No server has this host", "Check the address.")
AWAY = Answer(
    "away",
    503,
    "This server does not answer",
    f"It may be busy or stopped. This page tries again by itself. {_HOME} to see its state.",
    f'<meta name="refresh" content="2">{_RETRY_SCRIPT}',
)
# A page of its own, which does not try again by itself: the slow request would run once more.
TOO_SLOW = Answer(
    "too-slow",
    504,
    "This server takes too long to answer",
    f"It may still work on it. Wait a while before you try again. {_HOME} to see its state.",
)
STARTING = Answer(
    "starting", 503, "The hub does not answer yet", "It may be starting, or busy. This page tries again by itself."
)
BAD_ANSWER = Answer(
    "bad-answer",
    502,
    "This server sent no answer that the hub can pass on",
    "It may have ended before it answered, or the headers of its answer are too large. Try again."
    f" {_HOME} to see its state, and to restart it if that does not help.",
)
SLOW = Answer(
    "slow",
    408,
    "The request did not arrive in time",
    "The connection may be slow or interrupted. Go back and try again.",
)
CROWDED = Answer(
    "crowded",
    429,
    "Too many connections are open from your network address",
    "Close tabs that you do not need, and try again in a minute. Many people may share the address; then an admin can"
    " raise <code>connections_per_address</code>.",
)
BAD_METHOD = Answer("bad-method", 405, "The hub does not know this method", f"{_HOME} and try again.")
BAD_REQUEST = Answer("bad-request", 400, "The hub cannot read this request", f"{_HOME} and try again.")
COOKIES = Answer(
    "cookies",
    200,
    "Remove the cookies of this site",
    "This logs you out here, and of other sites of the same domain. Your files and servers stay as they are."
    f'<form method="post" action="{CLEAR_COOKIES_PATH}"><button>Remove cookies</button></form>'
    "<p>Browsers ignore this button where the address begins with http://. There, remove the cookies in the browser's"
    " settings.",
)
COOKIES_CLEARED = Answer(
    "cookies-cleared",
    200,
    "The cookies are removed",
    'Now <a href="/hub/login">log in</a>. If you see the same error again, remove the cookies of this site in the'
    " browser's settings.",
)


def too_large(*, has_api: bool) -> Answer:
    """Return the answer to a request with too many headers; only an edge with an API can remove cookies itself."""
    where = f'<a href="{CLEAR_COOKIES_PATH}">Remove the cookies of this site</a>' if has_api else "Remove them"
    in_settings = "or do it in the browser's settings" if has_api else "in the browser's settings"
    return Answer(
        "too-large",
        431,
        f"The request has more than {MAX_HEADER_BYTES // 1024} kB of headers",
        f"Most often the browser sends too many old cookies. {where}, {in_settings}. Then log in again.",
    )


def texts(*, has_api: bool, hub_origin: str = "") -> str:
    """Return the content of the map. *hub_origin* is the hub's, if the edge serves the hosts of users alone."""
    answers = [AWAY, TOO_SLOW, BAD_ANSWER, CROWDED, too_large(has_api=has_api)]
    if hub_origin:
        answers += [answer.naming_hub(hub_origin) for answer in (NOT_RUNNING, NOT_HERE, FOREIGN_HOST)]
    else:
        answers += [STARTING, SLOW, BAD_METHOD, BAD_REQUEST, COOKIES, COOKIES_CLEARED] if has_api else [NO_ROUTE]
    return "".join(f"{PAGE}-{a.name} {a.page}\n{PROGRAM}-{a.name} {a.json}\n" for a in answers)


def respond(answer: Answer, map_file: Path, *headers: str, rule: str = "http-request return") -> str:
    """Return *rule* with the answer and *headers* in HAProxy's syntax (`hdr NAME VALUE`)."""
    body = f'lf-string "%[var(txn.client),concat(-{answer.name}),map_str({map_file})]"'
    return " ".join([rule, f"status {answer.status}", _HTML, body, *headers, NO_STORE])


def error(answer: Answer, map_file: Path, *headers: str) -> str:
    """Return the rule that replaces HAProxy's error of this answer's status."""
    return respond(answer, map_file, *headers, rule="http-error")
