"""The composition root: the only place that names adapters, imported where they are used.

`hub` puts the services together, the same ones everywhere; `machine` and `cloud` say on what they stand. What a process
never asks for, it never loads: that is what a cold start is made of.
"""
