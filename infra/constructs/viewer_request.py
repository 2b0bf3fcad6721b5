"""CloudFront's own function: it tells the hub what was asked for, and sends reads that no edge answers to the API."""

from infra.paths import VIEWER_REQUEST_JS

LONGEST = 10 * 1024  # bytes (CloudFront's)
_STRIP = """\
// A load balancer cannot take the hub's login cookie out of what goes to servers (ADR 13): it ends here.
    delete request.cookies['__Host-jupyterhub-hub-login'];"""


def viewer_request_source(*, edge: str = "", api: str = "", strips_login: bool = False) -> str:
    """Return the function's source.

    Reads that the origin *edge* does not answer go to the origin *api*; without *edge* they stay where they are.
    """
    source = VIEWER_REQUEST_JS.read_text()
    for name, text in (("EDGE", edge), ("API", api), ("COOKIES", _STRIP if strips_login else "")):
        source = source.replace(f"{{{{{name}}}}}", text)
    if len(source.encode()) > LONGEST:
        raise ValueError(f"CloudFront's function has {len(source.encode())} bytes; it may have {LONGEST}")
    return source
