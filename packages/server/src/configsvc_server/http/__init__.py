"""REST API over Falcon: one module per resource, and what they share."""
