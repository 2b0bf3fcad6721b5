"""How long `cdk synth` of a stage takes: with bundles to build, and with everything there (warm).

Prints seconds of each run. BASE names another checkout that takes turns with this one, for the ratio. Run it on a
machine that does nothing else.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TOP = Path(__file__).parents[1]
GOAL = 20.0  # seconds, warm
ROUNDS = int(os.environ.get("ROUNDS", "5"))
SETTINGS = """
[stages.prod]
region = "eu-central-1"
account = "123456789012"
domain = "hub.example.org"
zone_id = "Z0123456789"
zone_name = "example.org"
alarm_email = "ops@example.org"
monthly_budget = 500
waf = true
"""


def synth(checkout: Path, settings: Path) -> float:
    """Return the seconds that `cdk synth` takes in *checkout*."""
    command = [TOP / ".venv-cdk/node_modules/.bin/cdk", "synth", "-q", "--no-notices", "-c", "stage=prod"]
    env = os.environ | {"CDK_DISABLE_CLI_TELEMETRY": "true", "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "1"}
    began = time.perf_counter()
    done = subprocess.run(
        [*command, "-c", f"settings={settings}"], cwd=checkout, env=env, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"`cdk synth` failed in {checkout}: {done.stderr[-2000:]}")
    return time.perf_counter() - began


def main() -> None:
    """Measure this checkout, and BASE in turns with it."""
    checkouts = [TOP, *([Path(os.environ["BASE"])] if "BASE" in os.environ else [])]
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "hubless.toml"
        settings.write_text(SETTINGS)
        for checkout in checkouts:
            shutil.rmtree(checkout / "cdk.out.bundles", ignore_errors=True)
            print(f"{checkout.name}: with bundles to build {synth(checkout, settings):.1f} s")
        taken = {checkout: [] for checkout in checkouts}
        for _ in range(ROUNDS):
            for checkout in checkouts:
                taken[checkout].append(synth(checkout, settings))
        for checkout, seconds in taken.items():
            median = statistics.median(seconds)
            print(f"{checkout.name}: warm, median {median:.1f} s (from {min(seconds):.1f} to {max(seconds):.1f})")
        own = statistics.median(taken[TOP])
        print(f"goal of {GOAL:.0f} s warm: {'met' if own <= GOAL else 'MISSED'}")
        if len(checkouts) == 2:
            print(f"ratio to {checkouts[1].name}: {own / statistics.median(taken[checkouts[1]]):.2f}")


if __name__ == "__main__":
    main()
