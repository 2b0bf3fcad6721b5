"""Implementations of the ports, one technology a package; they never import each other."""
