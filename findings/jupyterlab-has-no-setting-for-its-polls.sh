#!/usr/bin/env bash
# JupyterLab polls kernels, sessions and terminals each ten seconds, and no setting or overrides.json changes that.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check jupyterlab==4.6.6
"$folder/bin/python" - "$folder" <<'PYTHON'
import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

lab = Path(sys.argv[1]) / "share" / "jupyter" / "lab"
settings = [
    f"{file.parent.name}:{file.stem}.{name}"
    for file in lab.glob("schemas/@jupyterlab/*/*.json")
    for name in json.loads(file.read_text()).get("properties", {})
]
about_polls = [name for name in settings if re.search(r"poll|refresh|interval", name, re.I)]
(core,) = (text for file in lab.glob("static/jlab_core.*.js") if (text := file.read_text()))
polled = re.findall(r'interval:1e4,backoff:!0,max:3e5\},name:"@jupyterlab/services:(\w+)#models"', core)

print("jupyterlab", version("jupyterlab"))
print("Intervals of polls are constants: overrides.json reaches only settings, and these are about something else.")
print(f"{len(settings)} settings, of which named like polls:", about_polls)
print("each ten seconds:", sorted(polled))
expected = ["KernelManager", "SessionManager", "TerminalManager"]
sys.exit(sorted(polled) != expected or any("apputils" in name or "running" in name for name in about_polls))
PYTHON
