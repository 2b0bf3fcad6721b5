"""The servers' virtual environment, made by real pip and uv of a small package in place of JupyterLab."""

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from embedded import virtual_environment
from embedded.virtual_environment import PROGRAM, VirtualEnvironmentError, prepare
from hubless.settings import parse

TOP = Path(__file__).parents[2]
UV = shutil.which("uv") or str(TOP / ".venv-uv/bin/uv")
METADATA = "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
TAG = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
ENTRY_POINTS = f"[console_scripts]\n{PROGRAM} = stand_in:main\n"
CODE = "import sys\ndef main():\n    print('{version}', flush=True)\n    sys.stdin.read()\n"


def wheel(folder: Path, version: str, name: str = "stand_in") -> Path:
    folder.mkdir(exist_ok=True)
    file, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": CODE.format(version=version),
        f"{info}/METADATA": METADATA.format(name=name, version=version),
        f"{info}/WHEEL": TAG,
        f"{info}/entry_points.txt": ENTRY_POINTS,
    }
    record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD"))
    with zipfile.ZipFile(file, "w") as out:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            out.writestr(path, text)
    return file


def requirements(folder: Path, version: str = "1.0") -> Path:
    """Pin the stand-in, to be taken from *folder* and nowhere else."""
    made = wheel(folder / "wheels", version)
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    file = folder / f"requirements-{version}.txt"
    file.write_text(f"--no-index\n--find-links {made.parent}\nstand-in=={version} --hash=sha256:{digest}\n")
    return file


def unreachable(folder: Path) -> Path:
    """Pin a package that no index has."""
    file = folder / "unreachable.txt"
    file.write_text(f"--no-index\nstand-in==9.9 --hash=sha256:{'0' * 64}\n")
    return file


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """Settings of a hub on a machine without JupyterLab."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "hub" / "venv"))  # no .venv-servers beside it
    monkeypatch.setenv("PATH", f"{Path(UV).parent}:/usr/bin:/bin")
    return read(tmp_path / "data")


def read(data: Path, more: str = ""):
    return parse(f"[servers]\nrun_as_system_users = false\n{more}", data)


def starts(settings) -> str:
    """Return what the servers' program says for itself."""
    program = shutil.which(PROGRAM, path=settings.search_path)
    return subprocess.run(
        [program], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_an_environment_is_made_once_and_found(tool, settings, tmp_path, monkeypatch):
    if tool == "pip":
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        settings = read(settings.data)
    for variable in ("PIP_TARGET", "PIP_PREFIX", "UV_TARGET", "UV_PYTHON", "PYTHONPATH"):
        monkeypatch.setenv(variable, str(tmp_path / "elsewhere"))
    pinned, lines = requirements(tmp_path), []

    assert virtual_environment.must_be_installed(settings)
    ready = prepare(settings, lines.append, requirements=pinned)

    assert starts(ready) == "1.0"
    assert lines[0].startswith("Installing JupyterLab")
    assert ("  installing the packages" if tool == "pip" else "  Installed 1 package in") in " ".join(lines)
    assert lines[-1] == "JupyterLab is installed."
    again = []
    assert prepare(read(settings.data), again.append, requirements=pinned).search_path == ready.search_path
    assert again == []
    assert read(settings.data).search_path == ready.search_path  # as the hub's other processes see it


@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_users_add_packages_in_their_homes_beside_the_environments(tool, settings, tmp_path, monkeypatch):
    if tool == "pip":
        monkeypatch.setenv("PATH", "/usr/bin:/bin")
        settings = read(settings.data)
    ready = prepare(settings, print, requirements=requirements(tmp_path))
    python = Path(shutil.which(PROGRAM, path=ready.search_path)).with_name("python")

    def in_the_home(*arguments):
        return subprocess.run(
            [python, *arguments], env={"HOME": str(home)}, cwd=home, capture_output=True, text=True, check=False
        )

    home = tmp_path / "home"
    home.mkdir()
    own = wheel(tmp_path / "own", "3.0", "own_package")
    shadowing = wheel(tmp_path / "own", "2.0")
    (program,) = (TOP / ".venv-servers").glob("lib/python3*/site-packages/pip")  # what real servers have
    pip = (program, "install", "--user", "--no-index", "--disable-pip-version-check")
    assert in_the_home(*pip, own).returncode == 0
    assert in_the_home("-c", "import own_package; print(own_package.__file__)").stdout.startswith(f"{home}/.local/")
    assert "lack sys.path precedence" in in_the_home(*pip, shadowing).stderr
    assert starts(ready) == "1.0"


def test_an_installation_that_was_killed_starts_again(settings, tmp_path):
    pinned = requirements(tmp_path)
    killed = begin(
        settings.data,
        pinned,
        tmp_path,
        uv='mkdir -p "$OUT/bin" && touch "$OUT/bin/python" "$OUT/bin/half" && exec sleep 600',
    )
    (half,) = wait_for(settings.virtual_environments, "jupyterlab-*/bin/half")
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()

    ready = prepare(settings, print, requirements=pinned)

    assert starts(ready) == "1.0"
    assert not half.exists()


class Others:
    """Who waits for an installer, which goes on once they have said something; *wait* is its own part of that."""

    def __init__(self, folder):
        self.lines, self._said = [], folder / "said"
        self.wait = f'until [ -e "{self._said}" ]; do sleep 0.02; done'

    def say(self, line):
        self.lines.append(line)
        self._said.touch()


def test_an_orphaned_installer_is_waited_for(settings, tmp_path):
    pinned, others = requirements(tmp_path), Others(tmp_path)
    killed = begin(
        settings.data, pinned, tmp_path, uv=f'touch "$OUT.begun"; {others.wait}; mkdir -p "$OUT"; touch "$OUT/late"'
    )
    wait_for(settings.virtual_environments, "*.begun")
    killed.kill()
    killed.wait()

    ready = prepare(settings, others.say, requirements=pinned)

    assert others.lines[0].startswith("Another process is installing JupyterLab")
    assert starts(ready) == "1.0"
    assert list(settings.virtual_environments.glob("*/late")) == []


def test_a_second_hub_waits_for_the_first_ones_installation(settings, tmp_path):
    pinned, others = requirements(tmp_path), Others(tmp_path)
    first = begin(settings.data, pinned, tmp_path, uv=f'touch "$OUT.begun"; {others.wait}; exec "$UV" "$@"')
    wait_for(settings.virtual_environments, "*.begun")

    ready = prepare(settings, others.say, requirements=pinned)

    assert first.wait(60) == 0
    assert others.lines[0].startswith("Another process is installing JupyterLab")
    assert not any(line.startswith("Installing") for line in others.lines)
    assert starts(ready) == "1.0"


def test_two_threads_install_once(settings, tmp_path):
    pinned, lines = requirements(tmp_path), []
    threads = [
        threading.Thread(target=prepare, args=(settings, lines.append), kwargs={"requirements": pinned})
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(line.startswith("Installing JupyterLab") for line in lines) == 1


def test_an_upgrade_leaves_running_servers_their_programs(settings, tmp_path):
    old = prepare(settings, print, requirements=requirements(tmp_path, "1.0"))
    program = Path(shutil.which(PROGRAM, path=old.search_path))
    server = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout.readline() == "1.0\n"
    newer = requirements(tmp_path, "2.0")

    new = prepare(read(settings.data), print, requirements=newer)

    assert starts(new) == "2.0"
    assert program.exists()
    server.communicate("")
    prepare(read(settings.data), print, requirements=newer)
    assert not program.exists()
    assert starts(new) == "2.0"


def test_without_a_way_to_packages_it_is_said_what_to_do(settings, tmp_path):
    with pytest.raises(VirtualEnvironmentError, match="reaches PyPI") as received:
        prepare(settings, print, requirements=unreachable(tmp_path))
    assert "stand-in==9.9" in str(received.value)
    assert "servers.virtual_environment" in str(received.value)
    assert starts(prepare(settings, print, requirements=requirements(tmp_path))) == "1.0"


def test_an_upgrade_that_fails_keeps_the_earlier_environment(settings, tmp_path):
    prepare(settings, print, requirements=requirements(tmp_path))
    lines = []

    ready = prepare(read(settings.data), lines.append, requirements=unreachable(tmp_path))

    assert starts(ready) == "1.0"
    assert "reaches PyPI" in lines[-1]
    assert "Servers use the JupyterLab of before" in lines[-1]


def test_a_moved_data_folder_gets_programs_that_run(settings, tmp_path):
    pinned = requirements(tmp_path)
    prepare(settings, print, requirements=pinned)
    moved = settings.data.rename(tmp_path / "moved")

    ready = prepare(read(moved), print, requirements=pinned)

    assert starts(ready) == "1.0"
    assert str(moved) in ready.search_path


def test_an_environment_that_the_settings_name_is_used(settings, tmp_path):
    made = prepare(settings, print, requirements=requirements(tmp_path))
    environment = Path(shutil.which(PROGRAM, path=made.search_path)).parents[1]
    named = read(tmp_path / "other", f"virtual_environment = '{environment}'")

    assert prepare(named, pytest.fail, requirements=requirements(tmp_path, "2.0")) is named
    assert starts(named) == "1.0"


def test_a_missing_environment_is_reported(settings, tmp_path):
    named = read(settings.data, "virtual_environment = 'nowhere'")
    with pytest.raises(
        VirtualEnvironmentError, match=rf"names {settings.data}/nowhere, which is no virtual environment"
    ):
        prepare(named, pytest.fail, requirements=requirements(tmp_path))


def test_programs_of_the_machine_are_used_where_it_has_them(settings, tmp_path, monkeypatch):
    (program := tmp_path / PROGRAM).touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    settings = read(settings.data)

    assert not virtual_environment.must_be_installed(settings)
    assert prepare(settings, pytest.fail, requirements=requirements(tmp_path)) is settings
    assert shutil.which(PROGRAM, path=settings.search_path) == str(program)


def test_a_full_disk_is_reported_before_anything_is_installed(settings, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=5 * 1024**2))
    with pytest.raises(VirtualEnvironmentError, match="is too full to install JupyterLab: 5 MB are free"):
        prepare(settings, pytest.fail, requirements=requirements(tmp_path))


def test_where_servers_run_as_other_users_they_can_enter_it(settings, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    outside = parse("", settings.data).virtual_environments
    assert not outside.is_relative_to(settings.data)
    assert outside != parse("", settings.data / "other").virtual_environments
    assert settings.virtual_environments.is_relative_to(settings.data)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert parse("", settings.data).virtual_environments.is_relative_to(settings.data)


def test_a_strict_umask_shuts_nobody_out(settings, tmp_path):
    before = os.umask(0o077)
    try:
        ready = prepare(settings, print, requirements=requirements(tmp_path))
    finally:
        os.umask(before)
    program = Path(shutil.which(PROGRAM, path=ready.search_path))
    for path in (program, program.parent, program.parents[1], settings.virtual_environments):
        assert path.stat().st_mode & 0o005 == 0o005, path


def test_no_profile_that_needs_it_means_no_environment(settings, tmp_path):
    plain = replace(settings.profiles[0], command=("python3", "-m", "http.server"))
    settings = replace(settings, profiles=(plain,))
    assert prepare(settings, pytest.fail, requirements=requirements(tmp_path)) is settings


def begin(data: Path, pinned: Path, folder: Path, *, uv: str) -> subprocess.Popen:
    """Start the installation in a process of its own, with a program of these shell commands as uv."""
    (programs := folder / "programs").mkdir()
    script = programs / "uv"
    script.write_text(f'#!/bin/sh\nUV={UV}; for OUT in "$@"; do :; done\n{uv}\n')
    script.chmod(0o755)
    code = f"""
        import sys; from pathlib import Path; sys.prefix = {str(folder / "hub/venv")!r}
        from embedded.virtual_environment import prepare; from hubless.settings import parse
        settings = parse("[servers]\\nrun_as_system_users = false", Path({str(data)!r}))
        prepare(settings, print, requirements=Path({str(pinned)!r}))
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={"PATH": f"{programs}:/usr/bin:/bin", "PYTHONPATH": str(TOP)},
        start_new_session=True,
    )


def wait_for(folder: Path, pattern: str) -> list[Path]:
    give_up_at = time.monotonic() + 30
    while not (found := list(folder.glob(pattern))):
        assert time.monotonic() < give_up_at
        time.sleep(0.02)
    return found
