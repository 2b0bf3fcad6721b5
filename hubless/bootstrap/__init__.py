"""The composition root: the only place that names adapters, imported where they are used.

`hub` creates the services, which are the same on all platforms; `machine` and `cloud` choose the adapters. A process
loads only the modules that it uses, which keeps cold starts short.
"""
