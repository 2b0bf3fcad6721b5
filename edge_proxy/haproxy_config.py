"""Renders HAProxy's configuration from a few facts: a pure function."""

from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from edge_proxy import answers
from edge_proxy.access_log import AccessLogRules, access_log_rules
from edge_proxy.activity_rules import SERVERS, activity_rules, sockets_backend
from edge_proxy.address_limits import AddressLimit
from edge_proxy.answers import PAGE, PROGRAM, error, respond
from edge_proxy.connection_limits import BUFFER_BYTES, connection_limit
from hubless.domain.login_proxies import IDENTITY_HEADERS, pattern_of
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
# What CloudFront adds to answers otherwise (infra/stacks/web.py; a test compares them).
SECURITY_HEADERS = {
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options": "nosniff",
}
MAX_HEADERS = 200  # in one request
API_PLACES = 2_000  # requests that the API gets at once
LARGE_PLACES = 100  # more of them, for bodies that HAProxy cannot hold whole
LARGE_BYTES = BUFFER_BYTES - answers.MAX_HEADER_BYTES - 4_096  # beside the headers, and what HAProxy adds to them
CHUNKED_BYTES = LARGE_BYTES // 2  # of a chunked body: HAProxy may not use all room of the buffer for it
LONG_TARGET_BYTES, LONG_HOST_BYTES = 2_048, 255  # beyond them a request has less room for a body
CONNECTIONS_PER_ADDRESS = 4_000  # a class of 300 behind one address, each with twelve connections
REQUEST_SECONDS = 15  # for a request's headers, and for the part of a body that fits a buffer
_RETRY = "hdr Retry-After 5"  # a program may send a write again: no server has seen it, or the server does not answer
_FRONT_HEADERS = f"^{HEADER_PREFIX}".replace("-", "[-_]")  # WSGI and CGI read both characters as one
_METHODS = "GET HEAD POST PUT PATCH DELETE OPTIONS"
STATE, LOADED = "state", "loaded"  # backend and server whose state says whether the routes are loaded


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """An API on this machine, at a unix socket. It may be away for a moment while it restarts."""

    path: Path


@dataclass(frozen=True, slots=True)
class HttpsOrigin:
    """An API elsewhere. *name* is its Host and stands in its certificate; *address* is a host name or an IP address."""

    address: str
    port: int
    name: str
    authorities: str = "@system-ca"  # a file, or HAProxy's word for the system's

    @property
    def is_name(self) -> bool:
        """Say whether the address is a host name."""
        try:
            ip_address(self.address)
        except ValueError:
            return True
        return False


@dataclass(frozen=True, slots=True)
class EdgeConfiguration:
    """What HAProxy needs to know at one edge."""

    host: str
    port: int
    # None: HAProxy answers requests without a route itself, and CloudFront before it, if there is one, asks the API.
    api: UnixSocket | HttpsOrigin | None
    run_folder: Path
    domain: str = ""  # the hub's host, if each user and service has a host below it; "" if all share one
    health_path: str = ""  # what a load balancer requests; "" for none
    host_header: str = ""  # in which CloudFront passes the browser's Host; only if nothing else can reach this edge
    # Whether browsers reach users' hosts by a load balancer alone, which ends TLS and tells the client's address by
    # PROXY protocol v2 (ADR 37). It needs `domain`, and then there is no API.
    is_direct: bool = False
    trusted_proxies: tuple[str, ...] = ()
    login_headers: tuple[str, ...] = ()  # by which proxies say who somebody is, beside those that are always known
    unsigned_headers: tuple[str, ...] = ()  # of those, what only trusted proxies may send
    public_url: str = ""  # the hub's address for browsers: scheme and host
    connections_per_address: int = CONNECTIONS_PER_ADDRESS  # at once; 0 for no limit
    request_seconds: int = REQUEST_SECONDS  # for headers, and for a body that goes to the API
    access_log: bool = False  # whether the agent logs who reached which server
    websocket_timeout_seconds: int = 172_800  # of silence; HAProxy takes at most 24 days
    threads: int = 1  # measured: more gain nothing on two cores
    max_connections: int = field(default_factory=connection_limit)
    activity_seconds: int = 7_200  # for how long HAProxy remembers a server's last request

    @property
    def runtime_socket(self) -> Path:
        """Return where the Runtime API listens."""
        return self.run_folder / "edge.sock"

    @property
    def map_file(self) -> Path:
        """Return the name of the map of routes. The file stays empty: the agent fills the map in memory."""
        return self.run_folder / "routes.map"

    @property
    def answers_file(self) -> Path:
        """Return the name of the map of HAProxy's own answers."""
        return self.run_folder / "answers.map"

    @property
    def file(self) -> Path:
        """Return the path of the configuration file."""
        return self.run_folder / "haproxy.cfg"

    @property
    def hub_origin(self) -> str:
        """Return the hub's origin, if this edge serves the hosts of users alone; otherwise an empty string."""
        return f"https://{self.domain}" if self.is_direct else ""

    @property
    def address_limit(self) -> AddressLimit:
        """Return the limit on the connections of one address."""
        header = ADDRESS_HEADER if self.host_header else ""
        return AddressLimit(
            self.connections_per_address,
            self.max_connections,
            self.trusted_proxies,
            header,
            has_proxy_protocol=self.is_direct,
        )

    @property
    def bind(self) -> str:
        """Return the public address in HAProxy's syntax."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        protocol = " accept-proxy" if self.is_direct else ""
        return f"{'*' if host == '0.0.0.0' else host}:{self.port}{protocol}"  # noqa: S104 compared, not bound


def map_key(prefix: str, domain: str = "") -> str:
    """Return the map's key for a decoded prefix: hex, so that no character of a name means anything to HAProxy.

    With the hub's *domain* the key begins with the one host that serves the prefix: other hosts have no such route.
    """
    return f"{host_of_route(prefix, domain)}{prefix}".encode().hex().upper()


def prefix_of_key(key: str) -> str:
    """Return the prefix of a key of `map_key`, with its host before it if it has one; other keys as they are."""
    try:
        return bytes.fromhex(key).decode(errors="replace")
    except ValueError:
        return key


def map_value(address: str, server: ServerKey | None) -> str:
    """Return the map's value for a route to *address* (ip:port), and the server whose activity its requests are."""
    return address if server is None else f"{address}:{server.owner_id}:{server.server_id}"


def server_from_activity_key(key: str) -> ServerKey:
    """Return the server of a key in the activity table: such a key is the end of a map's value."""
    owner_id, _, server_id = key.partition(":")
    return ServerKey(server_id, owner_id)


def render(edge: EdgeConfiguration) -> str:
    """Return haproxy.cfg.

    HAProxy looks the decoded path up in the map, after the host if each user has one; the longest prefix wins. Servers
    get the path as the client sent it, but for the spelling of the name in it. A path in which dots might lead out of
    its prefix reaches no server: it goes to the API, or HAProxy refuses it if there is none.
    """
    address_header = ADDRESS_HEADER if edge.host_header else ""
    log = access_log_rules(edge.run_folder, address_header) if edge.access_log else AccessLogRules()
    return f"""\
global
    stats socket {edge.runtime_socket} mode 600 level admin expose-fd listeners
    nbthread {edge.threads}
    maxconn {edge.max_connections}
    tune.bufsize {BUFFER_BYTES}
    tune.http.maxhdr {MAX_HEADERS}
    # HAProxy would remember the result of each comparison by its text: most texts are paths, which seldom come again.
    tune.pattern.cache-size 0
{log.destination}
defaults
    mode http
    timeout connect 3s
    timeout http-request {edge.request_seconds}s
    timeout http-keep-alive 75s
    timeout queue 10s
    timeout client 5m
    timeout client-fin 30s
    timeout server 1h
    timeout tunnel {edge.websocket_timeout_seconds}s
    option http-keep-alive
    # A HAProxy that is replaced closes a connection with an answer: no request meets a closed one.
    option idle-close-on-response
    # One HTTP/2 connection carries a hundred requests, each with its buffers: limits that count connections miss them.
    option disable-h2-upgrade
    http-reuse safe

frontend public
    bind {edge.bind}
{_trusted(edge)}{edge.address_limit.connection_rules()}{_health(edge)}\
    http-request set-var(txn.header_bytes) req.hdrs,length
{log.format}\
{edge.address_limit.client_rules()}{_front_headers(edge) if edge.host_header else _forwarded_headers(edge)}
    http-request del-header {_FRONT_HEADERS} -m reg
{_unsigned_headers(edge)}\
{_host(edge)}{_security_headers(edge)}    http-request set-var(txn.path) path,url_dec
    acl for_hub var(txn.path) -m beg /hub/
    acl for_hub var(txn.path) -m str /hub
    acl dots var(txn.path) -m sub /../ /./
    acl dots var(txn.path) -m end /.. /.
{_client_kind(edge)}{_foreign_hosts(edge)}{_refusals(edge)}\
    http-request set-var(txn.route) {_lookup(edge)},hex,map_beg({edge.map_file}) if !for_hub !dots
    acl routed var(txn.route) -m found
    http-request set-dst var(txn.route),field(1,:) if routed
    http-request set-dst-port var(txn.route),field(2,:) if routed
    # Servers know their prefix in one spelling, JupyterHub's. Clients also send %40 for @, or a plain + or comma.
    acl odd_name path,field(3,/) -m reg [^A-Za-z0-9._~@-]
    http-request set-var(txn.name) path,field(3,/) if routed odd_name
    acl named_oddly var(txn.name) -m found
    http-request set-var(txn.spelled) var(txn.name),url_dec,url_enc,regsub(%40,@,g) if named_oddly
    acl is_spelled var(txn.name),strcmp(txn.spelled) eq 0
    http-request replace-path ^(/[^/]+)/[^/]+(/.*)$ \\1/%[var(txn.spelled)]\\2 if named_oddly !is_spelled
    # Rules for responses see only those of servers and of the API; what is left is HAProxy's own.
    http-response set-var(txn.is_passed_on) bool(true)
    acl own_json var(txn.client) -m str {PROGRAM}
    http-after-response set-header Content-Type application/json if own_json !{{ var(txn.is_passed_on) -m found }}
    use_backend {SERVERS} if routed
{_default_backend(edge)}
backend {SERVERS}
{activity_rules(edge.activity_seconds, _main_route(edge))}
{log.choice}\
    # Over https browsers send the hub's login cookie to every path of the host. No server may see it.
    http-request replace-header Cookie ^(.*)__Host-jupyterhub-hub-login=[^;]*(.*)$ \\1\\2
    # A second one comes only from a page that planted it (as a third party): then no cookie is passed on.
    http-request del-header Cookie if {{ req.hdr(Cookie) -m sub __Host-jupyterhub-hub-login= }}
    # What proxies say to the hub about a person is not for servers.
    http-request del-header {IDENTITY_HEADERS} -m reg
{_login_headers(edge)}\
    http-request set-var(txn.url) pathq
    retries 1
    server task 0.0.0.0:0 no-check
{_server_errors(edge)}{sockets_backend(edge.activity_seconds)}{edge.address_limit.table()}{_state(edge)}"""


def referenced_files(edge: EdgeConfiguration) -> dict[Path, str]:
    """Return the files that the configuration names, with their content."""
    texts = answers.texts(has_api=edge.api is not None, hub_origin=edge.hub_origin)
    return {edge.map_file: "", edge.answers_file: texts}


def _client_kind(edge: EdgeConfiguration) -> str:
    """Return the rules that tell a person from a program, for HAProxy's own answers."""
    of_hub = ""
    if edge.api is not None:
        of_hub = f"""\
    acl hub_api var(txn.path) -m beg /hub/api/
    acl hub_api var(txn.path) -m str /hub/api
    acl hub_page var(txn.path) -m beg /hub/api/oauth2/authorize /hub/api/docs
    http-request set-var(txn.client) str({PROGRAM}) if hub_api !hub_page
"""
    return f"""\
    # A person at a browser gets a page; a program that expects JSON gets JSON.
    # These rules run with every request: what is looked at last is seldom looked at.
    acl reads method GET HEAD
    acl person req.hdr(accept) -m sub text/html
    acl person req.hdr(sec-fetch-mode) -m str navigate
    acl asks_program req.hdr(accept) -m sub application/json
    acl asks_program var(txn.path) -m reg ^/(user|services)/[^/]+/(.*/)?api(/|$)
    http-request set-var(txn.client) str({PAGE})
    http-request set-var(txn.client) str({PROGRAM}) if !person !reads or !person asks_program
{of_hub}"""


def _refusals(edge: EdgeConfiguration) -> str:
    """Return the refusals of a request that is too large, or of an address with too many connections."""
    file, lines = edge.answers_file, []
    if edge.api is not None:
        lines += [
            f"acl clears_cookies path {answers.CLEAR_COOKIES_PATH}",
            # Browsers say which site sent a request; a page of another site must not log people out.
            "acl own_form req.hdr(sec-fetch-site) -m str same-origin",
            respond(answers.COOKIES_CLEARED, file, 'hdr Clear-Site-Data "\\"cookies\\""')
            + " if clears_cookies METH_POST own_form",
            respond(answers.COOKIES, file) + " if clears_cookies",
        ]
    crowded = respond(answers.CROWDED, file, "hdr Connection close", "hdr Retry-After 30")
    is_large = f"if {{ var(txn.header_bytes) -m int gt {answers.MAX_HEADER_BYTES} }}"
    lines.append(f"{respond(answers.too_large(has_api=edge.api is not None), file)} {is_large}")
    return edge.address_limit.refusals(crowded) + "".join(f"    {line}\n" for line in lines)


def _default_backend(edge: EdgeConfiguration) -> str:
    """Return the end of the frontend, and the backend for requests without a route."""
    file = edge.answers_file
    if edge.is_direct:
        return _to_the_hub(edge)
    if edge.api is None:
        return f"""\
    default_backend nowhere

backend nowhere
    # CloudFront asks the API instead, for requests that may be sent twice.
    {respond(answers.NO_ROUTE, file, _RETRY)}
"""
    return f"""\
    default_backend api

backend api
    acl known_method method {_METHODS}
    {respond(answers.BAD_METHOD, file)} if !known_method
    # The API gets a request once its body has arrived, or the part that fits a buffer: a slow client holds no place.
    http-request wait-for-body time {edge.request_seconds}s
    # Of a larger body the rest may never come. Such requests have places of their own, and take none from others.
    # The number is read as 32 bits, so a long one counts as large by its digits. A body also has less room beside a
    # long target or Host. A chunked body is whole by now, unless it fills the buffer: a piece of it may be there then.
    acl large req.hdr_val(content-length) gt {LARGE_BYTES}
    acl large req.hdr(content-length),length gt {len(str(LARGE_BYTES))}
    acl large url,length gt {LONG_TARGET_BYTES}
    acl large req.hdr(host),length gt {LONG_HOST_BYTES}
    acl chunked req.hdr(transfer-encoding) -m found
    acl fills_buffer req.body_len gt {CHUNKED_BYTES}
    use-server large if large or chunked fills_buffer
{_api(edge.api)}
{_api_refusals(edge)}    {error(answers.SLOW, file, "hdr Connection close")}
    {error(answers.STARTING, file, "hdr Retry-After 3", "hdr Refresh 3")}
"""


def _to_the_hub(edge: EdgeConfiguration) -> str:
    """Return the end of the frontend, and the backend for requests without a route at users' hosts.

    A person is sent to the hub, which knows why there is no route. A program could not read what another origin
    answers, so it gets JupyterHub's answer for a server that does not run.
    """
    file, hub = edge.answers_file, edge.hub_origin
    return f"""\
    default_backend nowhere

backend nowhere
    acl reads method GET HEAD
    acl for_hub var(txn.path) -m beg /hub/
    acl for_hub var(txn.path) -m str /hub
    acl for_server var(txn.path) -m beg /user/
    acl from_program var(txn.client) -m str {PROGRAM}
    {respond(answers.NOT_RUNNING, file)} if for_server from_program or for_server !reads
    {respond(answers.NOT_HERE, file)} unless reads
    # The prefix before what the client sent is the hub's whole origin, so it leads to no other.
    http-request set-var(txn.target) pathq
    http-request set-var(txn.target) path if {{ query -m len 0 }}  # a bare question mark is not passed on
    http-request redirect location {hub}%[var(txn.target)] code 302 if for_hub
    http-request redirect location {hub}/hub%[var(txn.target)] code 302
"""


def _api_refusals(edge: EdgeConfiguration) -> str:
    """Return the rule for a request that uvicorn refuses before the application sees it."""
    if not isinstance(edge.api, UnixSocket):
        return ""
    is_servers = "{ status 400 } !{ res.hdr(x-jupyterhub-version) -m found }"  # the application always says its version
    answer = respond(answers.BAD_REQUEST, edge.answers_file, rule="http-response return")
    return f"    {answer} if {is_servers}\n"


def _server_errors(edge: EdgeConfiguration) -> str:
    """Return the answers for a server that does not answer itself."""
    file = edge.answers_file
    # The page's script tries again sooner, and keeps the part of the address after #, which no header can name.
    refresh = f'hdr Refresh "10; url={edge.hub_origin}/hub%[var(txn.url)]"'
    return f"""\
    {error(answers.AWAY, file, refresh, _RETRY)}
    {error(answers.TOO_SLOW, file)}
    {error(answers.BAD_ANSWER, file)}
"""


def _api(api: UnixSocket | HttpsOrigin) -> str:
    """Return how HAProxy reaches the API."""
    if isinstance(api, UnixSocket):
        return f"""\
    # No `option redispatch`: HAProxy pauses only before a retry at the same server.
    retries 20
    retry-on conn-failure empty-response
    timeout connect 500ms
{_places(f"unix@{api.path}")}"""
    # Its addresses change, so HAProxy resolves the name again and again. The last known ones serve while DNS is away.
    dns = " resolvers system init-addr last,libc,none resolve-prefer ipv4" if api.is_name else ""
    address = f"[{api.address}]" if ":" in api.address else api.address
    tls = f"ssl verify required ca-file {api.authorities} sni str({api.name})"
    return f"""\
    retries 3
    retry-on conn-failure empty-response
    http-request disable-l7-retry unless METH_GET
    http-request set-header Host {api.name}
    http-request set-header {PATH_HEADER} %[path]
{_places(f"{address}:{api.port} {tls}{dns}")}"""


def _places(api: str) -> str:
    """Return the servers of the backend, which are all *api*: only a rule chooses the one without a weight."""
    return f"""\
    server api {api} maxconn {API_PLACES}
    server large {api} maxconn {LARGE_PLACES} weight 0"""


def _trusted(edge: EdgeConfiguration) -> str:
    """Return what a trusted proxy is."""
    return f"    acl trusted src {' '.join(edge.trusted_proxies)}\n" if edge.trusted_proxies else ""


def _host(edge: EdgeConfiguration) -> str:
    """Return the rule that reads the host without its port. It ends at a slash, which would count as path."""
    return "    http-request set-var(txn.host) req.fhdr(Host),lower,field(1,:/)\n" if edge.domain else ""


def _security_headers(edge: EdgeConfiguration) -> str:
    """Return the rules for the headers that CloudFront would add, unless a server set them."""
    if not edge.is_direct:
        return ""
    return "".join(
        f'    http-after-response set-header {name} "{text}" unless {{ res.hdr({name}) -m found }}\n'
        for name, text in SECURITY_HEADERS.items()
    )


def _foreign_hosts(edge: EdgeConfiguration) -> str:
    """Return the refusal of hosts that are not below the hub's: nothing else leads here."""
    if not edge.is_direct:
        return ""
    return f"    {respond(answers.FOREIGN_HOST, edge.answers_file)} unless {{ var(txn.host) -m end .{edge.domain} }}\n"


def _lookup(edge: EdgeConfiguration) -> str:
    """Return what HAProxy looks up in the map."""
    return "var(txn.host),concat(,txn.path)" if edge.domain else "var(txn.path)"


def _main_route(edge: EdgeConfiguration) -> str:
    """Return the expression that finds the route to a main server, by the first parts of the path."""
    key = "var(txn.host),concat(/,txn.parts,/)" if edge.domain else "str(/),concat(,txn.parts,/)"
    return f"{key},hex,map_beg({edge.map_file})"


def _health(edge: EdgeConfiguration) -> str:
    """Return the answers to a load balancer's health check."""
    if not edge.health_path:
        return ""
    is_check = f"{{ path {edge.health_path} }}"
    plain = f"content-type text/plain {answers.NO_STORE}"
    return f"""\
    http-request return status 200 {plain} string ready if {is_check} {{ nbsrv({STATE}) gt 0 }}
    http-request return status 503 {plain} string "not ready" if {is_check}
"""


def _state(edge: EdgeConfiguration) -> str:
    """Return the backend that remembers whether the edge is ready, and the DNS resolvers."""
    state = resolvers = ""
    if edge.health_path:
        state = f"""
backend {STATE}
    # Gets no requests. The agent sets this server up once routes are loaded; HAProxy remembers it if the agent dies.
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


def _front_headers(edge: EdgeConfiguration) -> str:
    """Return the rules that restore the browser's request from CloudFront's headers."""
    host, address = edge.host_header, ADDRESS_HEADER
    lines = [f"    http-request del-header {name}" for name in (*UNTRUSTED_HEADERS, *FORWARDED_HEADERS)]
    lines += [
        f"    http-request set-header Host %[req.fhdr({host})] if {{ req.fhdr({host}) -m found }}",
        f"    http-request del-header {host}",
        f"    http-request set-header X-Forwarded-For %[req.fhdr({address})] if {{ req.fhdr({address}) -m found }}",
        "    option forwardfor if-none",
        f"    acl plain req.hdr({SCHEME_HEADER}) -m str http",  # everything else is https
        "    http-request set-header X-Forwarded-Proto http if plain",
        "    http-request set-header X-Forwarded-Port 80 if plain",
        "    http-request set-header X-Forwarded-Proto https unless plain",
        "    http-request set-header X-Forwarded-Port 443 unless plain",
        "    http-request set-header X-Forwarded-Host %[req.hdr(Host)]",
    ]
    return "\n".join(lines)


def _mended_host(edge: EdgeConfiguration) -> list[str]:
    """Return the rules that restore a Host which a proxy replaced: servers compare it with Origin.

    A trusted proxy may say which host it was asked for. Otherwise Origin and Referer do, if they name `public_url`.
    """
    lines = []
    if edge.trusted_proxies:
        asked = "{ req.hdr(X-Forwarded-Host) -m found }"
        lines.append(f"http-request set-header Host %[req.hdr(X-Forwarded-Host,-1)] if trusted {asked}")
    if edge.public_url and not edge.domain:  # with subdomains many hosts are right
        lines += [
            f"acl of_own_page req.hdr(Origin) -m str {edge.public_url}",
            f"acl of_own_page req.hdr(Referer) -m beg {edge.public_url}/",
            f"http-request set-header Host {urlsplit(edge.public_url).netloc} if of_own_page",
        ]
    return [f"    {line}" for line in lines]


def _unsigned_headers(edge: EdgeConfiguration) -> str:
    """Return the rule that takes bare names from trusted proxies alone."""
    if not edge.unsigned_headers:
        return ""
    untrusted = " if !trusted" if edge.trusted_proxies else ""
    return f"    http-request del-header {pattern_of(*edge.unsigned_headers)} -m reg{untrusted}\n"


def _login_headers(edge: EdgeConfiguration) -> str:
    if not edge.login_headers:
        return ""
    return f"    http-request del-header {pattern_of(*edge.login_headers)} -m reg\n"


def _forwarded_headers(edge: EdgeConfiguration) -> str:
    """Return the rules that keep forwarding headers of trusted proxies alone, and add our own."""
    untrusted = " if !trusted" if edge.trusted_proxies else ""
    lines = [f"    http-request del-header {name}" for name in UNTRUSTED_HEADERS]
    lines += [f"    http-request del-header {name}{untrusted}" for name in FORWARDED_HEADERS]
    lines += _mended_host(edge)
    scheme, port = ("https", "443") if edge.is_direct else ("http", "%[dst_port]")
    own = {"X-Forwarded-Proto": scheme, "X-Forwarded-Host": "%[req.hdr(Host)]", "X-Forwarded-Port": port}
    lines.append("    option forwardfor")
    for name, text in own.items():
        # Without trusted proxies there is none any more.
        rule = (
            f"set-header {name} {text} unless {{ req.hdr({name}) -m found }}"
            if untrusted
            else f"add-header {name} {text}"
        )
        lines.append(f"    http-request {rule}")
    return "\n".join(lines)
