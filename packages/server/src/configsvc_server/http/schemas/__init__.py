"""JSON Schema files: they validate the requests, and the OpenAPI document shows them."""

import json
from importlib import resources
from typing import Any

from configsvc_server.domain.strict_json import JsonObject

__all__ = ["load_schemas"]

# The page of each list differs in its items only.
_ITEMS = {
    "ApplicationPage": "ApplicationItem",
    "ConfigurationPage": "Configuration",
    "EnvironmentPage": "EnvironmentItem",
    "GrantPage": "Grant",
    "InstancePage": "Instance",
    "SessionPage": "Session",
    "ReleasePage": "Release",
    "RevisionPage": "Revision",
    "TokenPage": "Token",
}


def load_schemas() -> dict[str, JsonObject]:
    """Return every schema by its name: those of the files, and the page of each list."""
    schemas = {
        entry.name.removesuffix(".json"): json.loads(entry.read_text(encoding="utf-8"))
        for entry in resources.files(__name__).iterdir()
        if entry.name.endswith(".json")
    }
    page = schemas.pop("Page")
    pages = {name: _page_of(page, item) for name, item in _ITEMS.items()}
    return dict(sorted({**schemas, **pages}.items()))


def _page_of(page: dict[str, Any], item: str) -> dict[str, Any]:
    items = {**page["properties"]["items"], "items": {"$ref": f"#/components/schemas/{item}"}}
    return {**page, "properties": {**page["properties"], "items": items}}
