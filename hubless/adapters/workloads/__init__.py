"""Proofs of workloads: signed tokens of their platforms, and requests that AWS credentials signed."""
