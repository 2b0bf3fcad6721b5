"""Lines of the log for whom nobody waits."""

import threading

import pytest

from embedded import line_writer
from embedded.line_writer import LineWriter

TEXT = "x" * 999 + "\n"


class Reader:
    """Takes lines only while the test lets it."""

    def __init__(self):
        self.taken, self.reads, self.refuses = [], threading.Event(), False
        self.waits = threading.Event()

    def write(self, text):
        self.waits.set()
        assert self.reads.wait(30)
        if self.refuses:
            raise OSError("the disk is full")
        self.taken.append(text)


@pytest.fixture
def reader():
    one = Reader()
    yield one
    one.reads.set()


def test_text_is_written_in_order(reader):
    writer = LineWriter(reader.write, "a file")
    reader.reads.set()

    for number in range(100):
        writer.put(f"{number}\n")
        writer.put("")

    assert writer.flush(30)
    assert "".join(reader.taken) == "".join(f"{number}\n" for number in range(100))


def test_what_nobody_takes_is_bounded_and_its_lines_are_counted(reader):
    writer = LineWriter(reader.write, "the terminal")
    for _ in range(3 * line_writer.ROOM // len(TEXT)):
        writer.put(TEXT)
    assert not writer.flush(0)

    reader.reads.set()

    assert writer.flush(30)
    *lines, last = "".join(reader.taken).splitlines()
    assert len(lines) == line_writer.ROOM // len(TEXT)
    assert last == f"{2 * len(lines)} lines of the log were dropped: the terminal did not take them."


def test_lines_that_cannot_be_written_are_counted_too(reader):
    writer = LineWriter(reader.write, "the disk")
    reader.refuses = True
    reader.reads.set()
    writer.put("lost\nlost too\n")
    assert writer.flush(30)

    reader.refuses = False
    writer.put("there is room again\n")
    writer.close(30)

    assert (
        "".join(reader.taken) == "there is room again\n2 lines of the log were dropped: the disk did not take them.\n"
    )


def test_the_end_does_not_wait_for_who_never_reads(reader):
    writer = LineWriter(reader.write, "the terminal")
    writer.put(TEXT)

    writer.close(0.01)

    assert reader.taken == []


def test_after_the_end_nothing_more_is_written(reader):
    writer = LineWriter(reader.write, "the terminal")
    writer.put("first\n")
    assert reader.waits.wait(30)
    writer.put("second\n")
    writer.close(0)

    reader.reads.set()
    writer._thread.join(30)

    assert reader.taken == ["first\n"]


def test_the_file_is_rotated_and_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(line_writer, "FILE_BYTES", 10_000)
    writer = line_writer.to_file(tmp_path / "logs" / "hub.log")

    for number in range(2000):
        writer.put(f"{number:099}\n")
    writer.close(30)

    files = sorted((tmp_path / "logs").iterdir())
    assert [file.name for file in files] == ["hub.log", "hub.log.1", "hub.log.2", "hub.log.3", "hub.log.4"]
    assert all(file.stat().st_size <= 10_000 for file in files)
    assert files[0].read_text().splitlines()[-1] == f"{1999:099}"
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
