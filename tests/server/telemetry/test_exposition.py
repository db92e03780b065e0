"""Exposition: where the metrics are, who gets them, and in which format."""

import gzip

import falcon.testing
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from configsvc_server.app import open_services
from configsvc_server.http.errors import WsgiApp
from configsvc_server.settings import Settings, SettingsError, load_settings
from configsvc_server.telemetry.metrics import Metrics
from tests.server.http.support import problem
from tests.server.telemetry.support import Scrape, scrape

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def test_text_is_the_default(api: falcon.testing.TestClient) -> None:
    result = api.simulate_get("/metrics")

    assert result.status_code == 200
    assert result.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert Scrape(result.text).value("configsvc_database_up") == 1


def test_openmetrics_is_given_to_who_asks_for_it(api: falcon.testing.TestClient) -> None:
    result = api.simulate_get("/metrics", headers={"Accept": OPENMETRICS})

    assert result.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in text_string_to_metric_families(result.text)}  # type: ignore[no-untyped-call]
    assert "configsvc_http_requests" in names


def test_they_are_compressed_for_who_takes_that(api: falcon.testing.TestClient) -> None:
    result = api.simulate_get("/metrics", headers={"Accept-Encoding": "gzip"})

    assert result.headers["content-encoding"] == "gzip"
    assert "configsvc_build_info" in gzip.decompress(result.content).decode()


def test_they_are_not_in_the_access_log(app: WsgiApp) -> None:
    api = falcon.testing.TestClient(app)
    with capture_logs() as logs:
        api.simulate_get("/metrics")
        api.simulate_get("/nowhere")

    shown = [line["path"] for line in logs if line["log_level"] != "debug"]
    assert shown == ["/nowhere"]


def test_they_need_no_token_and_count_towards_no_limit(
    settings: Settings, database_url: str
) -> None:
    secured = settings.model_copy(update={"auth": "required", "rate_limit": "1/minute"})
    with open_services(secured, database_url) as runtime:
        api = falcon.testing.TestClient(runtime.app)
        statuses = {api.simulate_get("/metrics").status_code for _ in range(3)}

    assert statuses == {200}


@pytest.mark.parametrize(
    ("flags", "is_on"),
    [
        ({}, True),
        ({"host": "0.0.0.0"}, False),
        ({"host": "0.0.0.0", "metrics": "on"}, True),
        ({"metrics": "off"}, False),
        ({"metrics": "127.0.0.1:0"}, False),
    ],
)
def test_the_port_of_the_api_has_them_where_that_is_wanted(
    settings: Settings, database_url: str, flags: dict[str, str], is_on: bool
) -> None:
    chosen = settings.model_copy(update={**flags, "auth": "off"})
    with open_services(chosen, database_url) as runtime:
        result = falcon.testing.TestClient(runtime.app).simulate_get("/metrics")

    if is_on:
        assert result.status_code == 200
    else:
        problem(result, 404)


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("auto", None),
        ("ON", None),
        ("off", None),
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:9464", ("::1", 9464)),
    ],
)
def test_an_address_of_their_own_is_a_host_and_a_port(
    given: str, address: tuple[str, int] | None
) -> None:
    assert load_settings({"metrics": given}).metrics_address == address


@pytest.mark.parametrize("given", ["", "9464", ":9464", "a b:1", "host:65536", "::1:9464", "yes"])
def test_what_is_no_address_is_refused_with_what_is_expected(given: str) -> None:
    with pytest.raises(SettingsError, match=r"--metrics .*must be on, off, auto, or an address"):
        load_settings({"metrics": given})


def test_a_part_that_fails_is_missing_and_counted_and_the_rest_is_there(metrics: Metrics) -> None:
    def fail() -> list[tuple[str, tuple[str, ...], float]]:
        raise RuntimeError("broken")

    metrics.watch("broken", fail)

    for expected in (1, 2):
        found = scrape(metrics)
        assert found.value("configsvc_scrape_errors_total", source="broken") == expected
        assert found.value("configsvc_database_up") == 1


def test_a_part_that_fails_is_logged_once(metrics: Metrics) -> None:
    def fail() -> list[tuple[str, tuple[str, ...], float]]:
        raise RuntimeError("broken")

    metrics.watch("broken", fail)
    with capture_logs() as logs:
        scrape(metrics)
        scrape(metrics)

    assert [(line["source"], line["error"]) for line in logs] == [("broken", "broken")]
