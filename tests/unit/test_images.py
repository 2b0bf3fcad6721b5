"""What can be said of images without building them."""

import json
import re
import shlex
import tomllib
from itertools import pairwise

import pytest
from packaging.markers import Marker

from infra.bundling import BUNDLE_SPECS
from tests.support.dockerfiles import CONTEXTS, TOP, Recipe

LOCKED = {(one["name"], one["version"]): one for one in tomllib.loads((TOP / "uv.lock").read_text())["package"]}
PYTHON = "3.13"
OUTDATED = "requirements.txt is not what uv.lock says: run `make images`"
SERVERS_PACKAGES = ("jupyterhub", "jupyterlab", "pip", "numpy", "pandas", "matplotlib", "ipywidgets")
MACHINES = {"x86_64": r"manylinux.*_x86_64", "aarch64": r"manylinux.*_aarch64"}


@pytest.fixture(params=CONTEXTS)
def recipe(request):
    return Recipe(request.param)


def test_every_base_is_of_one_release_of_python_and_debian(recipe):
    assert {text.split()[0] for text in recipe.all("FROM")} == {f"python:{PYTHON}-slim-trixie"}


def test_what_runs_is_not_roots(recipe):
    users = [text for name, text in recipe.last_stage if name == "USER"]
    assert users
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])


def test_signals_reach_what_runs_for_no_shell_stands_before_it(recipe):
    assert all(isinstance(json.loads(text), list) for text in recipe.all("CMD"))
    assert recipe.command
    assert recipe.health_check
    assert recipe.all("ENTRYPOINT") == []


def test_nothing_is_asked_for_that_might_be_a_secret(recipe):
    assert recipe.all("ARG") == []
    said = [text for name, text in recipe.instructions if name in {"ENV", "RUN"}]
    assert not [text for text in said if re.search(r"token|password|secret|credential", text, re.IGNORECASE)]


def test_all_that_is_copied_is_there_and_not_ignored(recipe):
    assert recipe.all("ADD") == []
    copied = [source for sources, _ in recipe.copies for source in sources]
    assert copied
    assert all((recipe.context / source).exists() for source in copied)
    if recipe.context == TOP:
        taken = [line[1:] for line in (TOP / ".dockerignore").read_text().splitlines() if line.startswith("!")]
        assert sorted(taken) == sorted([*copied, "images/edge_proxy/Dockerfile"])


def test_what_apt_fetched_is_not_kept_and_nothing_is_built(recipe):
    for text in recipe.all("RUN"):
        assert ("apt-get install" in text) <= (
            "--no-install-recommends" in text and "rm -rf /var/lib/apt/lists/*" in text
        )
        assert ("pip install" in text) <= ("--no-cache-dir" in text)
        assert not re.search(r"build-essential|gcc|curl|wget|sudo", text)


def test_an_edge_has_the_code_and_the_libraries_that_its_bundle_has():
    recipe, part = Recipe("edge_proxy"), BUNDLE_SPECS["edge"]
    (installs,) = (text for text in recipe.all("RUN") if "uv sync" in text)
    words = shlex.split(installs)
    assert tuple(word for before, word in pairwise(words) if before == "--only-group") == part.groups
    assert {"--frozen", "--no-install-project", "--no-build"} <= set(words)
    assert [source for sources, _ in recipe.copies[1:] for source in sources] == list(part.packages)


def test_a_server_has_what_is_locked_whole_and_by_the_locks_hashes():
    recipe = Recipe("singleuser")
    (installs,) = (text for text in recipe.all("RUN") if "pip install" in text)
    assert {"--require-hashes", "--no-deps", "--only-binary"} <= set(shlex.split(installs))
    for name, version, _, hashes in recipe.pins:
        one = LOCKED[name, version]
        assert hashes == {file["hash"] for file in [*one.get("wheels", ()), *filter(None, [one.get("sdist")])]}, (
            OUTDATED
        )
    assert {name for name, *_ in recipe.pins} == _needed(*SERVERS_PACKAGES), OUTDATED


@pytest.mark.parametrize("machine", MACHINES)
def test_all_of_a_server_comes_as_wheels_for(machine):
    fits = re.compile(
        rf"-(py3|py2\.py3)-none-any\.whl$|-(cp313-cp313|cp3\d+-abi3|py3-none)-.*{MACHINES[machine]}\.whl$"
    )
    here = {
        "sys_platform": "linux",
        "os_name": "posix",
        "platform_machine": machine,
        "python_version": PYTHON,
        "python_full_version": f"{PYTHON}.0",
        "platform_system": "Linux",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
    }
    for name, version, marker, _ in Recipe("singleuser").pins:
        if not marker or Marker(marker).evaluate(here):
            assert any(fits.search(wheel["url"]) for wheel in LOCKED[name, version]["wheels"]), (
                f"{name} {version} would have to be built"
            )


def _needed(*names):
    """Return every package that the lock says *names* need on any platform, without their extras."""
    needed, waiting = set(), [(name, ()) for name in names]
    seen = set()
    while waiting:
        seen.add(asked := waiting.pop())
        name, extras = asked
        needed.add(name)
        for (known, _), one in LOCKED.items():
            if known == name:
                more = [
                    one.get("dependencies", []),
                    *(one.get("optional-dependencies", {}).get(extra, []) for extra in extras),
                ]
                found = {(each["name"], tuple(each.get("extra", ()))) for some in more for each in some}
                waiting += found - seen
    return needed
