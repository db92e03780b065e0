"""Metrics of a client for Prometheus."""

import gc
import weakref
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from configsvc_client import ConfigClient, TransportError
from configsvc_client.prometheus import ConfigCollector
from configsvc_client.testing import FakeConfigClient

BILLING = {"application": "billing", "environment": "default"}


@pytest.fixture
def client() -> Iterator[FakeConfigClient]:
    with FakeConfigClient({"billing": {"database": {"pool_size": 10}}, "shop": {}}) as client:
        yield client


@pytest.fixture
def registry(client: FakeConfigClient) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(ConfigCollector(client))
    return registry


def sample(registry: CollectorRegistry, name: str) -> float | None:
    return registry.get_sample_value(f"configsvc_client_{name}", BILLING)


def test_a_view_is_described_by_its_status(
    client: FakeConfigClient, registry: CollectorRegistry
) -> None:
    client.application("billing").wait_until_ready()
    client.set("billing", "database", {"pool_size": 20})
    age = sample(registry, "snapshot_age_seconds")
    assert age is not None
    assert age < 60
    assert sample(registry, "stale") == 0
    assert sample(registry, "configurations") == 1
    assert sample(registry, "changes_total") == 2
    assert sample(registry, "polls_total") == client.application("billing").status().polls
    assert sample(registry, "poll_failures_total") == 0
    assert sample(registry, "rejected_bindings") == 0


def test_the_version_is_a_label(client: FakeConfigClient, registry: CollectorRegistry) -> None:
    app = client.application("billing")
    app.wait_until_ready()
    labels = {
        "version": str(app.snapshot().version),
        "source": "server",
        "mode": "in memory",
        **BILLING,
    }
    assert registry.get_sample_value("configsvc_client_snapshot_info", labels) == 1


def test_a_failure_is_counted_and_makes_stale(
    client: FakeConfigClient, registry: CollectorRegistry
) -> None:
    client.application("billing").wait_until_ready()
    client.fail(TransportError("the server is away"))
    assert sample(registry, "stale") == 1
    assert sample(registry, "poll_failures_total") == 1


def test_a_rejection_is_counted(client: FakeConfigClient, registry: CollectorRegistry) -> None:
    bound = client.application("billing").bind("database.pool_size", int)
    client.set("billing", "database", {"pool_size": "many"})
    assert sample(registry, "rejected_bindings") == 1
    assert bound.value == 10


def test_a_view_that_comes_later_is_there(
    client: FakeConfigClient, registry: CollectorRegistry
) -> None:
    assert sample(registry, "stale") is None
    client.application("billing")
    assert sample(registry, "stale") == 1
    assert sample(registry, "snapshot_age_seconds") is None


def test_a_scrape_starts_nothing(client: FakeConfigClient, registry: CollectorRegistry) -> None:
    app = client.application("billing")
    count = len(client.requests)
    generate_latest(registry)
    assert len(client.requests) == count
    assert app.status().state == "not started"


def test_a_collector_keeps_no_client_alive() -> None:
    client = ConfigClient("http://config.invalid")
    client.application("billing")
    gone = weakref.ref(client)
    registry = CollectorRegistry()
    registry.register(ConfigCollector(client))
    assert sample(registry, "stale") == 1
    del client
    gc.collect()
    assert gone() is None
    assert sample(registry, "stale") is None


def test_names_are_those_that_promtool_wants(
    client: FakeConfigClient, registry: CollectorRegistry
) -> None:
    client.application("billing").wait_until_ready()
    lines = generate_latest(registry).decode().splitlines()
    kinds = dict(line.split()[2:] for line in lines if line.startswith("# TYPE"))
    assert all(name.startswith("configsvc_client_") for name in kinds)
    assert {name for name, kind in kinds.items() if kind == "counter"} == {
        name for name in kinds if name.endswith("_total")
    }
