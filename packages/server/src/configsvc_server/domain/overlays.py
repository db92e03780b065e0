"""Overlays: JSON Merge Patch (RFC 7396), and configurations resolved for an environment."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import cast

from configsvc_server.domain.models import ConfigurationDocument, Snapshot, SnapshotEntry
from configsvc_server.domain.strict_json import JsonObject, JsonValue, dumps

__all__ = ["merge_patch", "resolve", "resolve_all", "resolve_snapshot"]


def merge_patch(target: JsonValue, patch: JsonValue) -> JsonValue:
    """Return ``target`` changed by ``patch`` (RFC 7396); neither is modified."""
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


def resolve(document: ConfigurationDocument, environment: str) -> JsonObject:
    """Return ``config`` as the overlay of an environment patches it."""
    return _apply(document.config, document.overlays.get(environment))


def resolve_all(
    document: ConfigurationDocument, environments: Iterable[str]
) -> dict[str, JsonObject]:
    """Return what ``document`` is in each environment, in alphabetical order."""
    return {name: resolve(document, name) for name in sorted(environments)}


def resolve_snapshot(snapshot: Snapshot) -> Snapshot:
    """Return a snapshot whose configurations are as their overlays patch them."""
    return replace(snapshot, entries=tuple(map(_resolve_entry, snapshot.entries)))


def _resolve_entry(entry: SnapshotEntry) -> SnapshotEntry:
    if entry.overlay is None:
        return entry
    config = _apply(json.loads(entry.config), entry.overlay)
    return replace(entry, config=dumps(config).decode(), overlay=None)


def _apply(config: JsonObject, overlay: JsonObject | None) -> JsonObject:
    return config if overlay is None else cast("JsonObject", merge_patch(config, overlay))
