#!/usr/bin/env bash
# SQLite's `immutable=1` opens a database without its write-ahead log: what was committed last is missing, with no error.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 - "$folder/hub.sqlite" <<'PYTHON'
import sqlite3
import sys

path = sys.argv[1]
writer = sqlite3.connect(path)  # a hub that runs
writer.execute("PRAGMA journal_mode = WAL")
writer.execute("CREATE TABLE users (name TEXT)")
writer.execute("INSERT INTO users VALUES ('ada')")
writer.commit()
writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
writer.execute("INSERT INTO users VALUES ('bob')")
writer.commit()


def names(words):
    reader = sqlite3.connect(f"file:{path}?{words}", uri=True)
    try:
        return [name for (name,) in reader.execute("SELECT name FROM users")], *reader.execute("PRAGMA integrity_check").fetchone()
    finally:
        reader.close()


found = {words: names(words) for words in ("mode=ro", "mode=ro&immutable=1")}
print("SQLite", sqlite3.sqlite_version)
print("The way to read a file that may not be touched leaves out committed rows, and calls the database whole.")
for words, (read, integrity) in found.items():
    print(f"{words}: {read}, integrity_check: {integrity}")
sys.exit(found != {"mode=ro": (["ada", "bob"], "ok"), "mode=ro&immutable=1": (["ada"], "ok")})
PYTHON
