"""What CloudFront shows of a request to an edge function.

The source is "Restrictions on all edge functions" in the CloudFront Developer Guide, read on 2026-11-27.

Facts: CF-1.
"""

HIDDEN = frozenset(
    {
        "connection",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "trailer",
        "upgrade",
        "x-accel-buffering",
        "x-accel-charset",
        "x-accel-limit-rate",
        "x-accel-redirect",
        "x-amzn-auth",
        "x-amzn-cf-billing",
        "x-amzn-cf-id",
        "x-amzn-cf-xff",
        "x-amzn-errortype",
        "x-amzn-fle-profile",
        "x-amzn-header-count",
        "x-amzn-header-order",
        "x-amzn-lambda-integration-tag",
        "x-amzn-requestid",
        "x-cache",
        "x-forwarded-proto",
        "x-real-ip",
    }
)
HIDDEN_PREFIXES = ("x-amz-cf-", "x-edge-")
# A function at a viewer request may read these, but CloudFront answers 502 if it changes, adds or removes one.
READ_ONLY = frozenset({"content-length", "host", "transfer-encoding", "via"})


def visible(headers):
    """Return those of *headers*, by lower-case name, that an edge function sees."""
    return {
        name: content
        for name, content in headers.items()
        if name not in HIDDEN and not name.startswith(HIDDEN_PREFIXES)
    }
