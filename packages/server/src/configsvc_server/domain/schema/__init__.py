"""JSON Schema engine (draft 2020-12): validation of schemas and of values, defaults, cost."""
