"""Traces by OpenTelemetry, for those who have installed the extra ``otel``.

Nothing here is imported from it before traces are asked for, so that without them nothing takes
longer and nothing is missing.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

__all__ = ["HANDLED_ERROR", "SPAN_IDS", "Instrument", "TracesError", "exported", "instrumented"]

Instrument: TypeAlias = Callable[[Any], object]
"""Has the statements of a connection traced."""

SPAN_IDS: Final = "configsvc.span_ids"
"""Key of the WSGI environment: ids of the trace and of the span that a request has."""

HANDLED_ERROR: Final = "opentelemetry-falcon.exc"
"""Key of the WSGI environment: where the instrumentation keeps the error of a request. It takes any
but those of the framework for a 500, also when an error handler has made a response of it."""

_PARKING: Final = "configsvc.parking"

_SERVICE: Final = "configsvc"

# By the older and by the newer conventions; OTEL_SEMCONV_STABILITY_OPT_IN chooses.
_STATUS_ATTRIBUTES: Final = frozenset({"http.status_code", "http.response.status_code"})

_URL_ATTRIBUTES: Final = frozenset({"http.target", "http.url", "url.full"})
_QUERY_ATTRIBUTE: Final = "url.query"

_SERVER_ERROR: Final = 500

_EXCLUDED: Final = "OTEL_PYTHON_FALCON_EXCLUDED_URLS"
_PROBES: Final = "^/health,^/metrics"
"""Probes and scrapes come every few seconds for ever, and would bury what callers do."""


class TracesError(Exception):
    """Traces can't be exported; the message says why."""


@contextmanager
def exported(version: str) -> Iterator[Instrument]:
    """Export what is traced while the block runs, as the variables ``OTEL_*`` say.

    Args:
        version: of the server.

    Raises:
        TracesError: the extra is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
    except ModuleNotFoundError:
        raise TracesError(
            "--traces otlp needs OpenTelemetry: pip install 'configsvc-server[otel]'"
        ) from None
    resource = Resource.create({"service.version": version})
    if str(resource.attributes["service.name"]).startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": _SERVICE}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        with instrumented(provider) as instrument:
            yield instrument
    finally:
        provider.shutdown()


@contextmanager
def instrumented(provider: "TracerProvider") -> Iterator[Instrument]:
    """Trace the first application that the block makes, and connections that it is told of.

    Args:
        provider: takes the spans.
    """
    from opentelemetry.instrumentation.falcon import FalconInstrumentor  # noqa: PLC0415
    from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor  # noqa: PLC0415

    os.environ.setdefault(_EXCLUDED, _PROBES)
    framework: Any = FalconInstrumentor()
    framework.instrument(
        tracer_provider=provider, request_hook=_note_request, response_hook=_note_response
    )

    def instrument(connection: Any) -> None:
        PsycopgInstrumentor.instrument_connection(connection, tracer_provider=provider)

    try:
        yield instrument
    finally:
        framework.uninstrument()


def _note_request(span: Any, req: Any) -> None:
    """Take the query string out, and give the request the ids that lines of the log have of it.

    Issuers send their codes in query strings, and callers what they look for.
    """
    context = span.get_span_context()
    req.env[SPAN_IDS] = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    if span.is_recording():
        for key in _URL_ATTRIBUTES & span.attributes.keys():
            span.set_attribute(key, str(span.attributes[key]).partition("?")[0])
        if _QUERY_ATTRIBUTE in span.attributes:
            span.set_attribute(_QUERY_ATTRIBUTE, "")


def _note_response(span: Any, req: Any, resp: Any) -> None:
    """Note the status that a request really has, its id, and whether it was put aside to wait.

    The instrumentation takes what no resource has answered for a 404: here that may be a 401 or a
    503 of the middleware as well. Each run of a request that waits has a span.
    """
    from opentelemetry.trace import StatusCode  # noqa: PLC0415

    if not span.is_recording():
        return
    status: int = resp.status_code
    for key in _STATUS_ATTRIBUTES & span.attributes.keys():
        span.set_attribute(key, status)
    if status >= _SERVER_ERROR:
        span.set_status(StatusCode.ERROR)
    parking = req.env.get(_PARKING)
    if parking is not None and parking.is_wanted:
        span.set_attribute("configsvc.parked", True)
    request_id = getattr(req.context, "request_id", None)
    if request_id is not None:
        span.set_attribute("configsvc.request_id", request_id)
