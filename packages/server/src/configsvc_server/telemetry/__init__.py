"""Telemetry: what the server counts and measures, and how Prometheus is told."""
