"""OpenAPI document: built from the schema files that validate the requests."""

from configsvc_server.http.openapi.document import build_openapi

__all__ = ["build_openapi"]
