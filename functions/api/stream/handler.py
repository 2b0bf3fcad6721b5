"""The handler that `stream.runtime` calls. Its imports are the function's cold start."""
# ruff: noqa: E402 garbage collection must be off before the imports

import gc

gc.disable()  # imports make no garbage, and a look for it is a tenth of a cold start; `entry` enables it again

from functions.api.gateway import adapter
from functions.api.stream.serving import stream
from hubless.bootstrap.cloud import StreamingHub, entry

handler = entry(stream, "stream", adapter, StreamingHub)
