"""Documents of the API as a server sends them, and what was sent to it."""

import json
from typing import Any

import responses

BASE = "http://server/api/v1"
APPLICATION_ID = "01K9YV5C7W3V0Y1Q3W6M8N2B4E"
CONFIGURATION_ID = "01K9YV5C7W3V0Y1Q3W6M8N2B4D"

ITEM: dict[str, Any] = {
    "id": APPLICATION_ID,
    "name": "billing",
    "comments": None,
    "created_at": "2026-11-24T08:00:00.000000Z",
    "updated_at": "2026-11-24T08:00:00.000001Z",
}
APPLICATION: dict[str, Any] = {**ITEM, "configuration_ids": [CONFIGURATION_ID]}
CONFIGURATION: dict[str, Any] = {
    "id": CONFIGURATION_ID,
    "application_id": APPLICATION_ID,
    "name": "database",
    "comments": "of billing",
    "config": {"pool_size": 10, "hosts": ["a", "b"]},
    "overlays": {},
    "schema": None,
    "version": 3,
    "created_at": "2026-11-24T08:00:00.000000Z",
    "updated_at": "2026-11-24T09:00:00.000000+01:00",
    "updated_by": "ada",
}
ENVIRONMENT: dict[str, Any] = {
    "application_id": APPLICATION_ID,
    "name": "prod",
    "position": 2,
    "auto_release": False,
    "protected": True,
    "created_at": "2026-11-24T08:00:00.000000Z",
    "updated_at": "2026-11-24T08:00:00.000001Z",
}
REVISION: dict[str, Any] = {
    "configuration_id": CONFIGURATION_ID,
    "version": 3,
    "application_id": APPLICATION_ID,
    "name": "database",
    "comments": None,
    "config": {"pool_size": 10},
    "overlays": {"prod": {"pool_size": 50}},
    "schema": {"type": "object"},
    "digest": "ab" * 32,
    "author": "ada",
    "message": "more load",
    "created_at": "2026-11-24T08:00:00.000000Z",
}
RELEASE: dict[str, Any] = {
    "id": 7,
    "configuration_id": CONFIGURATION_ID,
    "application_id": APPLICATION_ID,
    "name": "database",
    "environment": "prod",
    "version": 3,
    "previous_version": 2,
    "author": "ada",
    "message": "tested",
    "created_at": "2026-11-24T08:00:00.000000Z",
}
CHANGE: dict[str, Any] = {
    "id": 7,
    "action": "update",
    "entity": "configuration",
    "application_id": APPLICATION_ID,
    "configuration_id": CONFIGURATION_ID,
    "name": "database",
    "previous_name": None,
    "version": 3,
    "previous_version": None,
    "source_version": None,
    "environments": ["default"],
    "actor": "ada",
    "request_id": "request-1",
    "message": "more load",
    "created_at": "2026-11-24T08:00:00.000000Z",
}


def page(*items: Any, after: str | None = None, total: int | None = None) -> dict[str, Any]:
    return {
        "items": items,
        "total": len(items) if total is None else total,
        "limit": 200,
        "offset": 0,
        "has_more": after is not None,
        "next": after,
    }


def sent(mock: responses.RequestsMock) -> Any:
    return json.loads(mock.calls[-1].request.body or b"null")


def header(mock: responses.RequestsMock, name: str) -> Any:
    return mock.calls[-1].request.headers.get(name)
