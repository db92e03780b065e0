"""REST API over Falcon: one module per resource, and what they share."""

from typing import Final

__all__ = ["PREFIX"]

PREFIX: Final = "/api/v1"
"""Path that every resource of the API is below."""
