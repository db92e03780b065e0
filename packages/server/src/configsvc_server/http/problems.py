"""Problem details (RFC 9457): the form of every error response."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from configsvc_server.domain.errors import FieldError
from configsvc_server.domain.strict_json import JsonValue

__all__ = ["PROBLEM_JSON", "problem_body", "problem_type"]

PROBLEM_JSON = "application/problem+json"


def problem_type(name: str) -> str:
    """Return the URI of a kind of problem; it identifies, it does not resolve."""
    return f"urn:configsvc:problem:{name}"


def problem_body(
    *,
    status: int,
    detail: str,
    request_id: str,
    instance: str | None = None,
    kind: str | None = None,
    title: str | None = None,
    errors: Sequence[FieldError] = (),
    location: str = "body",
    extensions: Mapping[str, JsonValue] | None = None,
) -> bytes:
    """Write a problem document.

    Args:
        status: the HTTP status code.
        detail: what is wrong this time, for people.
        request_id: names the request in the server's log.
        instance: the path of the request.
        kind: a stable name of the kind of problem; by default that of the status.
        title: what is wrong in general; by default the name of the status.
        errors: what is wrong with which field.
        location: where the fields were sent: ``body``, ``query`` or ``header``.
        extensions: further members.
    """
    phrase = HTTPStatus(status).phrase
    document: dict[str, JsonValue] = {
        "type": problem_type(kind or phrase.lower().replace(" ", "-")),
        "title": title or phrase,
        "status": status,
        "detail": detail,
        "request_id": request_id,
    }
    if instance is not None:
        document["instance"] = instance
    if errors:
        document["errors"] = [_field(error, location) for error in errors]
    document.update(extensions or {})
    # Pure ASCII: a message may quote what the caller sent, and that need not be valid Unicode.
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def _field(error: FieldError, location: str) -> dict[str, JsonValue]:
    field: dict[str, JsonValue] = {
        "pointer": error.pointer,
        "in": location,
        "message": error.message,
    }
    if error.schema_pointer is not None:
        field["schema_pointer"] = error.schema_pointer
    if error.environments:
        field["environments"] = error.environments
    return field
