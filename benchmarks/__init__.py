"""Benchmarks of the server and the client; each module says how to run it."""
