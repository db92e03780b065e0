"""JSON Merge Patch (RFC 7396)."""

from collections.abc import Mapping

from configsvc_server.domain.strict_json import JsonObject, JsonValue

__all__ = ["merge_patch"]


def merge_patch(target: JsonValue, patch: JsonValue) -> JsonValue:
    """Return ``target`` changed by ``patch``; neither is modified."""
    if not isinstance(patch, Mapping):
        return patch
    base: JsonObject = target if isinstance(target, Mapping) else {}
    merged = dict(base)
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged
