#!/bin/sh
# Runs the CDK app with a Python that has its packages. cdk.json names this script, so that `cdk synth` needs no set-up of
# the shell: the checkout's own environment comes first, then the active one, then python3.
set -u
cd "$(dirname "$0")/.." || exit 1
# Compiling the CDK's library anew at each start takes longer than all else.
unset PYTHONDONTWRITEBYTECODE

has_packages='
import sys
from importlib.util import find_spec
sys.exit(sys.version_info < (3, 11) or not (find_spec("aws_cdk") and find_spec("constructs")))
'
for python in .venv/bin/python ${VIRTUAL_ENV:+"$VIRTUAL_ENV/bin/python"} python3; do
    if "$python" -c "$has_packages" >/dev/null 2>&1; then
        exec "$python" -m infra.cdk_app
    fi
done

echo 'hubless: no Python here has the packages of the CDK (aws-cdk-lib).' >&2
echo 'Run "make deployer" once, which installs them into .venv, and repeat the command.' >&2
exit 1
