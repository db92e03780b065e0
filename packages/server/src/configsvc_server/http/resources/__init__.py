"""Resources of the REST API: one module per resource, methods in HTTP order."""
