"""Estimate the monthly costs of a hub in AWS."""
