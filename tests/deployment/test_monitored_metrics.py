"""Metrics that rules and dashboard speak of: the server and the SDK really export them."""

import json
import re

import pytest
from tools.dashboard import render

from configsvc_client.prometheus import ConfigCollector
from configsvc_client.testing import FakeConfigClient
from configsvc_server.telemetry.catalogue import BY_NAME
from configsvc_server.telemetry.metrics import Metrics
from tests.deployment.promql import (
    DASHBOARD,
    TARGET_LABELS,
    Selector,
    expressions,
    panels,
    rules,
    samples_of,
    selectors,
)

SERVER = samples_of(Metrics(version="0").registry)
with FakeConfigClient() as _client:
    CLIENT = samples_of(ConfigCollector(_client))
CLIENT_LABELS = {"application", "environment"}

RECORDED = {rule["record"] for rule in rules() if "record" in rule}

# What Prometheus makes itself.
OWN = {"up", "ALERTS"}

EXPRESSIONS = expressions()


def names() -> set[str]:
    return {found.name for text in EXPRESSIONS.values() for found in selectors(text)}


@pytest.mark.parametrize("place", EXPRESSIONS)
def test_each_metric_is_exported_with_the_labels_that_are_asked_for(place: str) -> None:
    for found in selectors(EXPRESSIONS[place]):
        if found.name in OWN | RECORDED:
            continue
        assert found.name in SERVER | CLIENT
        assert set(found.labels) <= labels_of(found) | TARGET_LABELS


@pytest.mark.parametrize("place", EXPRESSIONS)
def test_each_bucket_that_is_asked_for_is_there(place: str) -> None:
    for found in selectors(EXPRESSIONS[place]):
        if "le" in found.labels:
            bounds = BY_NAME[found.name.removesuffix("_bucket")].bounds
            assert found.labels["le"] in {str(bound) for bound in bounds}


def test_the_rules_and_the_dashboard_speak_of_most_that_the_server_exports() -> None:
    read = {re.sub("_(bucket|count|sum)$", "", name) for name in names()}

    assert {name for name in BY_NAME if name not in read} == {
        "configsvc_cache_entries",
        "configsvc_connections_accepted_total",
        "configsvc_http_request_size_bytes",
        "configsvc_http_requests_in_flight",
        "configsvc_lane_threads",
        "configsvc_listener_connects_total",
        "configsvc_migration_seconds",
        "configsvc_pool_connections",
        "configsvc_pool_queued_requests_total",
        "configsvc_pool_usage_seconds_total",
    }


def test_each_recorded_metric_is_used() -> None:
    assert names() >= RECORDED


def test_the_dashboard_is_what_its_program_makes() -> None:
    assert DASHBOARD.read_text(encoding="utf-8") == render(), "run python -m tools.dashboard"


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: f"{panel['id']}-{panel['title']}")
def test_each_panel_has_a_unit_a_description_and_the_chosen_source(
    panel: dict[str, object],
) -> None:
    assert panel["description"]
    assert panel["fieldConfig"]["defaults"]["unit"]  # type: ignore[index]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["type"] in {"stat", "timeseries"}


def test_no_two_panels_are_in_one_place() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells


def labels_of(found: Selector) -> set[str]:
    """Return the labels that a metric has."""
    if found.name in CLIENT:
        return CLIENT_LABELS
    metric = BY_NAME.get(re.sub("_(bucket|count|sum)$", "", found.name))
    labels = set(metric.labels) if metric is not None else set()
    return labels | {"le"} if found.name.endswith("_bucket") else labels
