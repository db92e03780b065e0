"""Polls in the background, and the tracing of an application."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from configsvc_client import ConfigSvcError
from tests.client.conftest import MakeClient
from tests.client.http.sentry import Transport, sentry_sdk
from tests.client.stub import StubServer, eventually

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


@pytest.fixture
def spans() -> Iterator["InMemorySpanExporter"]:
    """The spans of OpenTelemetry's instrumentation of requests."""
    # Each worker imports this module, and this takes long.
    from opentelemetry.instrumentation.requests import RequestsInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    RequestsInstrumentor().instrument(tracer_provider=provider)
    yield exporter
    RequestsInstrumentor().uninstrument()


class _Kept(Transport):
    events: list[Any]

    def __init__(self, options: dict[str, Any] | None = None) -> None:
        super().__init__(options)
        self.events = []

    def capture_envelope(self, envelope: Any) -> None:
        self.events += [item.payload.json for item in envelope.items]


@pytest.fixture
def sentry() -> Iterator[_Kept]:
    """What is sent to Sentry."""
    kept = _Kept()
    sentry_sdk.init(
        "http://key@127.0.0.1:1/1", transport=kept, traces_sample_rate=1.0, shutdown_timeout=0
    )
    with sentry_sdk.isolation_scope():
        yield kept
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)


def ask(client: Any) -> None:
    """Make a request that the stub does not know, in this thread."""
    with pytest.raises(ConfigSvcError):
        client.applications.get("01K9YV5C7W3V0Y1Q3W6M8N2B4E")


def change_once(stub: StubServer, client: Any) -> None:
    """Have a long poll end, and the next one begin."""
    app = client.application("billing")
    app.wait_until_ready()
    eventually(lambda: stub.polls >= 2)
    stub.publish(database={"pool_size": 20})
    eventually(lambda: app["database"]["pool_size"] == 20)


def test_a_long_poll_makes_no_span_and_a_wrapper_makes_one(
    stub: StubServer, make_client: MakeClient, spans: "InMemorySpanExporter"
) -> None:
    client = make_client(stub.url)
    change_once(stub, client)
    assert not spans.get_finished_spans()
    client.application("billing").refresh()
    assert [span.name for span in spans.get_finished_spans()] == ["GET"]


def test_a_feed_makes_no_span(
    stub: StubServer, make_client: MakeClient, spans: "InMemorySpanExporter"
) -> None:
    stub.bodies["/api/v1/changes"] = b""
    stub.answer(lambda handler: handler.reply(500))
    feed = make_client(stub.url).changes.follow(from_start=True)
    assert feed._poll_once() > 0
    assert stub.polls == 1
    assert not spans.get_finished_spans()


def test_a_callback_is_traced(
    stub: StubServer, make_client: MakeClient, spans: "InMemorySpanExporter"
) -> None:
    client = make_client(stub.url)
    app = client.application("billing")
    app.wait_until_ready()
    app.on_change(lambda _: app.refresh())
    stub.publish(database={"pool_size": 20})
    eventually(spans.get_finished_spans)


def test_a_poll_adds_nothing_to_a_transaction_of_sentry(
    stub: StubServer, make_client: MakeClient, sentry: _Kept
) -> None:
    client = make_client(stub.url)
    with sentry_sdk.start_transaction(name="checkout"):
        # The thread that polls is started here.
        change_once(stub, client)
        client.application("billing").refresh()
    (transaction,) = sentry.events
    assert [span["op"] for span in transaction["spans"]] == ["http.client"]


def test_a_poll_leaves_no_breadcrumb_and_a_wrapper_leaves_one(
    stub: StubServer, make_client: MakeClient, sentry: _Kept
) -> None:
    app = make_client(stub.url).application("billing")
    app.wait_until_ready()
    app.on_change(lambda _: (sentry_sdk.capture_message("changed"), app.refresh()))
    for size in (20, 30):
        stub.publish(database={"pool_size": size})
        eventually(lambda: app["database"]["pool_size"] == size)  # noqa: B023 - called at once
    eventually(lambda: len(sentry.events) == 2)
    counts = [len(event.get("breadcrumbs", {}).get("values", ())) for event in sentry.events]
    assert counts == [0, 1]
