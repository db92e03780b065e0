"""Metrics of the fleet: instances by state, and for how long a release has not arrived."""

import falcon.testing
import pytest

from configsvc_server.services.fleet_census import FleetCensus
from configsvc_server.telemetry.metrics import Metrics
from tests.server.telemetry.support import scrape

APPLICATIONS = "/api/v1/applications"
ENVIRONMENT = f"{APPLICATIONS}/billing/environments/default"
LABELS = {"application": "billing", "environment": "default"}


@pytest.fixture(autouse=True)
def always_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every scrape count."""
    monkeypatch.setattr(FleetCensus, "INTERVAL", 0.0)


@pytest.fixture
def billing(api: falcon.testing.TestClient) -> None:
    api.simulate_post(APPLICATIONS, json={"name": "billing"})


def poll(api: falcon.testing.TestClient, name: str, serves: str | None = None) -> str:
    headers = {"Configsvc-Instance": f'id="{name}"'}
    if serves is not None:
        headers["If-None-Match"] = serves
    return api.simulate_get(f"{ENVIRONMENT}/snapshot", headers=headers).headers["etag"]


def share(api: falcon.testing.TestClient) -> None:
    """Have what was seen written; a server does so by itself, twice a second."""
    assert api.simulate_get(f"{ENVIRONMENT}/convergence").status_code == 200


def change(api: falcon.testing.TestClient) -> None:
    made = api.simulate_post(
        f"{APPLICATIONS}/billing/configurations", json={"name": "a", "config": {}}
    )
    assert made.status_code == 201


def states(metrics: Metrics) -> dict[str, float]:
    found = scrape(metrics)
    return {
        state: found.value("configsvc_fleet_instances", state=state, **LABELS)
        for state in ("current", "behind", "rejecting", "gone")
    }


def test_instances_are_counted_by_state(
    api: falcon.testing.TestClient, billing: None, metrics: Metrics
) -> None:
    served = poll(api, "web-1")
    for name in ("web-1", "web-2", "web-3"):
        poll(api, name, served)
    poll(api, "web-4")
    report = {
        "version": served.strip('"'),
        "rejections": [{"configuration": None, "pointer": "", "message": "expected"}],
    }
    api.simulate_post(f"{ENVIRONMENT}/instances/web-3/rejections", json=report)
    share(api)

    assert states(metrics) == {"current": 2, "behind": 1, "rejecting": 1, "gone": 0}


def test_a_release_that_does_not_arrive_has_a_time_until_it_does(
    api: falcon.testing.TestClient, billing: None, metrics: Metrics
) -> None:
    served = poll(api, "web-1")
    poll(api, "web-1", served)
    share(api)
    late = "configsvc_fleet_unconverged_seconds"
    assert scrape(metrics).value(late, **LABELS) == 0

    change(api)
    # The time begins when it is first seen.
    first = scrape(metrics).value(late, **LABELS)
    second = scrape(metrics).value(late, **LABELS)
    newest = poll(api, "web-1", served)
    poll(api, "web-1", newest)
    share(api)

    assert first == 0 < second
    assert scrape(metrics).value(late, **LABELS) == 0


def test_headers_that_say_nothing_are_counted(
    api: falcon.testing.TestClient, billing: None, metrics: Metrics
) -> None:
    api.simulate_get(f"{ENVIRONMENT}/snapshot", headers={"Configsvc-Instance": "???"})
    poll(api, "web-1")

    found = scrape(metrics)

    assert found.value("configsvc_fleet_ignored_headers_total") == 1
    assert found.value("configsvc_fleet_known_instances") == 1
