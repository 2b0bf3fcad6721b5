"""Forks servers from a process that has their packages loaded.

It runs in the servers' own environment, so it has nothing but the standard library, and it is on its own: no other part
of the hub is imported here. The hub speaks to it by a socket (`hubless.adapters.processes.fork_servers`).
"""
