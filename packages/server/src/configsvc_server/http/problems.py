"""Problem details (RFC 9457): the form of every error response."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Final

from configsvc_server.domain.errors import MAX_ERRORS, FieldError
from configsvc_server.domain.strict_json import JsonValue

__all__ = ["PROBLEM_JSON", "problem_body", "problem_type"]

PROBLEM_JSON = "application/problem+json"

# Characters.
_MAX_DETAIL: Final = 4096
_MAX_FIELD: Final = 1024


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
    """Write a problem document, which is small whatever the request was.

    What quotes a request is shortened, and an ellipsis says so.

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
        "detail": _shortened(detail, _MAX_DETAIL),
        "request_id": request_id,
    }
    if instance is not None:
        document["instance"] = instance
    if errors:
        document["errors"] = [_field(error, location) for error in errors[:MAX_ERRORS]]
    document.update(extensions or {})
    # Pure ASCII: a message may quote what the caller sent, and that need not be valid Unicode.
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def _field(error: FieldError, location: str) -> dict[str, JsonValue]:
    field: dict[str, JsonValue] = {
        "pointer": _shortened(error.pointer, _MAX_FIELD),
        "in": location,
        "message": _shortened(error.message, _MAX_FIELD),
    }
    if error.schema_pointer is not None:
        field["schema_pointer"] = _shortened(error.schema_pointer, _MAX_FIELD)
    if error.environments:
        field["environments"] = error.environments
    return field


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"
