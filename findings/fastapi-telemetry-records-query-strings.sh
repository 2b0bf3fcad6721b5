#!/usr/bin/env bash
# FastAPI traces each request, with its query string, as soon as the process has a global OpenTelemetry provider.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check \
  fastapi==0.165.0 starlette==1.10.0 opentelemetry-sdk==1.45.2 httpx==0.28.1
"$folder/bin/python" - <<'PYTHON'
import asyncio
import sys
from importlib.metadata import version

import httpx
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

spans = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(provider)  # as any library or agent in the process may do


def queries(app):
    """Return the query strings in the spans of one request."""
    app.get("/")(hello)

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
            await client.get("/?token=abc")

    spans.clear()
    asyncio.run(ask())
    seen = spans.get_finished_spans()
    return len(seen), [span.attributes["url.query"] for span in seen if "url.query" in span.attributes]


async def hello():
    return {}


off = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}
by_default, turned_off = queries(FastAPI()), queries(FastAPI(telemetry=off))
print("fastapi", version("fastapi"), "opentelemetry-sdk", version("opentelemetry-sdk"))
print("Nothing in the application turns tracing on. The spans contain the query string, and so a token in an address.")
print("spans and query strings by default:   ", *by_default)
print("spans and query strings, telemetry off:", *turned_off)
sys.exit((by_default, turned_off) != ((4, ["token=abc"]), (0, [])))
PYTHON
