"""HTTP transport, request and response types, polling, and calls of the REST API."""
