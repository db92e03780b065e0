"""Assertions that every HTTP test shares."""

from typing import Any

from falcon.testing import Result, TestClient

ULID = "01JD8W5Q0Z4T9G7M2N3P4Q5R6S"
OTHER_ULID = "01JD8W5Q0Z4T9G7M2N3P4Q5R6T"


def problem(result: Result, status: int, *pointers: str) -> dict[str, Any]:
    """Check that ``result`` is a problem document that names ``pointers``; return it."""
    assert result.status_code == status, result.text
    assert result.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = result.json
    assert {"type", "title", "status", "detail", "instance", "request_id"} <= document.keys()
    assert document["status"] == status
    assert document["request_id"] == result.headers["x-request-id"]
    assert [error["pointer"] for error in document.get("errors", [])] == list(pointers)
    return document


def ok(result: Result, status: int = 200) -> Any:
    """Check that ``result`` is a success; return its JSON."""
    assert result.status_code == status, result.text
    return result.json


def create(api: TestClient, name: str, config: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Create a configuration in the application billing."""
    path = "/api/v1/applications/billing/configurations"
    body = {"name": name, "config": config, **members}
    document: dict[str, Any] = ok(api.simulate_post(path, json=body), 201)
    return document


def served(api: TestClient, environment: str, *, at: str | None = None) -> dict[str, Any]:
    """Return what an environment of billing serves: config by name."""
    path = f"/api/v1/applications/billing/environments/{environment}/snapshot"
    found = ok(api.simulate_get(path, params={"at": at} if at else None))["configurations"]
    return {name: entry["config"] for name, entry in found.items()}


def release(api: TestClient, configuration: dict[str, Any], environment: str, **body: Any) -> Any:
    """Release a configuration to an environment."""
    path = f"/api/v1/configurations/{configuration['id']}/releases"
    return ok(api.simulate_post(path, json={"environment": environment, **body}), 201)
