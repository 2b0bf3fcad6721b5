"""HAProxy's configuration: a pure function of a few facts."""

import json
import resource
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from hubless.domain.origins import host_of_route
from hubless.domain.routes import ServerKey
from hubless.domain.trusted_headers import ADDRESS_HEADER, HEADER_PREFIX, PATH_HEADER

FORWARDED_HEADERS = ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port")
UNTRUSTED_HEADERS = (
    "Forwarded",
    "X-Real-IP",
    "X-Scheme",
    "Proxy",
    "X-Forwarded-Server",
    "X-Original-URL",
    "X-Rewrite-URL",
)
SCHEME_HEADER = "CloudFront-Forwarded-Proto"
MAX_CONNECTIONS = 20_000
PAGE, PROGRAM = "page", "program"  # who asks
_FRONTS_OWN = f"^{HEADER_PREFIX}".replace("-", "[-_]")  # gateways to programs (WSGI, CGI) take both for one
_HTML = 'content-type "text/html; charset=utf-8"'
STATE, LOADED = "state", "loaded"  # what is up while routes are loaded


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """An API on this machine, at a unix socket; it may be away for a moment while it is started again."""

    path: Path


@dataclass(frozen=True, slots=True)
class HttpsOrigin:
    """An API elsewhere. It is asked, and its certificate checked, by *name*; *address* is where that is, a name or an IP."""

    address: str
    port: int
    name: str
    authorities: str = "@system-ca"  # a file, or HAProxy's word for the system's

    @property
    def is_name(self) -> bool:
        """Say whether the address is to be looked up."""
        try:
            ip_address(self.address)
        except ValueError:
            return True
        return False


@dataclass(frozen=True, slots=True)
class EdgeConfiguration:
    """What one edge needs to know."""

    host: str
    port: int
    api: (
        UnixSocket | HttpsOrigin | None
    )  # None: what has no route is answered here, and who stands before the edge asks the API
    run_folder: Path
    domain: str = ""  # the hub's host, below which each user and service has one; "" where all are served at any
    health_path: str = ""  # what a load balancer asks; "" for none
    host_header: str = ""  # in which the front, which alone can reach this edge, hands on the Host that browsers sent
    trusted_proxies: tuple[str, ...] = ()
    websocket_timeout_seconds: int = 172_800  # of silence; HAProxy takes at most 24 days
    threads: int = 1  # as measured: more gain nothing on two cores
    max_connections: int = field(default_factory=lambda: connection_limit())  # noqa: PLW0108 defined below
    activity_seconds: int = 7_200  # for how long a server's last request is remembered

    @property
    def runtime_socket(self) -> Path:
        """Return where the Runtime API listens."""
        return self.run_folder / "edge.sock"

    @property
    def map_file(self) -> Path:
        """Return the name of the map of routes; the file itself stays empty, the agent fills the map in memory."""
        return self.run_folder / "routes.map"

    @property
    def file(self) -> Path:
        """Return where the configuration is written."""
        return self.run_folder / "haproxy.cfg"

    @property
    def bind(self) -> str:
        """Return the public address as HAProxy writes it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'*' if host == '0.0.0.0' else host}:{self.port}"  # noqa: S104 compared, not bound


def connection_limit() -> int:
    """Return how many connections the limit on open files leaves room for: each has two ends."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MAX_CONNECTIONS * 2 if hard == resource.RLIM_INFINITY else hard
    return max(100, min(MAX_CONNECTIONS, (files - 200) // 2))


def map_key(prefix: str, domain: str = "") -> str:
    """Return the map's key for a decoded prefix: hex, so that no character of a name means anything to HAProxy.

    With the hub's *domain* the one host at which the prefix is served stands before it: at any other there is no such route.
    """
    return f"{host_of_route(prefix, domain)}{prefix}".encode().hex().upper()


def prefix_of_key(key: str) -> str:
    """Return the prefix, with its host before it where there is one, that `map_key` made *key* of; *key* itself if none."""
    try:
        return bytes.fromhex(key).decode(errors="replace")
    except ValueError:
        return key


def map_value(address: str, server: ServerKey | None) -> str:
    """Return the map's value for a route to *address* (ip:port), with whose activity it is where it is a server's."""
    return address if server is None else f"{address}:{server.owner_id}:{server.server_id}"


def server_from_activity_key(tracked: str) -> ServerKey:
    """Return the server that a key of the table of activity stands for: the end of a value of the map."""
    owner_id, _, server_id = tracked.partition(":")
    return ServerKey(server_id, owner_id)


def render(edge: EdgeConfiguration) -> str:
    """Return haproxy.cfg.

    A prefix is compared with the decoded path, where each user has a host after that host, and the longest wins; what is
    passed on is the path as it was sent. A path in which dots might lead out of its prefix goes to the API (or is refused,
    where that is none of the edge's business), whatever it begins with.
    """
    return f"""\
global
    stats socket {edge.runtime_socket} mode 600 level admin
    nbthread {edge.threads}
    maxconn {edge.max_connections}
    hard-stop-after 5s
    tune.bufsize 16384

defaults
    mode http
    timeout connect 3s
    timeout http-request 60s
    timeout http-keep-alive 75s
    timeout queue 10s
    timeout client 1h
    timeout client-fin 30s
    timeout server 1h
    timeout tunnel {edge.websocket_timeout_seconds}s
    option http-keep-alive
    http-reuse safe

frontend public
    bind {edge.bind}
{_health(edge)}{_front(edge) if edge.host_header else _trust(edge)}
    http-request del-header {_FRONTS_OWN} -m reg
{_host(edge)}    http-request set-var(txn.path) path,url_dec
    acl for_hub var(txn.path) -m beg /hub/
    acl for_hub var(txn.path) -m str /hub
    acl dots var(txn.path) -m sub /../ /./
    acl dots var(txn.path) -m end /.. /.
    http-request set-var(txn.to) {_place(edge)},hex,map_beg({edge.map_file}) if !for_hub !dots
    acl routed var(txn.to) -m found
    http-request set-dst var(txn.to),field(1,:) if routed
    http-request set-dst-port var(txn.to),field(2,:) if routed
{_asker(edge)}    use_backend servers if routed
{_elsewhere(edge)}
backend servers
    stick-table type string len 80 size 100k expire {edge.activity_seconds}s store http_req_cnt
    # What a person does: pages that are opened and requests that change something. An open tab asks by itself all the time.
    acl at_work method POST PUT PATCH DELETE
    acl at_work req.hdr(sec-fetch-mode) -m str navigate
    # Whose activity it is, and not at which address: that may be another's soon.
    http-request set-var(txn.whose) var(txn.to),field(3,:,0) if at_work
    http-request track-sc0 var(txn.whose) if {{ var(txn.whose) -m found }}
    # Over https the hub's login cookie belongs to every path of the host; it is nobody's but the hub's.
    http-request replace-header Cookie ^(.*)__Host-jupyterhub-hub-login=[^;]*(.*)$ \\1\\2
    # There are two only where a server's page has planted one (for itself as a third party): nothing of it is passed on.
    http-request del-header Cookie if {{ req.hdr(Cookie) -m sub __Host-jupyterhub-hub-login= }}
    http-request set-var(txn.here) pathq
    retries 1
    server task 0.0.0.0:0 no-check
{_away(edge)}{_state(edge)}"""


def referenced_files(edge: EdgeConfiguration) -> dict[Path, str]:
    """Return the files that the configuration names, with their content."""
    away = _page(
        "This server does not answer",
        'It may be busy or gone; this page looks again by itself. <a href="/hub/home">Go home</a> to see how it is.',
    )
    if edge.api is None:
        nowhere = _page("There is no server here", '<a href="/hub/home">Go home</a> to see what runs and to start it.')
        return {
            edge.map_file: "",
            edge.run_folder / "nowhere.html": nowhere,
            edge.run_folder / "nowhere.json": _problem("There is no server here"),
            edge.run_folder / "away.map": f"{PAGE} {away}{PROGRAM} {_problem('This server does not answer')}",
        }
    starting = _page("The hub is starting", "It answers in a moment; this page tries again by itself.")
    return {edge.map_file: "", edge.run_folder / "restarting.html": starting, edge.run_folder / "away.html": away}


def _asker(edge: EdgeConfiguration) -> str:
    """Return what notes who asks, where that is answered here which has no route."""
    if edge.api is not None:
        return ""
    return f"""\
    # Who asks: somebody at a browser's address bar or in its links, or a program that wants its answer in JSON.
    acl reads method GET HEAD
    acl opens req.hdr(sec-fetch-mode) -m str navigate
    acl html req.hdr(accept) -m sub text/html
    acl json req.hdr(accept) -m sub application/json
    acl of_an_api var(txn.path) -m reg ^/(user|services)/[^/]+/(.*/)?api(/|$)
    http-request set-var(txn.asker) str({PAGE})
    http-request set-var(txn.asker) str({PROGRAM}) if !opens !html of_an_api or !opens !html !reads or !opens !html json
"""


def _elsewhere(edge: EdgeConfiguration) -> str:
    """Return where that goes which has no route, from the end of the frontend on."""
    if edge.api is None:
        return f"""\
    default_backend nowhere

backend nowhere
    # Who stands before the edge asks the API instead where that may be done twice.
    http-request return status 503 content-type application/json file {edge.run_folder}/nowhere.json hdr Cache-Control no-store if {{ var(txn.asker) -m str {PROGRAM} }}
    http-request return status 503 {_HTML} file {edge.run_folder}/nowhere.html hdr Cache-Control no-store
"""
    return f"""\
    default_backend api

backend api
{_api(edge.api)}
    http-error status 503 {_HTML} file {edge.run_folder}/restarting.html hdr Retry-After 3 hdr Refresh 3 hdr Cache-Control no-store
"""


def _away(edge: EdgeConfiguration) -> str:
    """Return what is answered for a server that does not answer itself."""
    refresh = 'hdr Refresh "2; url=/hub%[var(txn.here)]"'
    if edge.api is None:
        words = f'lf-string "%[var(txn.asker),map_str({edge.run_folder}/away.map)]"'
        return f"""\
    http-error status 503 {_HTML} {words} {refresh} hdr Cache-Control no-store
    http-error status 504 {_HTML} {words} hdr Cache-Control no-store
    # Only what a server says itself is seen by this rule: its answers pass as they are.
    http-response set-var(txn.is_servers) bool(true)
    http-after-response set-header Content-Type application/json if !{{ var(txn.is_servers) -m found }} {{ var(txn.asker) -m str {PROGRAM} }}
"""
    return f"""\
    http-error status 503 {_HTML} file {edge.run_folder}/away.html {refresh} hdr Cache-Control no-store
    http-error status 504 {_HTML} file {edge.run_folder}/away.html hdr Cache-Control no-store
"""


def _api(api: UnixSocket | HttpsOrigin) -> str:
    """Return how the API is reached."""
    if isinstance(api, UnixSocket):
        return f"""\
    # Without `option redispatch`: only a retry at the same server waits before it tries again.
    retries 20
    retry-on conn-failure empty-response
    timeout connect 500ms
    server api unix@{api.path} maxconn 2000"""
    # Its addresses change: they are looked up again and again, and the last known ones serve where nobody can tell.
    looked_up = " resolvers system init-addr last,libc,none resolve-prefer ipv4" if api.is_name else ""
    address = f"[{api.address}]" if ":" in api.address else api.address
    return f"""\
    retries 3
    retry-on conn-failure empty-response
    http-request disable-l7-retry unless METH_GET
    http-request set-header Host {api.name}
    http-request set-header {PATH_HEADER} %[path]
    server api {address}:{api.port} ssl verify required ca-file {api.authorities} sni str({api.name}) maxconn 2000{looked_up}"""


def _host(edge: EdgeConfiguration) -> str:
    """Return what notes the host that is asked, without its port; no slash, or it would say something of the path."""
    return "    http-request set-var(txn.host) req.fhdr(Host),lower,field(1,:/)\n" if edge.domain else ""


def _place(edge: EdgeConfiguration) -> str:
    """Return what is looked up in the map."""
    return "var(txn.host),concat(,txn.path)" if edge.domain else "var(txn.path)"


def _health(edge: EdgeConfiguration) -> str:
    """Return what is answered to who asks whether this edge may be sent requests."""
    if not edge.health_path:
        return ""
    asked = f"{{ path {edge.health_path} }}"
    plain = "content-type text/plain hdr Cache-Control no-store"
    return f"""\
    http-request return status 200 {plain} string ready if {asked} {{ nbsrv({STATE}) gt 0 }}
    http-request return status 503 {plain} string "not ready" if {asked}
"""


def _state(edge: EdgeConfiguration) -> str:
    """Return what remembers whether the edge is ready, and what looks names up."""
    state = resolvers = ""
    if edge.health_path:
        state = f"""
backend {STATE}
    # Nobody is sent here: that it is up says that the routes are loaded. The agent says so to HAProxy, which outlives it.
    server {LOADED} 127.0.0.1:1 disabled
"""
    if isinstance(edge.api, HttpsOrigin) and edge.api.is_name:
        resolvers = """
resolvers system
    parse-resolv-conf
    accepted_payload_size 8192
    hold valid 10s
    hold nx 1h
    hold timeout 1h
    hold refused 1h
    hold other 1h
    hold obsolete 30s
"""
    return state + resolvers


def _front(edge: EdgeConfiguration) -> str:
    """Return the rules by which it is as if the browser had asked the edge itself, by what the front says."""
    lines = [f"    http-request del-header {name}" for name in (*UNTRUSTED_HEADERS, *FORWARDED_HEADERS)]
    lines += [
        f"    http-request set-header Host %[req.fhdr({edge.host_header})] if {{ req.fhdr({edge.host_header}) -m found }}",
        f"    http-request del-header {edge.host_header}",
        f"    http-request set-header X-Forwarded-For %[req.fhdr({ADDRESS_HEADER})] if {{ req.fhdr({ADDRESS_HEADER}) -m found }}",
        "    option forwardfor if-none",
        f"    acl plain req.hdr({SCHEME_HEADER}) -m str http",  # else it is https: nothing else is on the web
        "    http-request set-header X-Forwarded-Proto http if plain",
        "    http-request set-header X-Forwarded-Port 80 if plain",
        "    http-request set-header X-Forwarded-Proto https unless plain",
        "    http-request set-header X-Forwarded-Port 443 unless plain",
        "    http-request set-header X-Forwarded-Host %[req.hdr(Host)]",
    ]
    return "\n".join(lines)


def _trust(edge: EdgeConfiguration) -> str:
    """Return the rules by which forwarding headers come from us or from proxies that settings trust."""
    untrusted = " if !trusted" if edge.trusted_proxies else ""
    lines = [f"    acl trusted src {' '.join(edge.trusted_proxies)}"] if edge.trusted_proxies else []
    lines += [f"    http-request del-header {name}" for name in UNTRUSTED_HEADERS]
    lines += [f"    http-request del-header {name}{untrusted}" for name in FORWARDED_HEADERS]
    lines += [
        "    option forwardfor",
        "    http-request set-header X-Forwarded-Proto http unless { req.hdr(X-Forwarded-Proto) -m found }",
        "    http-request set-header X-Forwarded-Host %[req.hdr(Host)] unless { req.hdr(X-Forwarded-Host) -m found }",
        "    http-request set-header X-Forwarded-Port %[dst_port] unless { req.hdr(X-Forwarded-Port) -m found }",
    ]
    return "\n".join(lines)


def _page(title: str, text: str) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:20vh auto;"
        f"padding:0 1rem;color-scheme:light dark}}</style><h1>{title}</h1><p>{text}</p></html>\n"
    )


def _problem(message: str) -> str:
    return json.dumps({"status": 503, "message": message}) + "\n"
