"""HAProxy's rules that note when somebody last worked with a server: by what was asked, and by the answer (ADR 29).

Tabs ask all the time, and anybody may ask for anything. So a request counts if a person makes it, to open a page or to
change something, and if its answer shows that they got in. Of a WebSocket HAProxy sees only that it is open.
"""

from hubless.domain.housekeeping import HOUSEKEEPING, KNOWN_SOCKETS, PUBLIC_PATHS

SERVERS = "servers"  # the backend with the table of when each server was last used
SOCKETS = "sockets"  # the backend with the table of servers that have open WebSockets which nothing else can judge


def activity_rules(remembered_seconds: int, main_route: str) -> str:
    """Return the rules of the backend `SERVERS`.

    Args:
        remembered_seconds: the backend forgets a server so long after its last use.
        main_route: an expression that finds the route to the main server of the path whose first parts `txn.parts`
            holds.
    """
    housekeeping = " ".join(f"^{one.method}/{_below_prefix(one.path)}" for one in HOUSEKEEPING)
    public = " ".join(f"^{_below_prefix(one.path)}" for one in PUBLIC_PATHS)
    of_main = " ".join(f"^/user/[^/]+/{one.path}$" for one in KNOWN_SOCKETS)
    of_named = " ".join(f"^/user/[^/]+/[^/]+/{one.path}$" for one in KNOWN_SOCKETS)
    return f"""\
    {_table(remembered_seconds, "http_req_cnt")}
    acl changes method POST PUT PATCH DELETE
    acl navigates req.hdr(sec-fetch-mode) -m str navigate
    acl says_mode req.hdr(sec-fetch-mode) -m found
    acl wants_html req.hdr(accept) -m sub text/html
    http-request set-var(txn.upgrades) bool(true) if {{ req.hdr(upgrade) -m str -i websocket }}
    acl socket var(txn.upgrades) -m found
    acl credential req.hdr(cookie) -m found
    acl credential req.hdr(authorization) -m found
    acl credential url_param(token) -m found
    http-request set-var(txn.call) method,concat(/,txn.path) if changes
    acl housekeeping var(txn.call) -m reg {housekeeping}
    acl public var(txn.path) -m reg {public}
    # Below a main server's prefix jupyter-server-proxy has programs with kernels of their own, which nobody asks for.
    http-request set-var(txn.parts) var(txn.path),field(2,/,2) if socket
    http-request set-var(txn.main) {main_route} if socket
    acl of_main var(txn.route),strcmp(txn.main) eq 0
    http-request set-var(txn.named_path) var(txn.path) if socket !of_main
    acl known_socket var(txn.path) -m reg {of_main}
    acl known_socket var(txn.named_path) -m reg {of_named}
    # Browsers send no Sec-Fetch-Mode over plain http.
    http-request set-var(txn.use) str(page) if METH_GET navigates or METH_GET !says_mode wants_html
    http-request set-var(txn.use) str(change) if changes !housekeeping
    http-request set-var(txn.use) str(socket) if socket !known_socket
    # The key is the server and not its address: that may soon belong to another server.
    acl used var(txn.use) -m found
    http-request set-var(txn.server) var(txn.route),field(3,:,0) if used credential !public
    acl for_server var(txn.server) -m found
    acl page var(txn.use) -m str page
    acl change var(txn.use) -m str change
    acl opaque_socket var(txn.use) -m str socket
    acl document res.hdr(content-type) -m beg -i text/html
    acl document res.hdr(content-disposition) -m found
    acl good status 200:299
    acl unchanged status 304
    acl switched status 101
    http-response set-var(txn.got_in) bool(true) if change good or page good document
    http-response set-var(txn.got_in) bool(true) if page unchanged or opaque_socket switched
    acl got_in var(txn.got_in) -m found
    http-response track-sc0 var(txn.server) table {SERVERS} if for_server got_in
    http-response track-sc1 var(txn.server) table {SOCKETS} if for_server got_in opaque_socket"""


def sockets_backend(remembered_seconds: int) -> str:
    """Return the backend `SOCKETS`, which only holds a table."""
    return f"""
backend {SOCKETS}
    # Gets no requests. An entry's `conn_cur` is the number of open WebSockets.
    {_table(remembered_seconds, "conn_cur")}
"""


def _below_prefix(path: str) -> str:
    """Return the end of an expression for *path* below the prefix of a main or named server.

    Not below any path: people may give their own files and folders such names.
    """
    return f"/user/[^/]+/([^/]+/)?{path}$"


def _table(remembered_seconds: int, stored: str) -> str:
    return f"stick-table type string len 80 size 100k expire {remembered_seconds}s store {stored}"
