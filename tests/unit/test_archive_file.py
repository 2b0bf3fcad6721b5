"""Archives as files: what is refused, and that the form is what docs/archive.md says."""

import json
import re
from dataclasses import fields
from pathlib import Path

import pytest

from hubless.adapters import archive_file
from hubless.domain.archive import Archive, ArchivedGroup
from hubless.domain.archive_form import KINDS
from hubless.domain.errors import InvalidRequestError
from tests.support.builders import NOW
from tests.support.moving import A_HASH, a_hub, records_of

DOCS = Path(__file__).parents[2] / "docs/archive.md"


DEAR_HASH = A_HASH.replace("m=65536", "m=4194304")
TOKEN = (
    '{"kind": "token", "owner_kind": "user", "owner": "x", "scopes": [], "created_at": "2026-01-01T00:00:00Z",'
    ' "hashed": "%s"}'
)


@pytest.mark.parametrize("note", [{}, {"text": ""}, {"text": "x" * 2_001}, "Ask Tina"], ids=lambda note: str(note)[:20])
def test_a_note_that_no_hub_writes_is_refused(path, note):
    user = {"kind": "user", "name": "x", "admin_note": note}
    write_lines(path, [lines_of(path)[0], json.dumps(user)])
    assert "Line 2" in refusal(path)


@pytest.fixture
def path(tmp_path):
    archive_file.write(a_hub(), tmp_path / "a.jsonl", NOW)
    return tmp_path / "a.jsonl"


def lines_of(path):
    return path.read_text().splitlines()


def write_lines(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines))


def refusal(path):
    with pytest.raises(InvalidRequestError) as refused:
        archive_file.read(path)
    return str(refused.value)


def test_a_file_gives_back_what_was_written(path):
    found = archive_file.read(path)
    assert records_of(found) == records_of(a_hub())
    assert found.has_secrets


def test_a_file_cut_anywhere_is_refused(path):
    whole = path.read_bytes()
    for length in [0, 1, len(whole) // 2, len(whole) - 2, *range(len(whole) - 300, len(whole) - 1, 7)]:
        path.write_bytes(whole[:length])
        assert "archive" in refusal(path)


@pytest.mark.parametrize("number", [1, 3, -2])
def test_a_missing_or_double_line_is_refused(path, number):
    lines = lines_of(path)
    write_lines(path, [line for line in lines if line != lines[number]])
    assert "was changed" in refusal(path)
    write_lines(path, [*lines[:number], lines[number], *lines[number:]])
    assert "was changed" in refusal(path)


def test_a_line_behind_the_end_is_refused(path):
    lines = lines_of(path)
    write_lines(path, [*lines, lines[1]])
    assert "after the end" in refusal(path)


def test_a_newer_form_is_refused(path):
    lines = lines_of(path)
    write_lines(path, [lines[0].replace('"version": 1', '"version": 2'), *lines[1:]])
    assert "has version 2" in refusal(path)


@pytest.mark.parametrize(
    "header", ['{"kind": "user"}', '{"kind": "end"}', '{"kind": "hubless-archive", "version": true}']
)
def test_a_file_without_a_header_is_refused(path, header):
    write_lines(path, [header, *lines_of(path)[1:]])
    assert "no archive of hubless" in refusal(path)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"kind": "hologram", "name": "x"}', "no records of the kind 'hologram'"),
        ('{"kind": "user", "name": "x", "shoe_size": 42}', "unknown field 'shoe_size'"),
        ('{"kind": "user"}', "'name' is missing"),
        ('{"kind": "user", "name": 7}', "'name' has a value"),
        ('{"kind": "user", "name": null}', "'name' has a value"),
        ('{"kind": "user", "name": "x", "admin": 1}', "'admin' has a value"),
        ('{"kind": "user", "name": "\\ud800"}', "'name' has a value"),
        ('{"kind": "user", "name": "x", "user_info": []}', "'user_info' has a value"),
        ('{"kind": "user", "name": "x", "user_info": {"a": NaN}}', "not JSON"),
        ('{"kind": "user", "name": "x", "user_info": {"a": -1e999}}', "not JSON"),
        ('{"kind": "user", "name": "x", "user_info": {"a": ["\\udfff"]}}', "'user_info' has a value"),
        ('{"kind": "user", "name": "x", "created_at": "2026-01-01T00:00:00"}', "'created_at' has a value"),
        ('{"kind": "user", "name": "x", "created_at": "0001-01-01T00:00:00+14:00"}', "'created_at' has a value"),
        ('{"kind": "user", "name": "x", "passkeys": [7]}', "a record must be a JSON object"),
        ('{"kind": "group", "name": "x", "users": "ada"}', "'users' has a value"),
        ('{"kind": "share", "owner": "x", "server": "", "scopes": [1], "created_at": ""}', "'scopes' has a value"),
        ('{"kind": "token", "owner_kind": "dog", "owner": "x", "hashed": "", "scopes": []}', "'created_at' is missing"),
        ('{"kind": "user", "name": "x", "id": "../../etc"}', "'id' has a value"),
        ('{"kind": "user", "name": "x", "id": "a/b"}', "'id' has a value"),
        ('{"kind": "user", "name": "x", "email": "a@b.example\\r\\nBcc: c@d.example"}', "'email' has a value"),
        ('{"kind": "user", "name": "x", "app": {"secret": "short"}}', "'app' has a value"),
        ('{"kind": "user", "name": "x", "password_hash": "$2b$30$' + "a" * 53 + '"}', "'password_hash' has a value"),
        (f'{{"kind": "user", "name": "x", "password_hash": "{DEAR_HASH}"}}', "'password_hash' has a value"),
        ('{"kind": "sign_up", "name": "x", "password_hash": "plain"}', "'password_hash' has a value"),
        (TOKEN % "sha512", "'hashed' has a value"),
        (TOKEN % "sha512:1:2", "'hashed' has a value"),
        (TOKEN % f"sha512:99999:salt:{'0' * 128}:abcd", "'hashed' has a value"),
        (TOKEN % f"sha512:1:salt:{'0' * 128}:abcde", "'hashed' has a value"),
        ('{"kind": "service", "name": "x", "client_secret_hash": "sha512:"}', "'client_secret_hash' has a value"),
        ('["user"]', "no JSON object"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_a_wrong_line_is_named(path, line, why):
    lines = lines_of(path)
    write_lines(path, [lines[0], line, *lines[1:]])
    told = refusal(path)
    assert told.startswith(f"Line 2 of the archive {path} is wrong")
    assert why in told


def test_a_value_that_is_nested_too_deeply_is_refused(path):
    lines = lines_of(path)
    deep = "1"
    for _ in range(60):
        deep = f'{{"a": {deep}}}'
    write_lines(path, [lines[0], f'{{"kind": "user", "name": "x", "user_info": {deep}}}', *lines[1:]])
    assert "nested too deeply" in refusal(path)


def test_a_line_of_a_gigabyte_is_refused_before_it_is_read(path):
    with path.open("wb") as file:
        file.write(b'{"kind": "hubless-archive", "version": 1}\n')
        file.truncate(1 << 30)  # holes: it needs no room
    assert "has more than 4000000 bytes" in refusal(path)


def test_what_a_reader_would_refuse_is_not_written(tmp_path):
    huge = Archive("x", groups=(ArchivedGroup("g", properties={"text": "x" * archive_file.MAX_LINE}),))
    (tmp_path / "a.jsonl").write_text("before")
    with pytest.raises(InvalidRequestError, match="The group g is too large"):
        archive_file.write(huge, tmp_path / "a.jsonl", NOW)
    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("a.jsonl", "before")]


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(InvalidRequestError, match="cannot be written: No such file"):
        archive_file.write(a_hub(), tmp_path / "none" / "a.jsonl", NOW)


def test_each_field_of_the_form_is_in_the_documentation():
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", DOCS.read_text(), re.MULTILINE))
    for kind, (_, record) in KINDS.items():
        missing = [one.name for one in fields(record) if f"`{one.name}`" not in rows[kind]]
        assert missing == [], kind


def test_a_field_with_its_default_is_left_out(tmp_path):
    archive_file.write(Archive("x", groups=(ArchivedGroup("g"),)), tmp_path / "a.jsonl", NOW)
    assert json.loads(lines_of(tmp_path / "a.jsonl")[1]) == {"kind": "group", "name": "g"}
