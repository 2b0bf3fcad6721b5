"""Ports: what the services need from outside, as Protocols. Their docstrings state the promises that adapters keep."""
