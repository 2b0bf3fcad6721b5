"""Lambda's entry: requests that API Gateway hands over."""
# ruff: noqa: E402 the first line comes before what it is for

import gc

gc.disable()  # nothing that is loaded now is garbage: to look for some is a tenth of a cold start; `entry` turns it on again

from functions.api.gateway import adapter, handle
from hubless.bootstrap.cloud import entry

handler = entry(handle, "api", adapter)
