"""The headers by which the web's front says of a request what nobody behind it can see.

What stands in front (CloudFront, in AWS) sets them on each request, whatever its sender wrote under these names.
"""

import json

HEADER_PREFIX = "x-hubless-"  # how all of them begin
PATH_HEADER = f"{HEADER_PREFIX}path"  # the path as it was sent: API Gateway decodes it
HOST_HEADER = f"{HEADER_PREFIX}host"  # the host that was asked: origins are asked by names of their own
ADDRESS_HEADER = f"{HEADER_PREFIX}address"  # who asks
FRONT_HEADER = f"{HEADER_PREFIX}front"  # a secret that says that it is the front


def secrets_in(parameter: str) -> tuple[str, ...]:
    """Return the secrets of which a request may bear either: those of a JSON object, or those between blanks."""
    if not parameter.lstrip().startswith("{"):
        return tuple(parameter.split())
    try:
        found = json.loads(parameter)
    except ValueError:
        return ()
    return tuple(str(text) for text in found.values() if text)
