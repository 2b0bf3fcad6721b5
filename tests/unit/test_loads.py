"""What servers use: several together, and the file in which the worker leaves it for the hub's other processes."""

import os
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from hubless.adapters.processes.loads_file import LoadsFile
from hubless.domain.loads import Load, together
from tests.support.builders import NOW

ONE = Load(2**30, 0.5, NOW, memory_limit=2**31)
OTHER = Load(2**20, None, NOW - timedelta(minutes=3))


def test_several_launches_are_as_old_as_the_oldest():
    assert together([ONE, OTHER]) == Load(2**30 + 2**20, 0.5, NOW - timedelta(minutes=3))
    assert together([OTHER]).cpus is None
    assert together([]) is None


def test_what_was_measured_is_read_as_it_was_written(tmp_path):
    LoadsFile(tmp_path / "loads.json").replace({"l1": ONE, "l2": OTHER})
    assert LoadsFile(tmp_path / "loads.json").get_many(["l2", "l1", "l3"]) == {"l1": ONE, "l2": OTHER}
    assert (tmp_path / "loads.json").stat().st_mode & 0o777 == 0o600


def test_a_reader_sees_each_new_measurement(tmp_path):
    reader, worker = LoadsFile(tmp_path / "loads.json"), LoadsFile(tmp_path / "loads.json")
    assert reader.get_many(["l1"]) == {}
    for cpus in (0.5, 0.75, 1.0):
        worker.replace({"l1": replace(ONE, cpus=cpus)})
        assert reader.get_many(["l1"])["l1"].cpus == cpus
    worker.replace({})
    assert reader.get_many(["l1"]) == {}


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"l1": 3}', '{"l1": [1]}', '{"l1": [1, 0.5, "yesterday", null]}'])
def test_an_unreadable_file_says_nothing(tmp_path, text):
    (tmp_path / "loads.json").write_text(text)
    assert LoadsFile(tmp_path / "loads.json").get_many(["l1"]) == {}


def test_who_measures_knows_whether_somebody_reads(tmp_path):
    reader, worker = LoadsFile(tmp_path / "loads.json"), LoadsFile(tmp_path / "loads.json")
    assert not worker.was_read_within(60)
    reader.get_many(["l1"])
    assert worker.was_read_within(60)
    long_ago = time.time() - 61
    os.utime(tmp_path / "loads.read", (long_ago, long_ago))
    assert not worker.was_read_within(60)
