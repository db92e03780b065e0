"""Error handlers: the one table from errors to problem documents and statuses."""

import math
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeAlias, TypeVar

import falcon
import structlog

from configsvc_server.cache.parking import Parked
from configsvc_server.domain.access.principals import Principal
from configsvc_server.domain.errors import (
    ConflictError,
    FieldError,
    ForbiddenError,
    InvalidError,
    MalformedJsonError,
    NotFoundError,
    PreconditionFailedError,
    StateError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnavailableError,
    UnstorableValueError,
)
from configsvc_server.domain.strict_json import JsonValue
from configsvc_server.http.context import InvalidHeaderError, principal_of, request_id_of
from configsvc_server.http.problems import PROBLEM_JSON, problem_body

__all__ = [
    "BadHeaderError",
    "BodyTooLargeError",
    "CsrfError",
    "MisdirectedRequestError",
    "NameApplication",
    "UnsupportedMediaTypeError",
    "WsgiApp",
    "register",
]

_log = structlog.stdlib.get_logger(__name__)

E = TypeVar("E", bound=Exception)

WsgiApp: TypeAlias = falcon.App[falcon.Request, falcon.Response]
"""Falcon application with Falcon's own requests and responses."""


class BadHeaderError(Exception):
    """A header cannot be understood."""

    def __init__(self, header: str, message: str) -> None:
        super().__init__(message)
        self.error = FieldError(f"/{header.lower()}", message)
        """Which header, and what was expected."""


class BodyTooLargeError(Exception):
    """The body is larger than the server accepts."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"The body is larger than {limit} bytes.")
        self.limit = limit
        """How many bytes a body may have."""


class CsrfError(Exception):
    """A page of another site may have made a browser send the request."""


class MisdirectedRequestError(Exception):
    """The request is meant for another host."""


class UnsupportedMediaTypeError(Exception):
    """The body is not of a type that the resource takes."""

    def __init__(self, header: str, given: str | None, expected: str) -> None:
        super().__init__(f"{header} is {given or 'missing'}; send {expected}.")
        self.error = FieldError(f"/{header.lower()}", f"must be {expected}")
        """Which header, and what was expected."""


NameApplication: TypeAlias = Callable[[ForbiddenError, Principal], ForbiddenError]
"""Returns a refusal with the name of its application, for whom it is shown to."""


def register(app: WsgiApp, *, name_application: NameApplication | None = None) -> None:
    """Make ``app`` answer every error as a problem document.

    Args:
        app: the application.
        name_application: names applications in refusals; without it they are called as the caller
            has called them.
    """

    def forbidden(req: falcon.Request, resp: falcon.Response, error: ForbiddenError) -> None:
        if name_application is not None:
            error = name_application(error, principal_of(req))
        _forbidden(req, resp, error)

    app.set_error_serializer(_serialize)

    def handle(kind: type[E], answer: Callable[[falcon.Request, falcon.Response, E], None]) -> None:
        app.add_error_handler(kind, lambda req, resp, error, _params: answer(req, resp, error))

    handle(Exception, _unexpected)
    handle(Parked, _put_aside)
    handle(falcon.HTTPError, _http_error)
    handle(UnstorableValueError, _unstorable)
    handle(UnavailableError, _unavailable)
    handle(NotFoundError, _not_found)
    handle(ConflictError, _conflict)
    handle(StateError, _state)
    handle(PreconditionFailedError, _precondition_failed)
    handle(MalformedJsonError, _malformed)
    handle(BadHeaderError, _bad_header)
    handle(InvalidError, _invalid)
    handle(InvalidHeaderError, _invalid_header)
    handle(UnsupportedMediaTypeError, _unsupported)
    handle(BodyTooLargeError, _too_large)
    handle(MisdirectedRequestError, _misdirected)
    handle(UnauthenticatedError, _unauthenticated)
    handle(ForbiddenError, forbidden)
    handle(CsrfError, _csrf)
    handle(TooManyRequestsError, _too_many_requests)


def _put_aside(req: falcon.Request, resp: falcon.Response, error: Parked) -> None:
    """Answer nothing: the server runs the request again."""


def _answer(
    req: falcon.Request,
    resp: falcon.Response,
    status: HTTPStatus,
    detail: str,
    *,
    kind: str | None = None,
    title: str | None = None,
    errors: tuple[FieldError, ...] = (),
    location: str | None = None,
    extensions: dict[str, JsonValue] | None = None,
) -> None:
    """Answer with a problem document.

    A domain error names the field, not how it was sent: unless ``location`` says so, what comes
    with a GET is in the query, and everything else in the body.
    """
    resp.status = status
    resp.content_type = PROBLEM_JSON
    resp.set_header("Cache-Control", "no-store")
    resp.text = None
    resp.data = problem_body(
        status=status,
        detail=detail,
        request_id=request_id_of(req),
        instance=req.path,
        kind=kind,
        title=title,
        errors=errors,
        location=location or ("query" if req.method in {"GET", "HEAD"} else "body"),
        extensions=extensions,
    )


def _unexpected(req: falcon.Request, resp: falcon.Response, error: Exception) -> None:
    _log.error("unexpected error", exc_info=error, method=req.method, path=req.path)
    _answer(
        req,
        resp,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Something went wrong in the server. Its log has the details under the request id.",
    )


def _http_error(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError) -> None:
    """Answer what the framework itself found wrong."""
    for name, value in dict(error.headers or {}).items():
        resp.set_header(name, value)
    details = {
        HTTPStatus.NOT_FOUND: f"There is nothing at {req.path}. See /docs for what there is.",
        HTTPStatus.METHOD_NOT_ALLOWED: (
            f"{req.method} is not possible here; the Allow header says what is."
        ),
    }
    status = HTTPStatus(error.status_code)
    default = error.description or error.title or status.phrase
    _answer(req, resp, status, details.get(status, default))


def _serialize(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError) -> None:
    _http_error(req, resp, error)


def _unstorable(req: falcon.Request, resp: falcon.Response, error: UnstorableValueError) -> None:
    _answer(req, resp, HTTPStatus.UNPROCESSABLE_ENTITY, str(error), kind="invalid")


def _unavailable(req: falcon.Request, resp: falcon.Response, error: UnavailableError) -> None:
    resp.set_header("Retry-After", str(math.ceil(error.retry_after)))
    _answer(req, resp, HTTPStatus.SERVICE_UNAVAILABLE, str(error))


def _not_found(req: falcon.Request, resp: falcon.Response, error: NotFoundError) -> None:
    _answer(
        req,
        resp,
        HTTPStatus.NOT_FOUND,
        str(error),
        kind=f"{error.entity}-not-found",
        title=f"{error.entity.capitalize()} not found",
    )


def _unauthenticated(
    req: falcon.Request, resp: falcon.Response, error: UnauthenticatedError
) -> None:
    challenge = 'Bearer realm="configsvc"'
    resp.set_header(
        "WWW-Authenticate", f'{challenge}, error="invalid_token"' if error.was_given else challenge
    )
    field = FieldError("/authorization", "must be 'Bearer' and a token that is valid")
    _answer(
        req,
        resp,
        HTTPStatus.UNAUTHORIZED,
        str(error),
        errors=(field,),
        location="header",
    )


def _forbidden(req: falcon.Request, resp: falcon.Response, error: ForbiddenError) -> None:
    missing: dict[str, JsonValue] = {
        "role": error.role,
        "application_id": error.application_id,
        "application": error.application,
        "environment": error.environment,
    }
    _answer(req, resp, HTTPStatus.FORBIDDEN, str(error), extensions={"missing": missing})


def _csrf(req: falcon.Request, resp: falcon.Response, error: CsrfError) -> None:
    field = FieldError("/x-csrf-token", "must be the csrf_token of the session")
    _answer(
        req,
        resp,
        HTTPStatus.FORBIDDEN,
        str(error),
        kind="csrf",
        errors=(field,),
        location="header",
    )


def _too_many_requests(
    req: falcon.Request, resp: falcon.Response, error: TooManyRequestsError
) -> None:
    resp.set_header("Retry-After", str(max(1, math.ceil(error.retry_after))))
    _answer(req, resp, HTTPStatus.TOO_MANY_REQUESTS, str(error))


def _conflict(req: falcon.Request, resp: falcon.Response, error: ConflictError) -> None:
    _answer(
        req,
        resp,
        HTTPStatus.CONFLICT,
        str(error),
        kind=f"{error.field}-taken",
        title=f"{error.field.capitalize()} already taken",
        errors=(FieldError(f"/{error.field}", "must be one that is not taken yet"),),
    )


def _state(req: falcon.Request, resp: falcon.Response, error: StateError) -> None:
    errors: tuple[FieldError, ...] = ()
    if error.pointer is not None:
        errors = (FieldError(error.pointer, "conflicts with the current state"),)
    _answer(req, resp, HTTPStatus.CONFLICT, str(error), kind=error.kind, errors=errors)


def _precondition_failed(
    req: falcon.Request, resp: falcon.Response, error: PreconditionFailedError
) -> None:
    etag = error.current_etag
    resp.etag = etag
    extensions: dict[str, JsonValue] = {"current_etag": f'"{etag}"'}
    detail = f'{error} Its ETag is now "{etag}".'
    if error.current_version is not None:
        extensions["current_version"] = error.current_version
        detail = f"{error} It is now at version {error.current_version}."
    field = FieldError("/if-match", f'must be "{etag}", the ETag of the resource as it is now')
    if error.is_excluded:
        message = f'must not match "{etag}", the ETag of the resource as it is now'
        field = FieldError("/if-none-match", message)
    _answer(
        req,
        resp,
        HTTPStatus.PRECONDITION_FAILED,
        detail,
        errors=(field,),
        location="header",
        extensions=extensions,
    )


def _malformed(req: falcon.Request, resp: falcon.Response, error: MalformedJsonError) -> None:
    where = error.pointer or "The body"
    _answer(
        req,
        resp,
        HTTPStatus.BAD_REQUEST,
        f"{where} {error.message}.",
        kind="malformed-json",
        title="Malformed JSON",
        errors=(FieldError(error.pointer, error.message),),
    )


def _bad_header(req: falcon.Request, resp: falcon.Response, error: BadHeaderError) -> None:
    detail = f"The header {error.error.pointer[1:]} {error}."
    _answer(req, resp, HTTPStatus.BAD_REQUEST, detail, errors=(error.error,), location="header")


def _invalid(
    req: falcon.Request,
    resp: falcon.Response,
    error: InvalidError,
    *,
    location: str | None = None,
) -> None:
    _answer(
        req,
        resp,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        _sentence(str(error)),
        kind="invalid",
        title="Invalid request",
        errors=error.errors,
        location=location,
    )


def _invalid_header(req: falcon.Request, resp: falcon.Response, error: InvalidHeaderError) -> None:
    _invalid(req, resp, error, location="header")


def _unsupported(
    req: falcon.Request, resp: falcon.Response, error: UnsupportedMediaTypeError
) -> None:
    _answer(
        req,
        resp,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        str(error),
        errors=(error.error,),
        location="header",
    )


def _too_large(req: falcon.Request, resp: falcon.Response, error: BodyTooLargeError) -> None:
    message = f"must have at most {error.limit} bytes"
    _answer(
        req,
        resp,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        str(error),
        errors=(FieldError("", message),),
        extensions={"limit": error.limit},
    )


def _misdirected(
    req: falcon.Request, resp: falcon.Response, _error: MisdirectedRequestError
) -> None:
    # The names are not for whoever asks: it may be a page of another site.
    message = "must be an IP address, localhost, or a name that the setting allowed_hosts has"
    _answer(
        req,
        resp,
        HTTPStatus.MISDIRECTED_REQUEST,
        f"The header Host {message}.",
        errors=(FieldError("/host", message),),
        location="header",
    )


def _sentence(text: str) -> str:
    return text if text.endswith(("?", ".", "!")) else f"{text}."
