#!/usr/bin/env bash
# Powertools' Metrics puts values of one name with two units into one list, under the unit given last.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check aws-lambda-powertools==3.37.0
POWERTOOLS_METRICS_NAMESPACE=example POWERTOOLS_SERVICE_NAME=example "$folder/bin/python" -W error - <<'PYTHON'
import contextlib
import io
import json
import sys
from importlib.metadata import version

from aws_lambda_powertools import Metrics

metrics = Metrics()
metrics.add_metric(name="Latency", unit="Seconds", value=1)
metrics.add_metric(name="Latency", unit="Milliseconds", value=500)
with contextlib.redirect_stdout(io.StringIO()) as written:
    metrics.flush_metrics()
line = json.loads(written.getvalue())
unit, values = line["_aws"]["CloudWatchMetrics"][0]["Metrics"][0]["Unit"], line["Latency"]
print("aws-lambda-powertools", version("aws-lambda-powertools"))
print("One second and 500 milliseconds become 1 and 500 of the same unit, without an error or a warning.")
print("unit and values:", unit, values)
sys.exit((unit, values) != ("Milliseconds", [1, 500]))
PYTHON
