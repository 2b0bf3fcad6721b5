import pytest

from hubless.domain import jupyterhub_versions


@pytest.mark.parametrize("version", ["5.4.6", "4.1.6", "2.3.1", "6.0.9", "6.2.0", "6.10.1", "7.0.0b1", "16.1.1"])
def test_another_major_or_minor_version_is_another(version):
    assert jupyterhub_versions.is_other(version)


@pytest.mark.parametrize("version", ["6.1.1", "6.1.0", "6.1.9", "6.1.2.dev0", "6.1", ""])
def test_a_patch_or_no_version_is_not(version):
    assert not jupyterhub_versions.is_other(version)


@pytest.mark.parametrize("header", [None, "", "new", "4", "1.2\n3", "1.2 3", "4." + "1" * 60, "1.1" + "a" * 38])
def test_what_is_no_version_is_left_out(header):
    assert jupyterhub_versions.version_in(header) == ""


def test_the_warning_is_jupyterhubs():
    assert jupyterhub_versions.warning("4.1.6") == (
        "jupyterhub version 6.1.1 != jupyterhub-singleuser version 4.1.6."
        " This could cause failure to authenticate and result in redirect loops!"
    )
