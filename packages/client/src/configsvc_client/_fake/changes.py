"""Audit log endpoint of the fake."""

from configsvc_client._fake.calls import Call, Reply
from configsvc_client._fake.documents import Record
from configsvc_client._fake.state import State

__all__ = ["collection"]

_FILTERS = ("application_id", "configuration_id", "actor", "action", "entity")


def collection(state: State, call: Call) -> Reply:
    """Answer ``/changes``, at once also where the server would wait for a change."""
    backwards, after = call.param("sort") == "-id", call.param("after")
    limit = int(call.param("limit") or "50")
    position = int(after) if after is not None else None
    found = []
    for change in reversed(state.changes) if backwards else state.changes:
        is_beyond = position is None or (
            change["id"] < position if backwards else change["id"] > position
        )
        if is_beyond and call.principal.reads_change(change) and _passes(call, change):
            found.append(change)
    items = found[:limit]
    last = str(items[-1]["id"]) if items else after or "0"
    has_more = len(found) > limit
    return Reply({"items": items, "limit": limit, "has_more": has_more, "next": last})


def _passes(call: Call, change: Record) -> bool:
    environment = call.param("environment")
    return all(call.param(name) in (None, change[name]) for name in _FILTERS) and (
        environment is None or environment in change["environments"]
    )
