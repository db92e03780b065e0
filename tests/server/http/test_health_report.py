"""The health report: what it tells, and whom."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from falcon.testing import TestClient

from configsvc_server import __version__
from configsvc_server.app import Runtime, open_services
from configsvc_server.http.resources.metrics import create_metrics_api
from configsvc_server.services.health_report import HealthReport
from configsvc_server.settings import Settings
from tests.server.http.support import ok, problem
from tests.support.postgres import wait_for_lock

PATH = "/api/v1/health"


@pytest.fixture
def database_url(new_database_url: str) -> str:
    """A database whose connections a test may end."""
    return new_database_url


@pytest.fixture(autouse=True)
def always_new(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each report anew."""
    monkeypatch.setattr(HealthReport, "MAX_AGE", -1.0)


@pytest.fixture
def guarded(settings: Settings, database_url: str) -> Iterator[Runtime]:
    """The service for those who have a token."""
    guarded = settings.model_copy(update={"auth": "required"})
    with open_services(guarded, database_url) as runtime:
        yield runtime


def test_it_tells_of_every_part(api: TestClient) -> None:
    report = ok(api.simulate_get(PATH))

    assert report["status"] == "pass"
    assert {name: check["status"] for name, check in report["checks"].items()} == {
        "database": "pass",
        "migrations": "pass",
        "listener": "pass",
        "role": "pass",
    }
    assert report["version"] == __version__
    assert report["uptime_seconds"] >= 0
    database = report["database"]
    assert (database["kind"], database["role"]) == ("external", "primary")
    assert database["latency_ms"] > 0
    assert int(database["version"].split(".")[0]) >= 15
    assert report["migrations"]["pending"] == 0
    assert report["migrations"]["applied"] > 0
    assert report["write_lock"] == {"waiting": 0}
    assert report["pools"]["reads"]["limit"] == 8
    assert report["listener"]["listening"] is True
    assert 0 < report["listener"]["lag_seconds"] < 60
    assert report["caches"]["snapshots"]["limit_bytes"] > 0
    assert report["waiters"] == {"waiting": 0, "limit": 1500, "refused": 0}


def test_it_names_no_machine_but_this_one(api: TestClient, database_url: str) -> None:
    text = api.simulate_get(PATH).text

    info = psycopg.conninfo.conninfo_to_dict(database_url)
    for part in ("host", "user", "password", "dbname"):
        assert str(info.get(part) or "no such text") not in text


def test_it_counts_those_who_wait_for_the_write_lock(api: TestClient, database_url: str) -> None:
    acquire = b"SELECT configsvc_acquire_write_lock(NULL, NULL, NULL)"

    def write() -> None:
        with psycopg.connect(database_url) as connection:
            connection.execute(acquire)

    with ThreadPoolExecutor(1) as pool, psycopg.connect(database_url) as holder:
        holder.execute(acquire)
        waiter = pool.submit(write)
        wait_for_lock(database_url)
        found = ok(api.simulate_get(PATH))["write_lock"]
        holder.commit()
        waiter.result(30)

    assert found == {"waiting": 1}


def test_a_listener_that_hears_nothing_is_a_warning_and_the_service_ready(
    settings: Settings, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("configsvc_server.db.listener.Heartbeat.TIMEOUT", -1.0)
    with open_services(settings, database_url) as runtime:
        api = TestClient(runtime.app)
        report = ok(api.simulate_get(PATH))

        assert report["status"] == "warn"
        assert report["checks"]["listener"]["status"] == "warn"
        assert report["listener"]["lag_seconds"] is None
        assert api.simulate_get("/health/ready").status_code == 200


def test_a_service_without_its_database_has_a_report_that_says_so(
    api: TestClient, database_url: str
) -> None:
    name = psycopg.conninfo.conninfo_to_dict(database_url)["dbname"]
    admin = psycopg.conninfo.make_conninfo(database_url, dbname="postgres")
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
        )
        report = ok(api.simulate_get(PATH))
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())

    assert report["status"] == "fail"
    assert report["checks"]["database"]["status"] == "fail"
    assert report["database"] == {"kind": "external"}
    assert report["pools"]["reads"]["limit"] == 8


def test_it_is_for_whoever_administers_the_installation(guarded: Runtime) -> None:
    assert guarded.first_token is not None
    api = TestClient(guarded.app)

    problem(api.simulate_get(PATH), 401, "/authorization")
    headers = {"Authorization": f"Bearer {guarded.first_token.secret}"}
    assert ok(api.simulate_get(PATH, headers=headers))["status"] == "pass"


def test_the_port_of_the_metrics_shows_it_to_whoever_reaches_that(guarded: Runtime) -> None:
    api = TestClient(create_metrics_api(guarded.metrics.render, guarded.report.read))

    assert ok(api.simulate_get("/health"))["version"] == __version__


def test_reports_that_come_at_once_are_made_once(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HealthReport, "MAX_AGE", 60.0)

    assert ok(api.simulate_get(PATH)) == ok(api.simulate_get(PATH))


def test_while_it_drains_a_service_is_not_ready_and_answers(
    api: TestClient, runtime: Runtime
) -> None:
    runtime.drain()

    for path in ("/health", "/health/ready"):
        result = api.simulate_get(path)
        assert (result.status_code, result.json["status"]) == (503, "draining")
        assert result.headers["retry-after"]
    assert api.simulate_get("/health/live").json["status"] == "pass"
    assert api.simulate_get("/api/v1/applications").status_code == 200
    assert ok(api.simulate_get(PATH))["status"] == "draining"
