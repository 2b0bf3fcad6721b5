"""What a first lesson needs of a server: the usual packages, and `%pip install --user` that stays."""

import shutil
import tempfile
import time
import zipfile
from pathlib import Path

import pytest

from tests.support import kernels
from tests.support.local_hub import LocalHub

TOKEN, TIMEOUT_SECONDS = "first-lesson-token-0123456789", 120
SETTINGS = f"""
[login]
kind = "shared-password"
password = "a first lesson"
[servers]
run_as_system_users = false
[[services]]
name = "tests"
admin = true
token = "{TOKEN}"
"""
PACKAGES = """
import ipywidgets, matplotlib, numpy, pandas
import matplotlib.pyplot as plt
pandas.DataFrame({"a": numpy.arange(3)}).plot()
plt.savefig("plot.png")
ipywidgets.IntSlider()
"""
INSTALL = "%pip install --user --no-index --disable-pip-version-check --find-links . {}"


class Hub(LocalHub):
    """A hub with one student, whose servers are isolated as well as this machine can."""

    def __init__(self, folder):
        super().__init__(folder, SETTINGS, admin_token=TOKEN)
        self.admin.post("/users/maria").raise_for_status()

    def start(self):
        self.admin.post("/users/maria/server").raise_for_status()
        self._until(lambda: self.admin.get("/users/maria/server").json()["ready"])

    def stop(self):
        self.admin.delete("/users/maria/server").raise_for_status()
        self._until(lambda: not self.admin.get("/users/maria").json()["servers"])

    def run(self, code):
        return kernels.run(f"{self.url}/user/maria/", TOKEN, code)

    def _until(self, what):
        give_up_at = time.monotonic() + TIMEOUT_SECONDS
        while not what():
            assert time.monotonic() < give_up_at, f"never\n{self.log()[-3000:]}"
            time.sleep(0.1)


@pytest.fixture(scope="module")
def hub():
    folder = Path(tempfile.mkdtemp(prefix="hubless-lesson-"))
    one = Hub(folder)
    one.start()
    yield one
    one.close()
    shutil.rmtree(folder, ignore_errors=True)


def wheel(name, version, text):
    """Return code that writes a wheel with one module, and a program that prints *text*, into the home."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": f"text = {text!r}\ndef main():\n    print(text)\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
    }
    record = "".join(f"{file},,\n" for file in (*files, f"{info}/RECORD"))
    with tempfile.TemporaryFile() as file:
        with zipfile.ZipFile(file, "w") as made:
            for path, content in {**files, f"{info}/RECORD": record}.items():
                made.writestr(path, content)
        file.seek(0)
        return f"open('{name}-{version}-py3-none-any.whl', 'wb').write({file.read()!r}) and None"


def test_the_usual_packages_are_there(hub):
    assert hub.run(PACKAGES).startswith("IntSlider(value=0)")


def test_what_a_student_installs_is_there_after_a_restart(hub):
    hub.run(wheel("tiny", "1.0", "good morning"))
    said = hub.run(INSTALL.format("tiny"))
    assert "Successfully installed tiny-1.0" in said
    assert "not on PATH" not in said

    hub.stop()
    hub.start()

    assert hub.run("import tiny; tiny.text") == "'good morning'"
    assert hub.run("!tiny").strip() == "good morning"


def test_a_server_keeps_its_own_packages_and_programs(hub):
    """Whoever installs another version of them would have a server that does not start, and nobody to mend it."""
    hub.run(wheel("jupyterlab", "0.1", "broken"))
    assert "Successfully installed" not in hub.run(INSTALL.format("jupyterlab==0.1"))
    hub.run("import os; os.makedirs('.local/bin', exist_ok=True); os.symlink('/bin/false', '.local/bin/sh')")

    hub.stop()
    hub.start()

    assert hub.run("import jupyterlab; jupyterlab.__version__") != "'0.1'"
    assert hub.run("!sh -c 'echo works'").strip() == "works"
