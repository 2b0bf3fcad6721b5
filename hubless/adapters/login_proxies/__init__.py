"""Verifies the word of proxies that log people in: signed assertions, and a bare name beside a shared secret."""
