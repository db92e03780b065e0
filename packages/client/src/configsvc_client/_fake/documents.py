"""JSON documents: values, digests and differences."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from configsvc_client._values.diff import compare
from configsvc_client._values.merging import merged

__all__ = ["Record", "differences", "digest", "resolved"]

Record = dict[str, Any]


def resolved(document: Mapping[str, Any], environment: str) -> Any:
    """Return the values of a configuration as they are in an environment."""
    return merged(document["config"], document["overlays"].get(environment, {}))


def digest(document: Any) -> str:
    """Return a digest of the content, whatever the order of its members."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def differences(old: Record, new: Record) -> tuple[list[Record], list[Record]]:
    """Return a JSON Patch (RFC 6902) from one object to another, and the same with old values."""
    operations = {"added": "add", "removed": "remove", "changed": "replace"}
    patch, changes = [], []
    for found in compare(old, new):
        operation = {"op": operations[found.kind], "path": found.path}
        change: Record = {"path": found.path, "kind": found.kind}
        if found.kind != "added":
            change["old"] = found.old
        if found.kind != "removed":
            change["new"] = operation["value"] = found.new
        patch.append(operation)
        changes.append(change)
    return patch, changes
