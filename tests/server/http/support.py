"""Assertions that every HTTP test shares."""

from typing import Any

from falcon.testing import Result

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
