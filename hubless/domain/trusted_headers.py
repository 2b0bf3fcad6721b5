"""The headers by which CloudFront tells the hub what only CloudFront can see of a request.

CloudFront overwrites them on each request, so a client cannot set them. The hub trusts them only with the right secret.
"""

import json

HEADER_PREFIX = "x-hubless-"
PATH_HEADER = f"{HEADER_PREFIX}path"  # the path as the client sent it: API Gateway decodes it
HOST_HEADER = f"{HEADER_PREFIX}host"  # the Host that the client sent: CloudFront asks origins by other names
ADDRESS_HEADER = f"{HEADER_PREFIX}address"  # the client's IP address
FRONT_HEADER = f"{HEADER_PREFIX}front"  # the secret that proves that CloudFront sent the request


def secrets_in(parameter: str) -> tuple[str, ...]:
    """Return the secrets in *parameter*: the values of a JSON object, or texts between blanks; any of them is valid."""
    if not parameter.lstrip().startswith("{"):
        return tuple(parameter.split())
    try:
        found = json.loads(parameter)
    except ValueError:
        return ()
    return tuple(str(text) for text in found.values() if text)
