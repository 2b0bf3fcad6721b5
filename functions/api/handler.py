"""Lambda's entry point for requests from API Gateway."""
# ruff: noqa: E402 garbage collection must be off before the imports

import gc

gc.disable()  # imports make no garbage, and a look for it is a tenth of a cold start; `entry` enables it again

from functions.api.gateway import adapter, handle
from hubless.bootstrap.cloud import entry

handler = entry(handle, "api", adapter)
