"""Cached responses: single-flight loads, eviction by change signals, and waiters."""
