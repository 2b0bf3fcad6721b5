"""The store of a hub on one machine: one SQLite file in WAL mode, used by several processes at once."""
