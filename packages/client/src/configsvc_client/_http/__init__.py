"""HTTP transport: requests, responses, errors, and calls of the REST API."""
