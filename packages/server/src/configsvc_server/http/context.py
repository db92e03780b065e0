"""Request context: the request id, the trace, and the provenance of a write."""

import re
from collections.abc import Callable
from typing import Final

import falcon
import structlog

from configsvc_server.cache.parking import Parking
from configsvc_server.domain.access.principals import NOBODY, Principal
from configsvc_server.domain.errors import FieldError, InvalidError
from configsvc_server.domain.identifiers import new_request_id
from configsvc_server.domain.models import MAX_MESSAGE, Provenance
from configsvc_server.domain.strict_json import JsonObject
from configsvc_server.http.peers import peer_of
from configsvc_server.telemetry.traces import SPAN_IDS

__all__ = [
    "IS_FORWARDED",
    "PARKING",
    "REQUEST_ID_HEADER",
    "InvalidHeaderError",
    "caller_of",
    "client_disconnected",
    "parking_of",
    "principal_of",
    "provenance_of",
    "request_id_of",
    "set_principal",
    "set_request_id",
]

IS_FORWARDED: Final = "configsvc.is_forwarded"
"""Key of the WSGI environment: whether a proxy has sent the request for somebody else."""

REQUEST_ID_HEADER: Final = "X-Request-ID"

PARKING: Final = "configsvc.parking"
"""Key of the WSGI environment: where the server puts the request aside while it waits."""

# Anything that is safe in a log line, a header and a URL.
_WELL_FORMED_ID = re.compile(r"[A-Za-z0-9._~+/=:@-]{1,128}", re.ASCII)

# https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")


class InvalidHeaderError(InvalidError):
    """A header is well-formed, but breaks a rule."""


def set_request_id(req: falcon.Request) -> str:
    """Accept the caller's request id if it is well-formed, otherwise make one.

    A request that was put aside and runs again keeps the one that it has.
    """
    parking = parking_of(req)
    request_id = (parking and parking.request_id) or _read_request_id(req)
    if parking is not None:
        parking.request_id = request_id
    req.context.request_id = request_id
    values = {"request_id": request_id}
    ids = req.env.get(SPAN_IDS)
    trace = None if ids else _TRACEPARENT.fullmatch(req.get_header("traceparent") or "")
    if ids:
        values["trace_id"], values["span_id"] = ids
    elif trace:
        values["trace_id"] = trace[1]
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**values)
    return request_id


def _read_request_id(req: falcon.Request) -> str:
    given = req.get_header(REQUEST_ID_HEADER)
    return given if given and _WELL_FORMED_ID.fullmatch(given) else new_request_id()


def request_id_of(req: falcon.Request) -> str:
    """Return the id of the request, making one if it has none yet."""
    known: str | None = getattr(req.context, "request_id", None)
    return known or set_request_id(req)


def provenance_of(req: falcon.Request, body: JsonObject | None = None) -> Provenance:
    """Return the author, request and message of a write.

    Args:
        req: the request.
        body: its body, whose ``message`` goes before the header.

    Raises:
        InvalidHeaderError: ``X-Change-Message`` is no text of a reasonable length.
    """
    header = req.get_header("X-Change-Message")
    message = None if header is None else _text_of_header("/x-change-message", header)
    given = (body or {}).get("message")
    principal = principal_of(req)
    return Provenance(
        principal.name,
        request_id_of(req),
        str(given or "").strip() or message or None,
        principal,
    )


def principal_of(req: falcon.Request) -> Principal:
    """Return who has sent the request; nobody, who may do nothing, before that is known."""
    principal: Principal = getattr(req.context, "principal", NOBODY)
    return principal


def set_principal(req: falcon.Request, principal: Principal) -> None:
    """Record who has sent the request."""
    req.context.principal = principal
    structlog.contextvars.bind_contextvars(principal=principal.name)


def caller_of(req: falcon.Request) -> str:
    """Return who has to share scarce work fairly with others."""
    principal = principal_of(req)
    return peer_of(req.remote_addr) if principal is NOBODY else principal.fair_key


def client_disconnected(req: falcon.Request) -> Callable[[], bool]:
    """Return the function that reports whether the client has gone; the server provides it."""
    found: Callable[[], bool] | None = req.env.get("waitress.client_disconnected")
    return found or _never


def parking_of(req: falcon.Request) -> Parking | None:
    """Return where the server puts the request aside while it waits; ``None`` if it does not."""
    found: Parking | None = req.env.get(PARKING)
    return found


def _never() -> bool:
    return False


def _text_of_header(pointer: str, value: str) -> str:
    try:
        # WSGI hands over bytes in the guise of Latin-1 (PEP 3333).
        text = value.encode("latin-1").decode("utf-8").strip()
    except UnicodeDecodeError:
        raise InvalidHeaderError([FieldError(pointer, "must be UTF-8")]) from None
    if len(text) > MAX_MESSAGE:
        message = f"must have at most {MAX_MESSAGE} characters, not {len(text)}"
        raise InvalidHeaderError([FieldError(pointer, message)])
    if "\0" in text:
        raise InvalidHeaderError([FieldError(pointer, "must not have a NUL character")])
    return text
