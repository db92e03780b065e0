"""Benchmark of the service with 100,000 configurations beside 100."""
