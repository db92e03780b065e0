"""Snapshot documents and deltas as the server writes them."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

HEAD = {
    "application_id": "01K9YV5C7W3V0Y1Q3W6M8N2B4E",
    "application": "billing",
    "environment": "default",
}

Entries = Mapping[str, Mapping[str, Any]]


def entry(config: Any, version: int = 1, **others: Any) -> dict[str, Any]:
    return {
        "id": "01K9YV5C7W3V0Y1Q3W6M8N2B4D",
        "version": version,
        "updated_at": "2026-11-24T08:00:00.000000Z",
        "config": config,
        **others,
    }


def etag_of(entries: Entries) -> str:
    parts = [text.encode() for text in HEAD.values()]
    for name, value in sorted(entries.items()):
        parts += (name.encode(), hashlib.sha256(_text(value).encode()).digest())
    return f'"{hashlib.sha256(bytes([0]).join(parts)).hexdigest()[:32]}"'


def whole(entries: Entries) -> bytes:
    return _text({**HEAD, "configurations": dict(sorted(entries.items()))}).encode()


def delta(old: Entries, new: Entries) -> bytes:
    changed = {name: value for name, value in sorted(new.items()) if old.get(name) != value}
    removed = sorted(old.keys() - new.keys())
    base = {"base": etag_of(old).strip('"')}
    return _text({**base, **HEAD, "configurations": changed, "removed": removed}).encode()


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
