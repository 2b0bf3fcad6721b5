"""Constructs: the larger parts of the stacks."""
