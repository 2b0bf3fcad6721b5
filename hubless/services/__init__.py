"""Use cases: each takes its ports in the constructor and reads as prose."""
