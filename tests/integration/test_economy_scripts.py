"""The economy edge's scripts, in a sandbox where bash is real and the instance's commands are doubles."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.real
SCRIPTS = Path(__file__).parents[2] / "infra/economy"
OLD, NEW, LATEST = "2.8.10-1", "2.8.16-1", "2023.9.20251117"

# The instance's state is in files of /state. `agent` is what systemd does with the agent: it starts again, and lets a
# new HAProxy take over, unless the new one does not start.
COMMANDS = {
    "rpm": """
        case ${@: -1} in
            haproxy) printf %s "$(cat /state/version)" ;;
            system-release) printf %s 2023.6.20241031 ;;
        esac""",
    "dnf": f"""
        echo "$*" >> /state/dnf
        replace() {{ echo "$1" > /state/version; cp /usr/bin/sleep /state/new; mv /state/new /state/program; }}
        case " $* " in
            *" repoquery "*) echo {LATEST} ;;
            *" upgrade "*" haproxy ")
                available=$(cat /state/available)
                case "$*" in *"--exclude=haproxy-$available"*) exit 0 ;; esac
                [ "$available" = "$(cat /state/version)" ] || replace "$available" ;;
            *" upgrade "*) [ ! -e /state/library ] || replace "$(cat /state/version)" ;;
            *" downgrade "*) version=${{@: -1}}; replace "${{version#haproxy-}}" ;;
        esac""",
    "haproxy": """
        ! grep -qx "$(cat /state/version)" /state/refuses-configuration 2>/dev/null""",
    "systemctl": """
        echo "$*" >> /state/systemctl
        case $1 in kill) /fakes/agent ;; esac""",
    "agent": """
        version=$(cat /state/version)
        if grep -qx "$version" /state/does-not-start 2>/dev/null; then exit; fi
        old=$(cut -d ' ' -f 1 /run/hubless-edge/haproxy.pid 2>/dev/null)
        /state/program 600 >/dev/null 2>&1 &
        echo "$! fingerprint" > /run/hubless-edge/haproxy.pid
        echo "$version" > /state/running
        [ -z "$old" ] || kill "$old" """,
    "curl": """
        case "$*" in
            *"/api/token") echo token ;;
            *"/tags/instance/hubless-journal") cat /state/journal-to ;;
            *"/instance-id") echo i-1 ;;
            *" PUT "*) echo "$*" >> /state/told; cat /run/hubless-signal >> /state/signal ;;
            *) ! grep -qx "$(cat /state/running)" /state/unhealthy 2>/dev/null ;;
        esac""",
    "journalctl": """
        for option in "$@"; do
            case $option in --cursor-file=*) cursor=${option#--cursor-file=} ;; esac
        done
        cat "$cursor" 2>/dev/null >> /state/cursors || true
        cat /state/journal
        echo newest > "$cursor" """,
    "aws": """
        echo "$*" >> /state/aws
        cp /var/lib/hubless/sent /state/uploaded
        case "$*" in *create-log-stream*) exit 254 ;; esac
        [ ! -e /state/aws-is-away ]""",
    "sleep": """
        echo "$*" >> /state/slept""",
    "timeout": """
        shift; exec "$@" """,
}


class Instance:
    """An instance of Amazon Linux, as far as the scripts see it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("state", "fakes", "etc", "opt", "run", "log", "lib"):
            (folder / name).mkdir()
        for name, text in COMMANDS.items():
            (folder / "fakes" / name).write_text(f"#!/bin/bash{text}\n")
            (folder / "fakes" / name).chmod(0o755)
        shutil.copy("/usr/bin/sleep", folder / "state/program")
        self.set("version", OLD)
        self.set("available", OLD)

    def set(self, name: str, *lines: str) -> None:
        (self.folder / "state" / name).write_text("".join(f"{line}\n" for line in lines))

    def get(self, name: str) -> list[str]:
        file = self.folder / "state" / name
        return file.read_text().splitlines() if file.exists() else []

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run *script* where HAProxy runs already."""
        folders = {
            "state": "/state",
            "etc": "/etc/hubless",
            "opt": "/opt/hubless",
            "run": "/run",
            "log": "/var/log",
            "lib": "/var/lib",
        }
        binds = [part for name, place in folders.items() for part in ("--bind", str(self.folder / name), place)]
        (self.folder / "run/hubless-edge").mkdir(exist_ok=True)
        python = sys.base_prefix
        return subprocess.run(
            ["bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin",
             "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--proc", "/proc", "--dev", "/dev",
             *binds, "--ro-bind", python, python, "--ro-bind", str(self.folder / "fakes"), "/fakes",
             "--clearenv", "--setenv", "PATH", f"/fakes{os.pathsep}{python}/bin{os.pathsep}/usr/bin",
             *[part for name, text in environment.items() for part in ("--setenv", name, text)],
             "bash", "-c", f"[ -e /state/cold ] || /fakes/agent\n{script}"],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def update(self) -> subprocess.CompletedProcess[str]:
        return self.run((SCRIPTS / "update").read_text(), HUBLESS_UPDATE_TRIES="3")

    def journal(self, to: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "etc/place.env").write_text("HUBLESS_EDGE_REGION=eu-central-1\n")
        self.set("journal-to", to)
        return self.run((SCRIPTS / "journal").read_text())

    def boot(self, keep: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "opt/keep").write_text(f"#!/bin/bash\n{keep}\n")
        (self.folder / "opt/keep").chmod(0o755)
        (self.folder / "log/hubless-first-boot.log").write_text('dnf: cannot find "haproxy"\n')
        self.set("cold")
        beginning = "set -u\nsignal_url='https://example.org/?a=b&c=d' port=8080\n"
        return self.run(beginning + (SCRIPTS / "first-boot").read_text(), HUBLESS_FIRST_BOOT_SECONDS="0")


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    return Instance(tmp_path)


# --- updates ---


def test_a_newer_haproxy_takes_over(instance: Instance) -> None:
    instance.set("available", NEW)
    ended = instance.update()
    assert (ended.returncode, instance.get("running")) == (0, [NEW]), ended.stdout + ended.stderr
    assert f"HAProxy {NEW} is healthy" in ended.stdout
    assert (instance.folder / "etc/haproxy-release").read_text().strip() == LATEST


def test_without_news_haproxy_runs_on(instance: Instance) -> None:
    ended = instance.update()
    assert (ended.returncode, instance.get("systemctl")) == (0, []), ended.stdout + ended.stderr


def test_updates_are_for_security_and_of_a_named_release(instance: Instance) -> None:
    instance.update()
    upgrades = [line for line in instance.get("dnf") if " upgrade " in line]
    assert len(upgrades) == 2
    assert all(f"--releasever={LATEST}" in line and "--security" in line for line in upgrades)


def test_haproxy_is_replaced_for_a_new_library_too(instance: Instance) -> None:
    instance.set("library")
    assert instance.update().returncode == 0
    assert instance.get("systemctl") == ["kill --kill-whom=main --signal=KILL hubless-edge"]


@pytest.mark.parametrize("fault", ["unhealthy", "refuses-configuration", "does-not-start"])
def test_the_version_before_comes_back_if_the_edge_is_not_healthy(instance: Instance, fault: str) -> None:
    instance.set("available", NEW)
    instance.set(fault, NEW)
    ended = instance.update()
    assert (ended.returncode, instance.get("running"), instance.get("version")) == (1, [OLD], [OLD]), ended.stderr
    assert f"HAProxy {NEW} is not healthy: back to {OLD}" in ended.stdout
    assert f"downgrade --releasever=2023.6.20241031 haproxy-{OLD}" in instance.get("dnf")[-1]


def test_a_version_that_was_not_healthy_is_not_installed_again(instance: Instance) -> None:
    instance.set("available", NEW)
    instance.set("unhealthy", NEW)
    instance.update()
    restarts = instance.get("systemctl")
    assert instance.update().returncode == 0
    assert (instance.get("version"), instance.get("systemctl")) == ([OLD], restarts)


def test_an_unhealthy_edge_gets_no_other_haproxy(instance: Instance) -> None:
    instance.set("available", NEW)
    instance.set("unhealthy", OLD)
    ended = instance.update()
    assert (ended.returncode, instance.get("version"), instance.get("systemctl")) == (1, [OLD], [])
    assert f"HAProxy {OLD} stays" in ended.stdout


# --- the first boot ---


def test_a_healthy_first_boot_tells_cloudformation(instance: Instance) -> None:
    instance.set("running", OLD)
    ended = instance.boot("true")
    assert ended.returncode == 0, ended.stderr
    assert [json.loads(line)["Status"] for line in instance.get("signal")] == ["SUCCESS"]
    assert instance.get("told")[0].endswith("https://example.org/?a=b&c=d")
    assert "-H Content-Type: " in instance.get("told")[0]  # the address is signed for no content type


@pytest.mark.parametrize(("keep", "unhealthy"), [("false", ""), ("true", OLD)])
def test_a_failed_first_boot_tells_cloudformation_why(instance: Instance, keep: str, unhealthy: str) -> None:
    instance.set("running", OLD)
    instance.set("unhealthy", unhealthy)
    assert instance.boot(keep).returncode == 1
    (signal,) = (json.loads(line) for line in instance.get("signal"))
    assert (signal["Status"], "cannot find" in signal["Reason"]) == ("FAILURE", True)


def test_a_first_boot_is_tried_again_with_longer_pauses(instance: Instance) -> None:
    instance.set("running", OLD)
    keep = "echo x >> /state/tries; [ $(wc -l < /state/tries) -ge 7 ]"
    script = (SCRIPTS / "first-boot").read_text()
    (instance.folder / "opt/keep").write_text(f"#!/bin/bash\n{keep}\n")
    (instance.folder / "opt/keep").chmod(0o755)
    instance.set("cold")
    ended = instance.run(f"set -u\nsignal_url=x port=8080\n{script}")
    assert ended.returncode == 0, ended.stderr
    assert instance.get("slept") == ["5", "10", "20", "40", "60", "60"]
    assert "attempt 6 failed" in ended.stdout


# --- the journal ---

BUCKET, GROUP = "s3://logs/edge", "hubless-prod-edge"


def entry(message: object, second: int = 0) -> str:
    at = str((1_764_288_000 + second) * 1_000_000)
    return json.dumps({"__REALTIME_TIMESTAMP": at, "_SYSTEMD_UNIT": "hubless-edge.service", "MESSAGE": message})


def test_the_journal_reaches_s3_by_the_endpoint(instance: Instance) -> None:
    instance.set("journal", entry("loaded all 3 routes"), entry([104, 195, 40]))
    ended = instance.journal(BUCKET)
    assert ended.returncode == 0, ended.stderr
    assert instance.get("uploaded") == [
        "2025-11-28T00:00:00+00:00 hubless-edge.service: loaded all 3 routes",
        "2025-11-28T00:00:00+00:00 hubless-edge.service: h\ufffd(",
    ]
    (sent,) = instance.get("aws")
    assert sent.startswith("s3 cp --only-show-errors --region eu-central-1 /var/lib/hubless/sent s3://logs/edge/")
    assert sent.endswith("-i-1.log")


def test_the_journal_reaches_cloudwatch_where_there_is_a_way_out(instance: Instance) -> None:
    instance.set("journal", entry("first"), entry("second", 1))
    ended = instance.journal(GROUP)
    assert ended.returncode == 0, ended.stderr  # though the stream exists already
    assert json.loads(instance.get("uploaded")[0]) == [
        {"timestamp": 1_764_288_000_000, "message": "hubless-edge.service: first"},
        {"timestamp": 1_764_288_001_000, "message": "hubless-edge.service: second"},
    ]
    assert "put-log-events" in instance.get("aws")[1]


def test_lines_are_sent_again_until_aws_has_them(instance: Instance) -> None:
    instance.set("journal", entry("first"))
    instance.set("aws-is-away")
    assert instance.journal(BUCKET).returncode == 1
    assert not (instance.folder / "lib/hubless/cursor").exists()
    (instance.folder / "state/aws-is-away").unlink()
    assert instance.journal(BUCKET).returncode == 0
    assert (instance.folder / "lib/hubless/cursor").read_text() == "newest\n"


def test_a_flood_of_lines_is_cut_to_the_newest(instance: Instance) -> None:
    instance.set("journal", *[entry("x" * 5_000, second) for second in range(5_000)])
    assert instance.journal(GROUP).returncode == 0
    events = json.loads(instance.get("uploaded")[0])
    assert sum(len(event["message"]) + 26 for event in events) <= 1_000_000  # CloudWatch's limit
    assert events[-1]["timestamp"] == (1_764_288_000 + 4_999) * 1_000
    assert events == sorted(events, key=lambda event: event["timestamp"])


def test_nothing_is_sent_while_nothing_is_new(instance: Instance) -> None:
    instance.set("journal")
    assert instance.journal(BUCKET).returncode == 0
    assert instance.get("aws") == []
