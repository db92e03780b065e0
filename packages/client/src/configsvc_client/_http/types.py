"""HTTP request and response types, and the one table from statuses to errors.

Tuples rather than dataclasses where nobody outside sees them: those take longer to import.
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from configsvc_client.errors import (
    AuthError,
    ConfigSvcError,
    ConflictError,
    FieldProblem,
    MissingRole,
    NotFoundError,
    ServerError,
    ValidationError,
)

__all__ = [
    "MAX_RETRY_AFTER",
    "Request",
    "Response",
    "Transport",
    "one_line",
    "require_ok",
    "retry_after",
]

MAX_RETRY_AFTER: Final = 3600.0
"""Seconds; a server that asks for more than an hour is asked again after one."""

_ERRORS: Final[dict[int, type[ConfigSvcError]]] = {
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
    """HTTP request to be sent."""

    method: str
    path: str
    """Path below the base URL, percent-encoded, with its leading slash."""
    params: Mapping[str, str] = _NOTHING
    headers: Mapping[str, str | bytes] = _NOTHING
    body: bytes | None = None
    read_timeout: float | None = None
    """Seconds to wait for the response; ``None`` for the timeout of the client."""


class Response(NamedTuple):
    """HTTP response, whatever its status."""

    request: Request
    status: int
    headers: Mapping[str, str]
    """Headers, looked up without regard to case."""
    body: bytes
    request_id: str
    retried: bool = False
    """Whether an earlier attempt may have reached the server too."""
    location: str | None = None
    """URL that a redirect leads to, without its query, which may have secrets."""
    answered_by: str | None = None
    """Origin of another server that a redirect led to; it gets no credentials."""

    @property
    def has_waited(self) -> bool:
        """Whether the server honoured ``Prefer: wait`` (RFC 7240)."""
        return "wait" in (self.headers.get("Preference-Applied") or "").lower()

    def json(self) -> dict[str, Any]:
        """Return the JSON object in the body.

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
        """Return the error for a response that is not what the API promises.

        Args:
            what: the rest of a sentence that begins with "the answer".
        """
        message = (
            f"{_line(self)}: the answer {what}. Is this a configsvc server? A proxy or a "
            "login page in between answers like this."
        )
        return ServerError(message, **_facts(self))


class Transport(Protocol):
    """Carrier of requests to a server and of its responses back."""

    def send(self, request: Request) -> Response:
        """Send a request and return the response, whatever its status.

        Raises:
            TransportError: no response came.
        """

    def close(self) -> None:
        """Close every connection, also one on which another thread waits."""

    def has_other_token(self) -> bool:
        """Return whether the next request has another token than the one that was refused."""

    def after_fork_in_child(self) -> None:
        """Drop the parent's connections and locks; runs before anything else in the child."""


def require_ok(response: Response) -> Response:
    """Return a response that is no error.

    Raises:
        ConfigSvcError: its status is 400 or above, the class depends on the status; or it is
            a redirect that was not followed.
    """
    status = response.status
    if status < HTTPStatus.MULTIPLE_CHOICES or status == HTTPStatus.NOT_MODIFIED:
        return response
    if status < HTTPStatus.BAD_REQUEST:
        raise _redirect(response)
    problem = _problem(response)
    detail = one_line(str(problem.get("detail") or _phrase(response.status)))
    message = f"{_line(response)}: {detail}"
    missing = _missing_role(problem) if status == HTTPStatus.FORBIDDEN else None
    if missing is not None:
        message += f" (It needs the role {missing}.)"
    if response.retried:
        message += " (The request was sent more than once; an earlier attempt may have worked.)"
    if response.answered_by is not None:
        message += f" (A redirect led to {response.answered_by}, which is not sent the token.)"
    kind = _ERRORS.get(response.status) or (
        ServerError if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR else ValidationError
    )
    error = kind(message, problem=problem, **_facts(response))
    if isinstance(error, ServerError):
        error.retry_after = retry_after(response.headers)
    elif isinstance(error, AuthError):
        error.missing, error.retry_after = missing, retry_after(response.headers)
    elif isinstance(error, ValidationError):
        error.errors = _field_problems(problem)
    elif isinstance(error, ConflictError):
        error.current_version = problem.get("current_version")
        error.current_etag = problem.get("current_etag") or response.headers.get("ETag")
    raise error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds in ``Retry-After`` (RFC 9110, section 10.2.3).

    The other form of the header, a date, is ignored: configsvc does not send it.

    Returns:
        At most :data:`MAX_RETRY_AFTER`; ``None`` where there is no number of seconds.
    """
    text = (headers.get("Retry-After") or "").strip()
    return min(float(text), MAX_RETRY_AFTER) if text.isascii() and text.isdigit() else None


def one_line(text: str) -> str:
    """Return a text of somebody else such that it makes no second line in a log.

    Neither does it steer the terminal that shows it.
    """
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def _redirect(response: Response) -> ServerError:
    leads = f"leads to {response.location}" if response.location else "leads nowhere"
    what = "again and again" if response.request.method == "GET" else "and a write is not repeated"
    message = f"{_line(response)}: the redirect {leads}, {what}. Is that where the server is now?"
    return ServerError(message, **_facts(response))


def _facts(response: Response) -> dict[str, Any]:
    return {
        "method": response.request.method,
        "path": response.request.path,
        "status": response.status,
        "request_id": response.request_id,
    }


def _line(response: Response) -> str:
    return f"{response.request.method} {response.request.path} → {response.status}"


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "an unknown status"


def _problem(response: Response) -> dict[str, Any]:
    """Return the problem document; a proxy's error page has none."""
    try:
        document = json.loads(response.body)
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


def _missing_role(problem: Mapping[str, Any]) -> MissingRole | None:
    member = problem.get("missing")
    if not isinstance(member, dict) or not isinstance(member.get("role"), str):
        return None
    return MissingRole(
        member["role"],
        _text(member.get("application_id")),
        _text(member.get("application")),
        _text(member.get("environment")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()
