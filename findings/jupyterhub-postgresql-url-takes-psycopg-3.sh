#!/usr/bin/env bash
# A JupyterHub at `postgresql://…` with psycopg2 does not start once SQLAlchemy is 2.1: the URL means psycopg 3 there.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder"
install() { "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"; }
install jupyterhub==6.1.1 psycopg2-binary==2.9.12

ask() {
    "$folder/bin/python" - <<'PYTHON'
from importlib.metadata import version

from jupyterhub import orm
from sqlalchemy.exc import OperationalError

try:
    orm.new_session_factory("postgresql://hub@127.0.0.1:1/jupyterhub")
except OperationalError:  # nobody listens there: the driver was found
    print("sqlalchemy", version("sqlalchemy"), "takes psycopg2", version("psycopg2-binary"))
except ModuleNotFoundError as error:
    print("sqlalchemy", version("sqlalchemy"), "wants", error.name)
PYTHON
}

echo "jupyterhub 6.1.1"
install sqlalchemy==2.0.49
before=$(ask)
install sqlalchemy==2.1.9
after=$(ask)
echo "An upgrade of SQLAlchemy, which JupyterHub permits, changes which driver db_url means."
echo "$before"
echo "$after"
[[ $before == *"takes psycopg2"* && $after == *"wants psycopg" ]]
