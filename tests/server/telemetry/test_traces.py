"""Traces: from the client through the server to SQL, with what the log says of them."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from falcon.testing import TestClient
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from structlog.contextvars import get_contextvars

from configsvc_client import ConfigClient
from configsvc_server.app import Runtime, open_services
from configsvc_server.settings import Settings
from configsvc_server.telemetry.traces import instrumented
from tests.server.cli.support import run
from tests.server.http.support import ok
from tests.support.servers import running_server, server_process

API = "/api/v1"
MARKER = "marker-51c0de"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@pytest.fixture
def database_url(emptied_database_url: str) -> str:
    """A database that other tests have used."""
    return emptied_database_url


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """The spans that have ended."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    """A provider that hands them over at once."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture
def traced(
    settings: Settings, database_url: str, provider: TracerProvider, exporter: InMemorySpanExporter
) -> Iterator[Runtime]:
    """The service with traces."""
    with (
        instrumented(provider) as instrument,
        open_services(settings, database_url, instrument=instrument) as runtime,
    ):
        exporter.clear()
        yield runtime


def of_kind(exporter: InMemorySpanExporter, kind: SpanKind, name: str) -> list[ReadableSpan]:
    """Return the spans of a kind whose name begins like this."""
    spans = exporter.get_finished_spans()
    return [span for span in spans if span.kind is kind and span.name.startswith(name)]


def id_of(span: ReadableSpan) -> int:
    context = span.get_span_context()
    assert context is not None
    return int(context.span_id)


def parent_of(span: ReadableSpan) -> int:
    assert span.parent is not None
    return span.parent.span_id


def test_a_trace_goes_from_the_client_through_the_server_to_sql(
    traced: Runtime, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    RequestsInstrumentor().instrument(tracer_provider=provider)
    try:
        with running_server(traced.app) as server, ConfigClient(server.url) as client:
            client.applications.create(name="shop")
    finally:
        RequestsInstrumentor().uninstrument()

    [asked] = of_kind(exporter, SpanKind.CLIENT, "POST")
    [answered] = of_kind(exporter, SpanKind.SERVER, f"POST {API}/applications")
    assert parent_of(answered) == id_of(asked)
    statements = [
        span
        for span in of_kind(exporter, SpanKind.CLIENT, "INSERT")
        if parent_of(span) == id_of(answered)
    ]
    assert statements
    spans = [asked, answered, *statements]
    assert len({span.context.trace_id for span in spans if span.context}) == 1
    assert answered.attributes is not None
    assert answered.attributes["http.route"] == f"{API}/applications"
    assert answered.attributes["configsvc.request_id"]


def test_lines_of_the_log_have_the_ids_of_trace_and_span(
    traced: Runtime, exporter: InMemorySpanExporter
) -> None:
    seen: dict[str, object] = {}

    class Resource:
        def on_get(self, _req: object, _resp: object) -> None:
            seen.update(get_contextvars())

    traced.app.add_route("/seen", Resource())
    ok(TestClient(traced.app).simulate_get("/seen", headers=TRACEPARENT))

    [span] = of_kind(exporter, SpanKind.SERVER, "GET /seen")
    assert seen["trace_id"] == TRACE
    assert seen["span_id"] == f"{id_of(span):016x}"
    assert parent_of(span) == int(PARENT, 16)


def test_no_span_has_what_was_sent(traced: Runtime, exporter: InMemorySpanExporter) -> None:
    with running_server(traced.app) as server, requests.Session() as session:
        session.headers.update({"X-Other": MARKER, "Cookie": MARKER, "X-Change-Message": MARKER})
        url = f"{server.url}{API}"
        session.post(f"{url}/applications", json={"name": "shop"}, timeout=30)
        path = f"{url}/applications/shop/configurations"
        body = {"name": "db", "config": {"size": MARKER}, "comments": MARKER, "message": MARKER}
        created = session.post(path, json=body, timeout=30).json()
        one = f"{url}/configurations/{created['id']}"
        patched = session.patch(one, json={"config": {"size": MARKER * 2}}, timeout=30)
        assert patched.status_code == 200
        assert session.get(path, params={"q": MARKER}, timeout=30).status_code == 200

    spans = exporter.get_finished_spans()
    assert len(spans) > 5
    assert MARKER not in json.dumps([json.loads(span.to_json()) for span in spans])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"{API}/applications", 200),
        (f"{API}/applications/unknown", 404),
        (f"{API}/applications?limit=x", 422),
        ("/nowhere", 404),
    ],
)
def test_a_span_has_the_status_of_the_response(
    traced: Runtime, exporter: InMemorySpanExporter, path: str, status: int
) -> None:
    assert TestClient(traced.app).simulate_get(path).status_code == status

    [span] = of_kind(exporter, SpanKind.SERVER, "GET")
    assert (span.attributes or {})["http.status_code"] == status
    assert span.status.is_unset


def test_a_request_that_is_refused_before_its_route_has_the_status_of_that(
    settings: Settings, database_url: str, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    guarded = settings.model_copy(update={"auth": "required"})
    with (
        instrumented(provider) as instrument,
        open_services(guarded, database_url, instrument=instrument) as runtime,
    ):
        result = TestClient(runtime.app).simulate_get(f"{API}/applications")
    assert result.status_code == 401

    [span] = of_kind(exporter, SpanKind.SERVER, "GET")
    assert (span.attributes or {})["http.status_code"] == 401


def test_a_failure_of_the_server_is_an_error_of_the_span(
    traced: Runtime, exporter: InMemorySpanExporter
) -> None:
    class Broken:
        def on_get(self, _req: object, _resp: object) -> None:
            raise ValueError

    traced.app.add_route("/broken", Broken())
    assert TestClient(traced.app).simulate_get("/broken").status_code == 500

    [span] = of_kind(exporter, SpanKind.SERVER, "GET /broken")
    assert span.status.status_code is StatusCode.ERROR


def test_probes_are_not_traced(traced: Runtime, exporter: InMemorySpanExporter) -> None:
    api = TestClient(traced.app)
    for path in ("/health", "/health/live", "/health/ready", "/metrics"):
        assert api.simulate_get(path).status_code == 200

    assert of_kind(exporter, SpanKind.SERVER, "GET") == []
    assert of_kind(exporter, SpanKind.CLIENT, "SELECT") == []


def test_a_request_that_waits_has_a_span_for_each_of_its_runs(
    traced: Runtime, exporter: InMemorySpanExporter
) -> None:
    ok(TestClient(traced.app).simulate_post(f"{API}/applications", json={"name": "shop"}), 201)
    exporter.clear()
    with running_server(traced.app, on_stop=traced.release_waiters) as server:
        url = f"{server.url}{API}/applications/shop/environments/default/snapshot"
        etag = requests.get(url, timeout=30).headers["ETag"]
        exporter.clear()
        headers = {"If-None-Match": etag, "Prefer": "wait=1", **TRACEPARENT}
        assert requests.get(url, headers=headers, timeout=30).status_code == 304

    spans = of_kind(exporter, SpanKind.SERVER, "GET")
    assert [(span.attributes or {}).get("configsvc.parked") for span in spans] == [True, None]
    assert {parent_of(span) for span in spans} == {int(PARENT, 16)}


class _Receiver(ThreadingHTTPServer):
    """Receiver of OTLP over HTTP, by the messages of its specification."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[ExportTraceServiceRequest] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, _Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        is_known = self.path == "/v1/traces"
        is_known = is_known and self.headers["Content-Type"] == "application/x-protobuf"
        if is_known:
            self.server.requests.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200 if is_known else 400)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_a_server_exports_to_the_receiver_that_the_variables_name(
    tmp_path: Path, database_url: str
) -> None:
    variables = {
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
        # The newer names of attributes as well.
        "OTEL_SEMCONV_STABILITY_OPT_IN": "http/dup",
    }
    with _Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever, daemon=True)
        thread.start()
        variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.url
        flags = ("--database-url", database_url, "--traces", "otlp")
        with server_process(*flags, cwd=tmp_path, variables=variables) as server:
            url = f"{server.url}{API}/applications?q={MARKER}"
            assert requests.get(url, headers=TRACEPARENT, timeout=30).status_code == 200
            assert server.stop() == 0
        receiver.shutdown()
        thread.join()
    lines = [json.loads(line) for line in server.output if line.startswith("{")]

    resources = [spans for request in receiver.requests for spans in request.resource_spans]
    attributes = {a.key: a.value.string_value for r in resources for a in r.resource.attributes}
    assert attributes["service.name"] == "configsvc"
    assert attributes["deployment.environment.name"] == "test"
    spans = [span for r in resources for scope in r.scope_spans for span in scope.spans]
    [answered] = [span for span in spans if span.name == f"GET {API}/applications"]
    assert (answered.trace_id.hex(), answered.parent_span_id.hex()) == (TRACE, PARENT)
    assert [span.name for span in spans if span.parent_span_id == answered.span_id]
    shown = {a.key: a.value.string_value for a in answered.attributes}
    assert shown["http.target"] == shown["url.path"] == f"{API}/applications"
    assert MARKER not in str(receiver.requests)
    [line] = [line for line in lines if line["event"] == "request"]
    assert (line["trace_id"], line["span_id"]) == (TRACE, answered.span_id.hex())


def test_without_the_extra_a_start_with_traces_says_what_is_missing(
    tmp_path: Path, database_url: str
) -> None:
    missing = tmp_path / "missing"
    missing.mkdir()
    (missing / "sitecustomize.py").write_text("import sys\nsys.modules['opentelemetry'] = None\n")
    ended = run(
        *("serve", "--port", "0", "--database-url", database_url, "--traces", "otlp"),
        cwd=tmp_path,
        variables={"PYTHONPATH": str(missing)},
    )

    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "pip install 'configsvc-server[otel]'" in ended.stderr


@pytest.mark.parametrize(
    "module", ["configsvc_server.cli.main", "configsvc_server.telemetry.traces", "configsvc_client"]
)
def test_nothing_of_it_is_imported_before_it_is_asked_for(module: str) -> None:
    code = f"import {module}, sys; print([m for m in sys.modules if 'opentelemetry' in m])"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stdout == "[]\n"
