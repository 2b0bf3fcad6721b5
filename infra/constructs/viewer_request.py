"""The CloudFront Function at viewer requests: it sets trusted headers, and lets the API stand in for the edge."""

from infra.paths import VIEWER_REQUEST_JS

MAX_BYTES = 10 * 1024  # CloudFront's limit
_STRIP = """\
// A load balancer cannot remove the hub's login cookie from requests to servers (ADR 13), so this function does.
    delete request.cookies['__Host-jupyterhub-hub-login'];"""


def viewer_request_source(*, edge: str = "", api: str = "", strips_login: bool = False) -> str:
    """Return the function's source.

    CloudFront repeats reads that the origin *edge* does not answer at the origin *api*; not without *edge*.
    """
    source = VIEWER_REQUEST_JS.read_text()
    for name, text in (("EDGE", edge), ("API", api), ("COOKIES", _STRIP if strips_login else "")):
        source = source.replace(f"{{{{{name}}}}}", text)
    if len(source.encode()) > MAX_BYTES:
        raise ValueError(
            f"The CloudFront Function has {len(source.encode())} bytes, more than CloudFront's {MAX_BYTES}"
        )
    return source
