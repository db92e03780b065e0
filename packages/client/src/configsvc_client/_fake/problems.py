"""Problem documents of the fake."""

from http import HTTPStatus
from typing import Any

__all__ = ["ProblemError", "conflict", "invalid", "not_found", "precondition_failed"]


class ProblemError(Exception):
    """Error of a request, with its status and problem document."""

    def __init__(self, status: HTTPStatus, kind: str, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.document = {
            "type": f"urn:configsvc:problem:{kind}",
            "title": status.phrase,
            "status": status.value,
            "detail": detail,
            **members,
        }


def invalid(pointer: str, message: str) -> ProblemError:
    """Return the problem of one member that is wrong."""
    errors = [{"pointer": pointer, "in": "body", "message": message}]
    detail = f"{pointer} {message}."
    return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail, errors=errors)


def not_found(what: str, key: object) -> ProblemError:
    """Return the problem of something that does not exist."""
    kind = f"{what}-not-found"
    return ProblemError(HTTPStatus.NOT_FOUND, kind, f"There is no {what} {key!r}.")


def conflict(kind: str, detail: str, pointer: str | None = None) -> ProblemError:
    """Return the problem of a state that forbids it, maybe for the sake of one member."""
    members: dict[str, Any] = {}
    if pointer is not None:
        message = "conflicts with the current state"
        members["errors"] = [{"pointer": pointer, "in": "body", "message": message}]
    return ProblemError(HTTPStatus.CONFLICT, kind, detail, **members)


def precondition_failed(etag: str, version: int | None) -> ProblemError:
    """Return the problem of a write that is based on something older."""
    message = f'must be "{etag}", the ETag of the resource as it is now'
    members: dict[str, Any] = {
        "errors": [{"pointer": "/if-match", "in": "header", "message": message}],
        "current_etag": f'"{etag}"',
    }
    if version is not None:
        members["current_version"] = version
    return ProblemError(
        HTTPStatus.PRECONDITION_FAILED,
        "precondition-failed",
        "The resource has changed since it was read.",
        **members,
    )
