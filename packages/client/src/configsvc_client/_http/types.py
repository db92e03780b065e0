"""Requests, answers, and the one table from statuses to errors.

Tuples rather than dataclasses where nobody outside sees them: those take longer to import.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from configsvc_client._http.retry_after import seconds_to_wait
from configsvc_client.errors import (
    AuthError,
    ConfigSvcError,
    ConflictError,
    FieldProblem,
    NotFoundError,
    ServerError,
    ValidationError,
)

__all__ = ["Answer", "Request", "Transport", "require_ok"]

_ERRORS: dict[int, type[ConfigSvcError]] = {
    HTTPStatus.UNAUTHORIZED: AuthError,
    HTTPStatus.FORBIDDEN: AuthError,
    HTTPStatus.NOT_FOUND: NotFoundError,
    HTTPStatus.GONE: NotFoundError,
    HTTPStatus.CONFLICT: ConflictError,
    HTTPStatus.PRECONDITION_FAILED: ConflictError,
    HTTPStatus.PRECONDITION_REQUIRED: ConflictError,
    HTTPStatus.REQUEST_TIMEOUT: ServerError,
    HTTPStatus.TOO_MANY_REQUESTS: ServerError,
}


_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


class Request(NamedTuple):
    """What is to be sent."""

    method: str
    path: str
    """Below the base URL, percent-encoded, with its slash."""
    params: Mapping[str, str] = _NOTHING
    headers: Mapping[str, str | bytes] = _NOTHING
    body: bytes | None = None
    read_timeout: float | None = None
    """Seconds to wait for the answer, if other than usual."""


class Answer(NamedTuple):
    """What came back."""

    request: Request
    status: int
    headers: Mapping[str, str]
    """Looked up without regard to case."""
    body: bytes
    request_id: str
    retried: bool = False
    """Whether an earlier attempt may have reached the server too."""

    @property
    def has_waited(self) -> bool:
        """Whether the server was willing to wait for news (RFC 7240)."""
        return "wait" in (self.headers.get("Preference-Applied") or "").lower()

    def json(self) -> dict[str, Any]:
        """Return the object in the body.

        Raises:
            ServerError: there is none.
        """
        try:
            document = json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise self.broken(f"is not JSON ({error})") from None
        if not isinstance(document, dict):
            raise self.broken("is JSON, but no object")
        return document

    def broken(self, what: str) -> ServerError:
        """Return the error of an answer that is not what the API promises."""
        message = (
            f"{_line(self)}: the answer {what}. Is this a configsvc server? A proxy or a "
            "login page in between answers like this."
        )
        return ServerError(message, **_facts(self))


class Transport(Protocol):
    """Carries requests to a server and answers back."""

    def send(self, request: Request) -> Answer:
        """Return the answer, whatever its status.

        Raises:
            TransportError: none came.
        """

    def close(self) -> None:
        """Give up every connection, also one on which another thread waits."""

    def forget_parent(self) -> None:
        """Let go, in a forked child, of what is the parent's; runs before anything else."""


def require_ok(answer: Answer) -> Answer:
    """Return an answer that is no error.

    Raises:
        ConfigSvcError: it is one; the class says which.
    """
    if answer.status < HTTPStatus.BAD_REQUEST:
        return answer
    problem = _problem(answer)
    message = f"{_line(answer)}: {problem.get('detail') or _phrase(answer.status)}"
    if answer.retried:
        message += " (The request was sent more than once; an earlier attempt may have worked.)"
    kind = _ERRORS.get(answer.status) or (
        ServerError if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR else ValidationError
    )
    error = kind(message, problem=problem, **_facts(answer))
    if isinstance(error, ServerError):
        error.retry_after = seconds_to_wait(answer.headers)
    elif isinstance(error, ValidationError):
        error.errors = _field_problems(problem)
    elif isinstance(error, ConflictError):
        error.current_version = problem.get("current_version")
        error.current_etag = problem.get("current_etag") or answer.headers.get("ETag")
    raise error


def _facts(answer: Answer) -> dict[str, Any]:
    return {
        "method": answer.request.method,
        "path": answer.request.path,
        "status": answer.status,
        "request_id": answer.request_id,
    }


def _line(answer: Answer) -> str:
    return f"{answer.request.method} {answer.request.path} → {answer.status}"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "an unknown status"


def _problem(answer: Answer) -> dict[str, Any]:
    """Return the problem document; a proxy's error page has none."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _field_problems(problem: Mapping[str, Any]) -> tuple[FieldProblem, ...]:
    errors = problem.get("errors")
    return tuple(
        FieldProblem(
            str(entry.get("pointer", "")),
            str(entry.get("message", "")),
            str(entry.get("in", "body")),
            _text(entry.get("schema_pointer")),
            _texts(entry.get("environments")),
        )
        for entry in (errors if isinstance(errors, list) else ())
        if isinstance(entry, dict)
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
