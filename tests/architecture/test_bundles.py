"""What is deployed runs with nothing beside it, on the machine that it was made for."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from hubless.domain.languages import ENGLISH, NAMES
from hubless.settings.cloud import to_environment
from infra import bundling
from infra.bundling import BOTOCORE_SERVICES, BUNDLE_SPECS, TOP, BundlingError, bundle
from tests.unit.test_cloud_settings import CLOUD

HERE = {
    "architecture": {"x86_64": "x86_64", "aarch64": "arm64"}[platform.machine()],
    "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
}
ELF_MACHINES = {"arm64": 183, "x86_64": 62}
OF_ONE_MACHINE = (
    "hubless.adapters.authenticators.jupyterhub_plugin",
    "hubless.adapters.sqlite",
    "hubless.adapters.processes",
    "hubless.bootstrap.machine",
)
# Import every module of ours: a pruned module that is imported late would fail a request long after the start.
ALONE = """
import importlib, json, pathlib, sys
folder, entry, services, left_out = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), tuple(json.loads(sys.argv[4]))
sys.path.insert(0, folder)
importlib.import_module(entry)
for top in ("hubless", entry.partition(".")[0]):
    for file in sorted(pathlib.Path(folder, top).rglob("*.py")):
        name = ".".join(file.relative_to(folder).with_suffix("").parts).removesuffix(".__init__")
        if not name.startswith(left_out) and not name.endswith("__main__"):
            importlib.import_module(name)
import boto3
session = boto3.Session("a", "b")
for service in services:
    session.client(service, region_name="eu-central-1")
files = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
cached = [module.__cached__ for name, module in sys.modules.items() if name.startswith("hubless")]
print(json.dumps({
    "foreign": sorted({file for file in files if "site-packages" in file}),
    "cached": all(file.startswith(folder) and pathlib.Path(file).exists() for file in cached),
}))
"""
# An edge has no log and no metrics of Lambda's, and routes alone to ask the table for.
NOT_OF_AN_EDGE = ("hubless.adapters.powertools", "hubless.adapters.passwords")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles")
    return lambda name, **how: bundle(name, into=folder, **HERE | how)


@pytest.mark.parametrize(
    ("name", "entry", "left_out"),
    [
        ("api", "functions.api.handler", ()),
        ("spawn", "functions.spawn.handler", ("hubless.adapters.passwords",)),
        ("reaper", "functions.reaper.handler", ("hubless.adapters.passwords",)),
        ("edge", "edge_proxy.__main__", NOT_OF_AN_EDGE),
    ],
)
def test_a_bundle_runs_with_nothing_beside_it(made, tmp_path, name, entry, left_out):
    folder = made(name, compiled=name == "edge")  # one is enough to see that, and it takes long
    what = [
        str(folder),
        entry,
        json.dumps(sorted(BUNDLE_SPECS[name].services)),
        json.dumps([*OF_ONE_MACHINE, *left_out]),
    ]
    environ = to_environment(CLOUD) | {
        "AWS_REGION": "eu-central-1",
        "PATH": os.environ["PATH"],
        "LAMBDA_TASK_ROOT": str(folder),
    }

    received = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", ALONE, *what],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert received.returncode == 0, received.stderr
    assert json.loads(received.stdout.splitlines()[-1]) == {"foreign": [], "cached": name == "edge"}


def test_a_function_holds_none_of_anothers_code(made):
    folder = made("spawn", compiled=False)

    assert {path.name for path in (folder / "functions").iterdir()} == {"__init__.py", "spawn"}
    assert not (folder / "starlette").exists()
    assert {path.name for path in (folder / "botocore/data").iterdir() if path.is_dir()} == BOTOCORE_SERVICES


def test_the_services_that_botocore_keeps_are_those_that_adapters_ask():
    asked = {
        name
        for file in (TOP / "hubless/adapters").rglob("*.py")
        for name in re.findall(r"_clients\.([a-z]+[0-9]*)\b", file.read_text())
    }

    assert asked | {"dynamodb"} == BOTOCORE_SERVICES


def test_a_bundle_for_another_machine_holds_no_library_of_this_one(made):
    other = "arm64" if HERE["architecture"] == "x86_64" else "x86_64"
    folder = made("api", architecture=other, python="3.13", compiled=False)

    libraries = [file.read_bytes()[:20] for file in folder.rglob("*.so*")]

    assert libraries
    assert {int.from_bytes(head[18:20], "little") for head in libraries} == {ELF_MACHINES[other]}


def test_settings_lie_beside_the_code_and_are_part_of_what_is_deployed(made, tmp_path):
    settings = tmp_path / "school.toml"
    settings.write_text("[hub]\n")
    first = made("edge", settings_file=settings, compiled=False)
    again = made("edge", settings_file=settings, compiled=False)
    settings.write_text("[servers]\n")
    changed = made("edge", settings_file=settings, compiled=False)

    assert (first / "hubless.toml").read_text() == "[hub]\n"
    assert again == first
    assert changed != first
    assert (changed / "hubless.toml").read_text() == "[servers]\n"


def test_the_theme_lies_beside_the_settings(made, tmp_path):
    settings, template = tmp_path / "school.toml", tmp_path / "own/page.html"
    settings.write_text('[theme]\nlogo = "look/logo.svg"\ntemplates = "own"\n')
    with pytest.raises(BundlingError, match=r"school\.toml: theme\.logo: there is no file"):
        made("edge", settings_file=settings, compiled=False)
    for file in (tmp_path / "look/logo.svg", template):
        file.parent.mkdir()
        file.write_text("<svg/>")
    first = made("edge", settings_file=settings, compiled=False)
    template.write_text("<p/>")
    changed = made("edge", settings_file=settings, compiled=False)
    template.rename(tmp_path / "own/home.html")
    renamed = made("edge", settings_file=settings, compiled=False)

    assert (first / "look/logo.svg").read_text() == (first / "own/page.html").read_text() == "<svg/>"
    assert (changed / "own/page.html").read_text() == (renamed / "own/home.html").read_text() == "<p/>"


def test_what_goes_in_decides_what_comes_out(made, tmp_path):
    shutil.copytree(made("edge"), tmp_path / "first")

    elsewhere = tmp_path / "elsewhere"
    for needed in made("edge").parent.glob(".needed-*"):  # of others, which take long to install
        shutil.copytree(needed, elsewhere / needed.name)
    again = bundle("edge", into=elsewhere, **HERE)

    assert again.name == made("edge").name
    assert contents_of(again) == contents_of(tmp_path / "first") == contents_of(made("edge"))
    assert {file.stat().st_mtime for file in again.rglob("*")} == {bundling.EPOCH}


def contents_of(folder):
    return {
        str(file.relative_to(folder)): (file.stat().st_mode, file.read_bytes())
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_a_bundle_above_its_bound_is_refused_with_what_to_do(made, monkeypatch):
    monkeypatch.setitem(
        BUNDLE_SPECS,
        "edge",
        replace(BUNDLE_SPECS["edge"], packages=("hubless", "edge_proxy", "embedded"), max_bytes=1_000_000),
    )

    with pytest.raises(
        BundlingError,
        match=r"The bundle of edge has \d\.\d MB without botocore, more than its limit of 1. Remove a dep",
    ):
        made("edge")


def test_a_machine_that_nothing_is_made_for_is_refused(made):
    with pytest.raises(BundlingError, match='Cannot build bundles for "riscv64": choose one of arm64, x86_64'):
        made("edge", architecture="riscv64")


def test_only_the_api_holds_the_texts_of_all_languages(made):
    folder = made("api", compiled=False)

    for name in set(NAMES) - {ENGLISH}:
        assert (folder / f"functions/api/locale/{name}/LC_MESSAGES/hubless.po").is_file()
    assert not list(made("spawn", compiled=False).rglob("*.po"))


def test_pictures_of_profiles_lie_beside_the_settings(made, tmp_path):
    school = tmp_path / "school"
    (school / "pictures").mkdir(parents=True)
    settings = school / "school.toml"
    settings.write_text(
        '[[profiles]]\nname = "a"\npicture = "one.png"\n[[profiles]]\nname = "b"\npicture = "pictures/two.svg"\n'
        '[[profiles]]\nname = "c"\n[[profiles]]\nname = "d"\npicture = "one.png"\n'
    )
    (school / "one.png").write_bytes(b"one")
    (school / "pictures/two.svg").write_bytes(b"two")
    (school / "pictures/three.svg").write_bytes(b"of nobody")

    first = made("edge", settings_file=settings, compiled=False)
    (school / "one.png").write_bytes(b"another")
    changed = made("edge", settings_file=settings, compiled=False)

    assert (first / "one.png").read_bytes() == b"one"
    assert (first / "pictures/two.svg").read_bytes() == b"two"
    assert not (first / "pictures/three.svg").exists()
    assert (changed / "one.png").read_bytes() == b"another"


@pytest.mark.parametrize("is_folder", [False, True])
def test_a_picture_that_is_not_there_is_refused(made, tmp_path, is_folder):
    settings = tmp_path / "school.toml"
    settings.write_text('[[profiles]]\nname = "a"\npicture = "pictures/lost.png"\n')
    if is_folder:
        (tmp_path / "pictures/lost.png").mkdir(parents=True)

    with pytest.raises(BundlingError, match=r"school\.toml names the picture lost\.png, which is not at .*pictures/"):
        made("edge", settings_file=settings, compiled=False)
