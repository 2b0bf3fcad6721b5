"""The store of a hub on one machine: one SQLite file in WAL mode, which several processes use at once."""
