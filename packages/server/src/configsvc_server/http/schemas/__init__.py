"""JSON Schemas of the API: what validates the requests is what the OpenAPI document shows."""

import json
from importlib import resources

from configsvc_server.domain.strict_json import JsonObject

__all__ = ["load_schemas"]


def load_schemas() -> dict[str, JsonObject]:
    """Return every schema by its name, which is that of its file."""
    return {
        entry.name.removesuffix(".json"): json.loads(entry.read_text(encoding="utf-8"))
        for entry in sorted(resources.files(__name__).iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".json")
    }
