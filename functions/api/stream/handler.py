"""What the runtime beside it calls. What is imported here and no sooner is the function's cold start."""
# ruff: noqa: E402 the first line comes before what it is for

import gc

gc.disable()  # nothing that is loaded now is garbage: to look for some is a tenth of a cold start; `entry` turns it on again

from functions.api.gateway import adapter
from functions.api.stream.serving import stream
from hubless.bootstrap.cloud import StreamingHub, entry

handler = entry(stream, "stream", adapter, StreamingHub)
